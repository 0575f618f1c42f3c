"""Every fault does what the index page says, wherever it was asked for."""

import io
import json

import httpx2
import pytest
from PIL import Image

from gesso.sandbox.faults import JOB, TRANSPORT, Tally, UnknownFault, from_header, from_prompt, from_secret
from tests.sandbox.conftest import SCHNELL, Customer

BANANA = "fal-ai/nano-banana"


def with_secret(fal: Customer, secret: str) -> Customer:
    return Customer(fal.http, fal.origin, secret)


async def file_of(fal: Customer, fault: str) -> str:
    result = await fal.result(await fal.submit(f"sandbox:{fault}"))
    url: str = result.json()["images"][0]["url"]
    return url


async def test_three_ways_to_ask(fal: Customer) -> None:
    for answer in (
        await fal.submit(headers={"X-Sandbox-Fault": "503"}),
        await with_secret(fal, "fault-503").submit(),
        await fal.submit("sandbox:503"),
    ):
        assert answer.status_code == 503
        assert "nginx" in answer.text
        assert "x-fal-request-id" not in answer.headers


async def test_429_with_and_without_retry_after(fal: Customer) -> None:
    bare = await fal.submit("sandbox:429")
    assert (bare.status_code, bare.json()["error_type"]) == (429, "concurrent_requests_limit")
    assert "retry-after" not in bare.headers
    assert (await fal.submit("sandbox:429=2")).headers["retry-after"] == "2"


async def test_500(fal: Customer) -> None:
    answer = await fal.submit("sandbox:500")
    assert (answer.status_code, answer.json()) == (500, {"detail": "Internal Server Error"})


async def test_flaky_fails_so_often_and_then_works(fal: Customer) -> None:
    body = fal.body("sandbox:flaky=2")
    assert [(await fal.submit(body=body)).status_code for _ in range(4)] == [500, 500, 200, 200]
    assert (await fal.submit("sandbox:flaky=1")).status_code == 500, "counted for each prompt by itself"


async def test_times_end_any_fault_of_the_transport(fal: Customer) -> None:
    body = fal.body("sandbox:429*1=0")
    assert [(await fal.submit(body=body)).status_code for _ in range(2)] == [429, 200]


async def test_times_end_a_fault_of_the_job_too(fal: Customer) -> None:
    body = fal.body("sandbox:fail*1=runner_disconnected")
    assert [(await fal.result(await fal.submit(body=body))).status_code for _ in range(2)] == [503, 200]


async def test_a_fault_can_strike_at_a_later_stage(fal: Customer) -> None:
    submitted = await fal.submit("sandbox:500@status*2 sandbox:503@result*1 sandbox:429@file*1=1")
    url = submitted.json()["status_url"]
    assert [(await fal.get(url)).status_code for _ in range(2)] == [500, 500]
    await fal.finish(submitted)
    response_url = submitted.json()["response_url"]
    assert (await fal.get(response_url)).status_code == 503
    file_url = (await fal.get(response_url)).json()["images"][0]["url"]
    assert [(await fal.http.get(file_url)).status_code for _ in range(2)] == [429, 200]


async def test_a_header_strikes_the_request_that_carries_it(fal: Customer) -> None:
    submitted = await fal.submit()
    url = submitted.json()["status_url"]
    assert (await fal.get(url, **{"X-Sandbox-Fault": "500"})).status_code == 500
    assert (await fal.get(url)).status_code in (200, 202)


async def test_drop_before_and_after_the_job_was_taken(fal: Customer) -> None:
    before, after = fal.body("sandbox:drop-before"), fal.body("sandbox:drop")
    for body in (before, after):
        with pytest.raises(httpx2.RemoteProtocolError):
            await fal.submit(body=body)
    listed = await fal.get(f"{fal.base}/v1/models/requests/by-endpoint?endpoint_id={SCHNELL}&expand=payloads")
    assert [item["json_input"]["prompt"] for item in listed.json()["items"]] == [after["prompt"]]


async def test_hang_says_nothing(fal: Customer) -> None:
    with pytest.raises(httpx2.ReadTimeout):
        await fal.submit("sandbox:hang", timeout=0.3)
    with pytest.raises(httpx2.RemoteProtocolError):
        await fal.submit("sandbox:hang=0.1")


async def test_malformed_answers(fal: Customer) -> None:
    answer = await fal.submit("sandbox:malformed")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer.text)


async def test_422_at_submit_and_late(fal: Customer) -> None:
    listed = await fal.submit("sandbox:422")
    assert (listed.status_code, listed.json()["detail"][0]["type"]) == (422, "value_error")
    text = await fal.submit("sandbox:422=string")
    assert (text.status_code, type(text.json()["detail"])) == (422, str)
    late = await fal.submit("sandbox:422-late")
    assert (await fal.finish(late)).json()["error"]
    assert (await fal.get(late.json()["response_url"])).status_code == 422


@pytest.mark.parametrize("endpoint", [SCHNELL, BANANA])
async def test_safety(fal: Customer, endpoint: str) -> None:
    submitted = await fal.submit("", endpoint, body={"prompt": "dunes sandbox:safety"})
    status = (await fal.finish(submitted)).json()
    assert status["error_type"] == "content_policy_violation"
    result = await fal.get(submitted.json()["response_url"])
    assert result.status_code == 422
    assert result.headers["x-fal-error-type"] == "content_policy_violation"
    assert result.headers["x-fal-retryable"] == "false"
    assert result.headers["x-fal-billable-units"] == "0"
    assert (await fal.bill_line(submitted.json()["request_id"]))["cost_usd"] == 0


async def test_nsfw_flags_one_picture_of_several(fal: Customer) -> None:
    result = await fal.result(await fal.submit(body=fal.body("sandbox:nsfw=1", num_images=3)))
    assert result.json()["has_nsfw_concepts"] == [False, True, False]
    file = await fal.http.get(result.json()["images"][1]["url"])
    assert Image.open(io.BytesIO(file.content)).convert("L").getextrema() == (0, 0)
    only = await fal.result(await fal.submit("sandbox:nsfw"))
    assert only.json()["has_nsfw_concepts"] == [True]
    unchecked = fal.body("sandbox:nsfw", enable_safety_checker=False)
    assert (await fal.result(await fal.submit(body=unchecked))).json()["has_nsfw_concepts"] == [False]
    refused = await fal.result(await fal.submit("", BANANA, body={"prompt": "dunes sandbox:nsfw"}))
    assert refused.json()["detail"][0]["type"] == "content_policy_violation"


async def test_flags_can_be_missing_and_pictures_too(fal: Customer) -> None:
    assert "has_nsfw_concepts" not in (await fal.result(await fal.submit("sandbox:no-flag"))).json()
    fewer = (await fal.result(await fal.submit(body=fal.body("sandbox:fewer", num_images=3)))).json()
    assert len(fewer["images"]) == len(fewer["has_nsfw_concepts"]) == 2


@pytest.mark.parametrize(("fault", "reason"), [("no-credit", "Exhausted balance"), ("locked", "Admin lock")])
async def test_a_locked_account_may_still_look(fal: Customer, fault: str, reason: str) -> None:
    submitted = await fal.submit()
    locked = with_secret(fal, f"fault-{fault}")
    key_id = fal.auth["Authorization"].split()[1].split(":")[0]
    locked.auth = {"Authorization": f"Key {key_id}:fault-{fault}"}
    refused = await locked.submit()
    assert refused.status_code == 403
    assert refused.json()["detail"].startswith("User is locked. Reason: ")
    assert reason in refused.json()["detail"]
    assert (await locked.http.post(f"{fal.base}/storage/auth/token", headers=locked.auth)).status_code == 403
    assert (await locked.get(submitted.json()["status_url"])).status_code in (200, 202)


@pytest.mark.parametrize(
    ("argument", "status", "retryable"),
    [
        ("", 500, "false"),
        ("=downstream_service_unavailable", 500, "true"),
        ("=downstream_service_error", 400, "false"),
        ("=no_media_generated", 422, "false"),
        ("=generation_timeout", 504, "false"),
        ("=runner_disconnected", 503, "true"),
        ("=startup_timeout", 504, "false"),
    ],
)
async def test_fail_ends_completed_with_an_error(fal: Customer, argument: str, status: int, retryable: str) -> None:
    submitted = await fal.submit(f"sandbox:fail{argument}")
    told = (await fal.finish(submitted)).json()
    kind = argument[1:] or "internal_server_error"
    assert told["error_type"] == kind
    result = await fal.get(submitted.json()["response_url"])
    assert result.status_code == status
    assert result.headers["x-fal-error-type"] == kind
    assert result.headers["x-fal-retryable"] == retryable
    flat = isinstance(result.json()["detail"], str)
    assert flat == ("error_type" in result.json()), "two shapes, never a mixture"
    assert (await fal.bill_line(submitted.json()["request_id"]))["status"] == "failed"


async def test_timeout(fal: Customer) -> None:
    result = await fal.result(await fal.submit("sandbox:timeout"))
    assert (result.status_code, result.headers["x-fal-request-timeout-type"]) == (504, "user")


async def test_files_that_are_not_what_they_should_be(fal: Customer) -> None:
    assert (await fal.http.get(await file_of(fal, "gone"))).status_code == 404
    page = await fal.http.get(await file_of(fal, "wrong-bytes"))
    assert page.headers["content-type"] == "image/jpeg"
    assert page.text.startswith("<!doctype html>")
    cut = await fal.http.get(await file_of(fal, "truncated"))
    with pytest.raises(OSError, match="truncated"):
        Image.open(io.BytesIO(cut.content)).load()
    away = await fal.http.get(await file_of(fal, "private-redirect"), follow_redirects=False)
    assert (away.status_code, away.headers["location"]) == (302, "http://169.254.169.254/latest/meta-data/")
    assert (await file_of(fal, "private-url")).startswith("http://169.254.169.254/")
    with pytest.raises(httpx2.RemoteProtocolError):
        await fal.http.get(await file_of(fal, "drop@file"))


async def test_a_huge_file_is_streamed_without_a_length(fal: Customer) -> None:
    url, size = await file_of(fal, "huge=61"), 0
    async with fal.http.stream("GET", url) as response:
        assert "content-length" not in response.headers
        async for chunk in response.aiter_bytes():
            size += len(chunk)
    assert size > 61_000_000


async def test_a_bomb_is_small_and_unpacks_to_very_much(fal: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    data = (await fal.http.get(await file_of(fal, "bomb"))).content
    assert len(data) < 2_000_000
    with pytest.raises(Image.DecompressionBombError):
        Image.open(io.BytesIO(data))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert Image.open(io.BytesIO(data)).size == (30_000, 30_000)


@pytest.mark.parametrize("text", ["nonsense", "500@nowhere", "429=soon", "slow=-1", "="])
async def test_faults_that_do_not_exist_are_told(fal: Customer, text: str) -> None:
    answer = await fal.submit(headers={"X-Sandbox-Fault": text})
    assert answer.status_code == 400
    assert "sandbox" in answer.json()["detail"].lower() or "stage" in answer.json()["detail"].lower()


def test_faults_are_found_in_prose() -> None:
    found = from_prompt("A fox, sandbox:slow=3. And Sandbox:Drop; sandbox:500@status*2=1")
    assert [(f.name, f.stage, f.times, f.argument) for f in found] == [
        ("slow", "submit", None, "3"),
        ("drop", "submit", None, None),
        ("500", "status", 2, "1"),
    ]
    assert not list(from_prompt("a sandbox: full of sand, mysandbox:drop"))
    assert not list(from_secret("default-secret"))
    assert [f.stage for f in from_header("500, 429@file=3", "result")] == ["result", "file"]
    with pytest.raises(UnknownFault):
        from_secret("fault-")


def test_every_fault_can_be_asked_for() -> None:
    for name in {*TRANSPORT, *JOB}:
        assert list(from_prompt(f"x sandbox:{name} y"))


def test_the_tally_is_bounded() -> None:
    tally, (fault,) = Tally(), from_prompt("sandbox:500*1")
    assert tally.strikes(fault, "first")
    for i in range(2_000):
        tally.strikes(fault, str(i))
    assert tally.strikes(fault, "first"), "the oldest count was dropped"
