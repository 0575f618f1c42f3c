"""Changing connections: their facts, their order, and their end."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from gesso.catalog.connections import get_connection, replace_key
from gesso.catalog.items import Connection
from gesso.catalog.registry import CHANNEL
from gesso.core.errors import Conflict, InvalidInput
from gesso.core.sealed import Sealer
from gesso.db import ElevatedSession
from gesso.providers.registry import ADAPTERS

LIMITS = ("concurrency", "requests_per_minute")
LIMIT_MOST = 100_000


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


def is_address(url: str) -> bool:
    """Whether a provider can be reached there: http or https, a host, no question mark and no fragment."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query and not parts.fragment
    except ValueError:
        return False
