"""Somebody signed in who talks to the running product, and what is looked at when they were refused."""

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import httpx2
from PIL import Image

from gesso.accounts.access import Actor
from gesso.credits import service as credits
from tests.product import Product

MODEL = "juggernaut-lightning"
ENDED = ("succeeded", "failed", "cancelled")
TRACES = ("generation", "output", "credit_hold", "credit_journal", "asset", "idempotency_key")
"""Tables in which an accepted request leaves something."""


@dataclass
class Person:
    """An account with its client."""

    product: Product
    actor: Actor
    http: httpx2.AsyncClient

    async def submit(
        self, prompt: Any = "a lighthouse at dusk sandbox:small", key: str | None = None, **body: Any
    ) -> httpx2.Response:
        """Ask for one picture of the quick model, unless `body` says otherwise."""
        headers = {"Idempotency-Key": key} if key is not None else {}
        asked = {"model": MODEL, "prompt": prompt, "count": 1, **body}
        return await self.http.post("/api/generate/image", json=asked, headers=headers)

    async def made(self, prompt: str = "a lighthouse at dusk sandbox:small", **body: Any) -> dict[str, Any]:
        """Ask, and wait for the end."""
        answer = await self.submit(prompt, **body)
        assert answer.status_code == 202, answer.text
        return await self.until(answer.json()["id"], lambda status: status["status"] in ENDED)

    async def until(self, generation_id: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The status as soon as `holds(status)`."""
        async with asyncio.timeout(30):
            while True:
                answer = await self.http.get(f"/api/generate/status/{generation_id}")
                assert answer.status_code == 200, answer.text
                if holds(answer.json()):
                    return answer.json()
                await asyncio.sleep(0.05)

    async def upload(self, data: bytes | None = None, kind: str = "image/png") -> httpx2.Response:
        """Upload a small picture, or `data`."""
        return await self.http.post("/api/media/uploads", files={"file": ("own.png", data or picture(), kind)})

    async def wallet(self) -> tuple[str, str]:
        """(balance, held) as the API says."""
        answer = (await self.http.get("/api/credits")).json()
        return answer["balance"], answer["held"]

    @contextlib.asynccontextmanager
    async def unchanged(self) -> AsyncIterator[None]:
        """Whatever happens in the block leaves no row and no charge, and the ledger right."""
        before = await self._traces()
        yield
        assert await self._traces() == before
        async with self.product.db.elevated("test: verify") as tx:
            assert await credits.verify(tx) == ()

    async def _traces(self) -> dict[str, Any]:
        async with self.product.db.elevated("test: look behind") as tx:
            rows = {
                table: await tx.fetchval(
                    f"SELECT count(*) FROM {table} WHERE workspace_id = $1", self.actor.workspace_id
                )
                for table in TRACES
            }
            balances = await tx.fetch(
                "SELECT unit, available, held, spent FROM credit_balance WHERE workspace_id = $1 ORDER BY unit",
                self.actor.workspace_id,
            )
        return {**rows, "balances": [dict(balance) for balance in balances]}


def problem(answer: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """The problem document of an answer, checked to be one (RFC 9457)."""
    assert answer.status_code == status, (answer.status_code, answer.text)
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["status"] == status and document["code"] == code, document
    assert document["type"] == "about:blank" and document["title"] and document["detail"].strip()
    assert all(set(error) == {"field", "message"} for error in document["errors"])
    return document


def picture(side: int = 96, kind: str = "PNG") -> bytes:
    """A small picture that is not one flat colour."""
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((side, side)).convert("RGB").save(buffer, kind)
    return buffer.getvalue()
