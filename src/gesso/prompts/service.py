"""What a use of a prompt tool is: asked for and held in one transaction, then ended in another, charged or given back.

The model is asked between the two (`writing`). Nobody is charged without a text, nor gets one uncharged, except that
a text that comes after its hold ran out is free.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from gesso.accounts.access import Actor
from gesso.billing.paying import pay
from gesso.calls.chain import NotWritten, Written
from gesso.catalog import pricing
from gesso.catalog.items import Connection, Model
from gesso.catalog.own_keys.choice import Choice, choice
from gesso.catalog.registry import Catalog
from gesso.core.errors import Conflict, GessoError, InvalidInput, TooManyRequests
from gesso.core.ids import new_id
from gesso.core.money import MICRO, OutputAsk, OutputPrice, Price
from gesso.core.telemetry import metrics
from gesso.credits import service as credits
from gesso.db import WorkspaceSession
from gesso.media import repository as media
from gesso.media.models import Asset
from gesso.prompts import repository
from gesso.prompts.models import CHAIN_OF, KINDS, Kind, NewRecord, PromptRecord
from gesso.prompts.wording import INPUT_MAX
from gesso.safety import policy as safety
from gesso.web.idempotency import Once

CONTENT: safety.Policy = "general"
"""Texts are written by ordinary models, in every edition."""
ALLOWANCE = "prompt"
SCOPES = frozenset({ALLOWANCE})
SLACK = timedelta(seconds=90)
"""A hold outlives its chain by so much."""
AT_ONCE = 3
"""Texts that one workspace may have written at the same time; a plan that makes more at once may have more."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked for: a text to improve, or a picture to describe."""

    kind: Kind
    text: str = ""
    asset_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Begun:
    """A use that is held and recorded; a model may be asked now. `asset` for describe."""

    record: PromptRecord
    asset: Asset | None
    policy: safety.Policy


def offers(catalog: Catalog, allowances: Mapping[str, int]) -> dict[Kind, Price]:
    """What each tool would cost somebody with these allowances left; without an entry it is not offered."""
    found: dict[Kind, Price] = {}
    for kind in KINDS:
        links, _ = catalog.chain(CHAIN_OF[kind])
        if not links:
            continue
        (ask,) = _quote(links[0][0])
        used = allowances.get(ALLOWANCE, 0) >= ask.uses
        found[kind] = Price((OutputPrice(0, {ALLOWANCE: ask.uses}) if used else OutputPrice(ask.credits),))
    return found


async def own_key(tx: WorkspaceSession, actor: Actor, catalog: Catalog, kind: Kind) -> Choice | None:
    """What one's own keys can do for a tool that nothing else pays for."""
    links, _ = catalog.chain(CHAIN_OF[kind])
    return await choice(tx, catalog.plan(actor.plan_key), _asked_through(catalog, links))


async def prices(tx: WorkspaceSession, catalog: Catalog) -> dict[Kind, Price]:
    """What each tool would cost now."""
    return offers(catalog, (await credits.balances(tx)).allowances)


async def begin(
    tx: WorkspaceSession, actor: Actor, ask: Ask, catalog: Catalog, once: Once, *, now: datetime
) -> Begun | PromptRecord:
    """Check, hold and record; or the record that the same request made before.

    Raises InvalidInput, Blocked, NotFound, OutOfCredits, TooManyRequests, NotWritten (no model at all), and Conflict
    while the same request is being worked on.
    """
    key, said = None, None
    if once.key is not None:
        await once.before(tx)
        key, said = _named(once), once.body_hash
        if earlier := await _earlier(tx, key, said, now):
            return earlier
    content, asset = CONTENT, None
    text = ask.text.strip()
    if ask.kind == "improve":
        check(ask)
    else:
        assert ask.asset_id is not None
        asset = await media.get(tx, ask.asset_id)
        if asset.kind != "image":
            raise InvalidInput("A video cannot be described.", fields={"asset_id": "Choose a still."})
        await media.mark_used(tx, [asset.id], now)
    links, seconds = catalog.chain(CHAIN_OF[ask.kind])
    if not links:
        raise NotWritten("No model for this is switched on here. The operator can add one.", reason="no_model")
    record_id, hold_id = new_id(), new_id()
    expires_at = now + timedelta(seconds=seconds) + SLACK
    price, own_key = await pay(
        tx, actor, catalog, now=now, unit=ALLOWANCE,
        connections=_asked_through(catalog, links),
        hold_id=hold_id, subject_id=record_id, asks=_quote(links[0][0]), expires_at=expires_at, scopes=SCOPES,
    )  # fmt: skip
    new = NewRecord(
        id=record_id, user_id=actor.user_id, kind=ask.kind, input_text=text, asset_id=ask.asset_id, hold_id=hold_id,
        price=price.outputs[0], expires_at=expires_at, created_at=now, request_key=key, request_hash=said,
        own_key=own_key,
    )  # fmt: skip
    at_once = max(AT_ONCE, catalog.plan(actor.plan_key).parallel)
    if not await repository.insert(tx, new, at_once=at_once):
        raise TooManyRequests(f"{at_once} texts are being written already. Let one finish first.", retry_after=5)
    record = await repository.get(tx, record_id)
    assert record is not None
    return Begun(record, asset, content)


async def answered(tx: WorkspaceSession, once: Once, now: datetime) -> bool:
    """Whether the same request made a text before. Raises as `begin` does of such a one."""
    if once.key is None:
        return False
    await once.before(tx)
    return await _earlier(tx, _named(once), once.body_hash, now) is not None


def check(ask: Ask) -> None:
    """Whether this text may be improved, by the built-in rules. Raises InvalidInput, Blocked."""
    text = ask.text.strip()
    _check_text(text)
    safety.check(text, None, CONTENT)


async def finish(tx: WorkspaceSession, begun: Begun, text: str, written: Written, *, now: datetime) -> PromptRecord:
    """Charge and keep the text, both or neither. Raises Conflict when it had been ended otherwise."""
    record = begun.record
    try:
        paid = await credits.capture(tx, record.hold_id, 0)
    except Conflict:
        await credits.lock(tx)
        paid = OutputPrice(0)
    done = await repository.finish(
        tx, record.id, text=text, charged=paid, model_key=written.model.key, attempt_id=written.attempt_id,
        usage=written.usage, now=now,
    )  # fmt: skip
    if done is None:
        raise Conflict("It took too long and was ended. Nothing was charged.")
    if paid.credits:
        tx.record(metrics.CREDITS_CHARGED.labels("credit").inc, paid.credits / MICRO)
    for unit, uses in paid.allowances.items():
        tx.record(metrics.CREDITS_CHARGED.labels(unit).inc, uses)
    return done


async def give_up(tx: WorkspaceSession, record_id: UUID, hold_id: UUID, error: GessoError, *, now: datetime) -> None:
    """Give back what was held, and say why."""
    await credits.release(tx, hold_id)
    await repository.fail(tx, record_id, error.code, error.detail[:500], now)


def _asked_through(catalog: Catalog, links: Sequence[tuple[Model, int]]) -> list[Connection]:
    return [catalog.connection(model.connection_id) for model, _ in links]


def _quote(model: Model) -> tuple[OutputAsk]:
    """One ask: a use of the allowance for prompts, else what one answer of the model costs."""
    defaults = {name: prop["default"] for name, prop in model.settings.items() if "default" in prop}
    (ask,) = pricing.quote(model, defaults, 1)
    return (OutputAsk(ask.credits, ALLOWANCE, 1),)


def _named(once: Once) -> bytes:
    return hashlib.sha256(f"{once.route}/{once.key}".encode()).digest()


def _check_text(text: str) -> None:
    if not text:
        reason = "Write something first: a few words are enough."
    elif len(text) > INPUT_MAX:
        reason = f"At most {INPUT_MAX:,} characters can be improved; yours has {len(text):,}. Shorten it."
    elif "\0" in text:
        reason = "This holds characters that cannot be stored."
    else:
        return
    raise InvalidInput(reason, fields={"prompt": reason})


async def _earlier(tx: WorkspaceSession, key: bytes, said: bytes, now: datetime) -> PromptRecord | None:
    """What the same request made before. Failures are not kept: it may be sent again."""
    found = await repository.of_request(tx, key, now)
    if found is None:
        return None
    record, hashed = found
    if hashed != said:
        raise InvalidInput(
            "This Idempotency-Key was used for another request. Use a new key.",
            fields={"Idempotency-Key": "Already used with another body."},
        )
    if record.state == "writing":
        raise Conflict("The same request is still being worked on. Ask again in a moment.")
    return record
