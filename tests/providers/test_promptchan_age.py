"""Adults only: no age below 18, and none that cannot be read, gets past; nor do words that point to minors."""

import itertools
from typing import Any

import pytest
from pydantic import SecretStr

from gesso.providers.base import ConnectionConfig, MediaRequest
from gesso.providers.errors import Misconfigured, ProviderError, Rejected
from gesso.providers.promptchan import age, chatting, payload
from gesso.providers.promptchan.adapter import PromptchanAdapter
from gesso.providers.promptchan.client import PromptchanClient
from gesso.providers.promptchan.options import Shape, shape_of
from gesso.providers.text import TextMessage, TextRequest
from tests.providers.loopback import loopback, told

BAD_AGES: list[Any] = [
    17, 0, -25, 17.9, 18.5, 121, 1e9, float("nan"), float("inf"), True, False, "17", "seventeen", "", "20–25", "50+",
    "٢٥", [25], {"min": 25}, {"value": 16},
]  # fmt: skip
NAMES = ["age", "age_slider", "ageSlider", "Age", "AGE", "ageslider", "age_range", "apparent-age", "character.age"]


@pytest.mark.parametrize("value", BAD_AGES)
def test_only_whole_years_of_an_adult_are_an_age(value: Any) -> None:
    assert age.years(value) is None


@pytest.mark.parametrize(("value", "found"), [(18, 18), (25.0, 25), ("30", 30), (" 18 ", 18), (120, 120)])
def test_ages_of_adults(value: Any, found: int) -> None:
    assert age.years(value) == found


@pytest.mark.parametrize(("name", "value"), list(itertools.product(NAMES, [17, "17", True, "young", [25]])))
def test_no_spelling_of_an_age_slips_through_a_request_or_the_catalogue(name: str, value: Any) -> None:
    with pytest.raises(Rejected) as caught:
        age.of_request({name: value, "style": "Anime"}, {})
    assert (caught.value.kind, caught.value.field) == ("safety", "age")
    for wire in ({name: value}, {"defaults": {name: value}}, {"character": {name: value}}, {"sliders": {name: value}}):
        with pytest.raises(Misconfigured):
            age.of_request({}, wire)
    with pytest.raises((Rejected, Misconfigured)):  # a good one of the request's does not cover for the catalogue's
        age.of_request({"age": 30}, {"defaults": {name: value}})


def test_the_age_is_the_requests_then_the_catalogues_then_the_usual() -> None:
    assert age.of_request({"age": 41}, {"age": 30}) == 41
    assert age.of_request({"age": None}, {"age": "30"}) == 30
    assert age.of_request({"style": "Anime"}, {"styles": ["Sketchbook"]}) == age.USUAL >= 18
    assert age.of_request({}, {"sliders": {"height": "height_slider"}, "usd_per_gem": "0.04"}) == age.USUAL


REFUSED_WORDS = [
    "a child with a kite", "two kids on a swing", "portrait of a teenager", "TEENS at a concert", "pre-teen dancer",
    "a schoolgirl at her desk", "a 17 year old violinist", "a 9-year-old", "sixteen years old, smiling", "aged 12",
    "a baby in a cradle", "high school yearbook photo", "young woman in a park", "a young-looking man", "a boy fishing",
    "1girl, garden", "little sister", "an adolescent", "the underage guest", "ｃｈｉｌｄ", "age: 15",
    "turned seventeen",
    "she looks 16", "15yo", "barely 18",
]  # fmt: skip
HARMLESS_WORDS = [
    "a woman of 45 reading in a library", "a man with a kite", "a 30 year old cellist", "twenty-one years old",
    "a lighthouse at dusk", "an old man and the sea, aged 77", "a cowboy on a ridge", "boyfriend jeans on a hanger",
    "a 17th century harbour", "three ships", "one-hundred-and-two years old oak", "kidney beans", "a girlfriend's gift",
]  # fmt: skip


@pytest.mark.parametrize("words", REFUSED_WORDS)
def test_words_that_point_to_minors_are_refused_and_not_repeated(words: str) -> None:
    with pytest.raises(Rejected) as caught:
        age.check_words(["a lighthouse", words])
    assert caught.value.kind == "safety"
    assert words not in f"{caught.value} {caught.value.note}"


@pytest.mark.parametrize("words", HARMLESS_WORDS)
def test_words_about_adults_and_things_pass(words: str) -> None:
    age.check_words([words], "blurry, crowds")


@pytest.mark.parametrize("negative", ["adult", "wrinkles, old", "mature"])
def test_asking_for_less_age_is_refused(negative: str) -> None:
    with pytest.raises(Rejected):
        age.check_words(["a portrait"], negative)


@pytest.mark.parametrize(
    "body",
    [
        {}, {"age_slider": 17}, {"age_slider": None}, {"age_slider": True}, {"age_slider": "25"}, {"ageSlider": 25},
        {"age_slider": 25, "ageslider": 17}, {"age_slider": 25, "age": 30}, {"age_slider": 25, "more": {"age": 9}},
        {"age_slider": 25.0},
    ],
)  # fmt: skip
def test_a_body_without_exactly_one_plain_age_does_not_leave(body: Any) -> None:
    with pytest.raises(Misconfigured):
        age.check_body({"prompt": "a harbour", **body}, "age_slider")
    with pytest.raises(Misconfigured):
        age.check_body({"message": "Hi", "characterData": {k.replace("_slider", ""): v for k, v in body.items()},
                        "chatHistory": [{"age": 3}]}, "age", "characterData")  # fmt: skip


async def test_the_client_itself_sends_nothing_without_an_adults_age() -> None:
    async with loopback(lambda _: told(200, {})) as server:
        client = PromptchanClient(ConnectionConfig(base_url=server.url, api_key=SecretStr("k" * 20)))
        for path, body, chat in (
            ("create", {"prompt": "a harbour"}, False),
            ("video_v2/submit", {"prompt": "a harbour", "age_slider": 16}, False),
            ("chat", {"message": "Hi", "age": 30, "characterData": {"name": "Ada"}}, True),
        ):
            with pytest.raises(Misconfigured):
                await client.make(path, body, seconds=5, about="Test", chat=chat)  # type: ignore[arg-type]
        await client.aclose()
        assert server.seen == []


@pytest.mark.parametrize("kind", ["image", "video", "chat"])
async def test_no_refused_request_reaches_the_wire_by_any_way(kind: Any) -> None:
    """Through the adapter: whatever the request, the catalogue or the words say, nothing is sent."""
    asked: list[tuple[dict[str, Any], dict[str, Any], str]] = [
        *(({"age": value}, {}, "a harbour") for value in BAD_AGES if value is not None),
        ({}, {"age": 17}, "a harbour"), ({}, {"defaults": {"age": "sixteen"}}, "a harbour"),
        ({}, {"defaults": {"age_slider": 12}}, "a harbour"), ({}, {"sliders": {"looks": "age_slider"}}, "a harbour"),
        ({"age": 40}, {}, "a child with a kite"), ({"pose": "like a toddler"}, {}, "a harbour"),
    ]  # fmt: skip
    async with loopback(lambda _: told(200, {})) as server:
        adapter = PromptchanAdapter(ConnectionConfig(base_url=server.url, api_key=SecretStr("k" * 20)))
        for options, wire, prompt in asked:
            if kind == "chat" and "pose" in options:
                options = {"scenario": options["pose"]}
            with pytest.raises(ProviderError):
                if kind == "chat":
                    turn = TextMessage("user", prompt)
                    async for _ in adapter.write(TextRequest("chat", (turn,), options=options, wire=wire), "k"):
                        pass
                else:
                    await adapter.submit(MediaRequest(kind, "m", prompt, options=options, wire=wire), "k")
        await adapter.aclose()
        assert server.seen == []


def test_every_body_carries_the_age() -> None:
    for options, years in (({}, age.USUAL), ({"age": 33}, 33), ({"age": "18"}, 18)):
        request = MediaRequest("image", "m", "a harbour", options=options)
        assert payload.picture(request, Shape()).body["age_slider"] == years
        assert payload.video(request, Shape()).body["age_slider"] == years
        written = TextRequest("m", (TextMessage("user", "Hi"),), options=options)
        assert chatting.body(written, shape_of({}))["characterData"]["age"] == years  # type: ignore[index,call-overload]
