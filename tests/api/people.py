"""Somebody signed in who talks to the running product, and what may be checked after they were refused."""

import asyncio
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx2
from PIL import Image

from gesso.accounts.access import Actor
from gesso.credits import service as credits
from tests.product import Product

MODEL = "juggernaut-lightning"
ENDED = ("succeeded", "failed", "cancelled")


@dataclass
class Person:
    """An account with its client."""

    product: Product
    actor: Actor
    http: httpx2.AsyncClient

    async def submit(self, prompt: Any = "a lighthouse at dusk", **body: Any) -> httpx2.Response:
        """Ask for one picture of the quick model, unless `body` says otherwise."""
        return await self.http.post("/api/generate/image", json={"model": MODEL, "prompt": prompt, "count": 1, **body})

    async def made(self, prompt: str = "a lighthouse at dusk", **body: Any) -> dict[str, Any]:
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

    async def upload(
        self, data: bytes | None = None, name: str = "own.png", kind: str = "image/png"
    ) -> httpx2.Response:
        return await self.http.post("/api/media/uploads", files={"file": (name, data or picture(), kind)})

    async def wallet(self) -> dict[str, Any]:
        """Balance and what is held, as the API says."""
        answer = (await self.http.get("/api/credits")).json()
        return {"balance": answer["balance"], "held": answer["held"]}

    async def rows(self) -> dict[str, int]:
        """How many rows of each kind that a request leaves behind the workspace has."""
        tables = ("generation", "output", "credit_hold", "credit_journal", "asset", "idempotency_key")
        async with self.product.db.elevated("test: look behind") as tx:
            return {
                table: await tx.fetchval(
                    f"SELECT count(*) FROM {table} WHERE workspace_id = $1", self.actor.workspace_id
                )
                for table in tables
            }


async def ledger_is_right(product: Product) -> bool:
    """Whether every balance of the site follows from the journal."""
    async with product.db.elevated("test: verify") as tx:
        return await credits.verify(tx) == ()


def picture(side: int = 96, kind: str = "PNG") -> bytes:
    """A small picture that is not one flat colour."""
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((side, side)).convert("RGB").save(buffer, kind)
    return buffer.getvalue()
