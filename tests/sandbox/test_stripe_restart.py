"""The sandbox's Stripe forgets nothing when it is killed, and sends events where its settings say."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from tests.sandbox.server import serving
from tests.sandbox.stripe_shop import SECRET, Post, Shop, at
from tests.sandbox.test_restart import Process

pytestmark = pytest.mark.crash


@pytest.fixture
async def post() -> AsyncIterator[Post]:
    made = Post()
    async with serving(Starlette(routes=[Route("/{name}", made.take, methods=["POST"])])) as made.origin:
        yield made


@pytest.fixture
def process(tmp_path: Path, post: Post) -> Iterator[Process]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {
        "GESSO_SANDBOX_FOLDER": str(tmp_path / "kept"), "GESSO_SANDBOX_PAINTERS": "0",
        "GESSO_SANDBOX_STRIPE_WEBHOOK_URL": f"{post.origin}/configured",
        "GESSO_SANDBOX_STRIPE_WEBHOOK_SECRET": SECRET,
    }  # fmt: skip
    made = Process(port, os.environ | settings)
    yield made
    for one in made.running:
        one.kill()
        one.wait()


async def test_a_killed_stripe_goes_on(process: Process, post: Post, http: httpx2.AsyncClient) -> None:
    await process.start(http)
    shop = Shop(process.origin, http, post)
    shop.inbox = post.inboxes["configured"] = post.inboxes["another"] = shop.inbox
    sub, clock = await shop.subscribed(await shop.price("Pro", 2000), at(2026, 1, 31))
    assert "invoice.paid" in await shop.heard(), "sent where the settings say"
    shop.inbox.letters.clear()
    shop.inbox.answers = [503] * 3  # not taken: they have to come again
    await shop.do(shop.v1.test_helpers.test_clocks.advance, clock, {"frozen_time": at(2026, 6, 30, 18)})
    async with asyncio.timeout(20):
        while len(shop.inbox.letters) < 6:
            await asyncio.sleep(0.005)
    await process.kill()
    await process.start(http)
    async with asyncio.timeout(30):
        while (await shop.do(shop.v1.test_helpers.test_clocks.retrieve, clock)).status != "ready":
            await asyncio.sleep(0.02)
        while not {"invoice.created"} <= set(shop.inbox.types) or (await shop.control("retry"))["retried"]:
            await asyncio.sleep(0.02)
    invoices = await shop.invoices(sub.id)
    assert all(str(i.hosted_invoice_url).startswith(f"{shop.base}/invoice/") for i in invoices)
    starts = [i.lines.data[0].period.start for i in invoices]
    assert starts == [
        at(2026, 1, 31),
        at(2026, 2, 28),
        *(at(2026, m, d) for m, d in ((3, 31), (4, 30), (5, 31), (6, 30))),
    ]
    paid = {e.id: e for e in (letter.event for letter in shop.inbox.letters) if e.type == "invoice.paid"}
    assert len(paid) == 5, "every renewal is told, and none is made twice"
