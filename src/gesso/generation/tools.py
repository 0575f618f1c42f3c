"""What driving a generation needs of its process."""

import asyncio
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit
from uuid import UUID

from gesso.calls.pool import ProviderPool
from gesso.calls.shares import Shares
from gesso.calls.waker import Waker
from gesso.catalog.registry import Catalog
from gesso.core.clock import Clock
from gesso.core.fetch import is_public
from gesso.core.settings import Settings
from gesso.db import Database
from gesso.generation.lease import Keeper
from gesso.media.service import Ingest
from gesso.media.storage import Storage
from gesso.safety.moderation import Moderation


@dataclass(frozen=True, slots=True)
class Tools:
    """One per worker process. `stopping` is set when the worker is asked to stop."""

    db: Database
    settings: Settings
    clock: Clock
    catalog: Catalog
    storage: Storage
    ingest: Ingest
    pool: ProviderPool
    waker: Waker
    keeper: Keeper
    shares: Shares
    moderation: Moderation
    stopping: asyncio.Event


def webhook_url(base_url: str | None, connection_key: str, client_key: UUID) -> str | None:
    """Where a provider may knock about one call, or None when it could not reach us: polling does alone."""
    parts = urlsplit(base_url or "")
    if parts.scheme != "https" or not parts.hostname or not _reachable(parts.hostname):
        return None
    return f"{base_url}/api/webhooks/{connection_key}?call={client_key}"


def _reachable(host: str) -> bool:
    """Whether a host name or address can be one of the public internet, by its look."""
    try:
        ip_address(host)
    except ValueError:
        return "." in host and not host.endswith((".localhost", ".local", ".internal"))
    return is_public(host)
