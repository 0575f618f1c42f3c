"""What a start does to the catalogue: the edition on the first start, and keys from the environment.

Run by `gesso migrate` and by every start; again changes nothing. The database is the truth afterwards: what an
operator changed is left alone, and so is a price that people already know.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import structlog
from pydantic import SecretStr

from gesso.catalog.applying import edition_apply, edition_diff, lock
from gesso.catalog.changes import Change
from gesso.catalog.connections import adults_refused, needs_key, seal_key
from gesso.catalog.editions import Edition
from gesso.catalog.items import Connection
from gesso.catalog.registry import CHANNEL
from gesso.catalog.rows import connection_of
from gesso.core.errors import InvalidInput
from gesso.core.ids import new_id
from gesso.core.sealed import SealBroken, Sealer
from gesso.core.settings import ProviderSettings, Settings
from gesso.db import ElevatedSession
from gesso.providers.registry import ADAPTERS

log = structlog.get_logger()


@dataclass(frozen=True)
class Seeded:
    """What a start did. `pending` waits for `gesso edition apply`, because people would feel it."""

    changes: tuple[Change, ...]
    pending: tuple[Change, ...]
    connections: tuple[str, ...]


@dataclass(frozen=True)
class _FromEnvironment:
    api_key: SecretStr | None
    base_url: str | None


async def seed(tx: ElevatedSession, settings: Settings, edition: Edition) -> Seeded:
    """Bring the catalogue to what the settings say, once. `edition` is the one `settings.site.edition` names.

    It is applied on the first start, when the setting changed since the last one, and when its file changed in
    ways nobody feels (a new model, a better description). Changed prices and plan figures wait for
    `gesso edition apply`, and none of that file is applied before.
    """
    check_policy(edition, settings)
    await lock(tx)
    setting = settings.site.edition
    state = await tx.fetchrow("SELECT setting, name, file_hash FROM edition_state")
    changes: tuple[Change, ...] = ()
    pending: tuple[Change, ...] = ()
    if state is None or state["setting"] != setting:
        changes = await edition_apply(tx, edition, setting)
    elif state["name"] == edition.name and state["file_hash"] != edition.file_hash:
        found = await edition_diff(tx, edition)
        if any(change.touches for change in found):
            pending = found
            log.warning(
                "edition.waits", edition=edition.name, hint="see: gesso edition diff",
                touches=max(change.touches or 0 for change in found),
            )  # fmt: skip
        else:
            changes = await edition_apply(tx, edition, setting)
    return Seeded(changes, pending, await _seed_connections(tx, settings))


async def switch(tx: ElevatedSession, settings: Settings, edition: Edition) -> tuple[Change, ...]:
    """Apply an edition to a running site, felt changes and all; returns what changed and what was kept.

    Connections that come with it are filled from the environment as a start fills them: they work at once.
    Raises InvalidInput as `check_policy`.
    """
    check_policy(edition, settings)
    changes = await edition_apply(tx, edition)
    await _seed_connections(tx, settings)
    return changes


def check_policy(edition: Edition, settings: Settings) -> None:
    """Raises InvalidInput when an edition wants adult models and the operator has not confirmed that, or sells
    through a provider who forbids it."""
    if edition.face.policy.adult and not settings.site.adult_content:
        raise InvalidInput(
            f"The edition {edition.name} has the content policy “adult”. Set GESSO_ADULT_CONTENT=true to confirm that "
            "you run a site for adults only and that the law allows it where you and your users are."
        )
    billing = settings.billing
    if edition.face.policy.adult and (
        billing.provider == "stripe" or (billing.provider == "auto" and billing.secret_key is not None)
    ):
        raise InvalidInput(
            f"The edition {edition.name} has the content policy “adult”, and Stripe takes no payments for adult "
            "content (stripe.com/legal/restricted-businesses). Take STRIPE_SECRET_KEY away, or set "
            "GESSO_BILLING=manual."
        )


def _environment(providers: ProviderSettings) -> Mapping[str, _FromEnvironment]:
    """Adapter → what the environment says of it."""
    return {
        "fal": _FromEnvironment(providers.fal_key, providers.fal_base_url),
        "replicate": _FromEnvironment(providers.replicate_api_token, providers.replicate_base_url),
        "kie": _FromEnvironment(providers.kie_api_key, providers.kie_base_url),
        "openai": _FromEnvironment(providers.openai_api_key, providers.openai_base_url),
        "gemini": _FromEnvironment(providers.gemini_api_key, providers.gemini_base_url),
        "comfyui": _FromEnvironment(providers.comfyui_api_key, providers.comfyui_base_url),
        "promptchan": _FromEnvironment(providers.promptchan_api_key, providers.promptchan_base_url),
    }


async def _seed_connections(tx: ElevatedSession, settings: Settings) -> tuple[str, ...]:
    """Fill each provider's first connection from the environment; returns the keys of those that changed.

    One that an operator added or edited is left alone. A key that is no longer in the environment stays.
    """
    sealer = settings.sealer
    changed = []
    for adapter, given in _environment(settings.providers).items():
        row = await tx.fetchrow("SELECT * FROM connection WHERE adapter = $1 ORDER BY priority, key LIMIT 1", adapter)
        if row is None:
            if given.api_key is not None and (refused := await adults_refused(tx, adapter)):
                log.warning("connection.refused", adapter=adapter, reason=refused)
                continue
            if adapter in ADAPTERS and (given.api_key is not None or not needs_key(adapter, given.base_url)):
                await _add(tx, adapter)
                row = await tx.fetchrow("SELECT * FROM connection WHERE key = $1", adapter)
            if row is None:
                continue
        if row["origin"] == "operator" or row["edited_at"] is not None:
            continue
        connection = connection_of(row)
        if await _fill(tx, connection, given, sealer, development=settings.site.development):
            changed.append(connection.key)
    if changed:
        tx.notify_after_commit(CHANNEL, {})
    return tuple(changed)


async def _add(tx: ElevatedSession, adapter: str) -> None:
    """A connection for a provider whose key is given though the edition names none: models can be put on it."""
    await tx.execute_raw(
        "INSERT INTO connection (id, key, adapter, name, origin) VALUES ($1, $2, $2, $3, 'environment')"
        " ON CONFLICT (key) DO NOTHING",
        new_id(), adapter, adapter,
    )  # fmt: skip


async def _fill(
    tx: ElevatedSession, connection: Connection, given: _FromEnvironment, sealer: Sealer, *, development: bool
) -> bool:
    """Set key, address, sandbox and enabled as the environment says. False when they stand so already."""
    if given.api_key is not None:
        secret = given.api_key.get_secret_value().strip()
        as_wanted = (connection.sandbox, connection.enabled, connection.base_url) == (False, True, given.base_url)
        if as_wanted and _holds(connection, secret, sealer):
            return False
        sealed = seal_key(sealer, connection, given.api_key)
        await tx.execute_raw(
            "UPDATE connection SET sealed_key = $2, key_id = $3, key_hint = $4, base_url = $5, sandbox = false,"
            " enabled = true, updated_at = now() WHERE id = $1",
            connection.id, sealed.value, sealed.key_id, sealed.hint, given.base_url,
        )  # fmt: skip
        return True
    if connection.sealed_key is not None:
        return False
    keyless = not needs_key(connection.adapter, given.base_url)
    wanted = (development and not keyless, development or keyless, given.base_url)
    if (connection.sandbox, connection.enabled, connection.base_url) == wanted:
        return False
    await tx.execute_raw(
        "UPDATE connection SET sandbox = $2, enabled = $3, base_url = $4, updated_at = now() WHERE id = $1",
        connection.id, *wanted,
    )  # fmt: skip
    return True


def _holds(connection: Connection, secret: str, sealer: Sealer) -> bool:
    if connection.sealed_key is None:
        return False
    try:
        return sealer.open(connection.sealed_key, connection.seal_context) == secret.encode()
    except SealBroken:
        return False  # the site's secret changed: sealed anew
