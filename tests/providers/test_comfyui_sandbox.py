"""Whole flows against the sandbox's box, which checks every workflow as ComfyUI does."""

import asyncio
import copy
import io
import uuid
from collections.abc import AsyncIterator
from typing import Any

import av
import httpx2
import pytest
from PIL import Image
from pydantic import SecretStr

from gesso.providers.base import ConnectionConfig, Done, Failed, InputFile, MediaRequest, Operation, Pending
from gesso.providers.comfyui.adapter import ComfyAdapter
from gesso.providers.errors import Busy, Misconfigured, OutcomeUnknown, Rejected, Unavailable
from gesso.providers.registry import build
from tests.providers.comfyui_workflows import FLUX_WIRE, PICTURE_WIRE, SDXL, WAN_WIRE, WIRE
from tests.providers.flows import picture
from tests.providers.following import finished

SMALL = {"width": 64, "height": 48}
PRICED = {**WIRE, "micro_usd_per_second": 200}


def key() -> str:
    return str(uuid.uuid4())


@pytest.fixture(params=["/comfyui", "/comfyui/old/api"], ids=["new", "old"], scope="module")
def base(origin: str, request: pytest.FixtureRequest) -> str:
    return origin + str(request.param)


@pytest.fixture(scope="module")
async def box(base: str) -> AsyncIterator[ComfyAdapter]:
    """Without a key, as a box in a network of one's own."""
    made = build("comfyui", ConnectionConfig(base_url=base))
    assert isinstance(made, ComfyAdapter)
    yield made
    await made.aclose()


def ask(prompt: str, **asked: Any) -> MediaRequest:
    return MediaRequest(**{"kind": "image", "model": "sdxl", "prompt": prompt, "wire": PRICED, **SMALL, **asked})


async def ended(adapter: ComfyAdapter, prompt: str, **asked: Any) -> Done | Failed:
    return await finished(adapter, await adapter.submit(ask(prompt, **asked), key()))


async def until_running(adapter: ComfyAdapter, operation: Operation) -> None:
    async with asyncio.timeout(20):
        while not (isinstance(state := await adapter.poll(operation), Pending) and state.note):
            await asyncio.sleep(0.01)


async def test_from_prompt_to_files(box: ComfyAdapter) -> None:
    ours = key()
    asked = ask("a lighthouse", negative_prompt="fog", count=2, seed=11, options={"steps": 9, "guidance": 4.5})
    operation = await box.submit(asked, ours)
    assert operation.id == ours
    done = await finished(box, operation)
    assert isinstance(done, Done), done
    assert (done.seed, done.warnings, len(done.files)) == (11, (), 2)
    assert done.cost_micro_usd is not None and 0 <= done.cost_micro_usd < 200 * 60
    pictures = [Image.open(io.BytesIO(file.data or b"")) for file in done.files]
    assert [(one.size, one.format) for one in pictures] == [((64, 48), "PNG")] * 2
    assert pictures[0].tobytes() != pictures[1].tobytes()
    assert await box.cancel(operation) is False


async def test_another_sampler_and_a_preview_that_is_no_result(box: ComfyAdapter) -> None:
    done = await ended(box, "dunes", wire=FLUX_WIRE, aspect_ratio="3:2", width=None, height=None)
    assert isinstance(done, Done), done
    assert len(done.files) == 1 and done.cost_micro_usd is None and done.seed is not None
    assert Image.open(io.BytesIO(done.files[0].data or b"")).size == (96, 64)


async def test_from_a_picture_that_is_uploaded_once(box: ComfyAdapter) -> None:
    for _ in range(2):
        done = await ended(box, "in ink", wire=PICTURE_WIRE, inputs=(picture(),), width=None, height=None)
        assert isinstance(done, Done), done
        assert Image.open(io.BytesIO(done.files[0].data or b"")).size == (96, 64)


async def test_a_film_from_a_picture(box: ComfyAdapter) -> None:
    request = MediaRequest(
        "video", "wan", "waves", width=64, height=64, seed=3, inputs=(picture(),), options={"duration": 2},
        wire={**WAN_WIRE, "min_side": 64},
    )  # fmt: skip
    done = await finished(box, await box.submit(request, key()))
    assert isinstance(done, Done), done
    assert done.files[0].media_type == "video/mp4"
    with av.open(io.BytesIO(done.files[0].data or b"")) as film:
        assert (film.streams.video[0].width, film.streams.video[0].frames) == (64, 33)


async def test_a_film_of_a_custom_node(box: ComfyAdapter) -> None:
    workflow = copy.deepcopy(SDXL)
    workflow["9"] = {"class_type": "VHS_VideoCombine", "inputs": {
        "images": ["8", 0], "frame_rate": 8, "loop_count": 0, "filename_prefix": "x", "format": "video/h264-mp4",
        "pingpong": False, "save_output": True}}  # fmt: skip
    done = await ended(box, "dunes", kind="video", wire={**WIRE, "workflow": workflow})
    assert isinstance(done, Done) and done.files[0].media_type == "video/mp4"


async def test_places_in_the_queue_and_cancelling_what_waits_and_what_runs(box: ComfyAdapter, base: str) -> None:
    first = await box.submit(ask("slow hills sandbox:slow=60"), key())
    await until_running(box, first)
    second, third = [await box.submit(ask(f"hills {number}"), key()) for number in (2, 3)]
    assert await box.poll(second) == Pending(queue_position=0)
    assert await box.poll(third) == Pending(queue_position=1)
    assert await box.cancel(second) is True
    lost = await box.poll(second)
    assert isinstance(lost, Failed) and lost.error.code == "rejected_gone"
    assert await box.poll(third) == Pending(queue_position=0)
    assert await box.cancel(first) is True
    stopped = await finished(box, first)
    assert isinstance(stopped, Failed) and stopped.error.code == "rejected_cancelled"
    assert isinstance(await finished(box, third), Done)


async def test_only_ours_is_stopped(box: ComfyAdapter) -> None:
    running = await box.submit(ask("slow hills sandbox:slow=60"), key())
    await until_running(box, running)
    stranger = Operation(key(), dict(running.data))
    assert await box.cancel(stranger) is False
    assert isinstance(await box.poll(running), Pending)
    assert await box.cancel(running) is True
    await finished(box, running)


async def test_a_lost_answer_is_found_again_with_all_that_its_result_needs(box: ComfyAdapter) -> None:
    for fault in ("drop", "malformed"):
        ours = key()
        with pytest.raises(OutcomeUnknown):
            await box.submit(ask(f"paper hills sandbox:{fault}", seed=5, count=2), ours)
        found = await box.find(ours)
        assert found is not None and found.id == ours
        done = await finished(box, found)
        assert isinstance(done, Done) and (len(done.files), done.seed) == (2, 5) and done.cost_micro_usd is not None
        again = await box.find(ours)  # from the history this time
        assert again is not None and again.data == found.data
    with pytest.raises(OutcomeUnknown):
        await box.submit(ask("paper hills sandbox:drop-before"), ours := key())
    assert await box.find(ours) is None
    assert await box.find("not a uuid") is None


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("sandbox:fail", "rejected_failed", "failed on this request"),
        ("sandbox:fail=oom", "rejected_failed", "out of memory"),
        ("sandbox:interrupted", "rejected_cancelled", "cancelled"),
        ("sandbox:lost", "rejected_gone", "lost this request"),
        ("sandbox:gone", "rejected_gone", "no longer kept"),
        ("sandbox:fewer", "rejected_failed", "without delivering"),
    ],
)
async def test_jobs_that_end_badly(box: ComfyAdapter, words: str, code: str, said: str) -> None:
    failed = await ended(box, f"dunes {words}")
    assert isinstance(failed, Failed)
    assert failed.error.code == code and said in failed.error.message
    assert "box" not in failed.error.message and "ComfyUI" not in failed.error.message


async def test_fewer_than_asked_for_is_said(box: ComfyAdapter) -> None:
    done = await ended(box, "dunes sandbox:fewer", count=2)
    assert isinstance(done, Done) and (len(done.files), done.warnings) == (1, ("The model delivered 1 of 2.",))


async def test_a_picture_that_is_none(box: ComfyAdapter) -> None:
    bad = InputFile("image/png", b"this is no picture")
    failed = await ended(box, "in ink", wire=PICTURE_WIRE, inputs=(bad,), width=None, height=None)
    assert isinstance(failed, Failed) and isinstance(failed.error, Rejected) and failed.error.field == "images"


async def test_values_that_nodes_refuse_are_the_users(box: ComfyAdapter) -> None:
    for asked, field, said in (
        ({"options": {"steps": 0}}, "steps", "The number of steps must be at least 1."),
        ({"options": {"guidance": 101}}, "guidance", "Guidance must be at most 100."),
    ):
        with pytest.raises(Rejected) as caught:
            await box.submit(ask("dunes", **asked), key())
        assert (caught.value.field, str(caught.value)) == (field, said)
    with pytest.raises(Rejected) as caught:
        await box.submit(ask("dunes sandbox:422"), key())
    assert caught.value.field == "prompt" and caught.value.kind == "input"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "mine.safetensors"}}}, "mine.safeten"),
        ({"9": {"class_type": "SaveImageToTheMoon", "inputs": {"images": ["8", 0]}}}, "SaveImageToTheMoon"),
        ({"9": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}}}, "prompt_no_outputs"),
        ({"8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0]}}}, "required_input_missing vae"),
        ({"8": {"class_type": "VAEDecode", "inputs": {"samples": ["4", 0], "vae": ["4", 2]}}}, "return_type_mismatch"),
        ({"8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0, 1], "vae": ["4", 2]}}}, "bad_linked_input"),
    ],
)
async def test_what_is_wrong_with_a_workflow_is_the_operators(box: ComfyAdapter, change: Any, told: str) -> None:
    wire = {**WIRE, "workflow": {**SDXL, **change}}
    with pytest.raises(Misconfigured) as caught:
        await box.submit(ask("dunes", wire=wire), key())
    assert caught.value.kind == "model" and told in (caught.value.note or "")
    assert "ComfyUI" not in str(caught.value)


async def test_a_result_node_that_was_left_out_is_told_to_the_operator(box: ComfyAdapter) -> None:
    workflow = {**SDXL, "20": {"class_type": "SaveImage", "inputs": {"images": ["8", 0]}}}
    failed = await ended(box, "dunes", wire={**WIRE, "workflow": workflow, "outputs": ["20"]})
    assert isinstance(failed, Failed) and "required_input_missing filename_prefix" in (failed.error.note or "")
    done = await ended(box, "dunes", wire={**WIRE, "workflow": workflow, "outputs": ["9"]})
    assert isinstance(done, Done)


async def test_what_stands_before_the_box(origin: str) -> None:
    key_of_nobody = SecretStr("account:wrong")
    adapter = build("comfyui", ConnectionConfig(base_url=f"{origin}/comfyui", api_key=key_of_nobody))
    assert isinstance(adapter, ComfyAdapter)
    with pytest.raises(Misconfigured) as caught:
        await adapter.submit(ask("dunes"), key())
    assert caught.value.kind == "key" and "wrong" not in f"{caught.value}{caught.value.note}"
    report = await adapter.test()
    assert (report.reachable, report.key_accepted, report.problem) == (True, False, "misconfigured_key")
    await adapter.aclose()


async def test_transport_faults_at_every_stage(box: ComfyAdapter) -> None:
    with pytest.raises(Busy) as busy:
        await box.submit(ask("dunes sandbox:429=7"), key())
    assert busy.value.retry_after == 7
    for word, error in (("500", Unavailable), ("502", OutcomeUnknown), ("503", Unavailable)):
        with pytest.raises(error):
            await box.submit(ask(f"dunes sandbox:{word}"), key())
    operation = await box.submit(ask(f"dunes {key()} sandbox:502@status*2 sandbox:malformed@result*1"), key())
    errors = 0
    async with asyncio.timeout(30):
        while True:
            try:
                outcome = await box.poll(operation)
            except Unavailable:
                errors += 1
                continue
            if isinstance(outcome, Done):
                break
            await asyncio.sleep(0.02)
    assert errors >= 1


async def test_the_report_of_a_test(box: ComfyAdapter, base: str) -> None:
    report = await box.test()
    assert report.ok and report.latency_ms is not None
    said = " ".join(report.sentences)
    assert ("0.3.64" if "old" in base else "0.38.1") in said and "RTX 4090" in said and "21.0 of 24.0 GiB" in said


async def test_the_bill_knows_every_job_at_no_price(box: ComfyAdapter, origin: str) -> None:
    ours = key()
    await finished(box, await box.submit(ask("dunes"), ours))
    async with httpx2.AsyncClient(trust_env=False) as http:
        jobs = (await http.get(f"{origin}/_bill")).json()["jobs"]
    [line] = [job for job in jobs if job["request_id"] == ours]
    assert (line["provider"], line["status"], line["cost_micro_usd"]) == ("comfyui", "done", 0)
