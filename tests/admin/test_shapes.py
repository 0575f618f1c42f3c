"""The frozen shapes of `/api/admin` for people, money and the log: which members there are."""

from gesso.core.ids import new_id
from tests.admin.conftest import Office

USER = {"id", "email", "name", "created_at", "email_verified", "is_operator", "disabled", "last_seen_at"}
WORKSPACE = {"id", "name", "kind", "plan", "member_count", "balance", "held", "debt", "created_at"}
PLAN = {
    "key", "name", "description", "signup_grants", "monthly_grants", "parallel", "queue_priority", "max_count",
    "limits", "month_cents", "year_cents", "currency", "models", "watermark", "retention_days", "advanced",
    "characters", "own_keys", "hidden", "workspaces", "edited",
}  # fmt: skip
PROBLEM = {"type", "title", "status", "detail", "code", "errors"}


async def test_people_and_workspaces(office: Office) -> None:
    _, http = await office.operator()
    ada = await office.person(credits_=5)
    users = (await http.get("/api/admin/users", params={"q": ada.email})).json()
    assert set(users) == {"items", "next"} and [set(item) for item in users["items"]] == [USER]
    one = (await http.get(f"/api/admin/users/{ada.user_id}")).json()
    assert set(one) == USER | {"workspaces", "sessions"}
    assert set(one["workspaces"][0]) == {"id", "name", "kind", "plan", "role", "balance", "joined_at"}
    assert set(one["sessions"][0]) == {"id", "user_agent", "ip", "created_at", "last_seen_at"}
    found = (await http.get("/api/admin/workspaces", params={"q": ada.email})).json()
    assert set(found) == {"items", "next"} and [set(item) for item in found["items"]] == [WORKSPACE]
    assert (found["items"][0]["balance"], found["items"][0]["debt"]) == ("5", "0")
    whole = (await http.get(f"/api/admin/workspaces/{ada.workspace_id}")).json()
    assert set(whole) == {
        "id", "name", "kind", "plan", "created_at", "renews_at", "next_plan", "next_plan_at", "debt", "credits",
        "history", "members", "subscription", "on_hold", "purchases", "disputes", "storage",
    }  # fmt: skip
    assert set(whole["members"][0]) == {"id", "name", "email", "role", "joined_at", "disabled"}
    assert set(whole["storage"]) == {"pictures", "videos", "bytes"}
    given = {"direction": "give", "amount": "0.5", "reason": "A present"}
    adjusted = (await http.post(f"/api/admin/workspaces/{ada.workspace_id}/credits", json=given)).json()
    assert set(adjusted) == {"done", "credits"} and adjusted["credits"]["balance"] == "5.5"
    assert set(adjusted["credits"]) == {"balance", "held", "allowances", "lots"}


async def test_plans_packs_and_the_log(office: Office) -> None:
    _, http = await office.operator()
    plans = (await http.get("/api/admin/plans")).json()
    assert set(plans) == {"items"} and all(set(item) == PLAN for item in plans["items"])
    pack = {"key": f"k{new_id().hex[-8:]}", "name": "Big", "credits": "0.5", "price_cents": 9}
    made = await http.post("/api/admin/packs", json=pack)
    assert made.status_code == 201
    assert made.json() == pack | {"currency": "usd", "hidden": False}
    assert set((await http.get("/api/admin/packs")).json()) == {"items"}
    log = (await http.get("/api/admin/audit")).json()
    assert set(log) == {"items", "next"}
    assert set(log["items"][0]) == {"id", "at", "who", "action", "workspace_id", "ip", "detail"}


async def test_what_is_wrong_is_a_problem_document(office: Office) -> None:
    _, http = await office.operator()
    nobody, never = await office.client(await office.person()), new_id()
    for client, method, path, body, status in (
        (http, "GET", f"/api/admin/users/{never}", None, 404),
        (http, "GET", f"/api/admin/workspaces/{never}", None, 404),
        (http, "GET", "/api/admin/plans/no-such", None, 404),
        (http, "GET", "/api/admin/users?limit=0", None, 422),
        (http, "GET", "/api/admin/users?cursor=%FF", None, 422),
        (http, "GET", "/api/admin/audit?since=yesterday", None, 422),
        (http, "POST", "/api/admin/plans", {"key": "x", "name": ""}, 422),
        (http, "DELETE", "/api/admin/plans/free", None, 409),
        (nobody, "GET", "/api/admin/users", None, 404),
        (nobody, "POST", f"/api/admin/workspaces/{never}/credits", {}, 404),
    ):
        answer = await client.request(method, path, json=body)
        assert answer.status_code == status, (path, answer.text)
        assert answer.headers["content-type"] == "application/problem+json" and set(answer.json()) >= PROBLEM
        assert status != 422 or answer.json()["errors"]
