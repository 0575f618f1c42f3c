"""A person's own keys as frozen values. Pure.

A key stands in a connection's stead: the same adapter at the same address with another account. To everything below
(the pool of adapters, limits, breaker, attempts) it is a connection of its own, so that nothing one person's key does
touches the operator's connection or anybody else's key.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, Self
from uuid import UUID

from gesso.catalog.connections import needs_key
from gesso.catalog.items import Connection
from gesso.providers.registry import ADAPTERS

Refusal = Literal["key", "credit"]
"""Why a provider would not have a key: not accepted, or its account is empty."""


@dataclass(frozen=True, slots=True)
class OwnKey:
    """One key. `base_url` is the address it was given for (None: the provider's own); `refused`: it rests."""

    id: UUID
    adapter: str
    base_url: str | None
    sealed_key: bytes = field(repr=False)
    key_hint: str | None = field(repr=False)
    refused: Refusal | None
    refused_at: datetime | None
    created_at: datetime

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        return cls(**{name: row[name] for name in cls.__slots__})

    def fits(self, connection: Connection) -> bool:
        """Whether it was given for this connection's provider, at the address where that is asked now."""
        return (self.adapter, self.base_url) == (connection.adapter, connection.base_url)

    def standing_in(self, connection: Connection) -> Connection:
        """The connection with this key in place of the operator's, and without the limits of the operator's account."""
        return replace(
            connection, id=self.id, sealed_key=self.sealed_key, key_hint=self.key_hint, limits={}, own_key=True
        )


@dataclass(frozen=True, slots=True)
class OwnKeys:
    """Those of one person in one workspace, and whether they want them used."""

    keys: tuple[OwnKey, ...]
    switched_on: bool

    def key_for(self, connection: Connection) -> OwnKey | None:
        """The key for this connection, whether or not it rests."""
        return next((key for key in self.keys if takes_own_keys(connection) and key.fits(connection)), None)

    def stand_in(self, connection: Connection) -> Connection | None:
        """What a call goes through instead of the operator's connection; None without a key that can be used."""
        key = self.key_for(connection)
        return key.standing_in(connection) if key is not None and key.refused is None else None


def takes_own_keys(connection: Connection) -> bool:
    """Whether people may bring a key for it: a provider that anybody can have an account at, told apart by its key.

    Not a machine of the operator's own, nor a server that is asked without a key.
    """
    known = ADAPTERS.get(connection.adapter)
    if known is None or not known.own_keys:
        return False
    return needs_key(connection.adapter, connection.base_url) or connection.sealed_key is not None
