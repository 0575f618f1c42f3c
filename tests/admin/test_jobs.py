"""Jobs of all workspaces: found, stopped, looked at again; money right, and nobody's words shown."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from gesso.core.ids import new_id
from tests.admin.conftest import Panel

WORDS = "a very private lighthouse"


async def ask(panel: Panel, prompt: str) -> str:
    answer = await panel.user.post(
        "/api/generate/image", json={"model": "juggernaut-lightning", "prompt": prompt, "count": 1}
    )
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def until(panel: Panel, job: str, true: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The job as the operator sees it, once that holds."""
    async with asyncio.timeout(30):
        while True:
            found: dict[str, Any] = (await panel.operator.get(f"/api/admin/jobs/{job}")).json()
            if true(found):
                return found
            await asyncio.sleep(0.05)


async def listed(panel: Panel, state: str) -> list[str]:
    return [item["id"] for item in (await panel.operator.get(f"/api/admin/jobs?state={state}")).json()["items"]]


async def test_a_failed_job_is_found_with_its_calls_and_without_words(panel: Panel) -> None:
    job = await ask(panel, f"sandbox:fail {WORDS}")
    found = await until(panel, job, lambda one: one["state"] == "failed")
    assert found["person"] == panel.ada.email and found["charged"] == "0" and found["calls"]
    call = found["calls"][0]
    assert call["connection"] == "fal" and call["error_kind"] and call["exchanges"]
    assert job in await listed(panel, "failed") and job not in await listed(panel, "running")
    page = (await panel.operator.get(f"/admin/jobs/{job}")).text
    assert call["upstream"] in page and WORDS not in page and WORDS not in str(found)
    assert WORDS not in (await panel.operator.get("/admin/jobs?state=failed")).text
    for wanted in (job, call["id"]):
        search = await panel.operator.get(f"/admin/jobs?q={wanted}")
        assert (search.status_code, search.headers["location"]) == (303, f"/admin/jobs/{job}")
    assert "There is no generation or call" in (await panel.operator.get(f"/admin/jobs?q={new_id()}")).text
    again = (await panel.operator.post(f"/api/admin/jobs/{job}/look")).json()
    assert again == {"queued": False, "asked": 0, "found": 0, "detail": again["detail"]}


async def test_an_operator_stops_a_job_and_its_owner_gets_the_credits_back(panel: Panel) -> None:
    before = (await panel.user.get("/api/credits")).json()["balance"]
    job = await ask(panel, f"sandbox:slow=60 {WORDS}")
    await until(panel, job, lambda one: one["calls"] != [] and one["calls"][0]["state"] == "submitted")
    assert job in await listed(panel, "running")
    looked = (await panel.operator.post(f"/api/admin/jobs/{job}/look")).json()
    assert looked["queued"] is True
    calls = (await panel.operator.get(f"/api/admin/jobs/{job}")).json()["calls"]
    stopped = await panel.operator.post(f"/admin/jobs/{job}/cancel")
    assert stopped.status_code == 303
    found = await until(panel, job, lambda one: one["state"] == "cancelled")
    assert len(found["calls"]) == len(calls) == 1, "nothing was sent anew"
    wallet = (await panel.user.get("/api/credits")).json()
    assert (wallet["balance"], wallet["held"]) == (before, "0")
    assert (await panel.audited("generation.cancelled"))[0] == {
        "who": panel.olga.user_id, "generation": job, "in_time": True,
    }  # fmt: skip
    again = await panel.operator.post(f"/api/admin/jobs/{job}/cancel")
    assert again.status_code == 200 and again.json()["state"] == "cancelled"


async def test_an_uncertain_call_is_counted_and_asked_about(panel: Panel) -> None:
    job = await ask(panel, WORDS)
    await until(panel, job, lambda one: one["state"] == "succeeded")
    async with panel.product.db.elevated("test: lose an answer") as tx:
        await tx.execute_raw(
            "UPDATE attempt SET state = 'uncertain', error_kind = 'outcome_unknown' WHERE generation_id = $1::uuid", job
        )
    assert job in await listed(panel, "uncertain")
    overview = (await panel.operator.get("/admin")).text
    assert "nobody knows the end of" in overview and "may be billed for them" in overview
    looked = (await panel.operator.post(f"/api/admin/jobs/{job}/look")).json()
    assert looked["queued"] is False and looked["found"] == 0
    assert "cannot be asked" in looked["detail"] or "does not know" in looked["detail"]


async def test_the_list_is_narrowed_to_somebody_a_model_and_a_time(panel: Panel) -> None:
    job = await ask(panel, f"sandbox:fail {WORDS}")
    await until(panel, job, lambda one: one["state"] == "failed")
    today = datetime.now(UTC).date()
    person, past = panel.ada.email[:12], today - timedelta(days=1)

    async def found(**query: Any) -> bool:
        answer = await panel.operator.get("/api/admin/jobs", params={"state": "failed", **query})
        assert answer.status_code == 200, answer.text
        page = await panel.operator.get("/admin/jobs", params={"state": "failed", **query})
        assert page.status_code == 200
        ids = [item["id"] for item in answer.json()["items"]]
        assert (f"/admin/jobs/{job}" in page.text) == (job in ids)
        return job in ids

    assert await found(person=person) and await found(workspace=str(panel.ada.workspace_id))
    assert await found(person=person, model="juggernaut-lightning", since=today, until=today)
    assert (
        not await found(person="nobody-at-all") and not await found(person="%") and not await found(workspace="_____")
    )
    assert not await found(person=person, model="flux-schnell") and not await found(person=person, until=past)
    assert not await found(person=person, workspace=str(panel.olga.workspace_id))
    everything = await panel.operator.get("/api/admin/jobs", params={"state": "all", "person": person})
    assert [item["id"] for item in everything.json()["items"]] == [job]
    item = everything.json()["items"][0]
    assert item["call_count"] >= 1 and item["uncertain"] == 0
    assert (await panel.operator.get("/api/admin/jobs?state=all")).json()["items"] == []
    odd = (await panel.operator.get("/admin/jobs?since=yesterday&until=2026-01-01&person=ada")).text
    assert "Give days such as" in odd and 'value="yesterday"' in odd and 'value="ada"' in odd


async def test_what_failed_is_asked_for_again_in_its_owners_name(panel: Panel) -> None:
    before = (await panel.user.get("/api/credits")).json()["balance"]
    job = await ask(panel, f"sandbox:fail {WORDS}")
    await until(panel, job, lambda one: one["state"] == "failed")
    async with panel.product.db.elevated("test: the trouble is over") as tx:
        await tx.execute_raw(
            "UPDATE generation SET prompt = $2, params = jsonb_set(params::jsonb, '{prompt}', to_jsonb($2::text))"
            " WHERE id = $1::uuid",
            job, WORDS,
        )  # fmt: skip
    listed_at = "state=failed&person=ada"
    again = await panel.operator.post(f"/admin/jobs/{job}/retry", data={"back": listed_at})
    assert (again.status_code, again.headers["location"]) == (303, f"/admin/jobs?{listed_at}")
    noted = (await panel.audited("generation.retried"))[0]
    made = await until(panel, noted["as_generation"], lambda one: one["state"] == "succeeded")
    assert made["person"] == panel.ada.email and made["charged"] == made["credits"] == "1"
    assert float((await panel.user.get("/api/credits")).json()["balance"]) == float(before) - 1
    twice = await panel.operator.post(f"/api/admin/jobs/{job}/retry")
    assert twice.status_code == 409 and "already" in twice.json()["detail"]
    never = await panel.operator.post(f"/api/admin/jobs/{noted['as_generation']}/retry")
    assert never.status_code == 409 and "Only what failed" in never.json()["detail"]
