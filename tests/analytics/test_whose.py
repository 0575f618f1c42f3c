"""Whose figures the dashboard tells: an admin's of the whole workspace, a member's own."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from gesso.core.money import MICRO
from gesso.credits import service as credits
from tests.cast import add_member, make_user, sign_in
from tests.product import Product, running, settings_for


@pytest.fixture
async def product(database_url: str, tmp_path: Path) -> AsyncIterator[Product]:
    async with running(settings_for(database_url, tmp_path, "http://127.0.0.1:9"), worker=False) as found:
        yield found


async def asked(client: httpx2.AsyncClient, prompt: str) -> None:
    body = {"model": "flux-schnell", "prompt": prompt, "count": 1}
    assert (await client.post("/api/generate/image", json=body)).status_code == 202


async def test_a_member_does_not_read_what_others_asked_for(product: Product) -> None:
    owner = await make_user(product.db, "Ada")
    member = await add_member(product.db, owner, await make_user(product.db, "Ben"))
    async with product.db.workspace(owner.workspace_id, owner.user_id) as tx:
        await credits.grant(
            tx,
            owner.workspace_id,
            unit="credit",
            amount=10 * MICRO,
            source="operator",
            key="test",
            reason="for the test",
        )
    async with product.client() as ada, product.client() as ben:
        await sign_in(ada, product.db, owner)
        await sign_in(ben, product.db, member)
        await asked(ada, "a surprise party")
        await asked(ben, "a harbour at dawn")
        last = f"/dashboard/history?before={'f' * 8}-ffff-7fff-bfff-{'f' * 12}"
        for page in ("/dashboard", last, "/dashboard/history.csv"):
            hers, his = await ada.get(page), await ben.get(page)
            assert (hers.status_code, his.status_code) == (200, 200)
            assert "a surprise party" in hers.text and "a harbour at dawn" in hers.text
            assert "a harbour at dawn" in his.text and "a surprise party" not in his.text
