"""One adapter per connection and process, kept while the connection stays as it is. Sealed keys open only here."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from uuid import UUID

import structlog
from pydantic import SecretStr

from gesso.catalog.items import Connection
from gesso.core.fetch import SafeFetcher
from gesso.core.sealed import SealBroken, Sealer
from gesso.providers.base import ConnectionConfig, Provider
from gesso.providers.errors import Misconfigured
from gesso.providers.registry import build

log = structlog.get_logger()
_Version = tuple[str, str | None, bytes | None, bool]


@dataclass(frozen=True, slots=True)
class Line:
    """What a connection is used through: its adapter, and a fetcher that may reach its own origin."""

    provider: Provider
    fetcher: SafeFetcher


@dataclass
class _Entry:
    line: Line
    version: _Version
    users: int = field(default=0)
    retired: bool = field(default=False)


class ProviderPool:
    """Adapters by connection. A changed connection gets a new one; the old one closes when its last user is done."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer
        self._entries: dict[UUID, _Entry] = {}

    @contextlib.asynccontextmanager
    async def use(self, connection: Connection) -> AsyncIterator[Line]:
        """The connection's line. Raises Misconfigured when it cannot be built."""
        entry = await self._entry(connection)
        entry.users += 1
        try:
            yield entry.line
        finally:
            entry.users -= 1
            if entry.retired and entry.users == 0:
                await _close(entry.line)

    async def aclose(self) -> None:
        """Close all adapters."""
        entries, self._entries = list(self._entries.values()), {}
        for entry in entries:
            await _close(entry.line)

    async def _entry(self, connection: Connection) -> _Entry:
        version: _Version = (
            connection.adapter, connection.base_url, connection.sealed_key, connection.sandbox
        )  # fmt: skip
        entry = self._entries.get(connection.id)
        if entry is not None and entry.version == version:
            return entry
        fresh = self._entries[connection.id] = _Entry(self._build(connection), version)
        if entry is not None:
            entry.retired = True
            if entry.users == 0:
                await _close(entry.line)
        return fresh

    def _build(self, connection: Connection) -> Line:
        provider = build(
            connection.adapter,
            ConnectionConfig(base_url=connection.base_url, api_key=self._key(connection), sandbox=connection.sandbox),
        )
        return Line(provider, SafeFetcher([connection.base_url] if connection.base_url else []))

    def _key(self, connection: Connection) -> SecretStr | None:
        if connection.sealed_key is None:
            return None
        try:
            return SecretStr(self._sealer.open(connection.sealed_key, connection.seal_context).decode())
        except SealBroken as error:
            raise Misconfigured("key", note=f"The stored key cannot be opened: {error}.") from None


async def _close(line: Line) -> None:
    try:
        await line.provider.aclose()
        await line.fetcher.aclose()
    except Exception:
        log.exception("provider.close_failed")
