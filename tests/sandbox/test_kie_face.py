"""kie.ai's stand-in, line by line of the fact sheet's checklist, as a client of its own sees it."""

import asyncio
import base64
import hashlib
import hmac
import json
import uuid
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gesso.sandbox.app import create_app
from gesso.sandbox.pace import Pace
from tests.providers.loopback import Reply, Seen, loopback
from tests.sandbox.server import serving

CHAT = {"messages": [{"role": "user", "content": "Hello"}]}


class Customer:
    """Somebody with a key of their own."""

    def __init__(self, http: httpx2.AsyncClient, origin: str, key: str | None = None) -> None:
        self.http, self.base = http, f"{origin}/kie"
        self.auth = {"Authorization": f"Bearer {key or uuid.uuid4().hex}"}

    async def post(self, path: str, body: Any, **headers: str) -> httpx2.Response:
        return await self.http.post(f"{self.base}/{path}", json=body, headers=self.auth | headers)

    async def get(self, path: str, **headers: str) -> Any:
        return (await self.http.get(f"{self.base}/{path}", headers=self.auth | headers)).json()

    async def create(self, words: str = "", callback: str | None = None, **more: Any) -> httpx2.Response:
        given = {"prompt": f"dunes {uuid.uuid4().hex} sandbox:small {words}", "aspect_ratio": "1:1", **more}
        body = {"model": "z-image", "input": given} | ({"callBackUrl": callback} if callback else {})
        return await self.post("api/v1/jobs/createTask", body)

    async def ended(self, created: httpx2.Response) -> dict[str, Any]:
        task = created.json()["data"]["taskId"]
        async with asyncio.timeout(30):
            while True:
                told = (await self.get(f"api/v1/jobs/recordInfo?taskId={task}"))["data"]
                if told["state"] in ("success", "fail"):
                    return dict(told)
                await asyncio.sleep(0.01)


@pytest.fixture
def customer(http: httpx2.AsyncClient, origin: str) -> Customer:
    return Customer(http, origin)


async def test_a_task_walks_through_its_states(customer: Customer) -> None:
    created = await customer.create("sandbox:queue=20 sandbox:slow=0.3")
    task = created.json()["data"]["taskId"]
    seen: list[str] = []
    async with asyncio.timeout(30):
        while not seen or seen[-1] not in ("success", "fail"):
            told = (await customer.get(f"api/v1/jobs/recordInfo?taskId={task}"))["data"]
            if told["state"] not in seen:
                seen.append(told["state"])
            assert (told["resultJson"] == "") == (told["state"] != "success")
            await asyncio.sleep(0.01)
    assert seen[-3:] == ["queuing", "generating", "success"] and set(seen) <= {"waiting", *seen[-3:]}
    assert json.loads(told["param"])["input"]["aspect_ratio"] == "1:1"
    (url,) = json.loads(told["resultJson"])["resultUrls"]
    assert told["completeTime"] > told["createTime"] > 1_700_000_000_000 and told["creditsConsumed"] == 0.8
    assert (await customer.http.get(url)).headers["content-type"] == "image/png"
    assert (await Customer(customer.http, customer.base[:-4]).get(f"api/v1/jobs/recordInfo?taskId={task}"))[
        "code"
    ] == 404


@pytest.mark.parametrize(
    ("words", "code"),
    [("no-credit", 402), ("422", 422), ("429", 429), ("capped", 433), ("blind", 451), ("maintenance", 455),
     ("500", 500), ("disabled", 505)],
)  # fmt: skip
async def test_envelope_errors_in_both_http_modes(customer: Customer, words: str, code: int) -> None:
    usual = await customer.create(f"sandbox:{words}")
    assert (usual.status_code, usual.json()["code"], usual.json()["data"]) == (200, code, None)
    other = await customer.create(f"sandbox:{words} sandbox:http-errors")
    assert (other.status_code, other.json()["code"]) == (code, code)


@pytest.mark.parametrize(
    ("fault", "code"), [("fail", "501"), ("fail=500", "500"), ("safety", "400"), ("timeout", "408")]
)
async def test_tasks_that_fail_cost_nothing(customer: Customer, fault: str, code: str) -> None:
    told = await customer.ended(await customer.create(f"sandbox:{fault}"))
    assert (told["state"], told["failCode"], told["creditsConsumed"], told["resultJson"]) == ("fail", code, 0, "")
    assert told["failMsg"] and (await customer.get("api/v1/chat/credit"))["data"] == 100_000


async def test_the_balance_falls_and_the_window_closes(customer: Customer) -> None:
    await customer.ended(await customer.create())
    assert (await customer.get("api/v1/chat/credit"))["data"] == 99_999.2
    codes = [(await customer.create("sandbox:fail")).json()["code"] for _ in range(20)]
    assert codes == [200] * 19 + [429]


@pytest.mark.parametrize(
    "body",
    [
        {"model": "z-image"}, {"model": "no/such", "input": {"prompt": "a", "aspect_ratio": "1:1"}},
        {"model": "z-image", "input": {"prompt": "a"}}, {"model": "flux-kontext-pro", "input": {"prompt": "a"}},
        {"model": "z-image", "input": {"prompt": "x" * 1001, "aspect_ratio": "1:1"}},
        {"model": "z-image", "input": {"prompt": "a", "aspect_ratio": "1:1", "steps": 2}},
        {"model": "z-image", "input": {"prompt": "a", "aspect_ratio": "7:1"}},
        {"model": "z-image", "input": {"prompt": "a", "aspect_ratio": "1:1"}, "callback": "https://x"},
        {"model": "z-image", "input": {"prompt": "a", "aspect_ratio": "1:1"}, "callBackUrl": "x"},
        {"model": "bytedance/seedream-v4-text-to-image", "input": {"prompt": "a", "max_images": "2"}},
        {"model": "seedream/4.5-edit", "input": {"prompt": "a", "aspect_ratio": "1:1", "quality": "basic",
                                                 "image_urls": []}},
    ],
)  # fmt: skip
async def test_requests_are_checked_strictly(customer: Customer, body: dict[str, Any]) -> None:
    assert (await customer.post("api/v1/jobs/createTask", body)).json()["code"] == 422


async def test_nobody_without_a_key(http: httpx2.AsyncClient, origin: str) -> None:
    wrong = Customer(http, origin, "wrong")
    assert await wrong.get("api/v1/chat/credit") == {
        "code": 401, "msg": "You do not have access permissions", "data": None,
    }  # fmt: skip
    assert (await http.get(f"{origin}/kie/api/v1/chat/credit", headers={"X-Sandbox-Fault": "http-errors"}))\
        .status_code == 401  # fmt: skip
    assert (await wrong.post("gemini-3-pro/v1/chat/completions", CHAT)).json()["error"][
        "type"
    ] == "authentication_error"


@pytest.mark.parametrize(
    ("fault", "knocks", "fits"),
    [("slow=0", 1, True), ("webhook-duplicate", 2, True), ("webhook-late=0.2", 1, True), ("webhook-forged", 1, False),
     ("webhook-unsigned", 1, None), ("webhook-never", 0, None), ("fail", 1, True)],
)  # fmt: skip
async def test_callbacks(customer: Customer, fault: str, knocks: int, fits: bool | None) -> None:
    heard: asyncio.Queue[Seen] = asyncio.Queue()

    def hear(seen: Seen) -> Reply:
        heard.put_nowait(seen)
        return Reply(200)

    async with loopback(hear) as ear:
        created = await customer.create(f"sandbox:{fault}", callback=f"{ear.url}/hook")
        told = await customer.ended(created)
        seen = [await asyncio.wait_for(heard.get(), 10) for _ in range(knocks)]
        await asyncio.sleep(0.1)
        assert heard.empty()
    for knock in seen:
        body, headers = knock.json(), knock.headers
        assert (body["code"], body["data"]["taskId"]) == (501 if fault == "fail" else 200, told["taskId"])
        assert body["data"]["resultJson"] == (told["resultJson"] or None)
        message = f"{told['taskId']}.{headers.get('x-webhook-timestamp')}".encode()
        wanted = base64.b64encode(hmac.new(b"sandbox-webhook-key", message, hashlib.sha256).digest()).decode()
        given = headers.get("x-webhook-signature")
        assert (given == wanted if given else None) == fits


async def test_uploads_in_three_ways_and_download_addresses(customer: Customer) -> None:
    data = base64.b64encode(b"some bytes").decode()
    inline = {"base64Data": f"data:image/png;base64,{data}", "uploadPath": "a/b", "fileName": "c.png"}
    stored = (await customer.post("api/file-base64-upload", inline)).json()
    assert stored["success"] and stored["code"] == 200 and stored["data"]["mimeType"] == "image/png"
    url = stored["data"]["downloadUrl"]
    again = await customer.post("api/file-url-upload", {"fileUrl": url, "uploadPath": "d"})
    assert (await customer.http.get(again.json()["data"]["downloadUrl"])).content == b"some bytes"
    files, form = {"file": ("x.png", b"other bytes", "image/png")}, {"uploadPath": "a/b", "fileName": "c.png"}
    await customer.http.post(f"{customer.base}/api/file-stream-upload", files=files, data=form, headers=customer.auth)
    assert (await customer.http.get(url)).content == b"other bytes", "a repeated name overwrites"
    assert (await customer.post("api/file-url-upload", {"fileUrl": "https://x/", "uploadPath": "d"})).json()[
        "code"
    ] == 400
    result = json.loads((await customer.ended(await customer.create()))["resultJson"])["resultUrls"][0]
    temporary = (await customer.post("api/v1/common/download-url", {"url": result})).json()["data"]
    assert temporary != result
    assert (await customer.http.get(temporary)).content == (await customer.http.get(result)).content
    foreign = await customer.post("api/v1/common/download-url", {"url": "https://elsewhere/x.png"})
    assert foreign.json()["code"] == 422
    expired = json.loads((await customer.ended(await customer.create("sandbox:gone")))["resultJson"])["resultUrls"][0]
    assert (await customer.http.get(expired)).status_code == 404


async def test_chat_streams_unless_it_is_told_not_to(customer: Customer) -> None:
    streamed = await customer.post("gemini-3-pro/v1/chat/completions", CHAT)
    assert streamed.headers["content-type"].startswith("text/event-stream")
    *chunks, done = [line.removeprefix("data: ") for line in streamed.text.splitlines() if line]
    last = json.loads(chunks[-1])
    assert done == "[DONE]" and last["choices"][0]["finish_reason"] == "stop" and last["credits_consumed"] > 0
    whole = (await customer.post("gemini-3-pro/v1/chat/completions", CHAT | {"stream": False})).json()
    text = "".join(json.loads(chunk)["choices"][0]["delta"].get("content", "") for chunk in chunks)
    assert whole["choices"][0]["message"]["content"] == text and whole["usage"]["completion_tokens"] > 0
    assert (await customer.get("api/v1/chat/credit"))["data"] < 100_000
    for body in (CHAT | {"reasoning_effort": "medium"}, CHAT | {"top_k": 1}, {}):
        refused = await customer.post("gemini-3-pro/v1/chat/completions", body)
        assert (refused.status_code, refused.json()["error"]["type"]) == (400, "invalid_request_error")
    schema = {"response_format": {"type": "json_object"}}
    assert (await customer.post("gemini-3-flash/v1/chat/completions", CHAT | schema)).status_code == 400
    assert (await customer.post("no-such/v1/chat/completions", CHAT)).json()["code"] == 404


async def test_tasks_files_and_balance_outlive_the_process(http: httpx2.AsyncClient, tmp_path: Path) -> None:
    async with serving(create_app(pace=Pace.instant(), workers=0, folder=tmp_path)) as origin:
        ada = Customer(http, origin, "ada")
        done = await ada.ended(await ada.create())
        begun = (await ada.create("sandbox:slow=30")).json()["data"]["taskId"]
    async with serving(create_app(pace=Pace.instant(), workers=0, folder=tmp_path)) as origin:
        ada = Customer(http, origin, "ada")
        told = (await ada.get(f"api/v1/jobs/recordInfo?taskId={done['taskId']}"))["data"]
        assert told["state"] == "success" and (await ada.get("api/v1/chat/credit"))["data"] == 99_999.2
        path = json.loads(told["resultJson"])["resultUrls"][0].partition("/kie/")[2]
        assert (await http.get(f"{origin}/kie/{path}")).status_code == 200
        assert (await ada.get(f"api/v1/jobs/recordInfo?taskId={begun}"))["data"]["state"] in (
            "waiting", "queuing", "generating",
        )  # fmt: skip
