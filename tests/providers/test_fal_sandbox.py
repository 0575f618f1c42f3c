"""Whole flows against the sandbox, which checks every request against the models' own schemas."""

import asyncio
import io
import random
import socket
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
import uvicorn
from PIL import Image
from pydantic import SecretStr

from gesso.core.fetch import SafeFetcher
from gesso.providers.base import ConnectionConfig, Done, Failed, InputFile, MediaRequest
from gesso.providers.errors import Misconfigured
from gesso.providers.fal.adapter import FalAdapter
from gesso.providers.fal.options import TABLE
from gesso.providers.fal.uploads import INLINE_MAX_BYTES
from gesso.providers.registry import build
from gesso.sandbox.app import create_app
from gesso.sandbox.pace import Pace
from tests.providers.following import finished
from tests.providers.loopback import Reply, Seen, loopback

SCHNELL = "fal-ai/flux/schnell"
SMALL = {"width": 64, "height": 64}


@pytest.fixture(scope="module")
async def sandbox() -> AsyncIterator[str]:
    """Address of a running sandbox's fal face."""
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(create_app(pace=Pace.instant(), workers=1), log_level="warning", lifespan="on")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve([listening]))
    while not server.started:
        await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/fal"
    server.should_exit = True
    with suppress(asyncio.CancelledError):
        await task


@pytest.fixture
async def adapter(sandbox: str) -> AsyncIterator[FalAdapter]:
    made = build("fal", ConnectionConfig(base_url=sandbox, sandbox=True))
    assert isinstance(made, FalAdapter)
    yield made
    await made.aclose()


async def ended(adapter: FalAdapter, prompt: str, **asked: object) -> Done | Failed:
    request = MediaRequest(**{"kind": "image", "model": SCHNELL, "prompt": prompt, **SMALL, **asked})  # type: ignore[arg-type]
    return await finished(adapter, await adapter.submit(request, "key"))


async def test_from_prompt_to_file(adapter: FalAdapter, sandbox: str) -> None:
    wire = {"unit_cost_micro_usd": 3000}
    outcome = await ended(adapter, "a lighthouse", count=2, seed=11, wire=wire)
    assert isinstance(outcome, Done)
    assert outcome.seed == 11
    assert outcome.warnings == ()
    assert outcome.cost_micro_usd is not None
    assert [(file.width, file.height, file.flagged) for file in outcome.files] == [(64, 64, False)] * 2
    fetcher = SafeFetcher([sandbox])
    assert outcome.files[0].url is not None
    fetched = await fetcher.get(outcome.files[0].url, max_bytes=2**20, timeout_seconds=10)
    await fetcher.aclose()
    assert fetched.media_type == outcome.files[0].media_type == "image/jpeg"
    assert fetched.data[:2] == b"\xff\xd8"


@pytest.mark.parametrize(
    "model",
    [model for model in TABLE if not any(part in model for part in ("nano-banana-2", "v4.5", "/base", "kling"))],
)
async def test_every_model_takes_all_that_we_say_it_takes(adapter: FalAdapter, model: str) -> None:
    shape = TABLE[model]
    values = {"steps": 8, "guidance": 4, "output_format": "png", "raw": True, "enhance_prompt": False, "strength": 0.5,
              "loras": [{"path": "https://example.com/l.safetensors", "scale": 0.8}], "photo_lora_scale": 0.5,
              "acceleration": "regular", "enhance_prompt_mode": "fast"}  # fmt: skip
    known = {*shape.options, *(name for name in ("steps", "guidance") if getattr(shape, name))}
    asked = {name: value for name, value in values.items() if name in known}
    picture = InputFile("image/png", PNG)
    request = MediaRequest(
        "image", model, "a fox", "fog", count=1, seed=3, aspect_ratio="16:9", options=asked,
        inputs=(picture,) if shape.images else (),
    )  # fmt: skip
    outcome = await finished(adapter, await adapter.submit(request, "k"))
    assert isinstance(outcome, Done), outcome
    assert len(outcome.files) == 1


PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63606060000000040001f61738550000000049454e44ae426082"
)


async def test_a_large_reference_is_uploaded(adapter: FalAdapter) -> None:
    noise = io.BytesIO()
    Image.frombytes("RGB", (360, 360), random.Random(1).randbytes(360 * 360 * 3)).save(noise, "PNG")
    assert len(noise.getvalue()) > INLINE_MAX_BYTES
    picture = InputFile("image/png", noise.getvalue())
    request = MediaRequest("image", "fal-ai/nano-banana/edit", "in the snow", inputs=(picture,))
    outcome = await finished(adapter, await adapter.submit(request, "k"))
    assert isinstance(outcome, Done)


async def test_flags_and_missing_pictures(adapter: FalAdapter) -> None:
    flagged = await ended(adapter, "a fox sandbox:nsfw=1", count=2)
    assert isinstance(flagged, Done)
    assert [file.flagged for file in flagged.files] == [False, True]
    unknown = await ended(adapter, "a fox sandbox:no-flag")
    assert isinstance(unknown, Done)
    assert unknown.files[0].flagged is None
    fewer = await ended(adapter, "a fox sandbox:fewer", count=2)
    assert isinstance(fewer, Done)
    assert fewer.warnings == ("The model delivered 1 of 2.",)


async def test_cancel_before_and_after(adapter: FalAdapter) -> None:
    operation = await adapter.submit(MediaRequest("image", SCHNELL, "a fox sandbox:slow=5", **SMALL), "k")
    assert await adapter.cancel(operation) is True
    outcome = await finished(adapter, operation)
    assert isinstance(outcome, Failed)
    assert outcome.error.code == "rejected_cancelled"
    assert await adapter.cancel(operation) is False


@pytest.mark.parametrize(
    ("fault", "taken"), [("slow=0", True), ("webhook-retried", True), ("webhook-null", True), ("webhook-forged", False),
                         ("webhook-stale", False)]
)  # fmt: skip
async def test_webhooks_of_the_sandbox(adapter: FalAdapter, fault: str, taken: bool) -> None:
    heard: asyncio.Queue[Seen] = asyncio.Queue()

    def hear(seen: Seen) -> Reply:
        heard.put_nowait(seen)
        return Reply(200)

    async with loopback(hear) as ear:
        request = MediaRequest(
            "image", SCHNELL, f"a fox sandbox:{fault}", webhook_url=f"{ear.url}/hook?x=1&y=2", **SMALL
        )
        operation = await adapter.submit(request, "k")
        seen = await asyncio.wait_for(heard.get(), 20)
    assert seen.target == "/hook?x=1&y=2"
    if taken:
        assert (await adapter.parse_webhook(seen.headers, seen.body)).request_id == operation.id
    else:
        with pytest.raises(Exception, match=r"signature|too old"):
            await adapter.parse_webhook(seen.headers, seen.body)


@pytest.mark.parametrize(("key", "accepted"), [("id:fine", True), ("id:wrong", False)])
async def test_the_connection_test(sandbox: str, key: str, accepted: bool) -> None:
    adapter = FalAdapter(ConnectionConfig(base_url=sandbox, api_key=SecretStr(key)))
    report = await adapter.test()
    await adapter.aclose()
    assert (report.reachable, report.key_accepted, report.ok) == (True, accepted, accepted)


def test_an_unknown_adapter_is_named() -> None:
    with pytest.raises(Misconfigured) as caught:
        build("nope", ConnectionConfig())
    assert "fal" in (caught.value.note or "")
