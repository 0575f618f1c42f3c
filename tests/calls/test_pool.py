"""The pool builds each connection's adapter, and a sandbox connection never reaches a real provider."""

from collections.abc import AsyncIterator

import pytest

from gesso.calls.pool import ProviderPool
from gesso.catalog.items import Connection
from gesso.core.ids import new_id
from gesso.core.sealed import Sealer
from gesso.providers.errors import Misconfigured
from tests.sandbox.server import running_sandbox

SEALER = Sealer("a secret for tests only, long enough to pass")
SANDBOXED = Connection(id=new_id(), key="fal", adapter="fal", name="fal", sandbox=True)


@pytest.fixture(scope="module")
async def sandbox() -> AsyncIterator[str]:
    async with running_sandbox() as address:
        yield address


async def test_a_sandbox_connection_is_served_by_the_sandbox(sandbox: str) -> None:
    pool = ProviderPool(SEALER, sandbox)
    async with pool.use(SANDBOXED) as line:
        report = await line.provider.test()
    await pool.aclose()
    assert report.ok, report


async def test_without_a_sandbox_it_is_served_by_nobody() -> None:
    with pytest.raises(Misconfigured) as caught:
        async with ProviderPool(SEALER, None).use(SANDBOXED):
            pass
    assert "none is running" in str(caught.value.note)


async def test_a_key_sealed_elsewhere_is_the_operators_matter() -> None:
    foreign = Sealer("another secret, also long enough to pass")
    connection = Connection(id=new_id(), key="fal", adapter="fal", name="fal")
    sealed = Connection(
        id=connection.id, key="fal", adapter="fal", name="fal",
        sealed_key=foreign.seal(b"id:secret", connection.seal_context),
    )  # fmt: skip
    with pytest.raises(Misconfigured):
        async with ProviderPool(SEALER, None).use(sealed):
            pass
