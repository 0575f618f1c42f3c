"""Operators and money: adjustments are exact, happen once, never go below zero, and are told to whom they concern."""

import asyncio
import csv
from typing import Any

import httpx2

from gesso.accounts.access import Actor
from gesso.core.ids import new_id
from gesso.credits import service as credits
from tests.admin.conftest import Office
from tests.cast import add_member

API = "/api/admin/workspaces"
GIVE = {"direction": "give", "unit": "credit", "reason": "Sorry for the outage"}
TAKE = {"direction": "take", "unit": "credit", "reason": "A slip of ours"}


async def adjust(http: httpx2.AsyncClient, who: Actor, key: str | None = None, **body: Any) -> httpx2.Response:
    headers = {"Idempotency-Key": key} if key else {}
    return await http.post(f"{API}/{who.workspace_id}/credits", json=body, headers=headers)


async def balance(http: httpx2.AsyncClient, who: Actor) -> str:
    found: str = (await http.get(f"{API}/{who.workspace_id}")).json()["credits"]["balance"]
    return found


async def test_what_is_given_and_taken_stands_in_the_members_history(office: Office) -> None:
    olga, http = await office.operator()
    ada = await office.person()
    member = await office.client(ada)
    assert (await adjust(http, ada, **GIVE, amount="12.345678")).json()["credits"]["balance"] == "12.345678"
    assert (await adjust(http, ada, **GIVE | {"unit": "image"}, amount="5")).json()["credits"]["allowances"] == {
        "image": 5
    }
    taken = await adjust(http, ada, **TAKE, amount="2.000001")
    assert taken.json()["credits"]["balance"] == "10.345677"
    lines = (await member.get("/api/credits/history")).json()["items"]
    assert [(line["kind"], line["credits"], line["reason"]) for line in lines if line["credits"] != "0"] == [
        ("refund", "-2.000001", TAKE["reason"]), ("grant", "12.345678", GIVE["reason"]),
    ]  # fmt: skip
    assert TAKE["reason"] in (await http.get(f"/admin/workspaces/{ada.workspace_id}")).text
    noted = await office.noted(olga)
    assert [(one["action"], one["amount"], one["before"], one["after"]) for one in noted] == [
        ("credits.taken", "2.000001", {"balance": "12.345678"}, {"balance": "10.345677"}),
        ("credits.given", "5", {"balance": "0"}, {"balance": "5"}),
        ("credits.given", "12.345678", {"balance": "0"}, {"balance": "12.345678"}),
    ]
    async with office.db.elevated("test: verify") as tx:
        assert await credits.verify(tx) == ()


async def test_a_form_sent_twice_counts_once(office: Office) -> None:
    olga, http = await office.operator()
    ada = await office.person()
    page = (await http.get(f"/admin/workspaces/{ada.workspace_id}")).text
    token = page.partition('name="token" value="')[2].partition('"')[0]
    form = {**GIVE, "amount": "20", "token": token}
    where = f"/admin/workspaces/{ada.workspace_id}/credits"
    sent = await asyncio.gather(*(http.post(where, data=form) for _ in range(5)))
    assert [answer.status_code for answer in sent] == [303] * 5
    assert await balance(http, ada) == "20" and len(await office.noted(olga)) == 1
    answers = await asyncio.gather(*(adjust(http, ada, "once", **TAKE, amount="15") for _ in range(4)))
    assert sorted(answer.json()["done"] for answer in answers) == [False, False, False, True]
    assert await balance(http, ada) == "5" and len(await office.noted(olga)) == 2


async def test_never_below_zero_and_never_what_is_reserved(office: Office) -> None:
    _, http = await office.operator()
    ada = await office.person(credits_=3)
    member = await office.client(ada)
    asked = {"model": "juggernaut-lightning", "prompt": "a pier", "count": 2}
    assert (await member.post("/api/generate/image", json=asked)).status_code == 202
    refused = await adjust(http, ada, **TAKE, amount="1.000001")
    assert refused.status_code == 409 and "Only 1 can be taken back" in refused.json()["detail"]
    answers = await asyncio.gather(*(adjust(http, ada, **TAKE, amount="0.4") for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 409, 409, 409, 409]
    found = (await http.get(f"{API}/{ada.workspace_id}")).json()
    assert (found["credits"]["balance"], found["credits"]["held"], found["debt"]) == ("0.2", "2", "0")


async def test_what_makes_no_sense_is_told_at_its_field_and_much_is_asked_about(office: Office) -> None:
    _, http = await office.operator()
    ada = await office.person()
    for wrong, field in (
        ({"amount": "0"}, "amount"), ({"amount": "-3"}, "amount"), ({"amount": "1e-7"}, "amount"),
        ({"amount": "NaN"}, "amount"), ({"amount": "9" * 25}, "amount"), ({"unit": "image", "amount": "1.5"}, "amount"),
        ({"amount": "1", "reason": " x "}, "reason"), ({"amount": "1", "reason": "y" * 300}, "reason"),
        ({"amount": "1", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"), ({"amount": "1000"}, "confirmed"),
        ({"amount": "5000", "unit": "video"}, "confirmed"),
    ):  # fmt: skip
        answer = await adjust(http, ada, **GIVE | wrong)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field), (wrong, answer.text)
    form = {**GIVE, "amount": "1500", "token": str(new_id())}
    where = f"/admin/workspaces/{ada.workspace_id}/credits"
    asked = await http.post(where, data=form)
    assert asked.status_code == 422 and 'name="confirmed"' in asked.text and "1,500 credits" in asked.text
    assert 'value="1500"' in asked.text and GIVE["reason"] in asked.text
    assert await balance(http, ada) == "0"
    assert (await http.post(where, data={**form, "confirmed": "true"})).status_code == 303
    assert await balance(http, ada) == "1500"
    assert (await http.post(f"{API}/{new_id()}/credits", json=GIVE | {"amount": "1"})).status_code == 404


async def test_workspaces_are_found_by_name_and_member_and_read_whole(office: Office) -> None:
    _, http = await office.operator()
    mark = f"w{new_id().hex[-8:]}"
    ada, ben = await office.person(f"{mark} Ada", credits_=7), await office.person("Ben")
    await add_member(office.db, ada, ben)
    for text in (f"{mark}’s work", ben.email, str(ada.workspace_id)):
        found = (await http.get(API, params={"q": text})).json()["items"]
        assert str(ada.workspace_id) in {item["id"] for item in found}, text
    (mine,) = (await http.get(API, params={"q": mark})).json()["items"]
    assert (mine["balance"], mine["member_count"], mine["plan"]) == ("7", 2, "free")
    assert (await http.get(API, params={"q": mark, "plan": "no-such"})).json() == {"items": [], "next": None}
    whole = (await http.get(f"{API}/{ada.workspace_id}")).json()
    assert {member["email"] for member in whole["members"]} == {ada.email, ben.email}
    assert whole["storage"] == {"pictures": 0, "videos": 0, "bytes": 0} and whole["subscription"] is None
    first = (await http.get(API, params={"limit": 1})).json()
    second = (await http.get(API, params={"limit": 1, "cursor": first["next"]})).json()
    assert first["items"][0]["id"] > second["items"][0]["id"]


async def test_a_plan_is_changed_by_hand_now_or_later(office: Office) -> None:
    olga, http = await office.operator()
    ada = await office.person()
    key = f"p{new_id().hex[-8:]}"
    plan = {"key": key, "name": "Gift", "monthly_grants": {"credit": "30"}, "parallel": 2}
    assert (await http.post("/api/admin/plans", json=plan)).status_code == 201
    await office.app.state.catalog.refresh()
    where = f"{API}/{ada.workspace_id}/plan"
    assert (await http.put(where, json={"plan": "no-such"})).status_code == 422
    later = (await http.put(where, json={"plan": key, "when": "later"})).json()
    assert (later["plan"], later["next_plan"], later["next_plan_at"]) == ("free", key, later["renews_at"])
    assert (await http.post(f"/admin/workspaces/{ada.workspace_id}/plan", data={"plan": key})).status_code == 303
    now = (await http.get(f"{API}/{ada.workspace_id}")).json()
    assert (now["plan"], now["next_plan"], now["credits"]["balance"]) == (key, None, "30")
    assert (await http.put(where, json={"plan": key})).json()["credits"]["balance"] == "30", "given once"
    assert [one["after"] for one in await office.noted(olga, "workspace.plan_changed")] == [{"plan": key}] * 3
    gone = await http.delete(f"/api/admin/plans/{key}")
    assert gone.status_code == 409 and "1 workspace is on it" in gone.json()["detail"]


async def test_the_log_is_narrowed_paged_and_exported(office: Office) -> None:
    olga, http = await office.operator()
    ada = await office.person("Ada")
    for number in range(3):
        reason = f"=HYPERLINK({number})"
        assert (await adjust(http, ada, **GIVE | {"reason": reason}, amount="1")).status_code == 200
    mine = {"who": olga.email, "action": "credits.given", "about": str(ada.workspace_id)}
    first = (await http.get("/api/admin/audit", params={**mine, "limit": 2})).json()
    rest = (await http.get("/api/admin/audit", params={**mine, "before": first["next"]})).json()
    assert [item["detail"]["reason"][-2] for item in first["items"] + rest["items"]] == ["2", "1", "0"]
    assert rest["next"] is None and first["items"][0]["ip"] == "192.0.2.9"
    assert (await http.get("/api/admin/audit", params={**mine, "since": "2999-01-01"})).json()["items"] == []
    page = (await http.get("/admin/audit", params=mine)).text
    assert page.count("Credits: given") == 3 and "0 → 1" in page
    assert (await http.get("/admin/audit", params={"since": "yesterday"})).text.count("Give days such as") == 1
    export = list(csv.reader((await http.get("/admin/audit.csv", params=mine)).text.splitlines()))
    assert export[0] == ["at", "who", "action", "workspace", "from", "detail"] and len(export) == 4
    theirs = {"who": ada.email, "everybody": "true"}
    assert {item["action"] for item in (await http.get("/api/admin/audit", params=theirs)).json()["items"]} == {
        "account.signed_up"
    }
