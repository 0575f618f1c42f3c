"""Own keys, through the real worker and the sandbox's wire: who pays, whose key is sent, and what ends how."""

import asyncio
import signal
from dataclasses import replace
from typing import Any
from uuid import UUID

import httpx2
import pytest

from gesso.accounts.access import COOKIE
from gesso.calls import history
from gesso.catalog.own_keys import repository
from gesso.catalog.registry import CHANNEL
from gesso.core.ids import new_id
from gesso.core.money import MICRO
from gesso.credits import service as credits
from tests.cast import add_member, make_user, session_token
from tests.generation.house import House, Person, working
from tests.generation.test_crash import worker_process

KEYS, PAGE = "/api/provider-keys", "/settings/provider-keys"


async def keyed_plan(house: House) -> None:
    """A plan like the free one, with own keys; hidden, so that nothing is offered to anybody else."""
    if await house.rows("SELECT 1 FROM plan WHERE key = 'keyed'"):
        return
    await house.rows(
        """INSERT INTO plan SELECT (jsonb_populate_record(p, jsonb_build_object('id', $1::uuid, 'key', 'keyed',
               'name', 'Keyed', 'own_keys', true, 'hidden', true, 'origin', 'operator'))).* FROM plan p
           WHERE key = 'free'""",
        new_id(),
    )
    async with house.db.elevated("test: a plan") as tx:
        tx.notify_after_commit(CHANNEL, {})
    async with asyncio.timeout(30):
        while "keyed" not in house.app.state.catalog.snapshot.plans:
            await asyncio.sleep(0.02)


async def somebody(house: House, name: str, secret: str = "", *, on: bool = True, credits_: int = 0) -> Person:
    """On the plan with own keys; with a fal key of this secret, used or not."""
    await keyed_plan(house)
    person = await house.person(name, credits_=credits_)
    await house.rows("UPDATE workspace SET plan_key = 'keyed' WHERE id = $1", person.actor.workspace_id)
    if secret:
        await bring(person, secret)
    if on:
        assert (await person.http.put(KEYS, json={"use": True})).status_code == 200
    return person


async def bring(person: Person, secret: str) -> None:
    answer = await person.http.put(f"{KEYS}/fal", json={"api_key": f"{person.actor.user_id}:{secret}"})
    assert set(answer.json()) == {"ok", "reached", "refused", "detail"}
    assert answer.status_code == 200 and answer.json()["ok"], answer.text


async def key_of(person: Person) -> dict[str, Any]:
    (row,) = await person.house.rows("SELECT * FROM own_key WHERE user_id = $1", person.actor.user_id)
    return row


async def billed_to(house: House, generation_id: Any) -> list[str]:
    """The ends of the keys that a generation's jobs were sent with, as the provider saw them."""
    bill = await house.bill()
    calls = [one["operation"]["id"] for one in await house.attempts(UUID(str(generation_id))) if one["operation"]]
    return [bill[call]["key_hint"] for call in calls]


async def begun(house: House, generation_id: UUID) -> None:
    async with asyncio.timeout(60):
        while [one["state"] for one in await house.attempts(generation_id)] != ["submitted"]:
            await asyncio.sleep(0.02)


async def test_allowances_pay_first_then_credits_then_the_own_key(house: House) -> None:
    ada = await somebody(house, "Ada", "secret-of-ada-ADA1", credits_=2)
    async with house.db.workspace(ada.actor.workspace_id, ada.actor.user_id) as tx:
        await credits.grant(
            tx, ada.actor.workspace_id, unit="image", amount=1, source="operator", key=f"test:{new_id()}", reason="x"
        )
    by_plan, by_credits = await ada.made("one", count=1), await ada.made("two", count=1)
    assert by_plan["charged"]["allowances"] == {"image": 1} and by_credits["charged"]["credits"] == "1"
    assert not by_plan["own_key"] and not by_credits["own_key"]

    # two pictures cost 2 credits and 1 is left: all of it runs on the key, and the credit stays
    asked = {"kind": "image", "model": "juggernaut-lightning", "count": 2}
    told = (await ada.http.post("/api/generate/estimate", json=asked)).json()
    assert told["own_key"] and told["enough"] and told["price"]["credits"] == "0"
    own = await ada.made("three", count=2)
    assert own["status"] == "succeeded" and own["own_key"] and len(own["assets"]) == 2
    assert own["price"]["credits"] == own["charged"]["credits"] == "0" and own["charged"]["allowances"] == {}
    assert await ada.wallet() == ("1", "0") and await house.wrong() == ()
    assert set(await billed_to(house, own["id"])) == {"ADA1"}
    assert "ADA1" not in await billed_to(house, by_plan["id"]) + await billed_to(house, by_credits["id"])

    attempts, key = await house.attempts(own["id"]), await key_of(ada)
    assert all(one["own_key"] and one["connection_id"] == key["id"] for one in attempts)
    asset = (await ada.http.get(f"/api/media/{own['assets'][0]['id']}")).json()
    assert asset["charged"]["own_key"] is True
    page = (await ada.http.get("/create")).text
    assert "Own key" in page and "own-key" not in page
    rows = (await ada.http.get("/dashboard/history.csv")).text.splitlines()
    assert [row.rsplit(",", 1)[-1] for row in rows[1:]] == ["own key", "workspace", "workspace"]
    # what it cost is the person's and in none of the operator's figures
    async with house.db.elevated("test: figures") as tx:
        now = house.app.state.clock.now()
        hours = await history.hours(tx, now, now)
    assert key["id"] not in {hour.connection_id for hour in hours}


async def test_it_is_off_until_switched_on_and_a_refusal_says_how_to_go_on(house: House) -> None:
    ada = await somebody(house, "Ada", on=False)

    async def way() -> dict[str, Any]:
        answer = await ada.submit()
        assert answer.status_code == 402, answer.text
        (found,) = [one for one in answer.json()["ways"] if one["way"] == "own_key"]
        return found

    assert await way() == {"way": "own_key", "provider": "fal", "state": "absent", "url": PAGE}
    assert "add a fal key of your own" in (await ada.submit()).json()["detail"]
    await bring(ada, "secret-of-ada-ADA2")
    assert (await way())["state"] == "off"
    assert (await ada.http.put(KEYS, json={"use": True})).json()["use"]
    page = (await ada.http.get("/create")).text
    assert "your own key" in page and "on your fal account" in page
    assert page.count("your own key") == 1, "the helpers at the prompt are asked elsewhere, where there is no key"
    assert (await ada.made())["own_key"]
    assert (await ada.http.put(KEYS, json={"use": False})).status_code == 200
    assert (await way())["state"] == "off"
    done = [row["action"] for row in await house.rows(
        "SELECT action FROM audit_event WHERE user_id = $1 AND action LIKE 'own_key%' ORDER BY id", ada.actor.user_id
    )]  # fmt: skip
    assert done == ["own_key.added", "own_key.switched_on", "own_key.switched_off"]


async def test_a_plan_without_own_keys_opens_nothing(house: House) -> None:
    ada = await somebody(house, "Ada", "secret-of-ada-ADA3")
    await house.rows("UPDATE workspace SET plan_key = 'free' WHERE id = $1", ada.actor.workspace_id)
    answer = await ada.submit()
    assert answer.status_code == 402 and "own_key" not in [one["way"] for one in answer.json()["ways"]]
    put = await ada.http.put(f"{KEYS}/fal", json={"api_key": "a:b"})
    assert put.status_code == 422 and put.json()["code"] == "plan_limit"
    told = (await ada.http.get(KEYS)).json()
    assert set(told) == {"plan_has_them", "opened_by", "use", "items"}
    assert set(told["items"][0]) == {"provider", "name", "models", "key"}
    assert set(told["items"][0]["key"]) == {"tail", "since", "refused"}
    assert not told["plan_has_them"] and told["items"][0]["key"]["tail"] == "ADA3", "it can still be removed"
    page = (await ada.http.get(PAGE)).text
    assert "not part of your plan" in page and 'name="api_key"' not in page
    assert (await ada.http.delete(f"{KEYS}/fal")).status_code == 204


async def test_the_key_is_the_acting_members_and_nobody_elses(house: House) -> None:
    ben = await somebody(house, "Ben", "secret-of-ben-BEN1")
    other = await add_member(house.db, ben.actor, await make_user(house.db, "Ada"), "admin")
    async with httpx2.AsyncClient(base_url=house.url, timeout=60) as client:
        client.cookies.set(COOKIE, await session_token(house.db, other))
        ada = Person(house, other, client)
        assert (await client.put(KEYS, json={"use": True})).status_code == 200
        assert [one["state"] for one in (await ada.submit()).json()["ways"] if one["way"] == "own_key"] == ["absent"]
        assert (await client.get(KEYS)).json()["items"][0]["key"] is None
        assert (await client.post(f"{KEYS}/fal/test")).status_code == 404
        assert (await client.delete(f"{KEYS}/fal")).status_code == 404
        gone = await client.post(f"{PAGE}/{(await key_of(ben))['id']}/remove")
        assert gone.status_code == 404, "not even by its id"
    async with house.db.workspace(other.workspace_id, other.user_id) as tx:
        assert await tx.fetchval("SELECT count(*) FROM own_key") == 0
        assert await tx.execute_raw("DELETE FROM own_key") == 0
    assert set(await billed_to(house, (await ben.made())["id"])) == {"BEN1"}
    # who leaves takes their key along
    await house.rows("DELETE FROM membership WHERE user_id = $1", ben.actor.user_id)
    assert await house.rows("SELECT 1 FROM own_key WHERE user_id = $1", ben.actor.user_id) == []


async def test_a_refused_key_ends_what_runs_on_it_and_rests_alone(house: House) -> None:
    ada = await somebody(house, "Ada", "secret-of-ada-ADA4")
    row = await key_of(ada)
    sealed = house.settings.sealer.seal(b"ada:wrong", f"own_key:{row['id']}")
    await house.rows("UPDATE own_key SET sealed_key = $2 WHERE id = $1", row["id"], sealed)
    made = await ada.made(count=2)
    assert made["status"] == "failed" and made["error"]["code"] == "own_key_key"
    assert made["error"]["message"] == "Your own fal key was refused. Nothing was charged."
    attempts = await house.attempts(made["id"])
    assert all(one["own_key"] for one in attempts), "never tried at the operator's cost"
    assert (await key_of(ada))["refused"] == "key"
    assert await house.rows("SELECT * FROM connection_health WHERE reason = 'key'") == []
    assert [one["state"] for one in (await ada.submit()).json()["ways"] if one["way"] == "own_key"] == ["refused"]
    page = (await ada.http.get(PAGE)).text
    assert "fal refused this key" in page and "secret-of" not in page and "wrong" not in page
    assert (await (await house.person("Ben")).made())["status"] == "succeeded", "others are not touched"
    refused = await ada.http.put(f"{KEYS}/fal", json={"api_key": "ada:wrong"})
    assert refused.status_code == 422 and "does not accept" in refused.json()["detail"]
    await bring(ada, "secret-of-ada-ADA5")
    assert (await key_of(ada))["id"] == row["id"] and (await ada.made())["status"] == "succeeded"


async def test_an_empty_account_is_told_when_the_key_comes_and_rests_until_it_is_tried_again(house: House) -> None:
    ada = await somebody(house, "Ada")
    answer = await ada.http.post(f"{PAGE}/fal", data={"api_key": f"{ada.actor.user_id}:fault-no-credit"})
    assert answer.status_code == 303
    if (await key_of(ada))["refused"] is None:  # fal tells nothing of it before something is asked for
        made = await ada.made()
        assert made["error"]["message"].startswith("There is no credit left on your own fal account.")
    assert (await key_of(ada))["refused"] == "credit"
    assert (await ada.http.get(KEYS)).json()["items"][0]["key"]["refused"] == "credit"
    assert await house.rows("SELECT * FROM connection_health WHERE reason = 'credit'") == []


async def test_a_key_that_is_removed_ends_what_runs_on_it(house: House) -> None:
    ada = await somebody(house, "Ada", "secret-of-ada-ADA6")
    generation_id = await ada.asked("a harbour sandbox:slow=120")
    await begun(house, generation_id)
    key = await key_of(ada)
    assert (await ada.http.delete(f"{KEYS}/fal")).status_code == 204
    ended = await ada.ended(generation_id)
    assert ended["status"] == "failed" and ended["error"]["code"] == "own_key_gone", ended
    assert [one["state"] for one in await house.attempts(generation_id)] == ["failed"]
    assert await house.rows("SELECT 1 FROM connection_health WHERE connection_id = $1", key["id"]) == []
    assert await ada.wallet() == ("0", "0") and await house.wrong() == ()


async def test_a_cancelled_one_is_stopped_at_the_persons_account(house: House) -> None:
    ada = await somebody(house, "Ada", "secret-of-ada-ADA7")
    generation_id = await ada.asked("a harbour sandbox:slow=120")
    await begun(house, generation_id)
    assert (await ada.http.post(f"/api/generate/{generation_id}/cancel")).status_code == 200
    async with asyncio.timeout(60):
        while (attempt := (await house.attempts(generation_id))[0])["state"] != "cancelled":
            await asyncio.sleep(0.02)
    assert (await house.bill())[attempt["operation"]["id"]]["status"] == "cancelled"


@pytest.mark.crash
async def test_whoever_takes_over_goes_on_with_the_same_key(idle: House) -> None:
    ada = await somebody(idle, "Ada", "secret-of-ada-ADA8")
    lost, removed = await ada.asked("a harbour"), await ada.asked("a hill sandbox:slow=60")
    async with worker_process(idle, "attempt.submitted*2") as worker:
        assert await asyncio.wait_for(worker.wait(), 60) == -signal.SIGKILL
    await idle.release()
    async with working(idle.settings):
        assert (await ada.ended(lost, 60))["status"] == "succeeded"
        # replaced meanwhile by another key of the same account: the rest goes on with that
        await bring(ada, "secret-of-ada-ADA9")
        assert not (await ada.status(removed))["finished_at"]
        assert (await ada.http.delete(f"{KEYS}/fal")).status_code == 204
        assert (await ada.ended(removed, 60))["error"]["code"] == "own_key_gone"
    for generation_id in (lost, removed):
        assert await billed_to(idle, generation_id) == ["ADA8"], "asked for once"
    assert await idle.wrong() == ()


async def test_what_waits_with_a_key_that_goes_fails_truly(idle: House) -> None:
    ada = await somebody(idle, "Ada", "secret-of-ada-ADB1")
    generation_id = await ada.asked()
    assert (await ada.http.delete(f"{KEYS}/fal")).status_code == 204
    async with working(idle.settings):
        ended = await ada.ended(generation_id, 60)
    assert ended["error"]["code"] == "own_key_gone" and await idle.attempts(generation_id) == []
    assert float((await ada.wallet())[1]) * MICRO == 0


async def test_a_key_does_not_follow_a_connection_to_another_address(house: House) -> None:
    ada = await somebody(house, "Ada", "secret-of-ada-ADB2")
    async with house.db.workspace(ada.actor.workspace_id, ada.actor.user_id) as tx:
        keys = await repository.mine(tx)
    (fal,) = [one for one in house.app.state.catalog.connections() if one.key == "fal"]
    assert (stand_in := keys.stand_in(fal)) is not None and stand_in.own_key and stand_in.limits == {}
    assert keys.stand_in(replace(fal, base_url="https://elsewhere.example")) is None
    assert keys.stand_in(replace(fal, adapter="comfyui")) is None
    assert "secret" not in repr(keys) and "secret" not in repr(stand_in) and "sealed" not in repr(stand_in)
