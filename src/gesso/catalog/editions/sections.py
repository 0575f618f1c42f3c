"""The sections of an edition file, one reader each: TOML tables in, catalogue items out."""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, TypeVar

from gesso.catalog.editions import colours as colour_rules
from gesso.catalog.editions import showing
from gesso.catalog.editions.edition import MODULES, POLICIES, WORDS, Brand, Defaults, Face, Policy
from gesso.catalog.editions.tables import KEY, Table, plain
from gesso.catalog.items import (
    CHAIN_SECONDS,
    CHAINS,
    JUDGES,
    KINDS,
    LINK_SECONDS,
    UNITS,
    Chain,
    ChainKey,
    ChainLink,
    Connection,
    Kind,
    Model,
    Pack,
    Plan,
    StylePreset,
)
from gesso.catalog.rules import MICRO, Rule, RuleError, Unit, check_against, parse_rule
from gesso.catalog.schema import problems as schema_problems
from gesso.catalog.styles import setting_problems
from gesso.core.ids import new_id
from gesso.providers.registry import wire_problem

_CURRENCY = re.compile(r"[a-z]{3}")
_SHARED = "#/shared/"
_EMPTY_SCHEMA: Mapping[str, Any] = {"type": "object", "properties": {}}
Item = TypeVar("Item", Connection, Model, Plan, Pack, StylePreset)


def read_face(root: Table, name: str) -> Face:
    """Brand, words, colours, modules, policy, defaults, and what strangers and newcomers are shown."""
    brand, words, colours = root.table("brand"), root.table("words"), root.table("colours")
    policy, defaults = root.table("policy"), root.table("defaults")
    face = Face(
        name=name,
        brand=Brand(
            name=brand.text("name", longest=40),
            title=brand.text("title", longest=80),
            tagline=brand.text("tagline", ""),
            description=brand.text("description", "", longest=400),
            support=brand.optional_text("support"),
        ),
        words={word: words.text(word, usual, longest=40) for word, usual in WORDS.items()},
        colours={colour: colours.text(colour) for colour in colour_rules.COLOURS},
        wanted=root.texts("modules", MODULES),
        policy=Policy(content=policy.one_of("content", POLICIES, "general")),
        defaults=Defaults(plan=defaults.text("plan"), model=defaults.text("model")),
        landing=showing.read_landing(root.table("landing")),
        welcome=showing.read_welcome(root.table("welcome")),
    )
    if "image" not in face.wanted:
        root.wrong("modules", "“modules” must name “image”: it is the page that people come to")
    for colour, reason in colour_rules.problems({k: v for k, v in face.colours.items() if v}):
        colours.wrong(colour, reason)
    for table in (brand, words, colours, policy, defaults):
        table.finish()
    return face


def read_all(root: Table, key: str, read: Callable[[Table, int], Item]) -> dict[str, tuple[Item, Table]]:
    """Every [[key]] table by its item's key; a key that comes twice is a problem."""
    found: dict[str, tuple[Item, Table]] = {}
    for position, table in enumerate(root.tables(key)):
        item = read(table, position)
        if item.key in found:
            first = table.document.line(found[item.key][1].path)
            table.wrong("key", f"two {key} have the key “{item.key}”; the first is on line {first}")
        else:
            found[item.key] = (item, table)
        table.finish()
    return found


def read_connection(table: Table, position: int) -> Connection:
    """[[connections]]: keys and addresses come from the environment or the operator, never from a file."""
    limits = table.table("limits")
    read_limits = {
        name: limits.integer(name, low=1, high=100_000)
        for name in ("concurrency", "requests_per_minute")
        if name in limits
    }
    limits.finish()
    return Connection(
        id=new_id(),
        key=table.text("key", pattern=KEY),
        adapter=table.text("adapter", pattern=re.compile(r"[a-z][a-z0-9_]*")),
        name=table.text("name", longest=80),
        priority=table.integer("priority", (position + 1) * 10, low=0, high=100_000),
        limits=read_limits,
        options=_json(table, "options"),
    )


def read_pack(table: Table, position: int) -> Pack:
    """[[packs]]."""
    currency = _currency(table)
    return Pack(
        id=new_id(),
        key=table.text("key", pattern=KEY),
        name=table.text("name", longest=80),
        credits=_amount(table, "credit", table.raw("credits"), "credits"),
        price_cents=table.integer("price_cents", low=0, high=100_000_000),
        currency=currency,
        position=position,
    )


def read_style_preset(table: Table, position: int) -> StylePreset:
    """[[style_presets]]."""
    return StylePreset(
        id=new_id(),
        key=table.text("key", pattern=KEY),
        name=table.text("name", longest=80),
        prompt=table.text("prompt", longest=1000),
        negative_prompt=table.text("negative_prompt", "", longest=500),
        settings=_style_settings(table),
        sample=table.optional_text("sample"),
        position=position,
    )


def _style_settings(table: Table) -> dict[str, Any]:
    settings = _json(table, "settings")
    for name, reason in setting_problems(settings):
        table.wrong("settings", f"“{name}” {reason}")
    return settings


def read_chains(root: Table, models: Mapping[str, Model]) -> tuple[Chain, ...]:
    """[chains.text], [chains.vision], [chains.moderation]: links = [{ model = "…", seconds = 10 }, …], as asked."""
    tables = root.table("chains")
    chains = [_chain(tables.table(key), key, models) for key in CHAINS if key in tables]
    tables.finish()
    return tuple(chains)


def _chain(table: Table, key: ChainKey, models: Mapping[str, Model]) -> Chain:
    total = table.integer("total_seconds", CHAIN_SECONDS, low=1, high=600)
    links: list[ChainLink] = []
    for link in table.tables("links"):
        name = link.text("model")
        seconds = link.integer("seconds", min(LINK_SECONDS, total), low=1, high=total)
        link.finish()
        model = models.get(name)
        if name and model is None:
            link.wrong("model", f"there is no model “{name}”")
        elif model is not None and not model.serves(key):
            link.wrong("model", f"“{name}” cannot be part of the chain {key}: it is of kind {model.kind}")
        elif any(name == other.model for other in links):
            link.wrong("model", f"“{name}” stands twice in the chain {key}")
        links.append(ChainLink(name, seconds))
    if not links:
        table.wrong("links", f"the chain {key} needs at least one link")
    table.finish()
    return Chain(id=new_id(), key=key, links=tuple(links), total_seconds=total)


def read_plan(table: Table, position: int) -> Plan:
    """[[plans]]. What it may use of the models is checked when all are known."""
    currency = _currency(table)
    return Plan(
        id=new_id(),
        key=table.text("key", pattern=KEY),
        name=table.text("name", longest=80),
        description=table.text("description", "", longest=400),
        signup_grants=_grants(table.table("signup_grants")),
        monthly_grants=_grants(table.table("monthly_grants")),
        parallel=table.integer("parallel", low=1, high=1000),
        queue_priority=table.integer("queue_priority", 0, low=0, high=1000),
        max_count=table.integer("max_count", low=1, high=100),
        limits=_plan_limits(table.table("limits")),
        month_cents=_optional_integer(table, "month_cents", low=1, high=100_000_000),
        year_cents=_optional_integer(table, "year_cents", low=1, high=100_000_000),
        currency=currency,
        models=table.texts("models"),
        watermark=table.boolean("watermark", False),
        retention_days=_optional_integer(table, "retention_days", low=1, high=36_500),
        advanced=table.boolean("advanced", True),
        characters=_optional_integer(table, "characters", low=0, high=1_000_000),
        own_keys=table.boolean("own_keys", False),
        position=position,
    )


def _optional_integer(table: Table, key: str, *, low: int, high: int) -> int | None:
    return table.integer(key, low=low, high=high) if key in table else None


def _currency(table: Table) -> str:
    currency = table.text("currency", "usd")
    if not _CURRENCY.fullmatch(currency):
        table.wrong("currency", f"“{currency}” is not a currency code such as usd")
    return currency


def _grants(table: Table) -> dict[str, int]:
    """Unit → microcredits or uses."""
    grants = {}
    for unit, value in table.items():
        if unit not in UNITS:
            table.wrong(unit, f"unknown unit “{unit}”; known: {', '.join(UNITS)}")
        elif amount := _amount(table, unit, value, unit):
            grants[unit] = amount
    return grants


def _amount(table: Table, unit: str, value: object, key: str) -> int:
    """A positive amount: microcredits of a decimal for credits, whole uses for any other unit."""
    try:
        if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
            raise InvalidOperation
        amount = Decimal(value)
    except InvalidOperation:
        table.wrong(key, f"“{key}” must be a number" if key in table else f"“{key}” is missing")
        return 0
    if not amount.is_finite() or not 0 < amount <= 1_000_000_000:
        table.wrong(key, f"“{key}” is {value}; it must be above 0 and finite, at most a thousand million")
        return 0
    scaled = amount * MICRO if unit == "credit" else amount
    if scaled != scaled.to_integral_value():
        table.wrong(key, f"“{key}” is {value}; " + ("at most 6 decimals" if unit == "credit" else "whole uses only"))
        return 0
    return int(scaled)


def _plan_limits(table: Table) -> dict[str, int | tuple[str | int, ...] | Literal[False]]:
    limits: dict[str, int | tuple[str | int, ...] | Literal[False]] = {}
    for name, value in table.items():
        if value is False or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
            limits[name] = value
        elif isinstance(value, list) and value and all(type(item) in (str, int) for item in value):
            limits[name] = tuple(value)
        else:
            table.wrong(name, f"“{name}” must be a highest number, a list of allowed choices, or false")
    return limits


def read_model(table: Table, position: int, connections: Mapping[str, Connection]) -> Model:
    """[[models]]. Prices and costs are checked against the model's own settings."""
    capabilities = _capabilities(table)
    enabled = table.boolean("enabled", True)
    kind: Kind = table.one_of("kind", KINDS)  # type: ignore[assignment]
    price = _rule(table, "price", "credits", capabilities)
    if price is None and enabled and "price" not in table and kind != JUDGES:
        table.document.problem(table.path, "a model without a price cannot be enabled; add price, or enabled = false")
    connection = connections.get(table.one_of("connection", tuple(connections)))
    upstream, wire = table.text("upstream"), _json(table, "wire")
    if enabled and connection and (problem := wire_problem(connection.adapter, kind, upstream, wire)):
        table.wrong("wire", problem)
    return Model(
        id=new_id(),
        key=table.text("key", pattern=KEY),
        kind=kind,
        name=table.text("name", longest=80),
        description=table.text("description", longest=300),
        connection_id=connection.id if connection else new_id(),
        upstream=upstream,
        capabilities=capabilities,
        price=price,
        cost=_rule(table, "cost", "usd", capabilities),
        wire=wire,
        tags=table.texts("tags"),
        sample=table.optional_text("sample"),
        fallbacks=table.texts("fallbacks"),
        outputs_per_call=table.integer("outputs_per_call", 1, low=1, high=100),
        typical_seconds=table.integer("typical_seconds", low=1, high=86_400),
        enabled=enabled,
        position=position,
    )


def _rule(table: Table, key: str, unit: Unit, capabilities: Mapping[str, Any]) -> Rule | None:
    data = table.raw(key)
    if data is None:
        return None
    try:
        rule = parse_rule(data, unit)
        check_against(rule, capabilities["properties"])
    except RuleError as error:
        table.wrong(key, f"{key}: {error.reason}", *error.path)
        return None
    return rule


def _capabilities(table: Table) -> Mapping[str, Any]:
    """The capability schema from `settings` (its properties) and `required`."""
    required = list(table.texts("required")) or ["prompt"]
    try:
        settings = _resolve(_json(table, "settings"), table.document.shared)
    except LookupError as error:
        table.wrong("settings", f"there is no [shared.{error.args[0]}]", *error.args[1:])
        return _EMPTY_SCHEMA
    schema = {"type": "object", "properties": settings, "required": required, "additionalProperties": False}
    found = list(schema_problems(schema))
    for path, reason in found:
        inside = path[1:] if path[:1] == ("properties",) else ()
        table.wrong("settings", f"settings: {reason}", *inside)
    return _EMPTY_SCHEMA if found else schema


def _resolve(settings: Mapping[str, Any], shared: Mapping[str, Any]) -> dict[str, Any]:
    """`{ "$ref" = "#/shared/steps", maximum = 12 }` → the shared piece with the members beside it on top."""
    resolved = {}
    for name, prop in settings.items():
        reference = prop.get("$ref") if isinstance(prop, Mapping) else None
        if isinstance(reference, str) and reference.startswith(_SHARED):
            piece = reference.removeprefix(_SHARED)
            if piece not in shared:
                raise LookupError(piece, name)
            resolved[name] = {**shared[piece], **{key: value for key, value in prop.items() if key != "$ref"}}
        else:
            resolved[name] = prop
    return resolved


def _json(table: Table, key: str) -> dict[str, Any]:
    value = table.raw(key)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        table.wrong(key, f"“{key}” must be a table")
        return {}
    result = {}
    for name, item in value.items():
        try:
            result[name] = plain(item)
        except ValueError as error:
            table.wrong(key, f"“{name}” {error}", name)
    return result


def read_shared(root: Table) -> Mapping[str, Any]:
    """[shared.*]: pieces of capability schema that several models use."""
    return _json(root, "shared")
