"""Whole flows against the sandbox's face, and that nothing without an adult's age ever arrived there."""

import io
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from PIL import Image
from pydantic import SecretStr

from gesso.core.fetch import FetchError, SafeFetcher
from gesso.providers.base import ConnectionConfig, Done, Failed, MediaRequest, Operation, Pending
from gesso.providers.errors import ProviderError
from gesso.providers.promptchan.adapter import PromptchanAdapter
from gesso.providers.registry import build
from gesso.providers.text import TextEnd, TextMessage, TextRequest
from tests.providers.flows import bill_of, text_of

GEM = {"usd_per_gem": "0.05"}
"""What the sandbox's bill says a gem is."""


@pytest.fixture
async def adapter(origin: str) -> AsyncIterator[PromptchanAdapter]:
    made = build("promptchan", ConnectionConfig(base_url=f"{origin}/promptchan", sandbox=True))
    assert isinstance(made, PromptchanAdapter)
    yield made
    await made.aclose()
    async with httpx2.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"{origin}/promptchan/_breaches")).json() == {"breaches": 0}


async def made(adapter: PromptchanAdapter, words: str, **asked: Any) -> Done:
    done = await adapter.submit(MediaRequest(**{"kind": "image", "model": "m", "prompt": words, **asked}), "k")
    assert isinstance(done, Done)
    return done


async def followed(adapter: PromptchanAdapter, words: str, **asked: Any) -> tuple[Done | Failed, list[Pending]]:
    request = MediaRequest(**{"kind": "video", "model": "m", "prompt": words, **asked})
    operation = await adapter.submit(request, "k")
    assert isinstance(operation, Operation)
    seen: list[Pending] = []
    while True:
        state = await adapter.poll(Operation(operation.id, json.loads(json.dumps(operation.data))))
        if not isinstance(state, Pending):
            return state, seen
        seen.append(state)


async def test_a_picture_and_its_cost_agree_with_the_bill(adapter: PromptchanAdapter, origin: str) -> None:
    knobs = {"style": "Cinematic XL", "filter": "Watercolor", "emotion": "Smiling", "restore_faces": True, "age": 52}
    done = await made(adapter, "a woman at a harbour", wire=GEM, quality="Max", options=knobs, width=512, height=768)
    with Image.open(io.BytesIO(done.files[0].data or b"")) as image:
        assert (image.format, image.size) == ("PNG", (512, 768))
    line = (await bill_of(origin, "promptchan"))[-1]
    assert (line["status"], line["units"], line["cost_micro_usd"]) == ("done", 4, done.cost_micro_usd)


@pytest.mark.parametrize("words", ["inline", "gems-fraction", "gems-untold"])
async def test_pictures_in_every_wording(adapter: PromptchanAdapter, words: str) -> None:
    (file,) = (await made(adapter, f"a harbour sandbox:{words}")).files
    assert (file.data or b"").startswith(b"\x89PNG")


async def test_a_picture_by_its_address_is_fetched_and_a_private_one_is_not(
    adapter: PromptchanAdapter, origin: str
) -> None:
    fetcher = SafeFetcher([origin])
    (file,) = (await made(adapter, "a harbour sandbox:by-url")).files
    assert (await fetcher.get(file.url or "", max_bytes=2**22, timeout_seconds=10)).data.startswith(b"\x89PNG")
    (private,) = (await made(adapter, "a harbour sandbox:private-url")).files
    with pytest.raises(FetchError):
        await fetcher.get(private.url or "", max_bytes=2**20, timeout_seconds=10)
    await fetcher.aclose()


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("no-credit", "misconfigured_credit"), ("no-credit=400", "misconfigured_credit"),
        ("locked", "misconfigured_key"), ("422", "rejected_input"), ("safety", "rejected_safety"),
        ("error-inside", "rejected_failed"), ("fail", "rejected_failed"), ("429", "busy"), ("500", "unavailable"),
        ("502", "outcome_unknown"), ("drop", "outcome_unknown"), ("malformed", "outcome_unknown"),
        ("hang=0.1", "outcome_unknown"),
    ],
)  # fmt: skip
async def test_every_fault_of_a_picture(adapter: PromptchanAdapter, fault: str, code: str) -> None:
    with pytest.raises(ProviderError) as caught:
        await made(adapter, f"a pier sandbox:{fault}")
    assert caught.value.code == code


async def test_an_answer_that_comes_too_late_has_taken_its_gems(adapter: PromptchanAdapter, origin: str) -> None:
    with pytest.raises(ProviderError) as caught:
        await made(adapter, "a late boat sandbox:slow=30", deadline_seconds=2.0)
    assert caught.value.code == "outcome_unknown"
    assert (
        (await bill_of(origin, "promptchan"))[-1]["status"],
        (await bill_of(origin, "promptchan"))[-1]["units"],
    ) == ("done", 1)


@pytest.mark.parametrize("api", ["v2", "v3.1"])
async def test_a_video_from_the_queue_to_the_film(adapter: PromptchanAdapter, origin: str, api: str) -> None:
    wire = {"api": api, **GEM, "gems": {"Standard": "10"}}
    done, seen = await followed(adapter, "a boat sandbox:queue=3 sandbox:slow=0.1 sandbox:one-text", wire=wire)
    assert isinstance(done, Done), done
    assert {state.queue_position for state in seen} & {1, 2, 3}
    assert seen[-1].note == "Processing"
    fetcher = SafeFetcher([origin])
    film = await fetcher.get(done.files[0].url or "", max_bytes=2**24, timeout_seconds=10)
    await fetcher.aclose()
    assert film.data[4:8] == b"ftyp"
    line = (await bill_of(origin, "promptchan"))[-1]
    assert (line["status"], line["cost_micro_usd"]) == ("done", done.cost_micro_usd)


async def test_a_video_that_fails_and_one_whose_status_nobody_knows(adapter: PromptchanAdapter) -> None:
    state, _ = await followed(adapter, "a boat sandbox:fail")
    assert isinstance(state, Failed) and state.error.code == "rejected_failed"
    operation = await adapter.submit(MediaRequest("video", "m", "a boat sandbox:stuck"), "k")
    assert isinstance(operation, Operation)
    for _ in range(3):
        assert await adapter.poll(operation) == Pending(0.9, None, "Enhancing")
    lost = await adapter.poll(Operation("11111111-2222-3333-4444-555555555555", {}))
    assert isinstance(lost, Failed) and lost.error.code == "rejected_gone"


async def written(adapter: PromptchanAdapter, words: str, **asked: Any) -> tuple[str, TextEnd]:
    request = TextRequest("chat", (TextMessage("system", "Be kind."), TextMessage("user", words)), **asked)
    return await text_of(adapter, request)


async def test_a_chat_answers_and_its_cost_is_reckoned(adapter: PromptchanAdapter, origin: str) -> None:
    text, end = await written(adapter, "Good morning", wire={**GEM, "gems": "0.25"})
    assert "sandbox" in text
    assert (await bill_of(origin, "promptchan"))[-1]["cost_micro_usd"] == end.cost_micro_usd == 12_500


async def test_a_chat_that_is_asked_for_json(adapter: PromptchanAdapter) -> None:
    ideas = {"type": "array", "items": {"type": "string"}, "minItems": 3, "maxItems": 3}
    schema = {"type": "object", "properties": {"prompts": ideas}, "required": ["prompts"]}
    text, _ = await written(adapter, "Three prompts about a harbour", schema=schema)
    assert len(json.loads(text)["prompts"]) == 3
    with pytest.raises(ProviderError) as caught:
        await written(adapter, "Three prompts about a harbour sandbox:no-schema", schema=schema)
    assert caught.value.code == "rejected_failed"


async def test_the_connection_is_tested_against_the_face(adapter: PromptchanAdapter, origin: str) -> None:
    report = await adapter.test()
    assert report.ok, report
    assert (report.balance or "").endswith(" gems")
    wrong = build("promptchan", ConnectionConfig(base_url=f"{origin}/promptchan", api_key=SecretStr("wrong")))
    refused = await wrong.test()
    await wrong.aclose()
    assert (refused.key_accepted, refused.problem) == (False, "misconfigured_key")
