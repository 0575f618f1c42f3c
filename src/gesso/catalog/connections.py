"""Connections as operators handle them: add, list, replace the key, switch off, test.

A key goes in and never comes out again: it is sealed here, opened only to build an adapter, and no value of
this module prints it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import SecretStr

from gesso.catalog import rows
from gesso.catalog.editions.tables import KEY
from gesso.catalog.items import JUDGES, Connection
from gesso.catalog.registry import CHANNEL
from gesso.core.errors import Conflict, InvalidInput, NotFound, Unavailable
from gesso.core.ids import new_id
from gesso.core.sealed import SealBroken, Sealer
from gesso.db import ElevatedSession
from gesso.providers.base import ConnectionConfig, TestReport
from gesso.providers.errors import ProviderError
from gesso.providers.registry import ADAPTERS, build, wire_problem

_HINT_LENGTH = 4
_HINT_FROM_LENGTH = 16
"""A shorter key gives no hint: four of its characters would be too much of it."""


@dataclass(frozen=True)
class SealedKey:
    """A key as it is stored."""

    value: bytes = field(repr=False)
    key_id: str
    hint: str | None = field(repr=False)


def seal_key(sealer: Sealer, connection: Connection, api_key: SecretStr) -> SealedKey:
    """Seal a provider's key for this connection and no other. Raises InvalidInput for an unusable one."""
    secret = api_key.get_secret_value().strip()
    if not secret or not secret.isascii() or not secret.isprintable() or len(secret) > 4096:
        reason = "This does not look like a key: give it without spaces, line breaks or quotes."
        raise InvalidInput(reason, fields={"api_key": reason})
    hint = secret[-_HINT_LENGTH:] if len(secret) >= _HINT_FROM_LENGTH else None
    return SealedKey(sealer.seal(secret.encode(), connection.seal_context), sealer.key_id(), hint)


async def list_connections(tx: ElevatedSession) -> tuple[Connection, ...]:
    """All connections by priority."""
    return rows.read_items(await rows.fetch(tx, "connection"), rows.connection_of)


async def get_connection(tx: ElevatedSession, key: str) -> Connection:
    """The connection of this key. Raises NotFound."""
    row = await tx.fetchrow("SELECT * FROM connection WHERE key = $1", key)
    if row is None:
        raise NotFound(f"There is no connection “{key}”.")
    return rows.connection_of(row)


async def add_connection(
    tx: ElevatedSession,
    sealer: Sealer,
    *,
    key: str,
    adapter: str,
    name: str | None = None,
    api_key: SecretStr | None = None,
    base_url: str | None = None,
    sandbox: bool = False,
    priority: int = 100,
    limits: Mapping[str, int] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Connection:
    """Add a connection, switched on. Needs a key unless the sandbox stands in, or a server that may want none.

    Raises InvalidInput naming every wrong field, Conflict when the key is taken.
    """
    wrong = {}
    if not KEY.fullmatch(key):
        wrong["key"] = "Use lower-case letters, digits and -."
    if adapter not in ADAPTERS:
        wrong["adapter"] = f"There is no adapter “{adapter}”; known: {', '.join(ADAPTERS)}."
    if base_url is not None and not _is_address(base_url):
        wrong["base_url"] = "Give an address such as https://proxy.example.com/fal."
    if not wrong and (refused := await adults_refused(tx, adapter)):
        wrong["adapter"] = refused
    if api_key is None and not sandbox and needs_key(adapter, base_url):
        wrong["api_key"] = "Give the provider's key, or choose the sandbox."
    if wrong:
        raise InvalidInput(" ".join(wrong.values()), fields=wrong)
    connection = Connection(
        id=new_id(), key=key, adapter=adapter, name=name or adapter, base_url=base_url, sandbox=sandbox,
        priority=priority, limits=limits or {}, options=options or {},
    )  # fmt: skip
    sealed = seal_key(sealer, connection, api_key) if api_key is not None else None
    added = await tx.execute_raw(
        "INSERT INTO connection (id, key, adapter, name, base_url, sealed_key, key_id, key_hint, sandbox,"
        " priority, limits, options, origin, edited_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 'operator', now()) ON CONFLICT (key) DO NOTHING",
        connection.id, key, adapter, connection.name, base_url,
        sealed and sealed.value, sealed and sealed.key_id, sealed and sealed.hint, sandbox, priority,
        dict(connection.limits), dict(connection.options),
    )  # fmt: skip
    if not added:
        reason = f"There is a connection “{key}” already."
        raise Conflict(reason, fields={"key": reason})
    tx.notify_after_commit(CHANNEL, {})
    return await get_connection(tx, key)


async def replace_key(tx: ElevatedSession, sealer: Sealer, key: str, api_key: SecretStr) -> None:
    """Give a connection another key; it leaves the sandbox. Raises NotFound, InvalidInput."""
    connection = await get_connection(tx, key)
    sealed = seal_key(sealer, connection, api_key)
    await tx.execute_raw(
        "UPDATE connection SET sealed_key = $2, key_id = $3, key_hint = $4, sandbox = false,"
        " edited_at = now(), updated_at = now() WHERE id = $1",
        connection.id, sealed.value, sealed.key_id, sealed.hint,
    )  # fmt: skip
    tx.notify_after_commit(CHANNEL, {})


async def set_connection_enabled(tx: ElevatedSession, key: str, enabled: bool) -> None:
    """Switch a connection on or off; its models go with it. Raises NotFound, InvalidInput without a key."""
    connection = await get_connection(tx, key)
    keyless = connection.sealed_key is None and needs_key(connection.adapter, connection.base_url)
    if enabled and keyless and not connection.sandbox:
        reason = f"{connection.name} has no key yet, so it cannot be switched on."
        raise InvalidInput(reason, fields={"api_key": reason})
    if enabled and (refused := await adults_refused(tx, connection.adapter)):
        raise InvalidInput(refused, fields={"adapter": refused})
    await tx.execute_raw(
        "UPDATE connection SET enabled = $2, edited_at = now(), updated_at = now() WHERE id = $1",
        connection.id, enabled,
    )  # fmt: skip
    tx.notify_after_commit(CHANNEL, {})


async def set_model_enabled(tx: ElevatedSession, key: str, enabled: bool) -> UUID:
    """Switch a model on or off; returns its id. Raises NotFound, InvalidInput for one without a price or whose wire
    data its adapter cannot use."""
    row = await tx.fetchrow(
        "SELECT model.id, model.name, model.price, model.kind, model.upstream, model.wire, connection.adapter"
        " FROM model JOIN connection ON connection.id = model.connection_id WHERE model.key = $1",
        key,
    )
    if row is None:
        raise NotFound(f"There is no model “{key}”.")
    if enabled and row["price"] is None and row["kind"] != JUDGES:
        reason = f"{row['name']} has no price yet, so it cannot be switched on."
        raise InvalidInput(reason, fields={"price": reason})
    if enabled and (problem := wire_problem(row["adapter"], row["kind"], row["upstream"], row["wire"])):
        raise InvalidInput(problem, fields={"wire": problem})
    if enabled and (refused := await adults_refused(tx, row["adapter"])):
        raise InvalidInput(refused, fields={"connection": refused})
    await tx.execute_raw(
        "UPDATE model SET enabled = $2, edited_at = now(), updated_at = now() WHERE id = $1", row["id"], enabled
    )
    tx.notify_after_commit(CHANNEL, {})
    model_id: UUID = row["id"]
    return model_id


def provider_config(connection: Connection, sealer: Sealer, sandbox_url: str | None) -> ConnectionConfig:
    """What the adapter needs to talk for this connection: the only place where a key is opened.

    A sandbox connection is served by the sandbox's face of its adapter. Raises Unavailable when no sandbox
    runs, or when the key was sealed under another GESSO_SECRET_KEY.
    """
    base_url = connection.base_url
    if connection.sandbox and base_url is None:
        if sandbox_url is None:
            raise Unavailable(f"{connection.name} is served by the sandbox, and none is running.")
        base_url = f"{sandbox_url.rstrip('/')}/{connection.adapter}"
    api_key = None
    if connection.sealed_key is not None:
        try:
            api_key = SecretStr(sealer.open(connection.sealed_key, connection.seal_context).decode())
        except SealBroken:
            raise Unavailable(
                f"The key of {connection.name} was sealed under another GESSO_SECRET_KEY. Give it again."
            ) from None
    return ConnectionConfig(
        base_url=base_url, api_key=api_key, sandbox=connection.sandbox, options=dict(connection.options)
    )


async def test_connection(connection: Connection, sealer: Sealer, sandbox_url: str | None) -> TestReport:
    """Make the provider's cheapest real call and say what happened. Outside any transaction.

    Raises Unavailable as `provider_config` does; everything else is in the report.
    """
    config = provider_config(connection, sealer, sandbox_url)
    try:
        provider = build(connection.adapter, config)
    except ProviderError as error:
        return TestReport(reachable=False, key_accepted=None, latency_ms=None, balance=None, sentences=(str(error),))
    try:
        return await provider.test()
    finally:
        await provider.aclose()


async def adults_refused(tx: ElevatedSession, adapter: str) -> str | None:
    """Why this adapter's models cannot be on here: they are adult ones and the policy is general. Else None."""
    known = ADAPTERS.get(adapter)
    if known is None or not known.adult:
        return None
    state = await tx.fetchrow("SELECT document FROM edition_state")
    if state is not None and state["document"]["policy"].get("content") == "adult":
        return None
    return (
        f"{known.title} has adult models, and the content policy of this site is general. Leave it switched off, take "
        "another connection, or apply an edition whose policy is “adult”."
    )


def needs_key(adapter: str, base_url: str | None) -> bool:
    """Whether a connection of this adapter is of no use without a key: not where a server of one's own wants none."""
    known = ADAPTERS.get(adapter)
    return known is None or known.needs_key or base_url is None


def _is_address(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query and not parts.fragment
