"""Whole flows against the sandbox, which checks every request as strictly as Google does, and against its own bill.

What every adapter does alike at every fault is in tests/battery.
"""

import io
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from PIL import Image
from pydantic import SecretStr

from gesso.providers.base import ConnectionConfig, Done, InputFile, MediaRequest
from gesso.providers.errors import ProviderError, Rejected
from gesso.providers.gemini.adapter import GeminiAdapter
from gesso.providers.registry import build
from gesso.providers.text import TextEnd, TextMessage, TextRequest
from tests.providers.flows import bill_of, picture, text_of

MODEL, PAINTER = "gemini-3.8-flash", "gemini-3.1-flash-image"
PRICES = {"usd_per_million": {"input": "0", "output": "0", "image_output": "60"}}


@pytest.fixture(scope="module", params=["", "/v1"])
async def adapter(origin: str, request: pytest.FixtureRequest) -> AsyncIterator[GeminiAdapter]:
    """Of both versions of the API."""
    made = build("gemini", ConnectionConfig(base_url=f"{origin}/gemini{request.param}", sandbox=True))
    assert isinstance(made, GeminiAdapter)
    yield made
    await made.aclose()


async def written(adapter: GeminiAdapter, words: str, *images: InputFile, **asked: Any) -> tuple[str, TextEnd]:
    request = TextRequest(MODEL, (TextMessage("user", words, images),), **asked)
    return await text_of(adapter, request)


async def made(adapter: GeminiAdapter, words: str, model: str = PAINTER, **asked: Any) -> Done:
    given = {"kind": "image", "model": model, "prompt": words, "quality": "512", **asked}
    done = await adapter.submit(MediaRequest(**given), "k")
    assert isinstance(done, Done)
    return done


async def refusal(adapter: GeminiAdapter, words: str, **asked: Any) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await made(adapter, words, **asked)
    return caught.value


# -- text -----------------------------------------------------------------------------------------------------------


async def test_a_prompt_becomes_a_richer_one(adapter: GeminiAdapter, origin: str) -> None:
    text, end = await written(adapter, "Improve this prompt: a red bicycle")
    assert text.startswith("a red bicycle, ") and len(text) > 80
    line = (await bill_of(origin, "gemini"))[-1]
    assert (line["provider"], line["endpoint"], line["status"]) == ("gemini", MODEL, "done")
    assert line["units"] == (end.usage.input_tokens or 0) + (end.usage.output_tokens or 0) > 0
    for manner in ({"stream": False}, {"thinking_room": 100}):
        assert (await written(adapter, "Improve this prompt: a red bicycle", wire=manner))[0] == text


async def test_a_picture_is_described_as_it_is(adapter: GeminiAdapter) -> None:
    text, _ = await written(adapter, "Describe this picture.", picture(300, 200))
    assert "landscape (3:2)" in text and "300 × 200" in text and "navy" in text


async def test_a_schema_is_obeyed_in_every_manner(adapter: GeminiAdapter) -> None:
    ideas = {"type": "array", "items": {"type": "string"}, "minItems": 5, "maxItems": 5}
    schema = {
        "type": "object",
        "properties": {"prompts": ideas},
        "required": ["prompts"],
        "additionalProperties": False,
    }
    for wire in ({}, {"stream": False}, {"schema": "json"}, {"schema": "instruction"}):
        text, _ = await written(adapter, "Five prompts about a harbour", schema=schema, wire=wire)
        found = json.loads(text)["prompts"]
        assert len(set(found)) == 5 and all("harbour" in one for one in found)


@pytest.mark.parametrize("words", ["sandbox:no-usage", "sandbox:no-stream", "sandbox:thinking"])
async def test_other_ways_to_answer_change_nothing(adapter: GeminiAdapter, words: str) -> None:
    text, end = await written(adapter, f"Good morning {words}")
    plain, usual = await written(adapter, "Good morning")
    assert text == plain
    used, usually = end.usage.output_tokens or 0, usual.usage.output_tokens or 0
    assert {"no-usage": used == 0, "no-stream": used == usually, "thinking": used > usually}[words.partition(":")[2]]


# -- pictures -------------------------------------------------------------------------------------------------------


async def test_pictures_and_their_cost_agree_with_the_bill(adapter: GeminiAdapter, origin: str) -> None:
    done = await made(adapter, "a harbour", aspect_ratio="16:9", wire=PRICES)
    (file,) = done.files
    with Image.open(io.BytesIO(file.data or b"")) as image:
        assert (image.format, image.size) == ("PNG", (672, 384))
    edited = await made(adapter, "at night", inputs=(picture(), picture(32, 32, "red")), wire=PRICES)
    lines = (await bill_of(origin, "gemini"))[-2:]
    assert [line["cost_micro_usd"] for line in lines] == [done.cost_micro_usd, edited.cost_micro_usd] == [747 * 60] * 2


async def test_a_thinking_model_delivers_only_what_it_ended_with(adapter: GeminiAdapter) -> None:
    (file,) = (await made(adapter, "a harbour sandbox:thinking")).files
    with Image.open(io.BytesIO(file.data or b"")) as image:
        assert image.size == (512, 512), "the draft is smaller"


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("text-only", "rejected_failed"), ("bad-base64", "rejected_failed"), ("finish=no_image", "rejected_failed"),
        ("finish=image_prohibited_content", "rejected_safety"), ("block=prohibited_content", "rejected_safety"),
        ("nsfw", "rejected_safety"), ("daily-quota", "misconfigured_credit"), ("locked", "misconfigured_key"),
        ("overloaded", "unavailable"), ("timeout", "outcome_unknown"), ("drop", "outcome_unknown"),
        ("fail", "rejected_failed"),
    ],
)  # fmt: skip
async def test_what_can_become_of_a_picture(adapter: GeminiAdapter, fault: str, code: str) -> None:
    assert (await refusal(adapter, f"a harbour sandbox:{fault}")).code == code


async def test_a_retired_model_is_the_operators_matter(adapter: GeminiAdapter) -> None:
    assert (await refusal(adapter, "a harbour", model="gemini-2.5-flash-image")).code == "misconfigured_model"


async def test_a_picture_that_is_none_is_named_in_our_words(adapter: GeminiAdapter) -> None:
    error = await refusal(adapter, "at night", inputs=(InputFile("image/png", b"no picture"),))
    assert isinstance(error, Rejected) and error.kind == "input"


# -- keys -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("key", "ok", "problem"), [("AIza-good", True, None), ("wrong", False, "misconfigured_key")])
async def test_the_connection_test(origin: str, key: str, ok: bool, problem: str | None) -> None:
    made = build("gemini", ConnectionConfig(base_url=f"{origin}/gemini", api_key=SecretStr(key)))
    report = await made.test()
    await made.aclose()
    assert (report.ok, report.problem) == (ok, problem)
