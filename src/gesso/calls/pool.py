"""One adapter per connection and process, kept while the connection stays as it is. Sealed keys open only here."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from uuid import UUID

import structlog

from gesso.calls.observed import ObservedJudge, ObservedProvider, ObservedWriter
from gesso.catalog.items import Connection
from gesso.catalog.service import provider_config
from gesso.core.errors import Unavailable
from gesso.core.fetch import SafeFetcher
from gesso.core.sealed import Sealer
from gesso.providers.base import Connected, Provider
from gesso.providers.errors import Misconfigured
from gesso.providers.registry import build
from gesso.providers.text import Judge, Writer

log = structlog.get_logger()
_Version = tuple[str, str | None, bytes | None, bool, str]

OWN_KEY_IDLE_SECONDS = 30.0
"""A person's own key is kept open for so long after its last use: between two polls, not for good."""


@dataclass(frozen=True, slots=True)
class Line:
    """What a connection is used through: its adapter, and a fetcher that may reach its own origin."""

    adapter: Connected
    fetcher: SafeFetcher
    connection: Connection

    @property
    def provider(self) -> Provider:
        """Its face for pictures and videos. Raises Misconfigured when it makes none."""
        if isinstance(self.adapter, Provider):
            return ObservedProvider(self.adapter, self.connection)
        raise Misconfigured("model", note="This connection's adapter makes no pictures or videos.")

    @property
    def writer(self) -> Writer:
        """Its face for text. Raises Misconfigured when it writes none."""
        if isinstance(self.adapter, Writer):
            return ObservedWriter(self.adapter, self.connection)
        raise Misconfigured("model", note="This connection's adapter writes no text.")

    @property
    def judge(self) -> Judge:
        """Its face for moderation. Raises Misconfigured when it has none."""
        if isinstance(self.adapter, Judge):
            return ObservedJudge(self.adapter, self.connection)
        raise Misconfigured("model", note="This connection's adapter moderates nothing.")


@dataclass
class _Entry:
    line: Line
    version: _Version
    users: int = field(default=0)
    retired: bool = field(default=False)
    used_at: float = field(default=0.0)


class ProviderPool:
    """Adapters by connection. A changed connection gets a new one; the old one closes when its last user is done.

    A connection that stands for a person's own key has an adapter of its own, which goes when it lies idle.
    """

    def __init__(self, sealer: Sealer, sandbox_url: str | None) -> None:
        """`sandbox_url` is where connections without a key of their own are served."""
        self._sealer = sealer
        self._sandbox_url = sandbox_url
        self._entries: dict[UUID, _Entry] = {}

    @contextlib.asynccontextmanager
    async def use(self, connection: Connection) -> AsyncIterator[Line]:
        """The connection's line. Raises Misconfigured when it cannot be built."""
        entry, replaced = self._entry(connection)
        entry.users += 1
        try:
            if replaced is not None and replaced.users == 0:
                await _close(replaced.line)
            for idle in self._idle():
                await _close(idle.line)
            yield entry.line
        finally:
            entry.users -= 1
            entry.used_at = asyncio.get_running_loop().time()
            if entry.retired and entry.users == 0:
                await _close(entry.line)

    async def aclose(self) -> None:
        """Close all adapters."""
        entries, self._entries = list(self._entries.values()), {}
        for entry in entries:
            await _close(entry.line)

    def _entry(self, connection: Connection) -> tuple[_Entry, _Entry | None]:
        """The connection's entry, and the one it has just replaced. Never waits, so that nobody comes between."""
        version: _Version = (
            connection.adapter, connection.base_url, connection.sealed_key, connection.sandbox,
            json.dumps(dict(connection.options), sort_keys=True),
        )  # fmt: skip
        entry = self._entries.get(connection.id)
        if entry is not None and entry.version == version:
            return entry, None
        fresh = self._entries[connection.id] = _Entry(self._build(connection), version)
        if entry is not None:
            entry.retired = True
        return fresh, entry

    def _idle(self) -> list[_Entry]:
        """Own keys that nobody has used for a while, taken out. Never waits."""
        before = asyncio.get_running_loop().time() - OWN_KEY_IDLE_SECONDS
        idle = [
            entry.line.connection.id for entry in self._entries.values()
            if entry.line.connection.own_key and entry.users == 0 and entry.used_at < before
        ]  # fmt: skip
        return [self._entries.pop(one) for one in idle]

    def _build(self, connection: Connection) -> Line:
        try:
            config = provider_config(connection, self._sealer, self._sandbox_url)
        except Unavailable as error:
            raise Misconfigured("key", note=error.detail) from None
        fetcher = SafeFetcher([config.base_url] if config.base_url else [])
        return Line(build(connection.adapter, config), fetcher, connection)


async def _close(line: Line) -> None:
    try:
        await line.adapter.aclose()
        await line.fetcher.aclose()
    except Exception:
        log.exception("provider.close_failed")
