"""One adapter per connection, exchanged when the connection changes, closed when nobody uses it any more; a sandbox
connection never reaches a real provider."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from gesso.calls.pool import Line, ProviderPool
from gesso.catalog.items import Connection
from gesso.core.fetch import FetchFailed, FetchRefused
from gesso.core.ids import new_id
from gesso.core.sealed import Sealer
from gesso.providers.errors import Misconfigured
from tests.sandbox.server import running_sandbox

SEALER = Sealer("a secret for tests only, long enough to pass")
SANDBOXED = Connection(id=new_id(), key="fal", adapter="fal", name="fal", sandbox=True)


def connection(key: str = "id:secret") -> Connection:
    made = Connection(id=new_id(), key="fal", adapter="fal", name="fal", base_url="http://127.0.0.1:9/fal")
    return replace(made, sealed_key=SEALER.seal(key.encode(), made.seal_context))


def closed(line: Line) -> bool:
    return bool(line.adapter._client._http.is_closed)  # type: ignore[attr-defined]


@pytest.fixture
async def pool() -> AsyncIterator[ProviderPool]:
    made = ProviderPool(SEALER, None)
    yield made
    await made.aclose()


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


async def test_without_a_sandbox_it_is_served_by_nobody(pool: ProviderPool) -> None:
    with pytest.raises(Misconfigured) as caught:
        async with pool.use(SANDBOXED):
            pass
    assert "none is running" in str(caught.value.note)


async def test_the_same_connection_keeps_its_adapter(pool: ProviderPool) -> None:
    one = connection()
    async with pool.use(one) as first, pool.use(replace(one, name="renamed", enabled=False)) as second:
        assert first is second


async def test_a_changed_connection_gets_a_new_one_and_the_old_one_ends_with_its_last_user(pool: ProviderPool) -> None:
    one = connection()
    changed = replace(one, sealed_key=SEALER.seal(b"id:other", one.seal_context))
    async with pool.use(one) as old:
        async with pool.use(changed) as new:
            assert new is not old
        assert not closed(old)
    assert closed(old) and not closed(new)
    await pool.aclose()
    assert closed(new)


@pytest.mark.parametrize("moved", [True, False])
async def test_a_key_that_does_not_open_is_the_operators_matter(pool: ProviderPool, moved: bool) -> None:
    one = connection("id:topsecret")
    broken = replace(one, id=new_id()) if moved else replace(one, sealed_key=b"x" * 60)
    with pytest.raises(Misconfigured) as refused:
        async with pool.use(broken):
            pass
    assert refused.value.kind == "key" and "topsecret" not in f"{refused.value}{refused.value.note}"


async def test_an_unknown_adapter_is_the_operators_matter(pool: ProviderPool) -> None:
    with pytest.raises(Misconfigured):
        async with pool.use(replace(connection(), adapter="nobody")):
            pass


async def test_the_fetcher_reaches_the_connections_own_origin_only(pool: ProviderPool) -> None:
    async with pool.use(connection()) as line:
        with pytest.raises(FetchFailed):  # nobody listens there, but asking is allowed
            await line.fetcher.get("http://127.0.0.1:9/picture", max_bytes=10, timeout_seconds=2)
        with pytest.raises(FetchRefused):
            await line.fetcher.get("http://127.0.0.1:10/picture", max_bytes=10, timeout_seconds=2)
