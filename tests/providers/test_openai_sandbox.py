"""Whole flows against the sandbox, which checks every request as strictly as OpenAI does."""

import io
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from PIL import Image
from pydantic import SecretStr

from gesso.core.fetch import FetchError, SafeFetcher
from gesso.providers.base import ConnectionConfig, Done, Failed, InputFile, MediaRequest, Operation, Pending
from gesso.providers.errors import Misconfigured, ProviderError, Rejected
from gesso.providers.openai.adapter import OpenAIAdapter
from gesso.providers.registry import build
from gesso.providers.text import TextEnd, TextMessage, TextRequest
from tests.providers.flows import bill_of, picture, text_of

MODEL, PAINTER = "gpt-5.4-mini", "gpt-image-2"
PRICES = {"usd_per_million": {"text_input": "5", "image_input": "8", "output": "30"}}


@pytest.fixture
async def adapter(origin: str) -> AsyncIterator[OpenAIAdapter]:
    made = build("openai", ConnectionConfig(base_url=f"{origin}/openai", sandbox=True))
    assert isinstance(made, OpenAIAdapter)
    yield made
    await made.aclose()


async def written(adapter: OpenAIAdapter, words: str, *images: InputFile, **asked: Any) -> tuple[str, TextEnd]:
    request = TextRequest(MODEL, (TextMessage("user", words, images),), **asked)
    return await text_of(adapter, request)


async def made(adapter: OpenAIAdapter, words: str, **asked: Any) -> Done:
    done = await adapter.submit(
        MediaRequest(**{"kind": "image", "model": PAINTER, "prompt": words, "width": 64, "height": 64, **asked}), "k"
    )  # fmt: skip
    assert isinstance(done, Done)
    return done


async def followed(adapter: OpenAIAdapter, request: MediaRequest) -> Done | Failed:
    operation = await adapter.submit(request, "k")
    assert isinstance(operation, Operation)
    while True:
        state = await adapter.poll(Operation(operation.id, json.loads(json.dumps(operation.data))))
        if not isinstance(state, Pending):
            return state


# -- text -----------------------------------------------------------------------------------------------------------


async def test_a_prompt_becomes_a_richer_one(adapter: OpenAIAdapter, origin: str) -> None:
    text, end = await written(adapter, "Improve this prompt: a red bicycle")
    assert text.startswith("a red bicycle, ")
    assert len(text) > 80
    assert (text, end) == await written(adapter, "Improve this prompt: a red bicycle")
    assert end.usage.output_tokens
    line = (await bill_of(origin, "openai"))[-1]
    assert (line["provider"], line["endpoint"], line["status"]) == ("openai", MODEL, "done")
    assert line["units"] == (end.usage.input_tokens or 0) + end.usage.output_tokens


async def test_a_picture_is_described_as_it_is(adapter: OpenAIAdapter) -> None:
    text, _ = await written(adapter, "Describe this picture.", picture(300, 200))
    assert "landscape (3:2)" in text
    assert "300 × 200" in text
    assert "navy" in text


async def test_a_schema_is_obeyed_in_every_manner(adapter: OpenAIAdapter) -> None:
    ideas = {"type": "array", "items": {"type": "string"}, "minItems": 5, "maxItems": 5}
    schema = {"type": "object", "properties": {"prompts": ideas}, "required": ["prompts"]}
    for wire in ({}, {"stream": False}, {"schema": "instruction"}):
        text, _ = await written(adapter, "Five prompts about a harbour", schema=schema, wire=wire)
        found = json.loads(text)["prompts"]
        assert len(set(found)) == 5
        assert all("harbour" in one for one in found)


@pytest.mark.parametrize("words", ["sandbox:no-usage", "sandbox:no-stream", "sandbox:thinking"])
async def test_what_other_servers_do_differently_changes_nothing(adapter: OpenAIAdapter, words: str) -> None:
    text, end = await written(adapter, f"Good morning {words}")
    assert text == (await written(adapter, "Good morning"))[0]
    assert "sandbox" in text
    assert (end.usage.output_tokens is None) == (words == "sandbox:no-usage")


async def test_a_text_is_cut_at_the_limit(adapter: OpenAIAdapter) -> None:
    schema = {"type": "object", "properties": {"note": {"type": "string"}}, "required": ["note"]}
    _, end = await written(adapter, "Hello", max_output_tokens=4)
    assert (end.finish, end.usage.output_tokens) == ("length", 4)
    with pytest.raises(Rejected):
        await written(adapter, "Hello", max_output_tokens=4, schema=schema)


# -- pictures and videos --------------------------------------------------------------------------------------------


async def test_pictures_and_their_cost_agree_with_the_bill(adapter: OpenAIAdapter, origin: str) -> None:
    done = await made(adapter, "a harbour", count=2, quality="high", wire=PRICES, options={"output_format": "webp"})
    assert [(file.media_type, file.width, file.height) for file in done.files] == [("image/webp", 64, 64)] * 2
    for file in done.files:
        with Image.open(io.BytesIO(file.data or b"")) as image:
            assert (image.format, image.size) == ("WEBP", (64, 64))
    edited = await made(adapter, "at night", inputs=(picture(), picture(32, 32, "red")), wire=PRICES)
    lines = (await bill_of(origin, "openai"))[-2:]
    assert [line["cost_micro_usd"] for line in lines] == [done.cost_micro_usd, edited.cost_micro_usd]
    assert all(line["cost_micro_usd"] for line in lines)


async def test_a_picture_by_its_address_is_fetched_and_a_private_one_is_not(
    adapter: OpenAIAdapter, origin: str
) -> None:
    (file,) = (await made(adapter, "a harbour sandbox:by-url")).files
    fetcher = SafeFetcher([origin])
    assert file.url is not None
    assert (await fetcher.get(file.url, max_bytes=2**20, timeout_seconds=10)).data.startswith(b"\x89PNG")
    (private,) = (await made(adapter, "a harbour sandbox:private-url")).files
    with pytest.raises(FetchError):
        await fetcher.get(private.url or "", max_bytes=2**20, timeout_seconds=10)
    await fetcher.aclose()


async def test_a_fault_that_ends_lets_the_next_try_through(adapter: OpenAIAdapter) -> None:
    with pytest.raises(ProviderError):
        await made(adapter, "a pier sandbox:429*1")
    assert (await made(adapter, "a pier sandbox:429*1")).files


async def test_a_video_from_a_picture(adapter: OpenAIAdapter) -> None:
    request = MediaRequest(
        "video", "sora-2", "a boat leaves", width=1280, height=720, options={"duration": 4}, inputs=(picture(),)
    )
    done = await followed(adapter, request)
    assert isinstance(done, Done)
    (file,) = done.files
    assert (file.data or b"")[4:8] == b"ftyp"
    assert file.media_type == "video/mp4"


# -- the rest -------------------------------------------------------------------------------------------------------


async def test_moderation_of_words_and_pictures(adapter: OpenAIAdapter) -> None:
    verdict = await adapter.judge("omni-moderation-latest", "a flag-minors test", (picture(),))
    assert verdict.flagged == {"sexual/minors"}
    assert len(verdict.scores) == 13
    assert not (await adapter.judge("omni-moderation-latest", "a quiet harbour")).flagged


async def test_keys(origin: str) -> None:
    for key, ok, problem in (("sk-good", True, None), ("wrong", False, "misconfigured_key")):
        made = build("openai", ConnectionConfig(base_url=f"{origin}/openai", api_key=SecretStr(key)))
        report = await made.test()
        await made.aclose()
        assert (report.ok, report.problem) == (ok, problem)
    faulty = build("openai", ConnectionConfig(base_url=f"{origin}/openai", api_key=SecretStr("fault-no-credit")))
    assert isinstance(faulty, OpenAIAdapter)
    with pytest.raises(Misconfigured):
        await made_with(faulty)
    await faulty.aclose()


async def made_with(adapter: OpenAIAdapter) -> Done:
    return await made(adapter, "a harbour")


async def test_the_other_name_of_the_limit_is_refused_by_a_reasoning_model(origin: str) -> None:
    """Why `limit` is a setting of the wire: the sandbox, like OpenAI, refuses the older name for these models."""
    adapter = OpenAIAdapter(ConnectionConfig(base_url=f"{origin}/openai", api_key=SecretStr("sk-good")))
    with pytest.raises(Rejected):
        await written(adapter, "Hello")
    text, _ = await written(adapter, "Hello", wire={"limit": "max_completion_tokens"})
    await adapter.aclose()
    assert text
