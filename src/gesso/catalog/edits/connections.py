"""Changing connections: their facts, their order, and their end."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from gesso.catalog.connections import get_connection, list_connections, replace_key
from gesso.catalog.items import Connection
from gesso.catalog.registry import CHANNEL
from gesso.core.errors import Conflict, InvalidInput
from gesso.core.sealed import Sealer
from gesso.db import ElevatedSession
from gesso.providers.registry import ADAPTERS

LIMITS = ("concurrency", "requests_per_minute")
LIMIT_MOST = 100_000
STEP = 10
"""Priorities stand so far apart that an edition's new connection finds room between two."""


async def update_connection(
    tx: ElevatedSession,
    sealer: Sealer,
    key: str,
    *,
    name: str,
    base_url: str | None,
    sandbox: bool,
    limits: Mapping[str, int],
    options: Mapping[str, Any],
    api_key: SecretStr | None = None,
) -> tuple[Connection, tuple[str, ...]]:
    """Set what an operator may change; returns the connection and the names of what changed.

    Without `api_key` the key stays. Another address needs it again: else whoever may edit a connection could have
    its key sent to themselves. Raises NotFound, and InvalidInput naming every wrong field.
    """
    before = await get_connection(tx, key)
    wrong = _wrong(before, name, base_url, sandbox, limits, has_new_key=api_key is not None)
    if wrong:
        raise InvalidInput(" ".join(wrong.values()), fields=wrong)
    after = {
        "name": name, "base_url": base_url, "sandbox": sandbox, "limits": dict(limits), "options": dict(options),
    }  # fmt: skip
    held = {**after, **{field: getattr(before, field) for field in ("name", "base_url", "sandbox")}}
    held |= {"limits": dict(before.limits), "options": dict(before.options)}
    changed = tuple(field for field in after if after[field] != held[field])
    if api_key is not None:
        await replace_key(tx, sealer, key, api_key)
        changed = (*changed, "api_key")
    if changed:
        await tx.execute_raw(
            "UPDATE connection SET name = $2, base_url = $3, sandbox = $4, limits = $5, options = $6,"
            " edited_at = now(), updated_at = now() WHERE id = $1",
            before.id, name, base_url, sandbox, after["limits"], after["options"],
        )  # fmt: skip
        tx.notify_after_commit(CHANNEL, {})
    return await get_connection(tx, key), changed


def _wrong(
    before: Connection, name: str, base_url: str | None, sandbox: bool, limits: Mapping[str, int], *, has_new_key: bool
) -> dict[str, str]:
    wrong = {}
    if not 1 <= len(name) <= 80:
        wrong["name"] = "Give it a name of at most 80 characters."
    if base_url is not None and not is_address(base_url):
        wrong["base_url"] = "Give an address such as https://proxy.example.com/fal."
    adapter = ADAPTERS.get(before.adapter)
    needs_key = adapter is None or adapter.needs_key
    if not sandbox and before.sealed_key is None and needs_key and not has_new_key:
        wrong["api_key"] = "Give the provider's key, or let the sandbox answer."
    elif base_url != before.base_url and before.sealed_key is not None and not has_new_key:
        wrong["api_key"] = "Give the key again: the one that is kept was given for another address."
    for limit, value in limits.items():
        if limit not in LIMITS or not 1 <= value <= LIMIT_MOST:
            wrong[limit] = f"Give a number from 1 to {LIMIT_MOST:,}, or leave it empty for no limit."
    return wrong


async def delete_connection(tx: ElevatedSession, key: str) -> Connection:
    """Remove a connection that no model uses. Raises NotFound, Conflict naming the models and what to do."""
    connection = await get_connection(tx, key)
    await tx.execute_raw("SELECT 1 FROM connection WHERE id = $1 FOR UPDATE", connection.id)
    rows = await tx.fetch("SELECT name FROM model WHERE connection_id = $1 ORDER BY position, key", connection.id)
    if rows:
        raise Conflict(_in_use(connection.name, [row["name"] for row in rows]))
    live = await tx.fetchval(
        "SELECT count(*) FROM attempt WHERE connection_id = $1 AND state IN ('started', 'submitted')", connection.id
    )
    if live:
        raise Conflict(f"{connection.name} has calls under way. Switch it off and remove it when they have ended.")
    await tx.execute_raw("DELETE FROM connection_health WHERE connection_id = $1", connection.id)
    await tx.execute_raw("DELETE FROM connection WHERE id = $1", connection.id)
    tx.notify_after_commit(CHANNEL, {})
    return connection


def _in_use(name: str, models: Sequence[str]) -> str:
    shown = ", ".join(models[:3]) + (f" and {len(models) - 3} more" if len(models) > 3 else "")
    uses = "uses" if len(models) == 1 else "use"
    return (
        f"{shown} {uses} {name}. Point {'it' if len(models) == 1 else 'them'} at another connection first, "
        "or switch this one off."
    )


async def order_connections(tx: ElevatedSession, keys: Sequence[str]) -> tuple[str, ...]:
    """Put these first, in this order, the others after them as they stand. Returns all keys in their new order."""
    standing = [connection.key for connection in await list_connections(tx)]
    order = reorder(standing, keys)
    await tx.execute_raw(
        "UPDATE connection SET priority = place.number * $2, edited_at = now(), updated_at = now()"
        " FROM unnest($1::text[]) WITH ORDINALITY AS place(key, number)"
        " WHERE connection.key = place.key AND priority <> place.number * $2",
        list(order), STEP,
    )  # fmt: skip
    tx.notify_after_commit(CHANNEL, {})
    return order


def reorder(standing: Sequence[str], wanted: Sequence[str]) -> tuple[str, ...]:
    """`wanted` first, then the rest of `standing`. Raises InvalidInput for one that is not there, or twice."""
    unknown = [key for key in wanted if key not in standing]
    if unknown or len(set(wanted)) != len(wanted):
        reason = f"There is no “{unknown[0]}” here." if unknown else "One of them is named twice."
        raise InvalidInput(reason, fields={"keys": reason})
    return (*wanted, *(key for key in standing if key not in wanted))


def moved(standing: Sequence[str], key: str, by: int) -> tuple[str, ...]:
    """`key` one place further up (−1) or down (+1); at the end it stays. Raises InvalidInput when it is not there."""
    reorder(standing, [key])
    order = list(standing)
    at = order.index(key)
    to = min(max(at + by, 0), len(order) - 1)
    order.insert(to, order.pop(at))
    return tuple(order)


def is_address(url: str) -> bool:
    """Whether a provider can be reached there: http or https, a host, no question mark and no fragment."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query and not parts.fragment
    except ValueError:
        return False
