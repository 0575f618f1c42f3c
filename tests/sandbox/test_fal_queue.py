"""fal's queue as the fact sheet tells it."""

import asyncio
import io
import itertools
import json
from dataclasses import replace

import httpx2
import pytest
from PIL import Image

from gesso.core.settings import SandboxSettings
from gesso.sandbox.fal.endpoints import ENDPOINTS
from gesso.sandbox.pace import Pace
from tests.sandbox.conftest import SCHNELL, Customer
from tests.sandbox.server import running_sandbox


async def test_a_job_from_submit_to_picture(fal: Customer) -> None:
    submitted = await fal.submit(body=fal.body(num_images=2))
    answer = submitted.json()
    assert submitted.headers["x-fal-request-id"] == answer["request_id"]
    assert answer["status"] == "IN_QUEUE"
    assert answer["queue_position"] == 0
    status = await fal.finish(submitted)
    assert status.json()["metrics"]["inference_time"] >= 0
    assert status.json()["logs"] is None
    assert "error" not in status.json()
    result = await fal.result(submitted)
    output = result.json()
    assert result.headers["x-fal-billable-units"] == "0.012288"
    assert output["seed"] == 7
    assert output["has_nsfw_concepts"] == [False, False]
    assert set(output) == {"images", "timings", "seed", "has_nsfw_concepts", "prompt"}
    assert len(output["images"]) == 2
    for image in output["images"]:
        file = await fal.http.get(image["url"])
        assert file.headers["content-type"] == image["content_type"] == "image/jpeg"
        assert Image.open(io.BytesIO(file.content)).size == (image["width"], image["height"]) == (96, 64)


async def test_the_sub_path_is_dropped_from_the_urls(fal: Customer) -> None:
    body = {"prompt": "dunes", "num_images": 1, "aspect_ratio": "1:1"}
    submitted = await fal.submit("", "fal-ai/flux-pro/v1.1-ultra", body=body)
    answer = submitted.json()
    root = f"{fal.base}/fal-ai/flux-pro/requests/{answer['request_id']}"
    assert (answer["response_url"], answer["status_url"], answer["cancel_url"]) == (
        root,
        f"{root}/status",
        f"{root}/cancel",
    )
    long = f"{fal.base}/fal-ai/flux-pro/v1.1-ultra/requests/{answer['request_id']}"
    assert (await fal.get(f"{long}/status")).status_code == 404
    other = f"{fal.base}/fal-ai/flux/requests/{answer['request_id']}"
    assert (await fal.get(f"{other}/status")).status_code == 404
    await fal.http.put(answer["cancel_url"], headers=fal.auth)


async def test_status_counts_down_and_carries_logs_when_asked() -> None:
    pace = replace(Pace.instant(), queue_step_seconds=0.2, paint_min_seconds=0.6, paint_max_seconds=0.6)
    async with running_sandbox(pace) as origin, httpx2.AsyncClient(trust_env=False, timeout=20) as http:
        fal = Customer(http, origin)
        submitted = await fal.submit("sandbox:queue=3")
        seen = [submitted.json() | {"flag": "0"}]
        assert seen[0]["queue_position"] == 3
        flags = itertools.cycle(("1", "true", "0", "false"))
        while seen[-1]["status"] != "COMPLETED":
            flag = next(flags)
            answer = await fal.get(f"{submitted.json()['status_url']}?logs={flag}")
            seen.append(answer.json() | {"flag": flag})
            assert answer.status_code == (200 if seen[-1]["status"] == "COMPLETED" else 202)
            assert {"request_id", "response_url", "status_url", "cancel_url"} <= set(seen[-1])
            await asyncio.sleep(0.01)
        waiting = [body["queue_position"] for body in seen if body["status"] == "IN_QUEUE"]
        later = [body for body in seen if body["status"] != "IN_QUEUE"]
        assert waiting == sorted(waiting, reverse=True)
        assert len(set(waiting)) > 2
        assert {body["status"] for body in later} == {"IN_PROGRESS", "COMPLETED"}
        for body in later:
            assert isinstance(body["logs"], list) == (body["flag"] in ("1", "true"))
        entry = (await fal.get(f"{submitted.json()['status_url']}?logs=1")).json()["logs"][0]
        assert {"timestamp", "message", "level"} <= set(entry)


async def test_the_status_stream_tells_each_log_once_and_ends(fal: Customer) -> None:
    submitted = await fal.submit("sandbox:queue=2", body=fal.body("sandbox:queue=2", num_images=2))
    events = []
    async with fal.http.stream("GET", submitted.json()["status_url"] + "/stream?logs=1", headers=fal.auth) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        async for line in response.aiter_lines():
            if line.startswith("data: "):
                events.append(json.loads(line[6:]))
    assert events[-1]["status"] == "COMPLETED"
    assert [e["status"] for e in events] == sorted(
        (e["status"] for e in events), key=["IN_QUEUE", "IN_PROGRESS", "COMPLETED"].index
    )
    messages = [log["message"] for e in events for log in e.get("logs") or []]
    assert len(messages) == len(set(messages)) == 3


async def test_a_result_asked_for_too_early_is_400(fal: Customer) -> None:
    submitted = await fal.submit("sandbox:slow=5")
    early = await fal.get(submitted.json()["response_url"])
    assert (early.status_code, early.json()) == (400, {"detail": "Request is still in progress"})
    await fal.http.put(submitted.json()["cancel_url"], headers=fal.auth)


async def test_cancelling_ends_the_job_unbilled(fal: Customer) -> None:
    submitted = await fal.submit("sandbox:slow=30")
    cancelled = await fal.http.put(submitted.json()["cancel_url"], headers=fal.auth)
    assert (cancelled.status_code, cancelled.json()) == (202, {"status": "CANCELLATION_REQUESTED"})
    status = (await fal.finish(submitted)).json()
    assert status["error_type"] == "client_cancelled"
    result = await fal.get(submitted.json()["response_url"])
    assert result.json()["error_type"] == result.headers["x-fal-error-type"] == "client_cancelled"
    line = await fal.bill_line(submitted.json()["request_id"])
    assert (line["status"], line["cost_usd"]) == ("cancelled", 0)
    again = await fal.http.put(submitted.json()["cancel_url"], headers=fal.auth)
    assert (again.status_code, again.json()) == (400, {"status": "ALREADY_COMPLETED"})


async def test_cancelling_an_unknown_request_is_404(fal: Customer) -> None:
    url = f"{fal.base}/fal-ai/flux/requests/11111111-1111-1111-1111-111111111111/cancel"
    answer = await fal.http.put(url, headers=fal.auth)
    assert (answer.status_code, answer.json()) == (404, {"status": "NOT_FOUND"})


async def test_a_cancel_that_is_ignored(fal: Customer) -> None:
    submitted = await fal.submit("sandbox:cancel-ignored sandbox:slow=0.1")
    assert (await fal.http.put(submitted.json()["cancel_url"], headers=fal.auth)).status_code == 202
    result = await fal.result(submitted)
    assert result.status_code == 200
    assert (await fal.bill_line(submitted.json()["request_id"]))["status"] == "done"


async def test_the_direct_call_answers_with_the_output(fal: Customer) -> None:
    answer = await fal.submit("", f"run/{SCHNELL}")
    assert answer.status_code == 200
    assert len(answer.json()["images"]) == 1
    assert answer.headers["x-fal-billable-units"] == "0.006144"
    assert answer.headers["x-fal-request-id"]


async def test_sync_mode_puts_the_picture_into_the_answer(fal: Customer) -> None:
    answer = await fal.submit("", f"run/{SCHNELL}", body=fal.body(sync_mode=True))
    assert answer.json()["images"][0]["url"].startswith("data:image/jpeg;base64,")


@pytest.mark.parametrize(
    ("header", "status", "detail"),
    [
        ("Key someone:wrong", 401, "No user found for Key ID and Secret"),
        ("Key nocolon", 401, "Invalid Key Authorization header format. Expected '<key_id>:<key_secret>'."),
        ("Key :x", 401, "Invalid Key Authorization header format. Expected '<key_id>:<key_secret>'."),
        ("Bearer a:b", 401, "Invalid Key Authorization header format. Expected '<key_id>:<key_secret>'."),
    ],
)
async def test_bad_keys(fal: Customer, header: str, status: int, detail: str) -> None:
    answer = await fal.submit(headers={"Authorization": header})
    assert (answer.status_code, answer.json()) == (status, {"detail": detail})
    assert (await fal.http.post(f"{fal.base}/{SCHNELL}", json=fal.body())).status_code == 401


async def test_strangers_see_nothing(fal: Customer, http: httpx2.AsyncClient, origin: str) -> None:
    submitted = await fal.submit()
    stranger = Customer(http, origin)
    for tail in ("status_url", "response_url"):
        assert (await stranger.get(submitted.json()[tail])).status_code == 404
    assert (await stranger.http.put(submitted.json()["cancel_url"], headers=stranger.auth)).status_code == 404


@pytest.mark.parametrize("path", ["fal-ai/flux/dev", "fal-ai/unknown", "workflows/a/b", "x", "storage/nothing"])
async def test_unknown_endpoints_are_404(fal: Customer, path: str) -> None:
    answer = await fal.submit("", path)
    assert (answer.status_code, answer.json()) == (404, {"detail": f"Path /{path} not found"})


async def test_a_start_deadline_that_passes(fal: Customer) -> None:
    submitted = await fal.submit("sandbox:queue=50", headers={"X-Fal-Request-Timeout": "0.05"})
    result = await fal.result(submitted)
    assert result.status_code == 504
    assert result.json() == {"detail": "Request timed out", "error_type": "request_timeout"}
    assert result.headers["x-fal-request-timeout-type"] == "user"
    for bad in ("0", "soon"):
        assert (await fal.submit(headers={"X-Fal-Request-Timeout": bad})).status_code == 400


async def test_files_live_as_long_as_was_asked(fal: Customer) -> None:
    wish = json.dumps({"expiration_duration_seconds": 0.05})
    submitted = await fal.submit(headers={"X-Fal-Object-Lifecycle-Preference": wish})
    url = (await fal.result(submitted)).json()["images"][0]["url"]
    await asyncio.sleep(0.1)
    assert (await fal.http.get(url)).status_code == 404
    assert (await fal.submit(headers={"X-Fal-Object-Lifecycle-Preference": "1"})).status_code == 400


async def test_the_bill_reconciles_and_keeps_no_key(fal: Customer) -> None:
    body = fal.body(num_images=2)
    submitted = await fal.submit(body=body)
    await fal.finish(submitted)
    line = await fal.bill_line(submitted.json()["request_id"])
    assert line["endpoint"] == SCHNELL
    assert line["units"] == 0.012288
    assert line["cost_micro_usd"] == round(0.012288 * 3000)
    assert line["status"] == "done"
    assert line["key_hint"] == "1234"
    assert len(line["prompt_sha256"]) == 64
    text = (await fal.http.get(f"{fal.origin}/_bill")).text
    assert "good-key" not in text
    assert body["prompt"] not in text
    assert json.loads(text)["totals"]["jobs"] >= 1


async def test_the_bill_can_be_reset() -> None:
    async with running_sandbox() as origin, httpx2.AsyncClient(trust_env=False) as http:
        fal = Customer(http, origin)
        await fal.finish(await fal.submit())
        assert (await http.get(f"{origin}/_bill")).json()["totals"]["by_status"] == {"done": 1}
        assert (await http.delete(f"{origin}/_bill")).status_code == 204
        empty = {"jobs": 0, "cost_usd": 0, "cost_micro_usd": 0, "by_status": {}}
        assert (await http.get(f"{origin}/_bill")).json() == {"jobs": [], "totals": empty}


async def test_one_s_requests_can_be_listed_and_prices_read(fal: Customer) -> None:
    body = fal.body()
    submitted = await fal.submit(body=body)
    await fal.finish(submitted)
    url = f"{fal.base}/v1/models/requests/by-endpoint?endpoint_id={SCHNELL}"
    listed = (await fal.get(url)).json()
    assert [item["request_id"] for item in listed["items"]] == [submitted.json()["request_id"]]
    assert listed["items"][0]["status_code"] == 200
    assert "json_input" not in listed["items"][0]
    full = (await fal.get(f"{url}&expand=payloads")).json()["items"][0]
    assert full["json_input"] == body
    prices = (await fal.get(f"{fal.base}/v1/models/pricing?endpoint_id={SCHNELL}")).json()["prices"]
    assert prices == [{"endpoint_id": SCHNELL, "unit_price": 0.003, "unit": "megapixels", "currency": "USD"}]
    assert (await fal.get(f"{fal.base}/v1/models/pricing?endpoint_id=a/b")).status_code == 404


async def test_the_index_page_names_every_fault_and_endpoint(fal: Customer) -> None:
    page = (await fal.http.get(fal.origin)).text
    for word in ("webhook-forged", "private-redirect", "flaky", "cancel-ignored", *ENDPOINTS):
        assert word in page
    assert (await fal.http.get(f"{fal.origin}/healthz")).json() == {"status": "ok"}


@pytest.mark.parametrize(
    ("text", "low", "high"), [("1", 1.0, 1.0), ("0.8-1.5", 0.8, 1.5), ("2-1", 1.0, 2.0), ("0", 0.0, 0.0)]
)
def test_pace_is_as_the_settings_say(text: str, low: float, high: float) -> None:
    pace = Pace.of(SandboxSettings(queue_seconds=0.1, paint_seconds=text))
    assert (pace.queue_seconds, pace.paint_min_seconds, pace.paint_max_seconds) == (0.1, low, high)
    assert low <= pace.paint_seconds() <= high
