"""On whose account a generation's calls run: the site's connections, or the own keys of the person who asked.

Decided once, when it is asked for (`generation.own_key`), and never mixed: what runs on an own key ends with it, and
is not tried again at the operator's cost. To all that makes the calls an own key is a connection like any other.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self
from uuid import UUID

from gesso.calls.attempts import Attempt
from gesso.calls.pool import Line
from gesso.catalog.items import Connection, Model
from gesso.catalog.own_keys import repository as own_keys
from gesso.catalog.own_keys.models import OwnKeys
from gesso.catalog.registry import Catalog
from gesso.db import WorkspaceSession
from gesso.generation import policy
from gesso.generation.models import Generation
from gesso.generation.policy import Failure
from gesso.generation.tools import Tools
from gesso.providers.errors import Misconfigured, ProviderError


class AccountGone(Misconfigured):
    """What a call goes through is not there any more."""


class KeyGone(AccountGone):
    """The person removed the key that this call was to run on."""

    def __init__(self) -> None:
        super().__init__("key", note="The person removed the key, or its provider is not offered any more.")


class Account:
    """The account of one generation, as one drive of it sees it. `keys` are None where the site pays."""

    def __init__(self, tools: Tools, generation: Generation, keys: OwnKeys | None) -> None:
        self._tools, self._generation, self._keys = tools, generation, keys

    @classmethod
    async def of(cls, tools: Tools, generation: Generation) -> Self:
        """As things stand now. Outside any transaction."""
        if not generation.own_key:
            return cls(tools, generation, None)
        async with tools.db.workspace(generation.workspace_id, generation.user_id) as tx:
            return cls(tools, generation, await own_keys.mine(tx))

    @property
    def own_key(self) -> bool:
        """Whether the person's own keys pay."""
        return self._keys is not None

    @property
    def nothing_left(self) -> Failure:
        """Why there is no model to be asked (any more)."""
        return policy.MODEL_GONE if self._keys is None else policy.own_key_gone(self._name(None))

    def find(self, connection_id: UUID) -> Connection | None:
        """What a model of this connection is asked through; None when it cannot be."""
        connection = self._tools.catalog.snapshot.connections.get(connection_id)
        if self._keys is None or connection is None:
            return connection
        return self._keys.stand_in(connection)

    async def check(self, tx: WorkspaceSession, connection: Connection) -> None:
        """Whether a call may be begun with it still. Raises Misconfigured for a key that was removed or refused."""
        if not connection.own_key:
            return
        key = await own_keys.get(tx, connection.id)
        if key is None:
            raise KeyGone
        if key.refused is not None:
            raise Misconfigured(key.refused)

    async def connection(self, attempt: Attempt) -> Connection:
        """What a call that was begun goes through, as it is now: a replaced key is used, a removed one is not.

        Raises AccountGone.
        """
        connections = self._tools.catalog.snapshot.connections
        if not attempt.own_key:
            found = connections.get(attempt.connection_id)
            if found is None:
                raise AccountGone("model", note="The connection of this call is gone.")
            return found
        async with self._tools.db.workspace(self._generation.workspace_id, self._generation.user_id) as tx:
            key = await own_keys.get(tx, attempt.connection_id)
        fitting = next((one for one in connections.values() if key is not None and key.fits(one)), None)
        if key is None or fitting is None:
            raise KeyGone
        return key.standing_in(fitting)

    @asynccontextmanager
    async def line(self, attempt: Attempt) -> AsyncIterator[Line]:
        """Its line, for one request. Raises AccountGone, and Misconfigured when it cannot be built."""
        async with self._tools.pool.use(await self.connection(attempt)) as line:
            yield line

    def over(self, error: ProviderError) -> bool:
        """Whether asking again about a call that is under way would never help: nobody here can mend a person's key."""
        return isinstance(error, AccountGone) or (self.own_key and isinstance(error, Misconfigured))

    def failure(self, error: ProviderError, attempt: Attempt | None, model: Model | None) -> Failure | None:
        """What an error says to the person whose key it is; None where it says the same to everybody."""
        if self._keys is None or not isinstance(error, Misconfigured):
            return None
        served = site_connection(self._tools.catalog, attempt) if attempt is not None else None
        name = served.name if served is not None else self._name(model)
        return policy.own_key_gone(name) if isinstance(error, KeyGone) else policy.own_key(error.kind, name)

    def _name(self, model: Model | None) -> str:
        """What the provider of this model (None: of the one that was asked for) is called here."""
        snapshot = self._tools.catalog.snapshot
        model = model or snapshot.models.get(self._generation.model_key)
        connection = snapshot.connections.get(model.connection_id) if model is not None else None
        return connection.name if connection is not None else "provider"


def site_connection(catalog: Catalog, attempt: Attempt) -> Connection | None:
    """The site's connection that serves a call: the one it goes through, or the one that an own key stands in for."""
    snapshot = catalog.snapshot
    if not attempt.own_key:
        return snapshot.connections.get(attempt.connection_id)
    model = snapshot.models.get(attempt.model_key)
    return snapshot.connections.get(model.connection_id) if model is not None else None
