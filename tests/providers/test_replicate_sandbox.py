"""Whole flows against the sandbox, which checks every request against the models' own schemas."""

import asyncio
import io
import random
from collections.abc import AsyncIterator
from fractions import Fraction
from typing import Any

import av
import httpx2
import pytest
from PIL import Image
from pydantic import SecretStr

from gesso.core.fetch import SafeFetcher
from gesso.providers.base import ConnectionConfig, Done, Failed, InputFile, MediaRequest, Pending
from gesso.providers.errors import Misconfigured, OutcomeUnknown, Rejected
from gesso.providers.registry import build
from gesso.providers.replicate.adapter import ReplicateAdapter
from gesso.providers.replicate.options import TABLE
from tests.providers.following import finished
from tests.providers.loopback import Reply, Seen, loopback

SDXL = "stability-ai/sdxl"
SVD = "stability-ai/stable-video-diffusion"
SMALL = {"width": 64, "height": 64}


def picture(width: int = 96, height: int = 64, *, noise: bool = False) -> InputFile:
    data, image = io.BytesIO(), Image.new("RGB", (width, height), (200, 120, 40))
    if noise:
        image = Image.frombytes("RGB", (width, height), random.Random(1).randbytes(width * height * 3))
    image.save(data, "PNG")
    return InputFile("image/png", data.getvalue())


@pytest.fixture
async def adapter(origin: str) -> AsyncIterator[ReplicateAdapter]:
    made = build("replicate", ConnectionConfig(base_url=f"{origin}/replicate", sandbox=True))
    assert isinstance(made, ReplicateAdapter)
    yield made
    await made.aclose()


def ask(prompt: str, **asked: Any) -> MediaRequest:
    return MediaRequest(**{"kind": "image", "model": SDXL, "prompt": prompt, **SMALL, **asked})


async def ended(adapter: ReplicateAdapter, prompt: str, **asked: Any) -> Done | Failed:
    return await finished(adapter, await adapter.submit(ask(prompt, **asked), "key"))


async def bill_line(origin: str, request_id: str) -> dict[str, Any]:
    async with httpx2.AsyncClient(trust_env=False) as http:
        jobs = (await http.get(f"{origin}/_bill")).json()["jobs"]
    return next(job for job in jobs if job["request_id"] == request_id)


async def test_from_prompt_to_files_and_their_cost(adapter: ReplicateAdapter, origin: str) -> None:
    operation = await adapter.submit(ask("a lighthouse", count=2, seed=11, wire={"micro_usd_per_second": 975}), "key")
    outcome = await finished(adapter, operation)
    assert isinstance(outcome, Done)
    assert (outcome.seed, outcome.warnings, len(outcome.files)) == (11, (), 2)
    assert outcome.cost_micro_usd == (await bill_line(origin, operation.id))["cost_micro_usd"] > 10_000
    fetcher = SafeFetcher([origin])
    assert outcome.files[1].url is not None
    fetched = await fetcher.get(outcome.files[1].url, max_bytes=2**20, timeout_seconds=10)
    await fetcher.aclose()
    assert Image.open(io.BytesIO(fetched.data)).size == (64, 64)


@pytest.mark.parametrize("model", [name for name in TABLE if "ultra" not in name])
async def test_every_model_takes_all_that_we_say_it_takes(adapter: ReplicateAdapter, model: str) -> None:
    shape = TABLE[model]
    values = {"steps": 4, "guidance": 4, "output_format": "jpeg", "output_quality": 70, "strength": 0.5,
              "megapixels": 0.25, "go_fast": False, "scheduler": "DDIM", "refine": "no_refiner",
              "refine_steps": 2, "high_noise_frac": 0.5,
              "watermark": False, "sizing_strategy": "width_height", "controlnet_1": "edge_canny",
              "safety_tolerance": 3,
              "controlnet_1_conditioning_scale": 0.5, "controlnet_1_start": 0.1, "controlnet_1_end": 0.9,
              "enhance_prompt": True, "duration": 2, "motion": 200, "noise": 0.05, "framing": "use_image_dimensions",
              "fps": 7, "frames": "14_frames_with_svd", "decoding_frames": 7}  # fmt: skip
    known = {*shape.options, *shape.choices, *(name for name in ("steps", "guidance") if getattr(shape, name))}
    options: dict[str, Any] = {name: value for name, value in values.items() if name in known}
    if shape.loras is not None:
        options["loras"] = [{"url": "https://weights.example/1.safetensors", "scale": 0.5}] * shape.loras.max
    size: dict[str, Any] = (
        SMALL if shape.size == "pixels" else {"width": 256, "height": 256} if shape.size == "custom" else {}
    )
    # no version of it is known: the sandbox's own
    wire: dict[str, Any] = {"version": "5a9db0c5" * 8, "count_max": 1} if model.startswith("lucataco") else {}
    request = MediaRequest(
        "video" if model == SVD else "image", model, "" if model == SVD else "a fox", "fog" if shape.negative else None,
        seed=3, options=options, inputs=(picture(),) if shape.images else (), wire=wire, deadline_seconds=300, **size,
    )  # fmt: skip
    outcome = await finished(adapter, await adapter.submit(request, "k"))
    assert isinstance(outcome, Done), outcome
    assert len(outcome.files) == 1


async def test_a_film_of_a_picture_of_ours(adapter: ReplicateAdapter, origin: str) -> None:
    options = {"duration": 4, "motion": 127, "framing": "use_image_dimensions"}
    outcome = await ended(
        adapter, "", kind="video", model=SVD, inputs=(picture(128, 64),), options=options, width=None, height=None
    )
    assert isinstance(outcome, Done)
    (file,) = outcome.files
    fetcher = SafeFetcher([origin])
    fetched = await fetcher.get(str(file.url), max_bytes=2**22, timeout_seconds=10)
    await fetcher.aclose()
    assert fetched.media_type == "video/mp4"
    with av.open(io.BytesIO(fetched.data)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.frames) == (128, 64, 25)
        assert stream.average_rate == Fraction(6)


async def test_deployments_and_uploads(adapter: ReplicateAdapter) -> None:
    large = picture(360, 360, noise=True)
    assert len(large.data) > 256_000
    outcome = await ended(adapter, "in snow", model="deployments/sandbox/sdxl", wire={"like": SDXL}, inputs=(large,))
    assert isinstance(outcome, Done)


@pytest.mark.parametrize(
    ("model", "wire"),
    [("no/such", {}), (f"{SDXL}:{'0' * 64}", {}), ("deployments/no/such", {}), ("me/sdxl", {"like": SDXL})],
)
async def test_models_that_are_not_there(adapter: ReplicateAdapter, model: str, wire: dict[str, Any]) -> None:
    with pytest.raises(Misconfigured) as caught:
        await adapter.submit(ask("a fox", model=model, wire=wire), "k")
    assert caught.value.kind == "model"


async def test_a_limit_of_the_model_is_told_in_our_words(adapter: ReplicateAdapter) -> None:
    with pytest.raises(Rejected) as caught:
        await adapter.submit(MediaRequest("image", "black-forest-labs/flux-schnell", "a", options={"steps": 9}), "k")
    assert (caught.value.field, str(caught.value)) == ("steps", "The number of steps must be at most 4.")


@pytest.mark.parametrize(
    ("fault", "code", "billed"),
    [("safety", "rejected_safety", True), ("nsfw", "rejected_safety", True), ("fail", "rejected_failed", True),
     ("deadline", "rejected_deadline", True), ("timeout", "rejected_deadline", False)],
)  # fmt: skip
async def test_failures_of_a_job_and_what_they_cost(
    adapter: ReplicateAdapter, origin: str, fault: str, code: str, billed: bool
) -> None:
    operation = await adapter.submit(ask(f"a fox sandbox:{fault}", wire={"micro_usd_per_second": 975}), "k")
    outcome = await finished(adapter, operation)
    assert isinstance(outcome, Failed)
    assert outcome.error.code == code
    assert outcome.cost_micro_usd == (await bill_line(origin, operation.id))["cost_micro_usd"]
    assert bool(outcome.cost_micro_usd) == billed


async def test_single_pictures_held_back_keep_their_places(adapter: ReplicateAdapter) -> None:
    outcome = await ended(adapter, "a fox sandbox:nsfw=0", count=3)
    assert isinstance(outcome, Done)
    assert [file.flagged for file in outcome.files] == [True, None, None]
    assert [str(file.url).rpartition("/")[2] for file in outcome.files[1:]] == ["out-1.png", "out-2.png"]
    fewer = await ended(adapter, "a fox sandbox:fewer", count=2)
    assert isinstance(fewer, Done)
    assert (len(fewer.files), fewer.warnings) == (1, ("The model delivered 1 of 2.",))


async def test_results_inside_the_answer_and_results_that_are_gone(adapter: ReplicateAdapter) -> None:
    inline = await ended(adapter, "a fox sandbox:inline")
    assert isinstance(inline, Done)
    assert inline.files[0].data is not None and inline.files[0].url is None
    removed = await ended(adapter, "a fox sandbox:removed")
    assert isinstance(removed, Failed)
    assert removed.error.code == "rejected_gone"
    other = ReplicateAdapter(ConnectionConfig(base_url=adapter._client.base, api_key=SecretStr("another")))
    lost = await other.poll(await adapter.submit(ask("a fox"), "k"))
    await other.aclose()
    assert isinstance(lost, Failed)
    assert lost.error.code == "rejected_gone"


async def test_progress_then_cancel_before_and_after(adapter: ReplicateAdapter) -> None:
    operation = await adapter.submit(ask("a fox sandbox:slow=20"), "k")
    async with asyncio.timeout(30):
        while not ((state := await adapter.poll(operation)) and isinstance(state, Pending) and state.progress):
            await asyncio.sleep(0.05)
    assert 0 < state.progress <= 1
    assert await adapter.cancel(operation) is True
    outcome = await finished(adapter, operation)
    assert isinstance(outcome, Failed)
    assert outcome.error.code == "rejected_cancelled"
    done = await adapter.submit(ask("a fox"), "k")
    await finished(adapter, done)
    assert await adapter.cancel(done) is False


@pytest.mark.parametrize(
    ("fault", "taken"),
    [("slow=0", True), ("webhook-duplicate", True), ("webhook-forged", False), ("webhook-stale", False)],
)
async def test_webhooks_of_the_sandbox(adapter: ReplicateAdapter, fault: str, taken: bool) -> None:
    heard: asyncio.Queue[Seen] = asyncio.Queue()

    def hear(seen: Seen) -> Reply:
        heard.put_nowait(seen)
        return Reply(200)

    async with loopback(hear) as ear:
        operation = await adapter.submit(ask(f"a fox sandbox:{fault}", webhook_url=f"{ear.url}/hook?call=k1"), "k1")
        seen = await asyncio.wait_for(heard.get(), 30)
    assert seen.target == "/hook?call=k1"
    if taken:
        assert (await adapter.parse_webhook(seen.headers, seen.body)).request_id == operation.id
        recalled = adapter.recall(SDXL, operation.id)
        assert recalled is not None
        assert isinstance(await finished(adapter, recalled), Done)
    else:
        with pytest.raises(Exception, match=r"No signature|too old"):
            await adapter.parse_webhook(seen.headers, seen.body)


async def test_a_submit_whose_answer_was_lost_is_found_again(adapter: ReplicateAdapter) -> None:
    async with loopback(lambda _: Reply(200)) as ear:
        hook = f"{ear.url}/hook?call="
        await adapter.submit(ask("one sandbox:webhook-told", webhook_url=f"{hook}first"), "first")
        assert adapter.can_find is True
        with pytest.raises(OutcomeUnknown):
            await adapter.submit(
                ask("two sandbox:webhook-told sandbox:drop", count=2, webhook_url=f"{hook}second"), "second"
            )
        found = await adapter.find("second")
        assert found is not None
        outcome = await finished(adapter, found)
        assert await adapter.find("third") is None
    assert isinstance(outcome, Done)
    assert len(outcome.files) == 2


@pytest.mark.parametrize(("key", "accepted"), [("r8_fine", True), ("wrong", False)])
async def test_the_connection_test(origin: str, key: str, accepted: bool) -> None:
    adapter = ReplicateAdapter(ConnectionConfig(base_url=f"{origin}/replicate/v1", api_key=SecretStr(key)))
    report = await adapter.test()
    await adapter.aclose()
    assert (report.reachable, report.key_accepted, report.ok) == (True, accepted, accepted)
