"""The Create page over HTTP, as a browser without scripts meets it, and the fragments that scripts ask for."""

import asyncio
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from gesso.catalog.editions import load_edition
from tests.generation.house import FAST, House, Person

HTMX = {"HX-Request": "true"}
MODELS = [model.key for model in load_edition("studio").models if model.kind == "image"]


class Page(HTMLParser):
    """What a browser would send back of the composer, and the words on the page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.fields: list[tuple[str, str]] = []
        self.words = ""
        self._form = False
        self._area: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        at = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = at.get("id") == "composer"
        name, kind = at.get("name"), at.get("type", "text")
        if not self._form or not name or "disabled" in at:
            return
        if tag == "textarea":
            self._area = name
            self.fields.append((name, ""))
        elif tag == "input" and kind != "file" and (kind not in ("radio", "checkbox") or "checked" in at):
            self.fields.append((name, at.get("value", "")))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = False
        if tag == "textarea":
            self._area = None

    def handle_data(self, data: str) -> None:
        self.words += data
        if self._area is not None:
            self.fields[-1] = (self._area, self.fields[-1][1] + data.removeprefix("\n"))

    def __getitem__(self, name: str) -> str:
        return dict(self.fields)[name]

    def all(self, name: str) -> list[str]:
        return [value for field, value in self.fields if field == name]

    def with_(self, **changes: Any) -> dict[str, Any]:
        """The form with some fields changed."""
        kept: dict[str, Any] = {}
        for name, value in self.fields:
            kept.setdefault(name, []).append(value)
        return kept | changes

    @property
    def runs(self) -> list[UUID]:
        return [UUID(found) for found in re.findall(r'id="run-([0-9a-f-]+)"', self.text)]


async def shown(person: Person, path: str = "/create", status: int = 200) -> Page:
    answer = await person.http.get(path)
    assert answer.status_code == status, answer.text
    return Page(answer.text)


async def generations(person: Person) -> list[dict[str, Any]]:
    return (await person.http.get("/api/generate")).json()["items"]


@pytest.mark.parametrize("model", MODELS)
async def test_each_model_has_its_form_with_its_price(idle: House, model: str) -> None:
    ada = await idle.person()
    page = await shown(ada, f"/create?model={model}")
    asked = (await ada.http.get("/api/models")).json()["items"]
    item = next(one for one in asked if one["key"] == model)
    assert page["model"] == model
    for name, prop in item["capabilities"]["properties"].items():
        if name == "references":
            assert 'name="upload"' in page.text
        elif "default" in prop:
            default = prop["default"]
            assert page[name] == (str(default).lower() if isinstance(default, bool) else str(default)), name
        else:
            assert page[name] == "", name
    assert f"{item['price']['credits']} credit" in page.words


async def test_a_plain_form_asks_and_shows_the_result(house: House) -> None:
    ada = await house.person()
    page = await shown(ada)
    assert "Your first picture" in page.words
    answer = await ada.http.post("/create", data=page.with_(prompt="a lighthouse\r\nat dusk", count="2"))
    assert (answer.status_code, answer.headers["location"]) == (303, "/create")
    [made] = await generations(ada)
    assert (made["prompt"], made["count"], made["model"]) == ("a lighthouse\nat dusk", 2, FAST)
    done = await ada.ended(UUID(made["id"]))
    after = await shown(ada)
    assert after.runs == [UUID(made["id"])]
    assert "Your first picture" not in after.words
    for asset in done["assets"]:
        assert f'href="/gallery/{asset["id"]}"' in after.text
    assert "2 credits" in after.words and "98 credits" in after.words


async def test_a_script_gets_the_card_and_a_fresh_key(idle: House) -> None:
    ada = await idle.person()
    page = await shown(ada)
    answer = await ada.http.post("/create", data=page.with_(prompt="a lighthouse"), headers=HTMX)
    assert answer.status_code == 200
    assert answer.headers["hx-retarget"] == "#runs" and answer.headers["hx-reswap"] == "afterbegin"
    assert "gesso:credits" in answer.headers["hx-trigger"]
    [made] = await generations(ada)
    assert Page(answer.text).runs == [UUID(made["id"])]
    assert "<!doctype" not in answer.text.lower()
    key = re.search(r'name="key" value="([^"]+)" autocomplete', answer.text)
    assert key is not None and key[1] != page["key"]
    assert "99 credits" in answer.text and "1 credit held" in answer.text


async def test_one_form_makes_one_generation(idle: House) -> None:
    ada = await idle.person()
    form = (await shown(ada)).with_(prompt="pressed three times")
    twins = await asyncio.gather(*(ada.http.post("/create", data=form, headers=HTMX) for _ in range(3)))
    assert {answer.status_code for answer in twins} == {200}
    [made] = await generations(ada)
    assert {run for answer in twins for run in Page(answer.text).runs} == {UUID(made["id"])}
    again = await ada.http.post("/create", data=form | {"prompt": "and then another"})
    assert again.status_code == 303
    assert len(await generations(ada)) == 2, "a form that was changed is another wish"


@pytest.mark.parametrize("headers", [{}, HTMX])
async def test_what_is_wrong_is_told_and_nothing_typed_is_lost(idle: House, headers: dict[str, str]) -> None:
    ada = await idle.person()
    page = await shown(ada)
    typed = {"prompt": "kept as it is", "steps": "99", "seed": "many", "negative_prompt": "fog", "count": "3"}
    answer = await ada.http.post("/create", data=page.with_(**typed), headers=headers)
    assert answer.status_code == 422
    back = Page(answer.text)
    assert {name: back[name] for name in typed} == typed
    assert "between 1 and 12" in back.words and "whole number" in back.words
    for name in ("steps", "seed"):
        assert f'id="{name}-error"' in answer.text and f'aria-describedby="{name}-error"' in answer.text
        assert f'href="#{name}"' in answer.text
    assert "2 things need fixing" in back.words and "Steps: must be between" in back.words
    assert ("<!doctype" in answer.text.lower()) is (not headers)
    assert await generations(ada) == []


async def test_the_rules_are_told_at_the_prompt(idle: House) -> None:
    ada = await idle.person()
    answer = await ada.http.post("/create", data=(await shown(ada)).with_(prompt="a nude portrait"), headers=HTMX)
    assert answer.status_code == 422
    back = Page(answer.text)
    assert back["prompt"] == "a nude portrait" and 'id="prompt-error"' in answer.text
    assert await ada.wallet() == ("100", "0")


@pytest.mark.parametrize("headers", [{}, HTMX])
async def test_too_few_credits_keep_the_form_and_say_what_is_missing(idle: House, headers: dict[str, str]) -> None:
    ada = await idle.person(credits_=2)
    page = await shown(ada)
    answer = await ada.http.post("/create", data=page.with_(prompt="four of them", count="4"), headers=headers)
    assert answer.status_code == 402
    back = Page(answer.text)
    assert back["prompt"] == "four of them" and back["count"] == "4"
    words = " ".join(back.words.split())
    assert "2 credits short." in words and "You have 2 credits, this takes 4 credits." in words
    assert "10 credits more come on" in words
    assert await generations(ada) == []


async def test_too_many_waiting_keep_the_form(idle: House) -> None:
    limit, parallel = idle.settings.limits.waiting_generations, 2
    ada = await idle.person(credits_=limit + parallel + 1)
    for _ in range(limit + parallel):
        await ada.asked()
    answer = await ada.http.post("/create", data=(await shown(ada)).with_(prompt="one more"), headers=HTMX)
    assert answer.status_code == 429 and int(answer.headers["retry-after"]) > 0
    assert Page(answer.text)["prompt"] == "one more" and f"{limit} of your requests are waiting" in answer.text


async def test_the_price_follows_the_form(idle: House) -> None:
    ada = await idle.person(credits_=8)
    form = (await shown(ada)).with_(model="flux-ultra", count="2", prompt="")
    answer = await ada.http.post("/create/estimate", data=form, headers=HTMX)
    words = " ".join(Page(answer.text).words.split())
    assert "2 pictures" in words and "6 credits" in words
    assert "8 credits · 2 after this" in words and re.search(r"about \d+ s\b", words)  # as long as it took others here
    answer = await ada.http.post("/create/estimate", data=form | {"count": "3"}, headers=HTMX)
    assert "1 credit short." in Page(answer.text).words
    answer = await ada.http.post("/create/estimate", data=form | {"count": "999"}, headers=HTMX)
    assert answer.status_code == 200 and "8 credits" in answer.text


async def test_another_model_keeps_what_was_chosen_and_fits(idle: House) -> None:
    ada = await idle.person()
    page = await shown(ada)
    form = page.with_(model="flux-ultra", prompt="kept", count="3", size="864x1152", negative_prompt="fog")
    answer = await ada.http.post("/create/controls", data=form, headers=HTMX)
    other = Page(answer.text)
    assert (other["model"], other["prompt"], other["count"], other["negative_prompt"]) == (
        "flux-ultra",
        "kept",
        "3",
        "fog",
    )
    assert other["aspect_ratio"] == "3:4", "the shape in this model's own words"
    assert "9 credits" in other.words
    third = Page((await ada.http.post("/create/controls", data=other.with_(model="photo-flux"))).text)
    assert third["size"] == "864x1152"
    assert third["steps"] == "28", "nobody asked for the first model's four"


async def test_pictures_come_with_the_form_when_there_are_no_scripts(idle: House) -> None:
    ada = await idle.person()
    form = (await shown(ada, "/create?model=seedream-edit")).with_(prompt="at night")
    sample = Path("src/gesso/web/static/pictures/dunes-dawn.webp").read_bytes()
    files = {"upload": ("dunes.webp", sample, "image/webp")}
    page = Page((await ada.http.post("/create/controls", data=form, files=files)).text)
    [asset] = page.all("references")
    assert f"/media/{asset}/320" in page.text
    kept = Page((await ada.http.post("/create/controls", data=page.with_(model=FAST))).text)
    assert kept.all("references") == [asset], "kept for a model that takes it"
    gone = Page((await ada.http.post("/create/controls", data=page.with_(remove=asset))).text)
    assert gone.all("references") == []
    bad = await ada.http.post("/create", data=form, files={"upload": ("dunes.webp", b"not a picture", "image/webp")})
    assert bad.status_code == 422 and 'id="references-error"' in bad.text
    answer = await ada.http.post("/create", data=form, files=files)
    assert answer.status_code == 303
    [made] = await generations(ada)
    rows = await idle.rows("SELECT cardinality(inputs) AS inputs FROM generation WHERE id = $1", UUID(made["id"]))
    assert rows == [{"inputs": 1}]


async def test_forms_are_filled_in_from_addresses(house: House) -> None:
    ada = await house.person()
    assert (await shown(ada, "/create?prompt=red+door"))["prompt"] == "red door"
    done = await ada.made("paper hills", model="flux-ultra", aspect_ratio="21:9", count=2, negative_prompt="fog")
    [first, _] = done["assets"]
    for page in (
        await shown(ada, f"/create?from_generation={done['id']}"),
        await shown(ada, f"/create?from={first['id']}&vary=1"),
    ):
        assert (page["prompt"], page["negative_prompt"], page["model"]) == ("paper hills", "fog", "flux-ultra")
        assert page["aspect_ratio"] == "21:9" and page["seed"] == ""
    assert (await shown(ada, f"/create?from_generation={done['id']}"))["count"] == "2"
    again = await shown(ada, f"/create?from={first['id']}&mode=rerun")
    assert (again["seed"], again["count"]) == (str(first["seed"]), "1")
    work = await shown(ada, f"/create?input={first['id']}")
    assert work.all("references") == [first["id"]] and work["model"] == "seedream-edit"
    fragment = await ada.http.get(f"/create/composer?from={first['id']}", headers=HTMX)
    assert Page(fragment.text)["prompt"] == "paper hills" and "<!doctype" not in fragment.text.lower()


@pytest.mark.parametrize("name", ["from", "from_generation", "input"])
@pytest.mark.parametrize("wanted", ["", "theirs", "nobody's", "x'"])
async def test_what_is_not_ones_own_is_left_out_with_a_notice(house: House, name: str, wanted: str) -> None:
    ada, eve = await house.person(), await house.person("Eve")
    if wanted == "theirs":
        done = await ada.made("a secret plan")
        wanted = done["id"] if name == "from_generation" else done["assets"][0]["id"]
    elif wanted == "nobody's":
        wanted = str(uuid4())
    page = await shown(eve, f"/create?{name}={wanted}")
    assert ("is not here" in page.words) is bool(wanted)
    assert page["prompt"] == "" and page.all("references") == [] and "secret" not in page.text


async def test_a_strangers_generation_is_not_there(house: House) -> None:
    ada, eve = await house.person(), await house.person("Eve")
    made = await ada.asked("mine alone")
    for call in (
        eve.http.get(f"/generations/{made}/card", headers=HTMX),
        eve.http.post(f"/generations/{made}/cancel", headers=HTMX),
        eve.http.post(f"/generations/{made}/rerun"),
        eve.http.get("/generations/none/card"),
    ):
        answer = await call
        assert answer.status_code == 404 and "mine alone" not in answer.text
    assert (await ada.ended(made))["status"] == "succeeded"


async def test_a_card_tells_the_place_in_the_queue_and_can_be_cancelled(idle: House) -> None:
    ada = await idle.person()
    for _ in range(3):
        await ada.asked(size="1280x720")
    last = await ada.asked("the fourth", size="1280x720")
    text = (await ada.http.get(f"/generations/{last}/card", headers=HTMX)).text
    assert "4th in the queue" in text and "ready in about" in text and 'data-ratio="1.7778"' in text
    assert "1 credit held" in text and "data-open" in text
    cancelled = (await ada.http.post(f"/generations/{last}/cancel", headers=HTMX)).text
    assert "The 1 credit held was given back." in cancelled and 'data-ratio="1.7778"' in cancelled
    assert "data-open" not in cancelled
    assert (await ada.wallet()) == ("97", "3")
    plain = await ada.http.post(f"/generations/{last}/cancel")
    assert (plain.status_code, plain.headers["location"]) == (303, "/create")


async def test_a_failed_picture_says_why_and_can_be_tried_alone(house: House) -> None:
    ada = await house.person()
    done = await ada.made("a glass sphere sandbox:422", count=2)
    text = (await ada.http.get(f"/generations/{done['id']}/card", headers=HTMX)).text
    assert text.count("Nothing was charged.") >= 2 and text.count("Try again") == 2
    key = re.search(r'name="key" value="([^"]+)"', text)
    assert key is not None
    form = {"key": key[1], "output": "1"}
    for _ in range(2):
        answer = await ada.http.post(f"/generations/{done['id']}/rerun", data=form, headers=HTMX)
        assert answer.status_code == 200 and answer.headers["hx-retarget"] == "#runs"
    found = await generations(ada)
    assert len(found) == 2, "pressed twice, tried once"
    assert found[0]["count"] == 1 and found[0]["rerun_of"] == done["id"]


async def test_another_model_that_did_not_help_either_is_not_named(house: House) -> None:
    ada = await house.person()
    done = await ada.made("a glass sphere sandbox:fail", model="juggernaut-lightning")
    assert any("was used instead" in warning for warning in done["warnings"])
    text = (await ada.http.get(f"/generations/{done['id']}/card", headers=HTMX)).text
    assert "Not delivered" in text and "was used instead" not in text


async def test_older_results_are_a_link_away(idle: House) -> None:
    ada = await idle.person()
    made = [await ada.asked(f"number {number}") for number in range(14)]
    first = await shown(ada)
    assert first.runs == made[:1:-1]
    href = re.search(r'href="(/create\?before=[^"]+)" rel="next"', first.text)
    assert href is not None
    assert (await shown(ada, href[1])).runs == made[1::-1]
    fragment = await ada.http.get(href[1], headers=HTMX)
    assert Page(fragment.text).runs == made[1::-1] and "composer" not in fragment.text


async def test_a_colleagues_card_is_not_among_ones_own(idle: House) -> None:
    """An admin may look at it; it does not turn up among their own results."""
    ada, eve = await idle.person(), await idle.person("Eve")
    made = await ada.asked("a colleague's")
    await idle.rows("UPDATE generation SET user_id = $2 WHERE id = $1 RETURNING id", made, eve.actor.user_id)
    assert (await ada.http.get(f"/generations/{made}/card", headers=HTMX)).status_code == 200
    assert (await ada.http.get(f"/generations/{made}/card?mine=1", headers=HTMX)).status_code == 404
    assert (await shown(ada)).runs == []


async def test_strangers_are_sent_to_log_in(idle: House) -> None:
    ada = await idle.person()
    ada.http.cookies.clear()
    answer = await ada.http.get("/create?prompt=red+door")
    assert answer.status_code == 303 and answer.headers["location"].startswith("/login?next=%2Fcreate%3Fprompt")
