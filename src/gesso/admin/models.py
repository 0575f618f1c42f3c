"""What operators do with models, for pages and API alike. Every change is written into the audit log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from gesso.admin import traces, underway
from gesso.admin.frame import Deed
from gesso.catalog import pricing, rows
from gesso.catalog import service as catalog
from gesso.catalog.edits import models as edits
from gesso.catalog.edits.models import Margin, ModelFacts
from gesso.catalog.edits.ordering import moved, put_in_order
from gesso.catalog.edits.removal import Touched, remove_model, touched
from gesso.catalog.items import KINDS, Connection, Kind, Model, Pack
from gesso.core.errors import Conflict, InvalidInput
from gesso.core.money import OutputPrice, Price
from gesso.db import ElevatedSession


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The models with what they stand on, read in one go from the database: what was just changed is in it."""

    models: tuple[Model, ...]
    connections: tuple[Connection, ...]
    packs: tuple[Pack, ...]

    def connection(self, connection_id: UUID) -> Connection | None:
        """The connection of this id."""
        return next((one for one in self.connections if one.id == connection_id), None)

    def by_kind(self) -> dict[Kind, tuple[Model, ...]]:
        """The models of each kind there is one of, in their order."""
        found = {kind: tuple(model for model in self.models if model.kind == kind) for kind in KINDS}
        return {kind: models for kind, models in found.items() if models}


@dataclass(frozen=True, slots=True)
class Example:
    """What one request would cost. `cost` in micro-dollars for all its outputs; `problem` instead of a price."""

    price: Price | None
    cost: int | None
    margin: Margin | None
    problem: str = ""


async def read(tx: ElevatedSession) -> Catalogue:
    """Everything the models' pages need."""
    return Catalogue(
        rows.read_items(await rows.fetch(tx, "model"), rows.model_of),
        await catalog.list_connections(tx),
        rows.read_items(await rows.fetch(tx, "pack"), rows.pack_of),
    )


def example(model: Model, params: Mapping[str, Any], count: int, packs: Sequence[Pack]) -> Example:
    """Price, cost and margin of `count` outputs with these settings. Pure."""
    defaults = {name: prop["default"] for name, prop in model.settings.items() if "default" in prop}
    chosen = {**defaults, **params}
    try:
        asks = pricing.quote(model, chosen, count)
    except InvalidInput as error:
        return Example(None, None, None, error.detail)
    per_output = pricing.estimate_cost(model, chosen)
    return Example(
        price=Price.of(OutputPrice(ask.credits) for ask in asks),
        cost=None if per_output is None else per_output * count,
        margin=edits.margin(model, chosen, edits.credit_value(packs)),
    )


async def save(
    tx: ElevatedSession,
    deed: Deed,
    key: str,
    kind: Kind | None,
    facts: ModelFacts,
    *,
    free: bool = False,
    below_cost: bool = False,
) -> Model:
    """Add (with a `kind`) or change a model. Raises as `edits.save_model`."""
    before = await traces.values(tx, "model", key)
    model, changed = await edits.save_model(tx, key, kind, facts, free=free, below_cost=below_cost)
    if kind is not None:
        await deed.note(tx, "model.added", model=key, kind=kind)
    elif changed:
        told = traces.between(before, await traces.values(tx, "model", key))
        await deed.note(tx, "model.changed", model=key, changed=list(changed), **told)
    return model


async def switch(tx: ElevatedSession, deed: Deed, key: str, enabled: bool) -> Model:
    """Switch it on or off. Raises NotFound, InvalidInput for one without a price."""
    await catalog.set_model_enabled(tx, key, enabled)
    await deed.note(tx, "model.enabled" if enabled else "model.disabled", model=key)
    return await edits.get_model(tx, key)


@dataclass(frozen=True, slots=True)
class Removal:
    """What removing a model comes to. `under_way`: so many things are still asked of it, and it has to stay."""

    model: Model
    touched: Touched
    under_way: int

    @property
    def refusal(self) -> str:
        """Why it cannot be removed now; "" when it can."""
        if not self.under_way:
            return ""
        many = f"{self.under_way:,} generation{' is' if self.under_way == 1 else 's are'}"
        return f"{many} under way with it. Switch it off, and remove it when they have ended."


async def removal(tx: ElevatedSession, key: str) -> Removal:
    """What removing it would touch. Raises NotFound."""
    return Removal(await edits.get_model(tx, key), await touched(tx, key), await underway.with_model(tx, key))


async def remove(tx: ElevatedSession, deed: Deed, key: str) -> Removal:
    """Remove it for good, and its name from fallbacks and chains. Raises NotFound, Conflict while it is asked."""
    found = await removal(tx, key)
    if found.refusal:
        raise Conflict(found.refusal)
    await remove_model(tx, key)
    await deed.note(
        tx, "model.removed", model=key, kind=found.model.kind,
        fallbacks_of=[model.key for model in found.touched.stands_in_for], chains=list(found.touched.chains),
    )  # fmt: skip
    return found


async def order(tx: ElevatedSession, deed: Deed, keys: Sequence[str]) -> tuple[str, ...]:
    """Put these first, in this order. Raises InvalidInput."""
    placed = await put_in_order(tx, "model", keys)
    await deed.note(tx, "model.ordered", order=list(placed))
    return placed


async def move(tx: ElevatedSession, deed: Deed, key: str, by: int) -> tuple[str, ...]:
    """One place up (−1) or down (+1) among those of its kind. Raises NotFound, InvalidInput."""
    kind = (await edits.get_model(tx, key)).kind
    of_kind = [row["key"] for row in await rows.fetch(tx, "model") if row["kind"] == kind]
    return await order(tx, deed, moved(of_kind, key, by))
