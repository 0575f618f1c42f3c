"""What a plan opens, on the page and in the API; its monthly uses beside credits; and ways on when they are used up."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from gesso.billing.plans import change_plan
from gesso.catalog.items import Shop
from gesso.catalog.registry import Catalog
from gesso.core.ids import new_id
from gesso.core.money import MICRO
from tests.generation.house import FAST, House, Person
from tests.generation.test_pages import Page, shown

OTHER = "photo-flux"
PLANS: list[dict[str, Any]] = [
    {"key": "few", "name": "Few", "month_cents": None, "models": [FAST], "advanced": False, "limits": {"steps": 5},
     "monthly_grants": {"image": 3}, "position": 51},
    {"key": "many", "name": "Many", "month_cents": 999, "models": [], "advanced": True, "limits": {},
     "monthly_grants": {"image": 50, "video": 5}, "position": 52},
]  # fmt: skip


@pytest.fixture(scope="module")
async def plans(idle: House) -> AsyncIterator[Catalog]:
    """Two plans more and a pack, as an operator would add them; the catalogue as they stand in it."""
    for plan in PLANS:
        await idle.rows(
            "INSERT INTO plan (id, origin, parallel, max_count, " + ", ".join(plan) + ") VALUES ($1, 'operator', 1, 4, "
            + ", ".join(f"${place}" for place in range(2, len(plan) + 2)) + ") RETURNING key",
            new_id(), *plan.values(),
        )  # fmt: skip
    await idle.rows(
        "INSERT INTO pack (id, key, name, credits, price_cents, currency, origin)"
        " VALUES ($1, 'fifty', '50 credits', $2, 499, 'usd', 'operator') RETURNING key",
        new_id(), 50 * MICRO,
    )  # fmt: skip
    catalog: Catalog = idle.app.state.catalog
    await catalog.refresh()
    before = catalog.shop
    catalog.open_shop(Shop())
    yield catalog
    catalog.open_shop(before)
    await idle.rows("DELETE FROM plan WHERE key IN ('few', 'many') RETURNING key")
    await idle.rows("DELETE FROM pack WHERE key = 'fifty' RETURNING key")
    await catalog.refresh()


async def on(idle: House, catalog: Catalog, plan: str, credits_: int = 0) -> Person:
    person = await idle.person(credits_=credits_)
    async with idle.db.elevated("test: a plan") as tx:
        await change_plan(tx, person.actor.workspace_id, plan, catalog, now=datetime.now(UTC))
    return person


def words_of(page: Page) -> str:
    return " ".join(page.words.split())


@pytest.mark.parametrize("path", ["/api/generate/image", "/api/generate/estimate"])
@pytest.mark.parametrize(
    ("asked", "field", "told"),
    [
        ({"model": OTHER}, "model", "is not part of the Few plan. {} opens it."),
        ({"seed": 7}, "seed", "Seed cannot be changed on the Few plan. {} opens it."),
        ({"steps": 6}, "steps", "Steps can be at most 5 on the Few plan; you sent 6. {} opens it."),
    ],
)
async def test_the_api_refuses_what_the_plan_does_not_open_and_names_the_one_that_does(
    idle: House, plans: Catalog, path: str, asked: dict[str, Any], field: str, told: str
) -> None:
    ada = await on(idle, plans, "few", credits_=5)
    answer = await ada.http.post(path, json={"model": FAST, "prompt": "a hill", "count": 1, **asked})
    assert answer.status_code == 422, answer.text
    problem = answer.json()
    opener = plans.plan(problem["opened_by"])
    assert (problem["code"], problem["plan"]) == ("plan_limit", "few")
    said = {error["field"]: error["message"] for error in problem["errors"]}
    assert said[field].endswith(told.format(opener.name))
    assert (await ada.wallet()) == ("5", "0")


async def test_the_page_shows_the_rest_locked_with_its_plan(idle: House, plans: Catalog) -> None:
    ada = await on(idle, plans, "few")
    page = await shown(ada, f"/create?model={OTHER}&prompt=a+hill")
    assert page["model"] == FAST and page["prompt"] == "a hill"
    assert f"{plans.model(OTHER).name} is part of" in page.words
    assert all(name not in dict(page.fields) for name in ("seed", "guidance"))  # disabled: not sent
    assert page.text.count("data-locked") >= len(plans.models("image")) - 1
    models = {item["key"]: item["locked_by"] for item in (await ada.http.get("/api/models")).json()["items"]}
    assert models[FAST] is None and models[OTHER] is not None
    free = {
        item["key"]: item["locked_by"] for item in (await (await idle.person()).http.get("/api/models")).json()["items"]
    }
    assert free[FAST] is None
    film = await shown(ada, "/video")
    assert "is not part of the Few plan." in film.words and "See the plans" in film.words
    ben = await on(idle, plans, "many")
    assert "data-locked" not in (await shown(ben, "/create")).text


async def test_uses_go_first_output_by_output_and_the_page_says_so(idle: House, plans: Catalog) -> None:
    ada = await on(idle, plans, "few", credits_=5)
    page = await shown(ada)
    assert "1 picture of the plan" in page.words
    assert "3 pictures and 5 credits · 2 pictures and 5 credits after this" in words_of(page)
    asked = {"model": FAST, "prompt": "a hill", "count": 4}
    estimate = (await ada.http.post("/api/generate/estimate", json=asked)).json()
    made = (await ada.http.post("/api/generate/image", json=asked)).json()
    assert made["price"] == estimate["price"] == {
        "credits": "1", "allowances": {"image": 3},
        "outputs": [{"credits": "0", "allowances": {"image": 1}}] * 3 + [{"credits": "1"}],
    }  # fmt: skip
    pill = (await ada.http.get("/shell/credits", headers={"HX-Request": "true"})).text
    assert "4 credits" in pill and "picture" not in pill
    ended = await ada.http.post(f"/api/generate/{made['id']}/cancel")
    assert ended.status_code == 200
    assert (await ada.http.get("/api/credits")).json()["allowances"] == {"image": 3}
    assert "3 pictures" in (await ada.http.get("/shell/credits", headers={"HX-Request": "true"})).text


async def test_who_has_run_out_is_told_every_way_on_that_is_there(idle: House, plans: Catalog) -> None:
    ada = await on(idle, plans, "few")
    asked = {"model": FAST, "prompt": "a hill", "count": 4}
    answer = await ada.http.post("/api/generate/image", json=asked)
    assert answer.status_code == 402
    problem = answer.json()
    ways = {way["way"]: way for way in problem["ways"]}
    assert set(ways) == {"upgrade", "pack", "wait"}
    assert (ways["upgrade"]["url"], ways["pack"]["url"]) == ("/pricing", "/pricing#packs")
    assert ways["wait"]["until"] == problem["next_grant_at"]
    assert ways["upgrade"]["name"] in problem["detail"] and ways["pack"]["name"] in problem["detail"]
    page = await shown(ada)
    page = Page((await ada.http.post("/create/estimate", data=page.with_(count="4", prompt="a hill"))).text)
    told = words_of(page)
    assert "Only 3 pictures left this month. You have 3 pictures, this takes 3 pictures of the plan + 1 credit." in told
    assert f"Upgrade to {ways['upgrade']['name']} or buy {ways['pack']['name']}." in told
    assert "3 pictures more come on" in told
    plans.open_shop(None)
    try:
        problem = (await ada.http.post("/api/generate/image", json=asked)).json()
        assert [way["way"] for way in problem["ways"]] == ["wait"]
        assert "/pricing" not in (await ada.http.post("/create/estimate", data={"model": FAST, "count": "4"})).text
    finally:
        plans.open_shop(Shop())
