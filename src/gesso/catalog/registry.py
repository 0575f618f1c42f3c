"""The catalogue in memory: read by every request, swapped whole, live in every process within a second.

A change NOTIFYs `gesso_catalog` after its commit; whoever misses that finds it at the next poll.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import structlog

from gesso.catalog import rows
from gesso.catalog.editions import Face
from gesso.catalog.items import (
    CHAIN_SECONDS,
    JUDGES,
    LINK_SECONDS,
    Chain,
    ChainKey,
    ChainLink,
    Connection,
    Kind,
    Model,
    Pack,
    Plan,
    Shop,
    StylePreset,
)
from gesso.core.errors import InvalidInput, NotFound, Unavailable
from gesso.db import Database, Listener

__all__ = ["CHANNEL", "Catalog", "Connection", "Model", "Pack", "Plan", "Snapshot", "StylePreset"]

log = structlog.get_logger()

CHANNEL = "gesso_catalog"
POLL_SECONDS = 30.0


@dataclass(frozen=True)
class Snapshot:
    """The whole catalogue at one moment."""

    face: Face
    connections: Mapping[UUID, Connection]
    models: Mapping[str, Model]
    plans: Mapping[str, Plan]
    packs: tuple[Pack, ...]
    style_presets: tuple[StylePreset, ...]
    chains: Mapping[str, Chain]


class Catalog:
    """Reads are synchronous and see one snapshot at a time; take what you need in one go.

    Adult models are not in it. `adults` is the same catalogue with them, for whoever confirmed their age and for
    what such people asked for; where the edition's policy is general they are not there either (requirement 11.1).
    """

    def __init__(self, database: Database, snapshot: Snapshot) -> None:
        self._database = database
        self._shop: Shop | None = None
        self._keep(snapshot)
        self._follower: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._refreshing = asyncio.Lock()

    @classmethod
    async def load(cls, database: Database) -> "Catalog":
        """The catalogue as the database has it. Raises Unavailable before an edition was applied."""
        return cls(database, await _read(database))

    def follow(self, listener: Listener) -> None:
        """Keep up with changes from now on. Call before the listener starts; `close` ends it."""

        async def changed(_: dict[str, Any]) -> None:
            self._changed.set()  # read elsewhere: what else the listener has to tell does not wait for it

        listener.on(CHANNEL, changed)
        listener.on_reconnect(self.refresh)
        self._follower = asyncio.create_task(self._follow_changes())

    async def close(self) -> None:
        """Stop keeping up."""
        if self._follower is not None:
            self._follower.cancel()
            await asyncio.gather(self._follower, return_exceptions=True)

    async def refresh(self) -> None:
        """Read everything again and swap it in. On failure the old snapshot stays and the error is raised."""
        async with self._refreshing:
            self._keep(await _read(self._database))

    def _keep(self, snapshot: Snapshot) -> None:
        for_everybody = _without_adults(snapshot)
        self._everything = snapshot if snapshot.face.policy.adult else for_everybody
        self._for_everybody = for_everybody

    @property
    def _snapshot(self) -> Snapshot:
        return self._for_everybody

    @property
    def adults(self) -> "Catalog":
        """The catalogue as adults see it, always as fresh as this one."""
        return _ForAdults(self)

    async def _follow_changes(self) -> None:
        """Read again after each change, several at once where they come fast; and now and then unasked."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), POLL_SECONDS)
            self._changed.clear()  # before reading: what comes meanwhile is read next
            try:
                await self.refresh()
            except Exception as error:  # noqa: BLE001 — the database may be away; the next poll asks again
                log.warning("catalog.refresh_failed", error=type(error).__name__)

    @property
    def snapshot(self) -> Snapshot:
        """Everything at one moment, for work that must not see two."""
        return self._snapshot

    @property
    def edition(self) -> Face:
        """Brand, words, colours, modules, policy and defaults."""
        return self._snapshot.face

    def models(self, kind: Kind | None = None, enabled_only: bool = True) -> tuple[Model, ...]:
        """Models in their order. An enabled one on a connection that is off counts as off."""
        return tuple(
            model
            for model in self._snapshot.models.values()
            if (kind is None or model.kind == kind) and (not enabled_only or self._usable(model))
        )

    def offered(self) -> tuple[Model, ...]:
        """Those that are on and that people choose from: all but models that judge."""
        return tuple(model for model in self.models() if model.kind != JUDGES)

    def model(self, key: str, enabled_only: bool = True) -> Model:
        """The model of this key. Raises InvalidInput on field `model` when it is unknown or off."""
        model = self._snapshot.models.get(key)
        if model is not None and (not enabled_only or self._usable(model)):
            return model
        if model is not None:
            reason = f"{model.name} is switched off at the moment. Choose another model."
        else:
            known = ", ".join(other.key for other in self.offered())
            shown = key[:60].encode("utf-8", "replace").decode()
            reason = f"There is no model “{shown}”. Choose one of: {known}."
        raise InvalidInput(reason, fields={"model": reason})

    @property
    def default_model(self) -> Model | None:
        """The model that is chosen first: the edition's, or the first that is on; None when all are off."""
        usable = self.offered()
        wanted = self.edition.defaults.model
        return next((model for model in usable if model.key == wanted), usable[0] if usable else None)

    def _usable(self, model: Model) -> bool:
        connection = self._snapshot.connections.get(model.connection_id)
        return model.enabled and connection is not None and connection.enabled

    def chain(self, key: ChainKey) -> tuple[tuple[tuple[Model, int], ...], int]:
        """The models to ask in turn, each with the seconds it has until its first word; and the seconds for all.

        As the operator or the edition arranged it; else the models that can, by position. Those that are off are left
        out, so it may be empty.
        """
        kept = self._snapshot.chains.get(key)
        total = kept.total_seconds if kept else CHAIN_SECONDS
        links = kept.links if kept else [
            ChainLink(model.key, LINK_SECONDS) for model in self._snapshot.models.values() if model.serves(key)
        ]  # fmt: skip
        found = [(self._snapshot.models.get(link.model), link.seconds) for link in links]
        return tuple((model, seconds) for model, seconds in found if model and self._usable(model)), total

    def connection(self, connection_id: UUID) -> Connection:
        """The connection of this id, on or off. Raises NotFound."""
        found = self._snapshot.connections.get(connection_id)
        if found is None:
            raise NotFound("There is no such connection.")
        return found

    def connections(self) -> tuple[Connection, ...]:
        """All connections by priority."""
        return tuple(self._snapshot.connections.values())

    def connections_in_use(self) -> frozenset[UUID]:
        """Those that are on and have a model that is on."""
        return frozenset(model.connection_id for model in self.models())

    def plan(self, key: str) -> Plan:
        """The plan of this key; for one that is no longer there, the default plan (semantics: Editions)."""
        return self._snapshot.plans.get(key) or self.default_plan

    def plans(self) -> tuple[Plan, ...]:
        """The plans that are offered, cheapest first. Some workspace may be on one that is hidden: see `plan`."""
        return tuple(plan for plan in self._snapshot.plans.values() if not plan.hidden)

    @property
    def default_plan(self) -> Plan:
        """The plan of new workspaces. Raises Unavailable when there is no plan at all."""
        plans = self._snapshot.plans
        found = plans.get(self.edition.defaults.plan) or next(iter(plans.values()), None)
        if found is None:
            raise Unavailable("There are no plans yet. The operator has to apply an edition.")
        return found

    @property
    def credited(self) -> bool:
        """Whether anybody can come by credits here: a plan gives some, a pack is sold, or plans give nothing at all and
        operators top up by hand. Else the uses that plans give are all that counts, and nothing is priced in credits.
        """
        given = {unit for plan in self.plans() for unit in (*plan.signup_grants, *plan.monthly_grants)}
        return not given or "credit" in given or bool(self.packs())

    def packs(self) -> tuple[Pack, ...]:
        """The packs that are sold, in their order."""
        return tuple(pack for pack in self._snapshot.packs if not pack.hidden)

    def open_shop(self, shop: Shop | None) -> None:
        """Say where plans and packs are sold in this process; None: nobody can buy anything here."""
        self._shop = shop

    @property
    def shop(self) -> Shop | None:
        """Where plans and packs are sold; None where they are not, so that nothing may lead there. An edition without
        the module "billing" has no such pages, whatever could be charged."""
        return self._shop if "billing" in self.edition.modules else None

    def style_presets(self) -> tuple[StylePreset, ...]:
        """All style presets in their order."""
        return self._snapshot.style_presets


class _ForAdults(Catalog):
    """Another look at a catalogue: with its adult models, as far as its policy has any."""

    def __init__(self, source: Catalog) -> None:
        self._source = source

    @property
    def _snapshot(self) -> Snapshot:
        return self._source._everything

    @property
    def adults(self) -> Catalog:
        return self

    @property
    def shop(self) -> Shop | None:
        return self._source.shop

    async def refresh(self) -> None:
        await self._source.refresh()

    def follow(self, listener: Listener) -> None:
        self._source.follow(listener)

    async def close(self) -> None:
        await self._source.close()


def _without_adults(snapshot: Snapshot) -> Snapshot:
    """The same without adult models, and with the connections they are asked through off."""
    adult = {connection.id for connection in snapshot.connections.values() if connection.adult}
    if not adult:
        return snapshot
    connections = {
        found.id: replace(found, enabled=False) if found.id in adult else found
        for found in snapshot.connections.values()
    }
    models = {key: model for key, model in snapshot.models.items() if model.connection_id not in adult}
    return replace(snapshot, connections=connections, models=models)


async def _read(database: Database) -> Snapshot:
    """One snapshot, in one statement: whole, and soon, for a change is live when the last process has read it."""
    async with database.public() as tx:
        state, tables = await rows.everything(tx)
    if state is None:
        raise Unavailable("No edition was applied yet. Run: gesso migrate")
    connections = rows.read_items(tables["connection"], rows.connection_of)
    models = rows.read_items(tables["model"], rows.model_of)
    plans = rows.read_items(tables["plan"], rows.plan_of)
    return Snapshot(
        face=Face.from_document(state["name"], state["document"]),
        connections={connection.id: connection for connection in connections},
        models={model.key: model for model in models},
        plans={plan.key: plan for plan in plans},
        packs=rows.read_items(tables["pack"], rows.pack_of),
        style_presets=rows.read_items(tables["style_preset"], rows.style_preset_of),
        chains={chain.key: chain for chain in rows.read_items(tables["chain"], rows.chain_of)},
    )
