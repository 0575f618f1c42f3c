"""Replicate's webhooks, files and the rest of its API; and that a killed sandbox goes on where it was."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gesso.sandbox.app import create_app
from gesso.sandbox.pace import Pace
from tests.providers.loopback import Reply, Seen, loopback
from tests.sandbox.server import serving
from tests.sandbox.test_replicate_predictions import SDXL_VERSION, Customer

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63606060000000040001f61738550000000049454e44ae426082"
)


@pytest.fixture
def customer(http: httpx2.AsyncClient, origin: str) -> Customer:
    return Customer(http, origin)


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[str, asyncio.Queue[Seen]]]:
    """A webhook's receiver: its address, and what it heard."""
    heard: asyncio.Queue[Seen] = asyncio.Queue()

    def hear(seen: Seen) -> Reply:
        heard.put_nowait(seen)
        return Reply(200)

    async with loopback(hear) as ear:
        yield f"{ear.url}/hook?call=1", heard


async def notices(customer: Customer, words: str, events: list[str], count: int) -> list[Seen]:
    """What comes to a webhook."""
    async with listening() as (url, heard):
        created = await customer.create(words, webhook=url, webhook_events_filter=events)
        assert created.status_code == 201, created.text
        return [await asyncio.wait_for(heard.get(), 30) for _ in range(count)]


async def signers(customer: Customer, seen: Seen) -> list[bool]:
    """For each signature, whether it was made with the secret that the API tells."""
    told = (await customer.get("webhooks/default/secret")).json()["key"]
    message = b".".join([seen.headers["webhook-id"].encode(), seen.headers["webhook-timestamp"].encode(), seen.body])
    digest = hmac.new(base64.b64decode(told.removeprefix("whsec_")), message, hashlib.sha256).digest()
    wanted = f"v1,{base64.b64encode(digest).decode()}"
    return [part == wanted for part in seen.headers["webhook-signature"].split(" ")]


async def test_the_webhook_is_the_prediction_and_its_second_signature_fits(customer: Customer) -> None:
    (seen,) = await notices(customer, "", ["completed"], 1)
    assert await signers(customer, seen) == [False, True]
    body = json.loads(seen.body)
    assert (await customer.get(body["urls"]["get"])).json() == body
    assert abs(int(seen.headers["webhook-timestamp"]) - time.time()) < 60


async def test_bad_webhooks_on_demand(customer: Customer) -> None:
    first, second = await notices(customer, "sandbox:webhook-duplicate", ["completed"], 2)
    assert first.headers["webhook-id"] == second.headers["webhook-id"] and first.body == second.body
    (forged,) = await notices(customer, "sandbox:webhook-forged", ["completed"], 1)
    assert True not in await signers(customer, forged)
    (stale,) = await notices(customer, "sandbox:webhook-stale", ["completed"], 1)
    assert time.time() - int(stale.headers["webhook-timestamp"]) > 300
    ordered = await notices(customer, "", ["start", "completed"], 2)
    assert {json.loads(seen.body)["status"] for seen in ordered} == {"processing", "succeeded"}
    unordered = await notices(customer, "sandbox:webhook-unordered", ["start", "completed"], 2)
    assert [json.loads(seen.body)["status"] for seen in unordered] == ["succeeded", "processing"]


async def test_outputs_and_logs_are_told_when_asked_for(customer: Customer) -> None:
    async with listening() as (url, heard):
        await customer.create("sandbox:slow=2", webhook=url, webhook_events_filter=["output", "logs"])
        told = [json.loads((await asyncio.wait_for(heard.get(), 30)).body)]
        while told[-1]["status"] != "succeeded":
            told.append(json.loads((await asyncio.wait_for(heard.get(), 30)).body))
    assert len(told) >= 3 and all("it/s]" in body["logs"] for body in told[1:])
    assert told[-1]["output"]


async def test_files(customer: Customer) -> None:
    sent = await customer.http.post(
        f"{customer.base}/files", headers=customer.auth, files={"content": ("a.png", PNG, "image/png")},
        data={"metadata": '{"a": 1}'},
    )  # fmt: skip
    assert sent.status_code == 201
    told = sent.json()
    assert (told["name"], told["content_type"], told["size"]) == ("a.png", "image/png", len(PNG))
    assert told["checksums"]["sha256"] == hashlib.sha256(PNG).hexdigest() and told["metadata"] == {"a": 1}
    given = {"prompt": "a", "width": 64, "height": 64, "image": told["urls"]["get"]}
    assert (await customer.finish(await customer.create(input=given)))["status"] == "succeeded"
    assert (await customer.get(told["urls"]["get"])).json()["size"] == len(PNG)
    assert (await customer.http.delete(told["urls"]["get"], headers=customer.auth)).status_code == 204
    assert (await customer.get(told["urls"]["get"])).status_code == 404
    assert (await customer.finish(await customer.create(input=given)))["status"] == "failed"


@pytest.mark.parametrize(
    ("parts", "status"),
    [({"data": {"a": "b"}}, 415), ({"files": {"file": ("a", b"x", "image/png")}}, 422),
     ({"files": {"content": ("a", b"x", "image/png")}, "data": {"metadata": "[]"}}, 422),
     ({"files": {"content": ("a", b"x", "image/png")}, "data": {"filename": "n" * 256}}, 422)],
)  # fmt: skip
async def test_uploads_that_do_not_fit(customer: Customer, parts: dict[str, Any], status: int) -> None:
    assert (await customer.http.post(f"{customer.base}/files", headers=customer.auth, **parts)).status_code == status


async def test_the_rest_of_the_api(customer: Customer) -> None:
    assert (await customer.get("account")).json()["username"] == "sandbox"
    assert {"sku": "gpu-l40s", "name": "Nvidia L40S GPU"} in (await customer.get("hardware")).json()
    model = (await customer.get("models/stability-ai/sdxl")).json()
    assert model["is_official"] is False
    version = (await customer.get(f"models/stability-ai/sdxl/versions/{SDXL_VERSION}")).json()
    assert "num_inference_steps" in version["openapi_schema"]["components"]["schemas"]["Input"]["properties"]
    assert (await customer.get("models/black-forest-labs/flux-schnell")).json()["is_official"] is True
    for path in ("models/no/such", "models/stability-ai/sdxl/versions/1", "collections", "predictions/nothing"):
        assert (await customer.get(path)).status_code == 404


async def test_a_sandbox_started_anew_goes_on(http: httpx2.AsyncClient, tmp_path: Path) -> None:
    """The first one dies with a prediction under way; the next finishes it, knows the older one, and tells."""
    async with listening() as (url, heard):
        async with serving(create_app(pace=Pace.instant(), workers=0, folder=tmp_path)) as origin:
            customer = Customer(http, origin)
            done = await customer.finish(await customer.create())
            running = (await customer.create("sandbox:slow=3", webhook=url)).json()["id"]
        async with serving(create_app(pace=Pace.instant(), workers=0, folder=tmp_path)) as origin:
            customer.base = f"{origin}/replicate/v1"
            async with asyncio.timeout(30):
                while (told := (await customer.get(f"predictions/{running}")).json())["status"] != "succeeded":
                    await asyncio.sleep(0.05)
            old = (await customer.get(f"predictions/{done['id']}")).json()
            assert (old["status"], old["metrics"], old["output"]) == ("succeeded", done["metrics"], done["output"])
            path = old["output"][0].partition("/replicate/")[2]
            assert (await http.get(f"{origin}/replicate/{path}")).content[:4] == b"\x89PNG"
            assert [entry["id"] for entry in (await customer.get("predictions")).json()["results"]] == [
                running,
                done["id"],
            ]
            bill = (await http.get(f"{origin}/_bill")).json()
        assert [line["status"] for line in bill["jobs"]] == ["done", "done"]
        assert told["output"] and json.loads((await asyncio.wait_for(heard.get(), 20)).body)["id"] == running
