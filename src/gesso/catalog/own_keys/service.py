"""What people do with their own keys: look, add or replace, try, remove, switch. All SQL is in `repository`.

A key goes in and never comes out again. It is sent nowhere but to the address that the operator gave the connection.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pydantic import SecretStr

from gesso.accounts.access import Actor
from gesso.accounts.repository import add_audit_event
from gesso.accounts.visit import Visit
from gesso.catalog.connections import seal_key
from gesso.catalog.connections import test_connection as ask_provider
from gesso.catalog.items import Connection, Model, Plan
from gesso.catalog.own_keys import repository
from gesso.catalog.own_keys.models import OwnKey, OwnKeys, Refusal, takes_own_keys
from gesso.catalog.registry import Catalog
from gesso.core.errors import Conflict, InvalidInput, NotFound, PlanLimit
from gesso.core.ids import new_id
from gesso.core.sealed import Sealer
from gesso.db import Database, WorkspaceSession
from gesso.providers.base import TestReport
from gesso.web import ratelimit

TRIES_PER_HOUR = 30
"""Keys that one person may have tried: this is no place to find out which of many stolen ones are good."""


@dataclass(frozen=True, slots=True)
class Provider:
    """Somewhere people may bring a key for: all connections of one adapter at one address, named by the first."""

    key: str
    name: str
    connection: Connection
    models: tuple[Model, ...]


@dataclass(frozen=True, slots=True)
class Tried:
    """What a provider said of a key: `refusal` None and not `reached`: it could not be asked. In `words` for people."""

    reached: bool
    refusal: Refusal | None
    words: str

    @property
    def ok(self) -> bool:
        return self.reached and self.refusal is None


def offered(catalog: Catalog) -> bool:
    """Whether any plan of this site has own keys: else nothing here is there."""
    return any(plan.own_keys for plan in catalog.snapshot.plans.values())


def opener(catalog: Catalog) -> Plan | None:
    """The first plan on offer that has own keys."""
    return next((plan for plan in catalog.plans() if plan.own_keys), None)


def providers(catalog: Catalog) -> tuple[Provider, ...]:
    """Those that have a model which is on and that take people's keys, by the operator's order."""
    found: dict[tuple[str, str | None], Provider] = {}
    offered_models = catalog.offered()
    for connection in catalog.connections():
        models = tuple(model for model in offered_models if model.connection_id == connection.id)
        if not models or not takes_own_keys(connection):
            continue
        place = (connection.adapter, connection.base_url)
        known = found.get(place)
        if known is None:
            found[place] = Provider(connection.key, connection.name, connection, models)
        else:
            found[place] = replace(known, models=(*known.models, *models))
    return tuple(found.values())


def leftover(keys: OwnKeys, known: Sequence[Provider]) -> tuple[OwnKey, ...]:
    """Keys that fit nothing here any more: all one can do is remove them."""
    return tuple(key for key in keys.keys if not any(key.fits(one.connection) for one in known))


def find(catalog: Catalog, key: str) -> Provider:
    """The provider of this key. Raises NotFound."""
    found = next((one for one in providers(catalog) if one.key == key), None)
    if found is None:
        raise NotFound("There is no such provider here.")
    return found


async def put(
    db: Database, actor: Actor, catalog: Catalog, provider: Provider, api_key: SecretStr, *,
    sealer: Sealer, sandbox_url: str | None, visit: Visit,
) -> Tried:  # fmt: skip
    """Try a key, and keep it unless its provider refuses it: one that cannot be asked now may be right.

    Takes the place of the one there was. Raises PlanLimit, InvalidInput, TooManyRequests, Conflict.
    """
    check_plan(catalog.plan(actor.plan_key), catalog)
    async with db.workspace(actor.workspace_id, actor.user_id) as tx:
        before = (await repository.mine(tx)).key_for(provider.connection)
    key_id = before.id if before is not None else new_id()
    connection = replace(provider.connection, id=key_id, own_key=True)
    sealed = seal_key(sealer, connection, api_key)
    tried = await _try(db, actor, replace(connection, sealed_key=sealed.value), sealer, sandbox_url)
    if tried.refusal == "key":
        raise InvalidInput(tried.words, fields={"api_key": tried.words})
    async with db.workspace(actor.workspace_id, actor.user_id) as tx:
        kept = await repository.put(tx, key_id, connection.adapter, connection.base_url, sealed)
        if not kept:
            raise Conflict("Another key was added for this provider at the same moment. Look again.")
        if tried.refusal is not None:
            await repository.rest(tx, key_id, tried.refusal)
        action = "own_key.replaced" if before is not None else "own_key.added"
        await add_audit_event(tx, action, at=visit.at, ip=visit.ip, provider=provider.key)
    return tried


async def test(
    db: Database, actor: Actor, provider: Provider, *, sealer: Sealer, sandbox_url: str | None
) -> Tried:  # fmt: skip
    """Try the key there is; what comes of it wakes it or lets it rest. Raises NotFound, TooManyRequests."""
    async with db.workspace(actor.workspace_id, actor.user_id) as tx:
        key = (await repository.mine(tx)).key_for(provider.connection)
    if key is None:
        raise NotFound("You have no key for this provider.")
    tried = await _try(db, actor, key.standing_in(provider.connection), sealer, sandbox_url)
    async with db.workspace(actor.workspace_id, actor.user_id) as tx:
        if tried.refusal is not None:
            await repository.rest(tx, key.id, tried.refusal)
        elif tried.reached:
            await repository.wake(tx, key.id)
    return tried


async def remove(tx: WorkspaceSession, key: OwnKey | None, *, visit: Visit) -> None:
    """Forget a key at once: what runs on it comes to its end without. Raises NotFound."""
    if key is None or not await repository.remove(tx, key.id):
        raise NotFound("You have no key for this provider.")
    await add_audit_event(tx, "own_key.removed", at=visit.at, ip=visit.ip, adapter=key.adapter)


async def switch(tx: WorkspaceSession, actor: Actor, catalog: Catalog, on: bool, *, visit: Visit) -> None:
    """Use the person's keys when nothing else is left to pay with, or do not. Raises PlanLimit for switching it on."""
    if on:
        check_plan(catalog.plan(actor.plan_key), catalog)
    if await repository.switch(tx, on):
        action = "own_key.switched_on" if on else "own_key.switched_off"
        await add_audit_event(tx, action, at=visit.at, ip=visit.ip)


def check_plan(plan: Plan, catalog: Catalog) -> None:
    """Raises PlanLimit where the plan has no own keys."""
    if plan.own_keys:
        return
    found = opener(catalog)
    way_out = f" {found.name} opens it." if found is not None else ""
    reason = f"Using your own provider keys is not part of the {plan.name} plan.{way_out}"
    raise PlanLimit(reason, plan=plan.key, opened_by=found.key if found else None)


async def _try(
    db: Database, actor: Actor, connection: Connection, sealer: Sealer, sandbox_url: str | None
) -> Tried:  # fmt: skip
    await ratelimit.hit(
        db, f"own_keys:user:{actor.user_id}", TRIES_PER_HOUR, 3600, "Many keys were tried for you lately."
    )
    return told(connection.name, await ask_provider(connection, sealer, sandbox_url))


def told(name: str, report: TestReport) -> Tried:
    """A report in words for people: none of the operator's own, such as an address. Pure."""
    if report.key_accepted is False:
        return Tried(True, "key", f"{name} does not accept this key. Look at where you copied it from.")
    if report.problem == "misconfigured_credit":
        return Tried(True, "credit", f"{name} accepts the key, but there is no credit on its account.")
    if not report.ok:
        return Tried(False, None, f"{name} could not be asked about the key just now. Test it again in a minute.")
    balance = f" Balance there: {report.balance}." if report.balance else ""
    return Tried(True, None, f"{name} accepts the key.{balance}")
