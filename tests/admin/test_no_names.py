"""Nobody but operators learns which provider works: no page and no answer names its host, its key or its ids."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from gesso.app import create_app
from gesso.core.ids import new_id
from gesso.sandbox.app import create_app as create_sandbox
from gesso.sandbox.pace import Pace
from tests.admin.conftest import Panel
from tests.admin.test_models import CAPABILITIES
from tests.product import served
from tests.security.rules import API, RULES
from tests.security.site import routes_of

PLANTED_KEY = "planted-5f1c9e:secret-of-the-supplier-wxyz"
PLANTED_NAME = "Quiet supplier"
PLANTED_CONNECTION = "quiet-supplier-77"
UPSTREAM = "fal-ai/flux/schnell"
"""What the sandbox knows it by; nothing of the product's own has this name."""
LEFT_OUT = {"GET /api/events", "GET /static", "GET /api/openapi.json", "GET /api/docs"}
"""A stream without an end; files and documents that are the same for everybody."""


@pytest.fixture
async def planted(panel: Panel) -> AsyncIterator[tuple[str, str]]:
    """A model on a connection with an odd host: its key, and the host with its port."""
    async with served(create_sandbox(pace=Pace(0.05, 0.1, 0.2), workers=1)) as elsewhere:
        host = elsewhere.removeprefix("http://").replace("127.0.0.1", "localhost")
        made = await panel.operator.post(
            "/api/admin/connections",
            json={
                "key": PLANTED_CONNECTION, "adapter": "fal", "name": PLANTED_NAME, "api_key": PLANTED_KEY,
                "base_url": f"http://{host}/fal",
            },
        )  # fmt: skip
        assert made.status_code == 201, made.text
        model = f"m{new_id().hex[-10:]}"
        body = {
            "key": model, "kind": "image", "name": "Meadow", "connection": PLANTED_CONNECTION, "upstream": UPSTREAM,
            "capabilities": CAPABILITIES, "price": {"credits": "1"}, "enabled": True,
        }  # fmt: skip
        made = await panel.operator.post("/api/admin/models", json=body)
        assert made.status_code == 201, made.text
        async with asyncio.timeout(25):
            while model not in (await panel.user.get("/api/models")).text:
                await asyncio.sleep(0.05)
        yield model, host


async def ended(user: httpx2.AsyncClient, body: dict[str, Any]) -> dict[str, Any]:
    """A generation of the user's, when it has come to its end."""
    asked = await user.post("/api/generate/image", json=body)
    assert asked.status_code == 202, asked.text
    async with asyncio.timeout(40):
        while True:
            status: dict[str, Any] = (await user.get(f"/api/generate/status/{asked.json()['id']}")).json()
            if status["status"] in ("succeeded", "failed"):
                return status
            await asyncio.sleep(0.1)


async def test_no_page_and_no_answer_names_the_provider(panel: Panel, planted: tuple[str, str]) -> None:
    model, host = planted
    done = await ended(panel.user, {**API, "model": model})
    assert done["status"] == "succeeded", done
    failed = await ended(panel.user, {**API, "model": model, "prompt": "sandbox:fail a lighthouse"})
    assert failed["status"] == "failed", failed
    async with panel.product.db.elevated("test: internal ids") as tx:
        rows = await tx.fetch(
            "SELECT id, client_key, connection_id, operation FROM attempt WHERE model_key = $1", model
        )
    internal = {str(row[name]) for row in rows for name in ("id", "client_key", "connection_id")}
    internal |= {row["operation"]["id"] for row in rows if row["operation"]}
    secrets = {PLANTED_KEY, PLANTED_KEY[-4:] + '"', PLANTED_NAME, PLANTED_CONNECTION, host, UPSTREAM} | internal
    assert len(internal) >= 4

    # the operator does see them: else this test could not fail
    seen = (await panel.operator.get(f"/admin/jobs/{done['id']}")).text
    assert UPSTREAM in seen and PLANTED_NAME in seen

    things = {
        "generation_id": done["id"], "asset_id": done["assets"][0]["id"], "key": model, "variant": "320",
        "token": "x" * 43, "file": "0.webp", "moment": "0", "verb": "download", "session_id": str(new_id()),
        "connection_key": PLANTED_CONNECTION,
    }  # fmt: skip
    looked = 0
    for name in (f"{method} {path}" for method, path in routes_of(create_app(panel.product.settings))):
        method, _, path = name.partition(" ")
        if name in LEFT_OUT or method != "GET" or name not in RULES:
            continue
        for given in things, {**things, "generation_id": failed["id"]}:
            address = path.format_map(defaultdict(lambda: str(new_id()), given))  # any other id is nobody's
            for headers in {}, {"HX-Request": "true"}:
                answer = await panel.user.get(address, headers=headers)
                told = answer.text + str(dict(answer.headers))
                found = {secret for secret in secrets if secret in told and secret not in address}
                assert not found, (address, found)
                looked += 1
    assert looked > 100
    for body in ({**API, "model": "no-such"}, {**API, "model": model, "count": 99}, {**API, "model": model, "x": 1}):
        told = (await panel.user.post("/api/generate/image", json=body)).text
        assert not {secret for secret in secrets if secret in told}, told
