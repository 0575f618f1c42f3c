"""The OpenAI face speaks as the fact sheet says, and refuses what OpenAI refuses."""

import io
import json
import uuid
from pathlib import Path
from typing import Any

import httpx2
import pytest
from PIL import Image

from gesso.sandbox.app import create_app
from gesso.sandbox.pace import Pace
from tests.sandbox.server import serving

MODEL = "gpt-5.4-mini"


class Customer:
    """Somebody with a key of their own."""

    def __init__(self, http: httpx2.AsyncClient, origin: str) -> None:
        self.http, self.base = http, f"{origin}/openai/v1"
        self.auth = {"Authorization": f"Bearer sk-{uuid.uuid4().hex}:good"}

    async def chat(self, words: str = "Hello", **more: Any) -> httpx2.Response:
        body = {"model": MODEL, "messages": [{"role": "user", "content": words}], **more}
        return await self.http.post(f"{self.base}/chat/completions", json=body, headers=self.auth)

    async def post(self, path: str, **options: Any) -> httpx2.Response:
        return await self.http.post(f"{self.base}/{path}", headers=self.auth, **options)

    async def get(self, path: str, **headers: str) -> httpx2.Response:
        return await self.http.get(f"{self.base}/{path}", headers=self.auth | headers)


@pytest.fixture
def customer(http: httpx2.AsyncClient, origin: str) -> Customer:
    return Customer(http, origin)


def error(answer: httpx2.Response, status: int = 400) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["x-request-id"].startswith("req_")
    told: dict[str, Any] = answer.json()["error"]
    assert set(told) == {"message", "type", "param", "code"}
    return told


def png(width: int = 64, height: int = 64) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(out, "PNG")
    return out.getvalue()


LOOSE = {
    "type": "json_schema",
    "json_schema": {"name": "a", "strict": True, "schema": {"type": "object", "properties": {}}},
}


def seen(url: str) -> dict[str, Any]:
    """A turn with a picture."""
    return {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]}


async def test_keys_and_models(customer: Customer) -> None:
    listed = (await customer.get("models")).json()
    assert listed["object"] == "list"
    assert {"gpt-image-2", MODEL} <= {model["id"] for model in listed["data"]}
    assert (await customer.get(f"models/{MODEL}")).json()["id"] == MODEL
    assert error(await customer.get("models/nothing"), 404)["code"] == "model_not_found"
    assert error(await customer.get("models", Authorization="Bearer wrong"), 401)["code"] == "invalid_api_key"
    assert error(await customer.get("models", Authorization="Basic abc"), 401)
    assert error(await customer.get("elsewhere"), 404)


async def test_a_whole_answer_and_a_streamed_one_are_the_same(customer: Customer) -> None:
    whole = (await customer.chat()).json()
    (choice,) = whole["choices"]
    assert (choice["finish_reason"], choice["message"]["refusal"]) == ("stop", None)
    streamed = await customer.chat(stream=True, stream_options={"include_usage": True})
    assert streamed.headers["content-type"].startswith("text/event-stream")
    *events, done = [line[6:] for line in streamed.text.splitlines() if line.startswith("data: ")]
    assert done == "[DONE]"
    chunks = [json.loads(event) for event in events]
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == whole["usage"]
    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks[:-1])
    assert text == choice["message"]["content"]
    assert "usage" not in (await customer.chat(stream=True)).text


@pytest.mark.parametrize(
    ("more", "code", "param"),
    [
        ({"colour": "red"}, "unknown_parameter", "colour"),
        ({"messages": []}, "invalid_value", "messages"),
        ({"messages": [{"role": "user"}]}, "missing_required_parameter", "messages[0].content"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "invalid_value", "messages[0].role"),
        ({"max_completion_tokens": "9"}, "invalid_type", "max_completion_tokens"),
        ({"max_tokens": 9}, "unsupported_parameter", "max_tokens"),
        ({"temperature": 0.5}, "unsupported_value", "temperature"),
        ({"response_format": {"type": "json_schema"}}, "missing_required_parameter", "response_format.json_schema"),
        ({"response_format": LOOSE}, "invalid_json_schema", "response_format"),
        ({"response_format": {"type": "json_object"}}, None, "messages"),
        ({"stream_options": {"include_usage": True}}, None, "stream_options"),
        (seen("https://x/a.png"), "invalid_image_url", "messages"),
        (seen("data:image/png;base64,AAAA"), "invalid_image_format", None),
    ],
)  # fmt: skip
async def test_chat_is_strict(customer: Customer, more: dict[str, Any], code: str | None, param: str | None) -> None:
    told = error(await customer.chat(**more))
    assert (told["code"], told["param"]) == (code, param)


async def test_an_unknown_model_and_a_body_that_is_none(customer: Customer) -> None:
    assert error(await customer.chat(model="gpt-image-2"), 404)["code"] == "model_not_found"
    headers = {**customer.auth, "Content-Type": "application/json"}
    assert error(await customer.http.post(f"{customer.base}/chat/completions", content=b"{", headers=headers))
    assert error(await customer.post("chat/completions", data={"model": MODEL}))
    assert "sandbox's index page" in error(await customer.chat("sandbox:nonsense"))["message"]


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"response_format": "b64_json"}, "response_format"), ({"style": "vivid"}, "style"),
        ({"quality": "hd"}, "quality"),
        ({"size": "1000x1000"}, "size"), ({"size": "3200x1040"}, "size"), ({"n": 11}, "n"),
        ({"background": "transparent", "output_format": "jpeg"}, "background"), ({"quality": "max"}, "quality"),
        ({"model": "gpt-image-1.5", "size": "64x64"}, "size"), ({"input_fidelity": "high"}, "input_fidelity"),
        ({"prompt": ""}, "prompt"), ({"complexity": "low"}, "complexity"),
    ],
)  # fmt: skip
async def test_pictures_are_strict(customer: Customer, more: dict[str, Any], param: str) -> None:
    body = {"model": "gpt-image-2", "prompt": "a harbour", **more}
    assert error(await customer.post("images/generations", json=body))["param"] == param


async def test_edits_want_a_form_with_pictures(customer: Customer) -> None:
    fields = {"model": "gpt-image-2", "prompt": "a harbour", "size": "64x64", "n": "2"}
    assert error(await customer.post("images/edits", json=fields))
    nothing = [("note", ("", b"x", "text/plain"))]
    assert error(await customer.post("images/edits", data=fields, files=nothing))["param"] == "image"
    twice = [("image", ("a.png", png(), "image/png"))] * 2
    assert error(await customer.post("images/edits", data=fields, files=twice))["code"] == "duplicate_parameter"
    gif = [("image", ("a.gif", b"GIF89a", "image/gif"))]
    assert error(await customer.post("images/edits", data=fields, files=gif))["code"] == "unsupported_file"
    broken = [("image", ("a.png", b"not a picture", "image/png"))]
    assert error(await customer.post("images/edits", data=fields, files=broken))["code"] == "invalid_image_file"
    good = [("image[]", ("a.png", png(), "image/png"))] * 2
    answer = (await customer.post("images/edits", data=fields, files=good)).json()
    assert len(answer["data"]) == 2
    assert answer["usage"]["input_tokens_details"]["image_tokens"] == 170


async def test_moderation_answers_one_for_each_text_and_one_for_parts(customer: Customer) -> None:
    texts = (await customer.post("moderations", json={"input": ["fine", "gore"]})).json()["results"]
    assert [one["flagged"] for one in texts] == [False, True]
    parts = [{"type": "text", "text": "fine"}]
    (one,) = (await customer.post("moderations", json={"input": parts})).json()["results"]
    assert one["category_applied_input_types"]["sexual/minors"] == ["text"]
    assert error(await customer.post("moderations", json={"input": 3}))["param"].startswith("input")
    assert error(await customer.post("moderations", json={"input": "x", "model": "gpt-4o"}), 404)


async def test_videos_are_a_form_and_belong_to_whoever_made_them(customer: Customer, http: httpx2.AsyncClient) -> None:
    assert error(await customer.post("videos", json={"prompt": "a boat"}))

    def parts(**fields: str) -> list[tuple[str, tuple[None, str]]]:
        return [(name, (None, value)) for name, value in fields.items()]

    assert error(await customer.post("videos", files=parts(prompt="a", seconds="5")))["param"] == "seconds"
    assert error(await customer.post("videos", files=parts(prompt="a", size="1x1")))["param"] == "size"
    job = (await customer.post("videos", files=parts(prompt="a boat", seconds="4"))).json()
    assert (job["object"], job["status"] in ("queued", "in_progress", "completed")) == ("video", True)
    other = Customer(http, customer.base.removesuffix("/openai/v1"))
    assert error(await other.get(f"videos/{job['id']}"), 404)
    assert [one["id"] for one in (await customer.get("videos")).json()["data"]] == [job["id"]]
    assert error(await customer.get(f"videos/{job['id']}/content?variant=thumbnail"))["param"] == "variant"
    gone = await http.delete(f"{customer.base}/videos/{job['id']}", headers=customer.auth)
    assert gone.json()["deleted"] is True
    assert error(await customer.get(f"videos/{job['id']}"), 404)


async def test_a_video_outlives_the_sandbox(tmp_path: Path, http: httpx2.AsyncClient) -> None:
    slow = Pace(queue_seconds=0, paint_min_seconds=0, paint_max_seconds=0.05)
    async with serving(create_app(pace=slow, workers=0, folder=tmp_path)) as origin:
        first = Customer(http, origin)
        made = await first.post("videos", files=[("prompt", (None, "a boat"))])
    async with serving(create_app(pace=slow, workers=0, folder=tmp_path)) as origin:
        second = Customer(http, origin)
        second.auth = first.auth
        while (job := (await second.get(f"videos/{made.json()['id']}")).json())["status"] != "completed":
            assert job["status"] in ("queued", "in_progress")
        lines = (await http.get(f"{origin}/_bill")).json()["jobs"]
    assert [(line["request_id"], line["status"]) for line in lines] == [(job["id"], "done")]
