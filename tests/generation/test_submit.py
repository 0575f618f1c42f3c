"""Submitting: checks, prices, idempotency, fairness, and that nothing is ever sold twice."""

import asyncio
import json
from typing import Any

import httpx2
import pytest

from gesso.core.ids import new_id
from tests.cast import add_member, make_user, session_token
from tests.generation.house import FAST, House, Person, working


async def test_two_hundred_at_once_on_a_balance_of_one(idle: House) -> None:
    ada = await idle.person(credits_=1)
    answers = await asyncio.gather(*(ada.submit(f"harbour {number}") for number in range(200)))
    codes = [answer.status_code for answer in answers]
    assert codes.count(202) == 1 and codes.count(402) == 199
    assert await ada.wallet() == ("0", "1") and await idle.wrong() == ()
    problem = next(answer for answer in answers if answer.status_code == 402).json()
    assert problem["code"] == "out_of_credits"
    assert (problem["missing"], problem["balance"], problem["price"]["credits"]) == ("1", "0", "1")
    assert problem["next_grant_at"] is not None
    rows = await idle.rows("SELECT count(*) AS n FROM generation WHERE workspace_id = $1", ada.actor.workspace_id)
    assert rows[0]["n"] == 1


async def test_the_estimate_is_the_price(idle: House) -> None:
    ada = await idle.person(credits_=5)
    for body in ({"count": 1}, {"count": 4}, {"count": 2, "model": "photo-flux"}, {"model": "flux-ultra"}):
        given = {"model": FAST, **body}
        told = (await ada.http.post("/api/generate/estimate", json=given)).json()
        assert told["balance"] == (await ada.wallet())[0] and told["seconds"] >= 1
        answer = await ada.submit(**given)
        assert (answer.status_code == 202) == told["enough"]
        if told["enough"]:
            assert answer.json()["price"] == told["price"]
            await ada.http.post(f"/api/generate/{answer.json()['id']}/cancel")


async def test_an_estimate_needs_neither_prompt_nor_reference(idle: House) -> None:
    ada = await idle.person()
    edit = {"kind": "image", "model": "seedream-edit"}
    assert (await ada.http.post("/api/generate/estimate", json=edit)).json()["price"]["credits"] == "2"
    refused = await ada.http.post("/api/generate/image", json={"model": "seedream-edit", "prompt": "brighter"})
    assert refused.status_code == 422 and refused.json()["errors"][0]["field"] == "references"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"prompt": ""}, "prompt"),
        ({"prompt": "   "}, "prompt"),
        ({"prompt": "x" * 2001}, "prompt"),
        ({"prompt": "x" * 30_000}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"prompt": 7}, "prompt"),
        ({"prompt": "a\x00b"}, "prompt"),
        ({"prompt": "a\ud800b"}, "prompt"),
        ({"model": "no-such-model"}, "model"),
        ({"model": ""}, "model"),
        ({"count": 0}, "count"),
        ({"count": -1}, "count"),
        ({"count": 10_000}, "count"),
        ({"count": "4"}, "count"),
        ({"count": 1.5}, "count"),
        ({"count": True}, "count"),
        ({"count": 10**400}, "count"),
        ({"size": "1x1"}, "size"),
        ({"size": "1024x1024; DROP TABLE"}, "size"),
        ({"aspect_ratio": "16:9"}, "aspect_ratio"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**64}, "seed"),
        ({"steps": 0}, "steps"),
        ({"guidance": 5}, "guidance"),
        ({"quality": "best"}, "quality"),
        ({"sizee": "1024x1024"}, "sizee"),
        ({"references": [str(new_id())]}, "references"),
        ({"references": ["nonsense"]}, "references.0"),
    ],
)
async def test_bad_input_names_its_field_and_costs_nothing(idle: House, body: dict[str, Any], field: str) -> None:
    ada = await idle.person(credits_=5)
    given = {"model": FAST, "prompt": "a harbour", "count": 1, **body}
    raw = json.dumps(given).encode()  # as any client could send it, lone surrogates and all
    answer = await ada.http.post("/api/generate/image", content=raw, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert field in [error["field"] for error in problem["errors"]] and problem["detail"]
    assert await ada.wallet() == ("5", "0")


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'"x"', b"null", b'{"model": NaN}', b"\xff\xfe"])
async def test_a_body_that_is_no_request_is_refused(idle: House, raw: bytes) -> None:
    ada = await idle.person()
    for path in ("/api/generate/image", "/api/generate/estimate"):
        answer = await ada.http.post(path, content=raw, headers={"Content-Type": "application/json"})
        assert answer.status_code in (400, 422) and answer.json()["status"] == answer.status_code


async def test_the_content_policy_costs_nothing(idle: House) -> None:
    ada = await idle.person()
    answer = await ada.submit("a nude portrait")
    assert answer.status_code == 422 and answer.json()["code"] == "content_policy"
    assert await ada.wallet() == ("100", "0")


async def test_a_picture_of_somebody_else_is_no_reference(house: House) -> None:
    ada, cleo = await house.person(), await house.person("Cleo")
    hers = (await ada.made("a harbour"))["assets"][0]["id"]
    foreign = await cleo.submit("brighter", model="seedream-edit", references=[hers])
    assert foreign.status_code == 422 and foreign.json()["errors"][0]["field"] == "references"
    done = await ada.made("brighter", model="seedream-edit", references=[hers])
    assert done["status"] == "succeeded" and len(done["assets"]) == 1


async def test_nobody_generates_without_signing_in(idle: House) -> None:
    async with httpx2.AsyncClient(base_url=idle.url) as stranger:
        stranger.cookies.set("gesso_session", "x" * 43)
        for path in ("image", "estimate", f"{new_id()}/cancel", f"{new_id()}/rerun"):
            answer = await stranger.post(f"/api/generate/{path}", json={"model": FAST, "prompt": "x"})
            assert answer.status_code == 401, path


class TestIdempotency:
    async def test_the_same_request_is_done_once(self, idle: House) -> None:
        ada = await idle.person()
        first, again = await ada.submit(key="a"), await ada.submit(key="a")
        assert first.status_code == again.status_code == 202 and first.json() == again.json()
        assert await ada.wallet() == ("99", "1")
        assert (await ada.submit(key="b")).json()["id"] != first.json()["id"]

    async def test_another_body_is_refused(self, idle: House) -> None:
        ada = await idle.person()
        await ada.submit(key="a")
        other = await ada.submit("something else", key="a")
        assert other.status_code == 422 and other.json()["errors"][0]["field"] == "Idempotency-Key"

    async def test_many_at_once_make_one(self, idle: House) -> None:
        ada = await idle.person()
        answers = await asyncio.gather(*(ada.submit(key="a") for _ in range(20)))
        assert {answer.status_code for answer in answers} <= {202, 409}
        assert len({answer.json()["id"] for answer in answers if answer.status_code == 202}) == 1
        assert await ada.wallet() == ("99", "1")

    async def test_a_failure_is_not_remembered(self, idle: House) -> None:
        ada = await idle.person(credits_=1)
        first = await ada.asked()
        assert (await ada.submit("more", key="a")).status_code == 402
        await ada.http.post(f"/api/generate/{first}/cancel")
        assert (await ada.submit("more", key="a")).status_code == 202

    async def test_keys_belong_to_their_workspace(self, idle: House) -> None:
        ada, ben = await idle.person(), await idle.person("Ben")
        assert (await ada.submit(key="a")).json()["id"] != (await ben.submit(key="a")).json()["id"]

    async def test_a_key_must_be_a_key(self, idle: House) -> None:
        ada = await idle.person()
        assert (await ada.submit(key="x" * 256)).status_code == 422


async def test_a_workspace_has_so_many_in_the_queue_and_hands_on_in_order(idle: House) -> None:
    ada, ben = await idle.person(), await idle.person("Ben")
    hers = [await ada.asked(f"harbour {number}") for number in range(6)]
    his = await ben.asked("a hill")
    sent = "SELECT count(*) AS n FROM generation WHERE workspace_id = $1 AND dispatched_at IS NOT NULL"
    assert (await idle.rows(sent, ada.actor.workspace_id))[0]["n"] == 2
    assert (await ben.status(his))["queue_position"] <= 3  # her six do not stand before his one
    async with working(idle.settings):
        assert {(await ada.ended(one))["status"] for one in [*hers]} == {"succeeded"}
        assert (await ben.ended(his))["status"] == "succeeded"
    order = await idle.rows(
        "SELECT id FROM generation WHERE workspace_id = $1 ORDER BY dispatched_at, id", ada.actor.workspace_id
    )
    assert [row["id"] for row in order] == hers
    most = await idle.rows(
        """SELECT max(n) AS n FROM (SELECT (SELECT count(*) FROM generation b WHERE b.workspace_id = a.workspace_id
           AND b.dispatched_at <= a.dispatched_at AND b.finished_at > a.dispatched_at) AS n
           FROM generation a WHERE a.workspace_id = $1) counted""",
        ada.actor.workspace_id,
    )
    assert most[0]["n"] == 2
    assert await idle.wrong() == () and await ada.wallet() == ("94", "0")


async def test_many_submits_at_once_never_pass_the_limit(idle: House) -> None:
    ada = await idle.person()
    answers = await asyncio.gather(*(ada.submit(f"harbour {number}") for number in range(30)))
    assert {answer.status_code for answer in answers} == {202}
    rows = await idle.rows(
        "SELECT count(*) FILTER (WHERE dispatched_at IS NOT NULL) AS sent FROM generation WHERE workspace_id = $1",
        ada.actor.workspace_id,
    )
    assert rows[0]["sent"] == 2
    await asyncio.gather(*(ada.http.post(f"/api/generate/{one.json()['id']}/cancel") for one in answers))
    assert await ada.wallet() == ("100", "0") and await idle.wrong() == ()


async def test_too_many_waiting_are_refused(idle: House) -> None:
    ada = await idle.person(credits_=1000)
    await idle.rows(  # a crowd, without waiting for it to be asked for one by one
        """INSERT INTO generation (workspace_id, id, user_id, kind, state, source, model_key, model_id, model_name,
               prompt, params, count, priority, parallel, hold_id, price, queue_deadline_at)
           SELECT $1, gen_random_uuid(), $2, 'image', 'queued', 'api', 'm', gen_random_uuid(), 'M', 'p', '{}', 1, 0, 2,
               gen_random_uuid(), '{"credits": "0", "allowances": {}, "outputs": []}', now() + interval '1 day'
           FROM generate_series(1, 200)""",
        ada.actor.workspace_id, ada.actor.user_id,
    )  # fmt: skip
    assert (await ada.submit()).status_code == 202
    assert (await ada.submit()).status_code == 202
    refused = await ada.submit()
    assert refused.status_code == 429 and int(refused.headers["retry-after"]) > 0
    assert await ada.wallet() == ("998", "2")
    await idle.rows("DELETE FROM generation WHERE workspace_id = $1", ada.actor.workspace_id)


async def test_run_again_with_the_same_or_another_seed(house: House) -> None:
    ada = await house.person()
    first = await ada.made("harbour", count=2)
    same = await ada.http.post(f"/api/generate/{first['id']}/rerun")
    assert same.status_code == 202 and same.json()["price"] == first["price"]
    again = await ada.ended(same.json()["id"])
    assert again["rerun_of"] == first["id"]
    assert [asset["seed"] for asset in again["assets"]] == [asset["seed"] for asset in first["assets"]]
    other = await ada.http.post(f"/api/generate/{first['id']}/rerun", json={"new_seed": True})
    fresh = await ada.ended(other.json()["id"])
    assert {asset["seed"] for asset in fresh["assets"]}.isdisjoint({asset["seed"] for asset in first["assets"]})
    assert (await ada.http.post(f"/api/generate/{first['id']}/rerun", json={"seed": 1})).status_code == 422


async def test_history_pages_by_cursor(idle: House) -> None:
    ada = await idle.person()
    ids = [str(await ada.asked(f"harbour {number}")) for number in range(5)]
    await ada.http.post(f"/api/generate/{ids[0]}/cancel")
    seen, cursor = [], None
    while True:
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await ada.http.get("/api/generate", params=query)).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == ids[::-1]
    ended = (await ada.http.get("/api/generate", params={"status": "cancelled"})).json()
    assert [item["id"] for item in ended["items"]] == [ids[0]]
    for wrong in ({"cursor": "nonsense"}, {"cursor": "WyJ4Il0"}, {"limit": 0}, {"status": "gone"}):
        assert (await ada.http.get("/api/generate", params=wrong)).status_code == 422


async def test_a_member_sees_own_generations_an_admin_all(idle: House) -> None:
    ada, ben = await idle.person(), await make_user(idle.db, "Ben")
    member = await add_member(idle.db, ada.actor, ben)
    async with httpx2.AsyncClient(base_url=idle.url) as client:
        client.cookies.set("gesso_session", await session_token(idle.db, member))
        guest = Person(idle, member, client)
        his, hers = await guest.asked("a hill"), await ada.asked("a harbour")
        assert (await ada.http.get(f"/api/generate/status/{his}")).status_code == 200
        assert (await client.get(f"/api/generate/status/{hers}")).status_code == 404
        assert (await client.post(f"/api/generate/{hers}/cancel")).status_code == 404
