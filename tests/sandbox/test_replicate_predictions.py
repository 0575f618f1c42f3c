"""Predictions as Replicate's customers see them: their three ways in, their life, the list, and every refusal."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

SDXL_VERSION = "39ed52f2a78e934b3ba6e2a89f5b1c712de7dfea535525255b1aa35c5565e08b"
SCHNELL = "models/black-forest-labs/flux-schnell/predictions"
ENDED = ("succeeded", "failed", "canceled", "aborted")


class Customer:
    """Somebody with a token of their own; every prompt is made unique, so that counted faults do not mix."""

    def __init__(self, http: httpx2.AsyncClient, origin: str) -> None:
        self.http, self.base = http, f"{origin}/replicate/v1"
        self.auth = {"Authorization": f"Bearer r8_{uuid.uuid4().hex}"}

    async def create(
        self, words: str = "", *, path: str = "predictions", headers: dict[str, str] | None = None, **body: Any
    ) -> httpx2.Response:
        """SDXL by version, small, unless the body says otherwise."""
        prompt = f"dunes {uuid.uuid4().hex} {words}"
        usual: dict[str, Any] = {"input": {"prompt": prompt, "width": 64, "height": 64, "seed": 7}}
        if path == "predictions":
            usual["version"] = SDXL_VERSION
        if path == SCHNELL:
            usual["input"] = {"prompt": prompt, "megapixels": "0.25"}
        sent = {name: value for name, value in {**usual, **body}.items() if value is not None}
        return await self.http.post(f"{self.base}/{path}", json=sent, headers=self.auth | (headers or {}))

    async def get(self, url: str) -> httpx2.Response:
        return await self.http.get(url if "://" in url else f"{self.base}/{url}", headers=self.auth)

    async def finish(self, created: httpx2.Response) -> dict[str, Any]:
        """The prediction once it has ended."""
        assert created.status_code == 201, created.text
        async with asyncio.timeout(30):
            while (told := (await self.get(created.json()["urls"]["get"])).json())["status"] not in ENDED:
                await asyncio.sleep(0.01)
        return dict(told)


@pytest.fixture
def customer(http: httpx2.AsyncClient, origin: str) -> Customer:
    return Customer(http, origin)


async def test_a_prediction_lives_from_starting_to_succeeded(customer: Customer) -> None:
    created = await customer.create("sandbox:slow=2")
    fresh = created.json()
    assert (created.status_code, fresh["status"]) == (201, "starting")
    assert not {"output", "started_at", "completed_at", "metrics", "webhook"} & fresh.keys()
    assert len(fresh["id"]) == 26 and fresh["id"].isalnum() and fresh["id"].islower()
    assert (fresh["model"], fresh["version"]) == ("stability-ai/sdxl", SDXL_VERSION)
    assert created.headers["ratelimit-remaining"].isdigit()
    seen: list[tuple[str, int]] = []
    async with asyncio.timeout(30):
        while (told := (await customer.get(fresh["urls"]["get"])).json())["status"] not in ENDED:
            seen.append((told["status"], told["logs"].count("it/s]")))
            await asyncio.sleep(0.05)
    assert {status for status, _ in seen} >= {"processing"} and len({bars for _, bars in seen}) > 2
    assert [bars for _, bars in seen] == sorted(bars for _, bars in seen)
    assert told["status"] == "succeeded" and told["logs"].startswith("Using seed: 7\n")
    assert [url.rpartition("/")[2] for url in told["output"]] == ["out-0.png"]
    assert told["metrics"]["predict_time"] > 0 and told["completed_at"].endswith("Z")
    picture = await customer.http.get(told["output"][0])
    assert picture.headers["content-type"] == "image/png"


async def test_one_string_or_a_list(customer: Customer) -> None:
    many = await customer.finish(await customer.create(path=SCHNELL))
    assert isinstance(many["output"], list) and many["version"] == "hidden"
    path = "models/black-forest-labs/flux-1.1-pro/predictions"
    given = {"prompt": "a", "aspect_ratio": "custom", "width": 256, "height": 256}
    assert isinstance((await customer.finish(await customer.create(path=path, input=given)))["output"], str)


async def test_waiting_answers_with_the_files_before_the_status(customer: Customer) -> None:
    waited = await customer.create(headers={"Prefer": "wait=30"})
    assert (waited.status_code, waited.headers["preference-applied"]) == (201, "wait=30")
    assert waited.json()["output"][0].startswith("data:image/png;base64,")
    assert waited.json()["status"] == "processing" and "metrics" not in waited.json()
    assert (await customer.finish(waited))["output"][0].startswith("http")
    early = await customer.create("sandbox:slow=20", headers={"Prefer": "wait=1"})
    assert early.status_code == 202 and "output" not in early.json()
    for wrong in ("wait=0", "wait=61", "respond-async"):
        assert (await customer.create(headers={"Prefer": wrong})).status_code == 422


async def test_deadlines(customer: Customer) -> None:
    late = await customer.create("sandbox:slow=60", headers={"Cancel-After": "5s"})
    created = datetime.fromisoformat(late.json()["created_at"])
    wanted = datetime.fromisoformat(late.json()["deadline"].replace("000Z", "Z"))
    assert timedelta(seconds=4.9) < wanted - created < timedelta(seconds=5.1)
    assert (await customer.finish(await customer.create("sandbox:timeout")))["status"] == "aborted"
    for wrong in ("soon", "1s", "-5m", "5d"):
        assert (await customer.create(headers={"Cancel-After": wrong})).status_code == 422
    assert (await customer.finish(late))["status"] == "canceled"


async def test_cancel(customer: Customer) -> None:
    running = await customer.create("sandbox:slow=60")
    url = running.json()["urls"]["cancel"]
    stopped = await customer.http.post(url, headers=customer.auth)
    assert (stopped.status_code, stopped.json()["status"], stopped.json()["output"]) == (200, "canceled", None)
    assert "metrics" in stopped.json()
    again = await customer.http.post(url, headers=customer.auth)
    assert (again.status_code, again.json()["status"]) == (200, "canceled")
    assert (
        await customer.http.post(url.replace("/predictions/", "/predictions/x"), headers=customer.auth)
    ).status_code == 404


async def test_data_go_after_their_time(customer: Customer) -> None:
    told = await customer.finish(await customer.create("sandbox:removed=1"))
    url = told["output"][0]
    async with asyncio.timeout(20):
        while not (gone := (await customer.get(told["urls"]["get"])).json())["data_removed"]:
            await asyncio.sleep(0.1)
    assert (gone["status"], gone["output"], gone["input"], gone["logs"]) == ("succeeded", None, {}, "")
    assert (await customer.http.get(url)).status_code == 404


async def test_the_list_is_ones_own_in_pages(customer: Customer, http: httpx2.AsyncClient, origin: str) -> None:
    before = datetime.now(UTC)
    ids = [(await customer.create("sandbox:slow=60")).json()["id"] for _ in range(3)]
    page = (await customer.get("predictions")).json()
    assert [entry["id"] for entry in page["results"]] == ids[::-1]
    assert page["next"] is page["previous"] is None
    shifted = (await customer.get("predictions?cursor=1")).json()
    assert [entry["id"] for entry in shifted["results"]] == ids[1::-1]
    future = (before + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    assert (await customer.get(f"predictions?created_after={future}")).json()["results"] == []
    assert len((await customer.get(f"predictions?created_before={future}")).json()["results"]) == 3
    assert (await customer.get("predictions?created_after=soon")).status_code == 400
    stranger = Customer(http, origin)
    assert (await stranger.get("predictions")).json()["results"] == []
    assert (await stranger.get(f"predictions/{ids[0]}")).status_code == 404


async def test_refusals(customer: Customer) -> None:
    for headers in ({"Authorization": ""}, {"Authorization": "Bearer wrong"}, {"Authorization": "Key a:b"}):
        refused = await customer.create(headers=headers)
        assert (refused.status_code, refused.json()["title"]) == (401, "Unauthenticated")
        assert refused.headers["content-type"] == "application/problem+json"
    broke = await customer.create("sandbox:no-credit")
    assert (broke.status_code, broke.json()["title"]) == (402, "Insufficient credit")
    busy = await customer.create("sandbox:429=30")
    assert busy.json()["detail"] == "Request was throttled. Your rate limit resets in ~30s."
    assert (busy.status_code, busy.headers["ratelimit-remaining"], busy.headers["retry-after"]) == (429, "0", "30")
    gateway = await customer.create("sandbox:502")
    assert (gateway.status_code, gateway.headers["content-type"]) == (502, "text/html; charset=utf-8")
    unknown = await customer.create(version="0" * 64)
    assert (unknown.status_code, unknown.json()["title"]) == (422, "Invalid version or not permitted")
    community = await customer.create(path="models/stability-ai/sdxl/predictions")
    assert community.status_code == 404
    for version in (f"stability-ai/sdxl:{SDXL_VERSION}", SDXL_VERSION):
        assert (await customer.create("sandbox:slow=60", version=version)).status_code == 201


@pytest.mark.parametrize(
    ("given", "field", "kind"),
    [({}, "input.prompt", "required"),
     ({"prompt": "a", "num_inference_steps": 9}, "input.num_inference_steps", "number_lte"),
     ({"prompt": "a", "num_outputs": 0}, "input.num_outputs", "number_gte"),
     ({"prompt": "a", "aspect_ratio": "7:1"}, "input.aspect_ratio", "enum"),
     ({"prompt": "a", "steps": 3}, "input.steps", "additional_property_not_allowed"),
     ({"prompt": 5}, "input.prompt", "invalid_type"), ({"prompt": "a", "megapixels": 1}, "input.megapixels", "enum"),
     ({"prompt": "a", "num_outputs": "2"}, "input.num_outputs", "invalid_type")],
)  # fmt: skip
async def test_an_input_that_does_not_fit(customer: Customer, given: dict[str, Any], field: str, kind: str) -> None:
    refused = await customer.create(path=SCHNELL, input=given)
    assert (refused.status_code, refused.json()["title"]) == (422, "Input validation failed")
    (entry,) = refused.json()["invalid_fields"]
    assert (entry["field"], entry["type"]) == (field, kind)
    assert refused.json()["detail"].startswith("- input")


@pytest.mark.parametrize(
    "body",
    [{"seed": 5}, {"input": None}, {"input": []}, {"version": None}, {"webhook": "here"}, {"webhook": 5},
     {"webhook_events_filter": ["end"]}, {"webhook_events_filter": "completed"}],
)  # fmt: skip
async def test_a_body_that_does_not_fit(customer: Customer, body: dict[str, Any]) -> None:
    assert (await customer.create(**body)).status_code == 422


@pytest.mark.parametrize(
    ("given", "error"),
    [({"width": 100, "height": 64}, "divisible by 8"),
     ({"image": "https://elsewhere.example/a.png"}, "Failed to download"),
     ({"image": "data:text/plain;base64,aGVsbG8="}, "cannot identify image file")],
)  # fmt: skip
async def test_what_is_found_later_fails_the_prediction(customer: Customer, given: dict[str, Any], error: str) -> None:
    told = await customer.finish(await customer.create(input={"prompt": "a", "width": 64, "height": 64, **given}))
    assert told["status"] == "failed" and error in told["error"] and told["output"] is None
