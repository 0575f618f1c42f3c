"""Plans and packs in the panel: whom a change touches is said first, and an operator's values outlive the edition's."""

from typing import Any

from gesso.accounts.access import Actor
from gesso.catalog.editions import load_edition
from gesso.catalog.service import edition_apply, edition_diff
from gesso.core.ids import new_id
from tests.admin.conftest import Office

PLANS, PACKS = "/api/admin/plans", "/api/admin/packs"


def plan_form(**more: Any) -> dict[str, Any]:
    form = {
        "name": "Gold", "monthly_credit": "500", "monthly_video": "5", "parallel": "4", "max_count": "8",
        "month_cents": "9.99", "year_cents": "99", "currency": "usd", "advanced": "true", "limits": '{"seed": false}',
    }  # fmt: skip
    return form | more


async def test_a_plan_is_made_priced_and_read_by_every_process(office: Office) -> None:
    olga, http = await office.operator()
    key = f"p{new_id().hex[-8:]}"
    made = await http.post("/admin/plans/new", data=plan_form(key=key, models=["flux-schnell"], watermark="true"))
    assert made.status_code == 303, made.text
    item = (await http.get(f"{PLANS}/{key}")).json()
    assert item["monthly_grants"] == {"credit": "500", "video": "5"} and item["limits"] == {"seed": False}
    assert (item["month_cents"], item["year_cents"], item["models"]) == (999, 9900, ["flux-schnell"])
    assert item["watermark"] and item["advanced"] and not item["own_keys"] and item["retention_days"] is None
    page = (await http.get(f"/admin/plans/{key}")).text
    assert 'value="9.99"' in page and 'value="500"' in page and "&#34;seed&#34;: false" in page
    (noted,) = await office.noted(olga, "plan.added")
    assert noted["plan"] == key and noted["after"]["monthly_grants"] == {"credit": "500", "video": "5"}
    await office.app.state.catalog.refresh()
    assert office.app.state.catalog.plan(key).monthly_grants == {"credit": 500_000_000, "video": 5}
    again = await http.post("/admin/plans/new", data=plan_form(key=key))
    assert again.status_code == 409 and "already" in again.text


async def test_what_makes_no_sense_is_told_at_its_field(office: Office) -> None:
    _, http = await office.operator()
    for wrong, field in (
        ({"key": "No Good"}, "key"), ({"name": ""}, "name"), ({"parallel": "0"}, "parallel"),
        ({"month_cents": "9.999"}, "month_cents"), ({"month_cents": "free"}, "month_cents"),
        ({"monthly_video": "1.5"}, "monthly_video"), ({"monthly_credit": "lots"}, "monthly_credit"),
        ({"limits": '{"sizes": 3}'}, "limits"), ({"limits": "{\n oops"}, "limits"),
        ({"limits": '{"seed": {}}'}, "limits"), ({"models": "no-such"}, "models"), ({"currency": "12"}, "currency"),
        ({"retention_days": "0"}, "retention_days"),
    ):  # fmt: skip
        answer = await http.post("/admin/plans/new", data=plan_form(**{"key": "wrong", **wrong}))
        assert answer.status_code == 422 and f'href="#{field}"' in answer.text, (wrong, answer.status_code)
        assert 'value="9.99"' in answer.text or "month_cents" in wrong
    for body in ({"credits": "0"}, {"price_cents": 0}, {"currency": "dollars"}):
        pack = {"key": "wrong", "name": "Wrong", "credits": "5", "price_cents": 100} | body
        assert (await http.post(PACKS, json=pack)).status_code == 422, body


async def on(office: Office, plan: str) -> Actor:
    return await office.person("Ada", plan=plan)


async def test_whom_it_touches_is_said_before_it_is_saved(office: Office) -> None:
    olga, http = await office.operator()
    key = f"p{new_id().hex[-8:]}"
    assert (await http.post("/admin/plans/new", data=plan_form(key=key))).status_code == 303
    lower = plan_form(parallel="2", monthly_credit="300", retention_days="30")
    assert (await http.post(f"/admin/plans/{key}", data=lower)).status_code == 303, "nobody is on it"
    for _ in range(3):
        await on(office, key)
    assert (await http.get(f"{PLANS}/{key}")).json()["workspaces"] == 3
    felt = plan_form(parallel="1", monthly_credit="200", retention_days="7", month_cents="12.50")
    asked = await http.post(f"/admin/plans/{key}", data=felt)
    assert asked.status_code == 422 and 'name="confirmed"' in asked.text
    assert "3 workspaces are on Gold" in asked.text and "30 days → 7 days" in asked.text
    assert "300 credits, 5 videos → 200 credits, 5 videos" in asked.text and "from their next month" in asked.text
    assert (await http.get(f"{PLANS}/{key}")).json()["parallel"] == 2
    unfelt = plan_form(parallel="2", monthly_credit="300", retention_days="30", name="Golden", signup_credit="9")
    assert (await http.post(f"/admin/plans/{key}", data=unfelt)).status_code == 303, "a name is felt by nobody"
    assert (await http.post(f"/admin/plans/{key}", data=felt | {"confirmed": "true"})).status_code == 303
    noted = (await office.noted(olga, "plan.changed"))[0]
    assert noted["before"]["retention_days"] == 30 and noted["after"]["retention_days"] == 7
    assert noted["before"]["monthly_grants"] == {"credit": "300", "video": "5"}
    body = (await http.get(f"{PLANS}/{key}")).json() | {"parallel": 9}
    refused = await http.put(f"{PLANS}/{key}", json=body)
    assert refused.status_code == 422 and refused.json()["errors"][0]["field"] == "confirmed"
    assert (await http.put(f"{PLANS}/{key}", json=body | {"confirmed": True})).json()["parallel"] == 9


async def test_a_plan_with_people_on_it_is_hidden_and_stays(office: Office) -> None:
    _, http = await office.operator()
    key = f"p{new_id().hex[-8:]}"
    await http.post("/admin/plans/new", data=plan_form(key=key))
    await on(office, key)
    page = await http.post(f"/admin/plans/{key}/remove")
    assert page.status_code == 409 and "1 workspace is on it" in page.text and "Only hide it" in page.text
    assert (await http.post(f"/admin/plans/{key}/offered", data={"enabled": "false"})).status_code == 303
    catalog = office.app.state.catalog
    await catalog.refresh()
    assert key not in {plan.key for plan in catalog.plans()} and catalog.plan(key).name == "Gold"
    assert (await http.put(f"{PLANS}/{key}/hidden", json={"hidden": False})).json()["hidden"] is False
    default = await http.delete(f"{PLANS}/free")
    assert default.status_code == 409 and "plan of new workspaces" in default.json()["detail"]


async def test_an_edition_leaves_alone_what_an_operator_changed_or_removed(office: Office) -> None:
    _, http = await office.operator()
    edition = load_edition("studio")
    plan, pack = edition.plans[0].key, edition.packs[0].key
    gone = edition.plans[-1].key
    changed = (await http.get(f"{PLANS}/{plan}")).json() | {"max_count": 3, "confirmed": True}
    assert (await http.put(f"{PLANS}/{plan}", json=changed)).json()["edited"] == ["max_count"]
    assert (await http.delete(f"{PLANS}/{gone}")).status_code == 204
    item = next(one for one in (await http.get(PACKS)).json()["items"] if one["key"] == pack)
    assert (await http.put(f"{PACKS}/{pack}", json=item | {"price_cents": 1})).json()["price_cents"] == 1
    assert (await http.put(f"{PACKS}/{pack}/hidden", json={"hidden": True})).json()["hidden"] is True
    async with office.db.elevated("test: apply") as tx:
        told = {
            (c.verb, c.table, c.key, c.column) for c in await edition_diff(tx, edition) if c.table in ("plan", "pack")
        }
        assert {
            ("keep", "plan", plan, "max_count"), ("keep", "plan", gone, None), ("keep", "pack", pack, "price_cents"),
        } <= told  # fmt: skip
        await edition_apply(tx, edition)
    plans = {one["key"]: one for one in (await http.get(PLANS)).json()["items"]}
    packs = {one["key"]: one for one in (await http.get(PACKS)).json()["items"]}
    assert gone not in plans and plans[plan]["max_count"] == 3
    assert packs[pack]["price_cents"] == 1 and packs[pack]["hidden"] is True
    page = (await http.get(f"/admin/plans/{plan}")).text
    assert f"The file says {edition.plans[0].max_count}; here it is 3." in page


async def test_packs_are_made_ordered_hidden_and_removed(office: Office) -> None:
    olga, http = await office.operator()
    key = f"k{new_id().hex[-8:]}"
    form = {"key": key, "name": "Big", "credits": "500.5", "price_cents": "45"}
    assert (await http.post("/admin/packs/new", data=form)).status_code == 303
    keys = [one["key"] for one in (await http.get(PACKS)).json()["items"]]
    assert keys[-1] == key
    assert (await http.post("/admin/packs/order", data={"up": key})).status_code == 303
    moved = [one["key"] for one in (await http.get(PACKS)).json()["items"]]
    assert moved == [*keys[:-2], key, keys[-2]]
    assert (await http.post(f"/admin/packs/{key}", data=form | {"price_cents": "40"})).status_code == 303
    assert "$40.00" in (await http.get("/admin/packs")).text
    assert (await http.post(f"/admin/packs/{key}/offered", data={"enabled": "false"})).status_code == 303
    await office.app.state.catalog.refresh()
    assert key not in {pack.key for pack in office.app.state.catalog.packs()}
    assert (await http.post(f"/admin/packs/{key}/remove")).status_code == 303
    assert (await http.get(f"/admin/packs/{key}")).status_code == 404
    actions = [one["action"] for one in await office.noted(olga)]
    assert actions == ["pack.removed", "pack.hidden", "pack.changed", "pack.ordered", "pack.added"]
