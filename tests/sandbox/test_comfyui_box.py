"""The sandbox's ComfyUI box against the fact sheet's list: what no sound client would ask for, too."""

import asyncio
import io
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from PIL import Image

from gesso.sandbox.app import create_app
from gesso.sandbox.pace import Pace
from tests.providers.comfyui_workflows import FROM_PICTURE, SDXL
from tests.sandbox.server import serving


def small(**changes: Any) -> dict[str, Any]:
    size = {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}}
    return {**SDXL, "5": size, **changes}


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


class Box:
    """A client of one box."""

    def __init__(self, http: httpx2.AsyncClient, base: str) -> None:
        self.http, self.base = http, base

    async def get(self, path: str, **options: Any) -> httpx2.Response:
        return await self.http.get(f"{self.base}/{path}", **options)

    async def post(self, path: str, body: Any, **options: Any) -> httpx2.Response:
        return await self.http.post(f"{self.base}/{path}", json=body, **options)

    async def queued(self, workflow: dict[str, Any], **more: Any) -> str:
        answer = await self.post("prompt", {"prompt": workflow, **more})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["prompt_id"])

    async def ended(self, job: str) -> dict[str, Any]:
        async with asyncio.timeout(30):
            while not (told := (await self.get(f"history/{job}")).json()):
                await asyncio.sleep(0.02)
        return dict(told[job])

    async def running(self, job: str) -> None:
        async with asyncio.timeout(25):
            while job not in str((await self.get("queue")).json()["queue_running"]):
                await asyncio.sleep(0.01)


@pytest.fixture(scope="module")
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(timeout=20, trust_env=False) as client:
        yield client


@pytest.fixture(scope="module")
async def origin() -> AsyncIterator[str]:
    async with serving(create_app(pace=Pace.instant(), workers=0)) as address:
        yield address


@pytest.fixture
def new(http: httpx2.AsyncClient, origin: str) -> Box:
    return Box(http, f"{origin}/comfyui")


@pytest.fixture
def old(http: httpx2.AsyncClient, origin: str) -> Box:
    return Box(http, f"{origin}/comfyui/old")


async def test_a_job_from_queue_to_file_under_both_ways_to_write_a_path(new: Box) -> None:
    job = await new.queued(small(), extra_data={"mine": 1}, client_id="me")
    entry = await new.ended(job)
    assert entry["prompt"][1] == job and entry["prompt"][3] == {"mine": 1, "client_id": "me"}
    assert [message[0] for message in entry["status"]["messages"]] == ["execution_start", "execution_success"]
    [file] = entry["outputs"]["9"]["images"]
    for path in ("view", "api/view"):
        answer = await new.get(path, params=file)
        assert answer.headers["content-type"] == "image/png"
        assert Image.open(io.BytesIO(answer.content)).size == (64, 64)
    assert (await new.get(f"history/{uuid.uuid4()}")).json() == {}
    for name, status in (
        ({"filename": "no.png"}, 404),
        ({"filename": "../x"}, 400),
        ({"filename": "/x"}, 400),
        ({}, 404),
    ):
        assert (await new.get("view", params=name)).status_code == status
    assert (await new.get("view", params={**file, "subfolder": "../.."})).status_code == 403


async def test_ids(new: Box, old: Box) -> None:
    ours = str(uuid.uuid4())
    assert await new.queued(small(), prompt_id=ours) == ours
    first = await new.ended(ours)
    assert await new.queued(small(), prompt_id=ours) == ours, "the same id is taken twice"
    async with asyncio.timeout(20):
        while (await new.ended(ours))["prompt"][0] == first["prompt"][0]:
            await asyncio.sleep(0.02)
    for wrong in (ours.upper(), uuid.uuid4().hex, "battery", 3):
        answer = await new.post("prompt", {"prompt": small(), "prompt_id": wrong})
        assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_prompt_id")
    assert await old.queued(small(), prompt_id="battery") == "battery"
    assert await new.queued(small(), prompt_id=None)


@pytest.mark.parametrize("content", [b"no json", b"[]", b'{"prompt": 3}', b'{"prompt": {"1": 3}}'])
async def test_a_body_that_makes_a_handler_raise(new: Box, content: bytes) -> None:
    answer = await new.http.post(f"{new.base}/prompt", content=content)
    assert answer.status_code == 500 and "Server got itself in trouble" in answer.text


async def test_what_is_refused_as_a_whole(new: Box, old: Box) -> None:
    async def refused(box: Box, body: Any) -> tuple[str, Any]:
        answer = await box.post("prompt", body)
        assert answer.status_code == 400 and answer.json()["node_errors"] == {}
        return answer.json()["error"]["type"], answer.json()["error"]["extra_info"]

    strange, bare = small(**{"9": node("Strange", images=["8", 0])}), small(**{"9": {"inputs": {}}})
    assert await refused(new, {}) == ("no_prompt", {})
    assert (await refused(new, {"prompt": {"1": node("KSamplerSelect", sampler_name="euler")}}))[
        0
    ] == "prompt_no_outputs"
    about = {"node_id": "9", "class_type": "Strange", "node_title": "Strange"}
    assert await refused(new, {"prompt": strange}) == ("missing_node_type", about)
    assert await refused(old, {"prompt": strange}) == ("invalid_prompt", {})
    assert (await refused(new, {"prompt": bare}))[0] == "missing_node_type"
    assert (await refused(old, {"prompt": bare}))[0] == "invalid_prompt"


@pytest.mark.parametrize(
    ("change", "at", "kind", "details"),
    [
        ({"6": node("CLIPTextEncode", clip=["4", 1])}, "6", "required_input_missing", "text"),
        ({"6": node("CLIPTextEncode", text="x", clip=["4", 1, 2])}, "6", "bad_linked_input", "clip"),
        ({"6": node("CLIPTextEncode", text="x", clip=["4", 0])}, "6", "return_type_mismatch", "received_type(MODEL)"),
        ({"6": node("CLIPTextEncode", text="x", clip=["44", 1])}, "6", "exception_during_inner_validation", "44"),
        ({"9": node("SaveImage", filename_prefix="x", images=["88", 0])}, "9", "exception_during_validation", "88"),
        ({"5": node("EmptyLatentImage", width="w", height=64, batch_size=1)}, "5", "invalid_input_type", "width, w,"),
        ({"5": node("EmptyLatentImage", width=8, height=64, batch_size=1)}, "5", "value_smaller_than_min", "width"),
        ({"5": node("EmptyLatentImage", width=64, height=64, batch_size=9999)}, "5", "value_bigger_than_max", "batch"),
        ({"4": node("CheckpointLoaderSimple", ckpt_name="x")}, "4", "value_not_in_list", "'x' not in ["),
        (
            {"12": node("LoraLoader", model=["4", 0], clip=["4", 1], lora_name="x", strength_model=1, strength_clip=1),
             "6": node("CLIPTextEncode", text="x", clip=["12", 1])},
            "12", "value_not_in_list", "(list of length 24)",
        ),
        ({**FROM_PICTURE}, "10", "custom_validation_failed", "image - Invalid image file: example.png"),
    ],
)  # fmt: skip
async def test_what_is_wrong_with_a_node(new: Box, change: Any, at: str, kind: str, details: str) -> None:
    answer = await new.post("prompt", {"prompt": small(**change)})
    told = answer.json()
    assert (answer.status_code, told["error"]["type"]) == (400, "prompt_outputs_failed_validation")
    assert list(told["node_errors"]) == [at] and told["node_errors"][at]["dependent_outputs"] == ["9"]
    [error] = told["node_errors"][at]["errors"]
    assert error["type"] == kind and details in error["details"]


async def test_texts_that_are_numbers_and_inputs_nobody_knows_are_taken(new: Box) -> None:
    size = node("EmptyLatentImage", width="64", height=64, batch_size=1, colour="red")
    assert (await new.ended(await new.queued(small(**{"5": size}))))["status"]["completed"]


async def test_a_bad_output_beside_a_good_one_is_left_out(new: Box) -> None:
    answer = await new.post("prompt", {"prompt": small(**{"20": node("SaveImage", images=["8", 0])})})
    assert answer.status_code == 200 and list(answer.json()["node_errors"]) == ["20"]
    entry = await new.ended(answer.json()["prompt_id"])
    assert list(entry["outputs"]) == ["9"] and entry["prompt"][4] == ["9"]


async def test_the_queue_goes_by_number_and_front_goes_first(new: Box) -> None:
    slow = small(**{"6": node("CLIPTextEncode", text="sandbox:slow=60", clip=["4", 1])})
    first = await new.queued(slow)
    await new.running(first)
    late, early = await new.queued(small(), number=10**6), await new.queued(small(), front=True)
    assert (await new.get("prompt")).json() == {"exec_info": {"queue_remaining": 3}}
    pending = {item[1]: item[0] for item in (await new.get("queue")).json()["queue_pending"]}
    assert pending[early] < 0 < pending[late]
    await new.post("interrupt", {"prompt_id": str(uuid.uuid4())})
    assert first in str((await new.get("queue")).json()["queue_running"]), "another's id stops nothing"
    await new.post("queue", {"delete": [late]})
    await new.post("interrupt", None)
    stopped = await new.ended(first)
    assert stopped["status"]["messages"][-1][0] == "execution_interrupted"
    assert (await new.ended(early))["status"]["completed"] and (await new.get(f"history/{late}")).json() == {}


async def test_places_before_it_that_somebody_else_has(new: Box) -> None:
    asked = small(**{"6": node("CLIPTextEncode", text="sandbox:queue=3", clip=["4", 1])})
    job = await new.queued(asked)
    pending = (await new.get("queue")).json()["queue_pending"]
    assert 1 < len(pending) <= 4 and job in str(pending)
    assert (await new.ended(job))["status"]["completed"]


async def test_only_newer_boxes_cancel_in_one_call(new: Box, old: Box) -> None:
    path = f"api/jobs/{uuid.uuid4()}/cancel"
    assert (await new.post(path, None)).json() == {"cancelled": False}
    assert (await old.post(path, None)).status_code == 405


async def test_the_history_can_be_cleared(new: Box) -> None:
    one, two = await new.queued(small()), await new.queued(small())
    await new.ended(one)
    await new.ended(two)
    await new.post("history", {"delete": [one]})
    assert (await new.get(f"history/{one}")).json() == {} != (await new.get(f"history/{two}")).json()
    await new.post("history", {"clear": True})
    assert (await new.get(f"history/{two}")).json() == {}


async def test_uploads_are_told_apart_by_name_and_content(new: Box) -> None:
    async def put(data: bytes, **form: str) -> httpx2.Response:
        return await new.http.post(f"{new.base}/upload/image", files={"image": ("a.png", data, "image/png")}, data=form)

    form = {"subfolder": uuid.uuid4().hex}
    assert (await put(b"one", **form)).json() == {"name": "a.png", "type": "input", **form}
    assert (await put(b"one", **form)).json()["name"] == "a.png"
    assert (await put(b"two", **form)).json()["name"] == "a (1).png"
    assert (await put(b"two", overwrite="true", **form)).json()["name"] == "a.png"
    assert (await put(b"x", subfolder="../..")).status_code == 400
    assert (await new.http.post(f"{new.base}/upload/image", data={"image": "no file"})).status_code == 400
    held = await new.get("view", params={"filename": "a.png", "type": "input", **form})
    assert held.content == b"two"


async def test_what_can_be_asked_about_the_box(new: Box, old: Box) -> None:
    system = (await new.get("system_stats")).json()
    assert system["system"]["comfyui_version"] > (await old.get("system_stats")).json()["system"]["comfyui_version"]
    assert system["devices"][0]["vram_total"] > system["devices"][0]["vram_free"] > 0
    one = (await new.get("object_info/KSampler")).json()["KSampler"]
    assert one["input"]["required"]["steps"] == ["INT", {"default": 20, "min": 1, "max": 10000}]
    assert (await new.get("object_info/Strange")).json() == {} and len((await new.get("object_info")).json()) > 20
    assert (await new.get("nowhere")).status_code == 404


async def test_a_restart_forgets_queue_and_history_but_not_the_files(http: httpx2.AsyncClient, tmp_path: Path) -> None:
    def app() -> Any:
        return create_app(pace=Pace.instant(), workers=0, folder=tmp_path)

    async with serving(app()) as origin:
        box = Box(http, f"{origin}/comfyui")
        done = await box.queued(small())
        [file] = (await box.ended(done))["outputs"]["9"]["images"]
        lost = await box.queued(small(**{"6": node("CLIPTextEncode", text="sandbox:slow=60", clip=["4", 1])}))
        await box.running(lost)
    async with serving(app()) as origin:
        box = Box(http, f"{origin}/comfyui")
        for job in (done, lost):
            assert (await box.get(f"history/{job}")).json() == {}
        assert (await box.get("prompt")).json()["exec_info"]["queue_remaining"] == 0
        assert (await box.get("view", params=file)).status_code == 200
        bill = {line["request_id"]: line["status"] for line in (await http.get(f"{origin}/_bill")).json()["jobs"]}
        assert bill == {done: "done", lost: "failed"}
