"""Prompts before they are held, pictures before they are delivered: judged by the sandbox's OpenAI, faults and all."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest
from pydantic import SecretStr

from gesso.accounts.access import COOKIE
from gesso.calls.alone import Who
from gesso.calls.judging import Judges
from gesso.calls.pool import ProviderPool
from gesso.catalog.registry import CHANNEL, Catalog
from gesso.catalog.service import add_connection
from gesso.core.clock import SystemClock
from gesso.core.ids import new_id
from gesso.core.settings import SafetySettings
from gesso.db.embedded import EmbeddedPostgres
from gesso.media.taken import SENTENCE
from gesso.safety.moderation import Flagged, Moderation, NotChecked
from tests.cast import make_user, session_token
from tests.conftest import create_database
from tests.generation.house import House, Person, opened, settings_for

UNSURE = "a locked door, flag-illicit-violent"
"""The sandbox's judge scores it 0.97; this house asks its operator about that, and never blocks it."""


class Judged(House):
    """A house whose judges a test arranges."""

    async def judged_by(self, *judges: tuple[str, str]) -> None:
        """A chain with one judge for each (fault, tags); the fault `dead` is an address nobody answers at."""
        async with self.db.elevated("test: arrange judges") as tx:
            await tx.execute_raw("UPDATE model SET enabled = false WHERE kind = 'moderation'")
            await tx.execute_raw("DELETE FROM chain WHERE key = 'moderation'")
            links: list[dict[str, Any]] = []
            for fault, tags in judges:
                key = f"j{new_id().hex[-12:]}"
                dead = fault == "dead"
                made = await add_connection(
                    tx, self.settings.sealer, key=key, adapter="openai",
                    api_key=SecretStr(f"k{key}:" + (f"fault-{fault}" if fault and not dead else "fine")),
                    base_url="http://127.0.0.1:9/openai" if dead else f"{self.sandbox_url}/openai", limits={},
                )  # fmt: skip
                links.append({"model": key, "seconds": 5})
                await tx.execute_raw(
                    """INSERT INTO model (id, key, kind, connection_id, upstream, name, capabilities, cost, tags,
                           typical_seconds, enabled, origin)
                       SELECT $1, $2, kind, $3, upstream, $2, capabilities, cost, $4, 1, true, 'operator'
                       FROM model WHERE key = 'omni-moderation'""",
                    new_id(), key, made.id, tags.split(),
                )  # fmt: skip
            await tx.execute_raw(
                "INSERT INTO chain (id, key, total_seconds, links, origin)"
                " VALUES ($1, 'moderation', 10, $2, 'operator')",
                new_id(), links,
            )  # fmt: skip
            tx.notify_after_commit(CHANNEL, {})
        await self._live([link["model"] for link in links])

    async def _live(self, keys: list[str]) -> None:
        """Until the site knows: somebody without credits asks until it is these who judge them."""
        self.catalog = await Catalog.load(self.db)
        probe = await self.person("Probe", credits_=0)
        async with asyncio.timeout(25):
            while True:
                before = len(await self.calls())
                await probe.submit("a probe")
                asked = {call["model_key"] for call in (await self.calls())[before:]}
                if keys[0] in asked <= set(keys):
                    return
                await asyncio.sleep(0.05)

    async def calls(self) -> list[dict[str, Any]]:
        return await self.rows("SELECT * FROM attempt WHERE purpose = 'moderation' ORDER BY id")

    async def lines(self, person: Person) -> list[dict[str, Any]]:
        return await self.rows(
            "SELECT * FROM moderation_event WHERE workspace_id = $1 ORDER BY id", person.actor.workspace_id
        )

    async def operator(self) -> httpx2.AsyncClient:
        olga = await make_user(self.db, "Olga", operator=True)
        client = httpx2.AsyncClient(base_url=self.url, timeout=30)
        client.cookies.set(COOKIE, await session_token(self.db, olga))
        self.clients.append(client)
        return client


@pytest.fixture(scope="module")
async def judged(
    postgres: EmbeddedPostgres, template: str, sandbox: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Judged]:
    url = await create_database(postgres, f"gesso_judged_{uuid.uuid4().hex[:12]}", template)
    settings = settings_for(url, Path(tmp_path_factory.mktemp("judged")), sandbox)
    thresholds = SafetySettings(moderation_thresholds="illicit/violent=0.9:never")
    async with opened(replace(settings, safety=thresholds)) as house:
        yield Judged(**{one.name: getattr(house, one.name) for one in fields(house)})


async def test_without_a_judge_nothing_is_asked_and_the_built_in_rules_hold(judged: Judged) -> None:
    ada = await judged.person()
    assert (await ada.made("paper hills"))["status"] == "succeeded"
    refused = await ada.submit("erotic paper hills")
    assert (refused.status_code, refused.json()["rule"]) == (422, "sexual")
    (line,) = await judged.lines(ada)
    assert (line["outcome"], line["rule"], line["stage"], line["prompt"]) == (
        "blocked", "sexual", "prompt", "erotic paper hills",
    )  # fmt: skip
    assert await judged.calls() == []


async def test_what_the_judge_blocks_is_told_and_costs_nothing(judged: Judged) -> None:
    await judged.judged_by(("", ""))
    ada = await judged.person()
    refused = await ada.submit("a vase, hateful", key="once")
    problem = refused.json()
    assert (refused.status_code, problem["code"], problem["rule"]) == (422, "content_policy", "moderation")
    assert problem["detail"] == (
        "This was judged to be about hatred of a group of people, which is not made here. Nothing was charged."
    )
    assert problem["categories"] == ["hate"]
    (line,) = await judged.lines(ada)
    assert (line["outcome"], line["generation_id"], line["categories"]) == ("blocked", None, {"hate": 0.97})
    call = (await judged.calls())[-1]
    assert (call["id"], call["state"], call["user_id"]) == (line["attempt_id"], "succeeded", ada.actor.user_id)
    assert (call["provider_cost_micro_usd"], call["cost_state"]) == (0, "estimated")
    assert await ada.wallet() == ("100", "0")
    assert await judged.rows("SELECT 1 FROM generation WHERE workspace_id = $1", ada.actor.workspace_id) == []
    page = await ada.http.post("/create", data={"model": "juggernaut-lightning", "prompt": "hateful"})
    assert page.status_code == 422 and "hatred of a group of people" in page.text
    tool = await ada.http.post("/api/prompts/improve", json={"prompt": "hateful"})
    assert (tool.status_code, tool.json()["rule"]) == (422, "moderation")
    assert await judged.rows("SELECT 1 FROM prompt_record WHERE workspace_id = $1", ada.actor.workspace_id) == []
    assert await ada.wallet() == ("100", "0") and await judged.wrong() == ()


async def test_what_the_judge_is_unsure_about_is_made_once_and_waits_for_the_operator(judged: Judged) -> None:
    await judged.judged_by(("", ""))
    ada, operator = await judged.person(), await judged.operator()
    first, again = await ada.submit(UNSURE, key="same"), await ada.submit(UNSURE, key="same")
    assert (first.status_code, again.status_code, again.json()) == (202, 202, first.json())
    done = await ada.ended(UUID(first.json()["id"]))
    assert done["status"] == "succeeded"
    (line,) = await judged.lines(ada)
    assert (line["outcome"], str(line["generation_id"]), line["decision"]) == ("review", done["id"], None)

    (case,) = [
        case for case in (await operator.get("/api/admin/moderation")).json()["items"] if case["id"] == str(line["id"])
    ]
    asset = done["assets"][0]
    assert (case["prompt"], case["categories"], case["asset_ids"]) == (UNSURE, {"illicit/violent": 0.97}, [asset["id"]])
    page = (await operator.get("/admin/moderation")).text
    assert "flag-illicit-violent" in page and "Help with something unlawful and violent" in page
    picture = f"/admin/moderation/{line['id']}/pictures/{asset['id']}"
    assert (await operator.get(picture)).headers["content-type"] == "image/webp"
    assert (await ada.http.get(picture)).status_code == 404

    where = f"/api/admin/moderation/{line['id']}"
    assert (await operator.post(f"{where}/take-down", json={"reason": ""})).status_code == 422
    taken = await operator.post(f"{where}/take-down", json={"reason": "Against our rules."})
    assert (taken.status_code, taken.json()["decision"]) == (200, "taken_down"), taken.text
    gone = await ada.http.get(f"/api/media/{asset['id']}")
    assert (gone.status_code, gone.json()["detail"]) == (404, SENTENCE)
    assert (await ada.http.get(asset["url"])).status_code == 404
    assert (await ada.http.get("/api/media")).json()["items"] == []
    assert (await ada.http.post(f"/api/media/{asset['id']}/restore")).status_code in (404, 409, 422)
    status = await ada.status(UUID(done["id"]))
    assert (status["assets"], status["warnings"]) == ([], [SENTENCE])
    assert "Taken down" in (await ada.http.get(f"/generations/{done['id']}/card")).text
    assert (await operator.get(picture)).status_code == 200, "the operator may look at it again"
    assert (await operator.post(f"{where}/keep")).status_code == 409

    undone = await operator.post(f"{where}/undo")
    assert (undone.status_code, undone.json()["decision"]) == (200, None)
    assert [one["id"] for one in (await ada.status(UUID(done["id"])))["assets"]] == [asset["id"]]
    kept = await operator.post(f"/admin/moderation/{line['id']}/keep", data={"reason": "It is a door."})
    assert kept.status_code == 303
    ((line),) = await judged.lines(ada)
    assert (line["decision"], line["reason"]) == ("kept", "It is a door.")
    deeds = await judged.rows("SELECT action FROM audit_event WHERE action LIKE 'moderation.%' ORDER BY created_at")
    assert [deed["action"] for deed in deeds] == ["moderation.taken_down", "moderation.undone", "moderation.kept"]


async def test_taking_down_what_is_still_made_stops_it(judged: Judged) -> None:
    await judged.judged_by(("", ""))
    ada, operator = await judged.person(), await judged.operator()
    generation_id = await ada.asked(f"{UNSURE} sandbox:slow=30")
    (line,) = await judged.lines(ada)
    await operator.post(f"/api/admin/moderation/{line['id']}/take-down", json={"reason": "Not here."})
    assert (await ada.ended(generation_id))["status"] == "cancelled"
    assert await ada.wallet() == ("100", "0")


async def test_a_picture_the_judge_objects_to_is_neither_delivered_nor_charged(judged: Judged) -> None:
    await judged.judged_by(("", ""), ("safety", "vision"))
    ada = await judged.person()
    done = await ada.made("paper hills", count=2)
    assert (done["status"], done["error"]["code"]) == ("failed", "flagged")
    assert done["error"]["message"] == (
        "It was held back: it was judged to show sexual content, which is not delivered here. Nothing was charged."
    )
    assert "Stopped by the rules" in (await ada.http.get(f"/generations/{done['id']}/card")).text
    assert await ada.wallet() == ("100", "0") and await judged.wrong() == ()
    lines = await judged.lines(ada)
    assert [(line["stage"], line["outcome"]) for line in lines] == [("output", "blocked")] * 2
    files = [path for path in (judged.settings.site.data_dir / "files").rglob("*") if path.is_file()]
    assert not [path for path in files if str(ada.actor.workspace_id) in str(path)], "it was never stored"
    said = await judged.rows("SELECT request FROM attempt_exchange WHERE attempt_id = $1", lines[0]["attempt_id"])
    assert said and "paper hills" not in str(said), "the picture is judged by itself"


async def test_a_film_is_judged_by_its_poster(judged: Judged) -> None:
    await judged.judged_by(("", ""), ("safety", "vision"))
    ada = await judged.person()
    models = (await ada.http.get("/api/models")).json()["items"]
    assert not [model for model in models if model["kind"] == "moderation"]
    film = next(
        model for model in models if model["kind"] == "video" and "references" not in model["capabilities"]["required"]
    )
    asked = await ada.http.post("/api/generate/video", json={"model": film["key"], "prompt": "a paper boat"})
    done = await ada.ended(UUID(asked.json()["id"]))
    assert (done["status"], done["error"]["code"], await ada.wallet()) == ("failed", "flagged", ("100", "0"))


async def test_a_doubtful_picture_is_delivered_and_waits(judged: Judged) -> None:
    await judged.judged_by(("", ""), ("safety=0.6", "vision"))
    ada, operator = await judged.person(), await judged.operator()
    done = await ada.made("paper hills")
    assert done["status"] == "succeeded" and done["charged"]["credits"] != "0"
    (line,) = await judged.lines(ada)
    assert (line["stage"], line["outcome"], str(line["asset_id"])) == ("output", "review", done["assets"][0]["id"])
    form = {"reason": "Too bare.", "tab": "waiting"}
    await operator.post(f"/admin/moderation/{line['id']}/take-down", data=form)
    assert (await ada.status(UUID(done["id"])))["assets"] == []
    assert "Too bare." in (await operator.get("/admin/moderation?tab=decided")).text


async def test_the_next_judge_answers_and_a_dead_one_is_counted(judged: Judged) -> None:
    await judged.judged_by(("", "vision"))
    ada, operator = await judged.person(), await judged.operator()
    await judged.judged_by(("dead", ""), ("", ""))
    assert (await ada.submit("a vase, hateful")).status_code == 422
    assert [call["state"] for call in (await judged.calls())[-2:]] == ["failed", "succeeded"]
    await judged.judged_by(("dead", "vision"))
    done = await ada.made("a vase, hateful")
    assert done["status"] == "succeeded", "a site that says nothing else lets ordinary requests pass"
    unjudged = [line for line in await judged.lines(ada) if line["outcome"] == "unjudged"]
    assert [line["stage"] for line in unjudged] == ["prompt", "output"]
    assert {str(line["generation_id"]) for line in unjudged} == {done["id"]}
    assert "not judged in 24 hours" in (await operator.get("/admin")).text
    taken = await operator.post(f"/api/admin/moderation/{unjudged[0]['id']}/take-down", json={"reason": "No."})
    assert taken.status_code == 200 and (await ada.status(UUID(done["id"])))["assets"] == []
    assert (await ada.submit("erotic paper hills")).status_code == 422, "the built-in rules always hold"


async def test_where_it_fails_closed_nothing_goes_on_unjudged(judged: Judged) -> None:
    await judged.judged_by(("dead", "vision"))
    ada = await judged.person()
    who = Who(ada.actor.workspace_id, ada.actor.user_id)
    pool = ProviderPool(judged.settings.sealer, judged.sandbox_url)
    judges = Judges(judged.db, judged.catalog, pool)
    by_default, closed = (
        Moderation(judged.db, judges, SafetySettings(moderation_fails=fails), SystemClock())
        for fails in ("auto", "closed")
    )
    with pytest.raises(NotChecked, match="nothing was charged"):
        await closed.prompt(who, "image", "a vase", "general")
    with pytest.raises(NotChecked):
        await by_default.prompt(who, "image", "a vase", "adult")
    let_pass = await by_default.prompt(who, "image", "a vase", "general")
    assert let_pass is not None and let_pass.outcome == "unjudged"
    await judged.judged_by(("", ""))
    judges = Judges(judged.db, judged.catalog, pool)
    with pytest.raises(Flagged):
        await Moderation(judged.db, judges, SafetySettings(), SystemClock()).prompt(
            who, "image", "flag-minors", "adult"
        )
    await pool.aclose()
