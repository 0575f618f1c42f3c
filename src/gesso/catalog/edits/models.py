"""Changing models: what they can do, what they cost, where they are asked, and their order."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice, product
from typing import Any

from gesso.catalog import rows
from gesso.catalog.connections import adults_refused, list_connections
from gesso.catalog.edits.ordering import STEP
from gesso.catalog.edits.removed import wanted_again
from gesso.catalog.items import JUDGES, KINDS, Connection, Kind, Model, Pack
from gesso.catalog.registry import CHANNEL
from gesso.catalog.rules import MICRO, Path, Rule, RuleError, Unit, check_against, choices_of, parse_rule
from gesso.catalog.schema import problems as schema_problems
from gesso.core.errors import Conflict, InvalidInput, NotFound
from gesso.core.ids import new_id
from gesso.db import ElevatedSession
from gesso.providers.registry import ADAPTERS, wire_problem

_COMBINATIONS = 500
"""So many choices of a model are priced when its price is compared with its cost."""
_PRICED = ("size", "aspect_ratio", "quality", "duration")


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What an operator says of a model. `connection` by key; `price` and `cost` are rules as JSON (catalog.rules)."""

    name: str
    description: str
    connection: str
    upstream: str
    capabilities: Mapping[str, Any]
    price: Mapping[str, Any] | None = None
    cost: Mapping[str, Any] | None = None
    wire: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    fallbacks: tuple[str, ...] = ()
    outputs_per_call: int = 1
    typical_seconds: int = 10
    enabled: bool = False


class ModelRefused(InvalidInput):
    """Facts that no model can have. `places`: field → (path inside its JSON, reason), for those that are documents."""

    def __init__(self, fields: Mapping[str, str], places: Mapping[str, list[tuple[Path, str]]]) -> None:
        super().__init__(" ".join(list(fields.values())[:3]), fields=fields)
        self.places = dict(places)


def build(key: str, kind: Kind, facts: ModelFacts, connections: Sequence[Connection], others: Sequence[Model]) -> Model:
    """The model these facts make. Raises ModelRefused naming everything that is wrong. Pure."""
    fields: dict[str, str] = {}
    places: dict[str, list[tuple[Path, str]]] = {}
    found = list(schema_problems(facts.capabilities))
    if found:
        places["capabilities"] = found
        fields["capabilities"] = found[0][1][:1].upper() + found[0][1][1:] + "."
    settings = {} if found else facts.capabilities["properties"]
    price = _rule(facts.price, "price", "credits", settings, fields, checked=not found)
    cost = _rule(facts.cost, "cost", "usd", settings, fields, checked=not found)
    connection = next((one for one in connections if one.key == facts.connection), None)
    fields |= _plain_problems(facts) | _place_problems(key, kind, facts, connection, others)
    if facts.enabled and facts.price is None and kind != JUDGES:
        fields.setdefault("price", "A model without a price cannot be switched on.")
    if fields or connection is None:
        raise ModelRefused(fields, places)
    return Model(
        id=new_id(), key=key, kind=kind, name=facts.name, description=facts.description, connection_id=connection.id,
        upstream=facts.upstream, capabilities=facts.capabilities, price=price, cost=cost, wire=facts.wire,
        tags=facts.tags, fallbacks=facts.fallbacks, outputs_per_call=facts.outputs_per_call,
        typical_seconds=facts.typical_seconds, enabled=facts.enabled,
    )  # fmt: skip


def _rule(
    data: Mapping[str, Any] | None,
    name: str,
    unit: Unit,
    settings: Mapping[str, Any],
    fields: dict[str, str],
    *,
    checked: bool,
) -> Rule | None:
    if data is None:
        return None
    try:
        rule = parse_rule(data, unit)
        if checked:
            check_against(rule, settings)
    except RuleError as error:
        fields[name] = error.reason[:1].upper() + error.reason[1:] + "."
        return None
    return rule


def _plain_problems(facts: ModelFacts) -> dict[str, str]:
    wrong = {}
    if not 1 <= len(facts.name) <= 80:
        wrong["name"] = "Give it a name of at most 80 characters."
    if len(facts.description) > 300:
        wrong["description"] = "Use at most 300 characters."
    if not facts.upstream.strip():
        wrong["upstream"] = "Say what the provider calls it."
    if not 1 <= facts.outputs_per_call <= 100:
        wrong["outputs_per_call"] = "Give a number from 1 to 100."
    if not 1 <= facts.typical_seconds <= 86_400:
        wrong["typical_seconds"] = "Give a number from 1 to 86,400."
    return wrong


def _place_problems(
    key: str, kind: Kind, facts: ModelFacts, connection: Connection | None, others: Sequence[Model]
) -> dict[str, str]:
    wrong = {}
    if kind not in KINDS:
        wrong["kind"] = f"Choose one of {', '.join(KINDS)}."
    adapter = ADAPTERS.get(connection.adapter) if connection else None
    if connection is None:
        wrong["connection"] = "Choose the connection it is asked through."
    elif adapter is not None and kind not in adapter.makes:
        wrong["connection"] = f"{connection.name} makes {' and '.join(sorted(adapter.makes))}, not {kind}."
    elif facts.enabled and (problem := wire_problem(connection.adapter, kind, facts.upstream, facts.wire)):
        wrong["wire"] = problem  # one that is switched off may be unfinished
    kinds = {other.key: other.kind for other in others}
    for other in facts.fallbacks:
        if other == key:
            wrong["fallbacks"] = "A model cannot stand in for itself."
        elif kinds.get(other) != kind:
            wrong["fallbacks"] = f"“{other}” is no {kind} model of this site."
    return wrong


def credit_value(packs: Sequence[Pack]) -> Fraction | None:
    """Micro-dollars that one credit brings in, at the cheapest pack sold in dollars; None when none is sold."""
    values = [
        Fraction(pack.price_cents * 10_000 * MICRO, pack.credits)
        for pack in packs
        if pack.currency == "usd" and pack.price_cents
    ]
    return min(values, default=None)


@dataclass(frozen=True, slots=True)
class Margin:
    """What a choice brings in and costs, per output: `price` in microcredits, `income` and `cost` in micro-dollars."""

    params: Mapping[str, Any]
    price: int
    income: int
    cost: int

    @property
    def share(self) -> float | None:
        """The part of the income that is left; negative for a loss; None of nothing."""
        return (self.income - self.cost) / self.income if self.income else None


def margin(model: Model, params: Mapping[str, Any], value: Fraction | None) -> Margin | None:
    """One output with these parameters; None when price, cost or a credit's value is not known."""
    price = model.price.per_output(params) if model.price else None
    cost = model.cost.per_output(params) if model.cost else None
    if price is None or cost is None or value is None:
        return None
    return Margin(dict(params), price, int(price * value / MICRO), cost)


def worst_margin(model: Model, value: Fraction | None) -> Margin | None:
    """The choice on which least is left, among all that price or cost depend on."""
    defaults = {name: prop["default"] for name, prop in model.settings.items() if "default" in prop}
    names = [name for name in _PRICED if name in model.settings]
    choices = [_choices(model.settings[name]) for name in names]
    found = [
        margin(model, {**defaults, **dict(zip(names, chosen, strict=True))}, value)
        for chosen in islice(product(*choices), _COMBINATIONS)
    ]
    return min((one for one in found if one is not None), key=lambda one: one.income - one.cost, default=None)


def _choices(prop: Mapping[str, Any]) -> list[Any]:
    return list(choices_of(prop)) or [prop[end] for end in ("minimum", "maximum") if end in prop] or [prop["default"]]


async def save_model(
    tx: ElevatedSession,
    key: str,
    kind: Kind | None,
    facts: ModelFacts,
    *,
    free: bool = False,
    below_cost: bool = False,
) -> tuple[Model, tuple[str, ...]]:
    """Add a model (`kind` given) or change it; returns it, and what changed (everything, of a new one).

    A price of nothing needs `free`, one below the provider's cost `below_cost`: both are meant.
    Raises ModelRefused (an adult model may not be on where the policy is general, either), InvalidInput, NotFound,
    Conflict for a key that is taken.
    """
    stored = {one.key: one for one in rows.read_items(await rows.fetch(tx, "model"), rows.model_of)}
    before = stored.get(key)
    if kind is not None and before is not None:
        raise _taken(key)
    if kind is None and before is None:
        raise NotFound("There is no such model.")
    connections = await list_connections(tx)
    model = build(key, before.kind if before else kind or "image", facts, connections, tuple(stored.values()))
    asked_through = next(one for one in connections if one.id == model.connection_id)
    if model.enabled and (refused := await adults_refused(tx, asked_through.adapter)):
        raise ModelRefused({"connection": refused}, {})
    packs = rows.read_items(await rows.fetch(tx, "pack"), rows.pack_of)
    if before is None or before.price != model.price or before.cost != model.cost or not before.enabled:
        _meant(model, credit_value(packs), free=free, below_cost=below_cost)
    columns = _columns(model)
    if before is None:
        columns |= {"position": max((one.position for one in stored.values()), default=0) + STEP}
        await _insert(tx, model, columns)
        await wanted_again(tx, "model", key)
        changed = tuple(columns)
    else:
        held = _columns(before)
        # as text: the order of its settings is the order of the form
        changed = tuple(name for name, value in columns.items() if _text(held[name]) != _text(value))
        if changed:
            await _update(tx, before, {name: columns[name] for name in changed})
    tx.notify_after_commit(CHANNEL, {})
    return model, changed


def _taken(key: str) -> Conflict:
    reason = f"There is a model “{key}” already."
    return Conflict(reason, fields={"key": reason})


def _text(value: Any) -> str:
    return json.dumps(value, default=str)


def _meant(model: Model, value: Fraction | None, *, free: bool, below_cost: bool) -> None:
    if model.price is None:
        return
    if model.price.amount == 0 and not free:
        reason = "This price gives the model away. Confirm that it is meant to be free."
        raise InvalidInput(reason, fields={"free": reason})
    worst = worst_margin(model, value)
    if model.price.amount and worst is not None and worst.income < worst.cost and not below_cost:
        choice = ", ".join(str(worst.params[name]) for name in _PRICED if name in worst.params) or "every output"
        reason = (
            f"Below cost: {choice} brings in ${worst.income / MICRO:.4f} and costs ${worst.cost / MICRO:.4f}. "
            "Confirm that it is meant."
        )
        raise InvalidInput(reason, fields={"below_cost": reason})


def _columns(model: Model) -> dict[str, Any]:
    return {
        "kind": model.kind, "connection_id": model.connection_id, "upstream": model.upstream, "name": model.name,
        "description": model.description, "capabilities": dict(model.capabilities),
        "price": model.price.to_json() if model.price else None, "cost": model.cost.to_json() if model.cost else None,
        "wire": dict(model.wire), "tags": list(model.tags), "fallbacks": list(model.fallbacks),
        "outputs_per_call": model.outputs_per_call, "typical_seconds": model.typical_seconds, "enabled": model.enabled,
    }  # fmt: skip


async def _insert(tx: ElevatedSession, model: Model, columns: Mapping[str, Any]) -> None:
    row = {"id": model.id, "key": model.key, **columns, "origin": "operator"}
    places = ", ".join(f"${number}" for number in range(1, len(row) + 1))
    # the names are our own (_columns)
    statement = f"INSERT INTO model ({', '.join(row)}, edited_at) VALUES ({places}, now()) ON CONFLICT DO NOTHING"
    if not await tx.execute_raw(statement, *row.values()):
        raise _taken(model.key)


async def _update(tx: ElevatedSession, before: Model, columns: Mapping[str, Any]) -> None:
    pairs = ", ".join(f"{name} = ${number}" for number, name in enumerate(columns, start=2))
    statement = f"UPDATE model SET {pairs}, edited_at = now(), updated_at = now() WHERE id = $1"
    await tx.execute_raw(statement, before.id, *columns.values())


async def get_model(tx: ElevatedSession, key: str) -> Model:
    """The stored model. Raises NotFound; InvalidInput for a row that cannot be read."""
    found = [row for row in await rows.fetch(tx, "model") if row["key"] == key]
    if not found:
        raise NotFound("There is no such model.")
    try:
        return rows.model_of(found[0])
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInput(f"This model's row cannot be read: {error}") from error
