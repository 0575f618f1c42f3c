"""What people do with generations: estimate, submit, look, cancel, run again. All SQL is in `repository`.

Every function works in the caller's transaction and never commits. A generation is visible to whoever asked
for it and to the workspace's admins; for everybody else it is not there.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from gesso import jobs
from gesso.accounts.access import Actor
from gesso.billing.paying import pay
from gesso.catalog import capabilities, pricing, styles
from gesso.catalog.allowed import check_model, pinned
from gesso.catalog.items import Model, Plan
from gesso.catalog.own_keys.choice import Choice, choice
from gesso.catalog.registry import Catalog
from gesso.core.errors import GessoError, InvalidInput, NotFound, OutOfCredits, TooManyRequests
from gesso.core.ids import new_id
from gesso.core.money import OutputAsk, OutputPrice, Price
from gesso.core.telemetry import metrics, origin, product
from gesso.credits import service as credits
from gesso.db import WorkspaceSession
from gesso.generation import estimates, repository, settlement, turns
from gesso.generation.models import Generation, Kind, NewGeneration, Output, Source, charged
from gesso.generation.request import SEED_LIMIT, seeds
from gesso.generation.state import GENERATION_STATES, GenerationState
from gesso.generation.turns import Place
from gesso.media import repository as media
from gesso.media import taken
from gesso.media.models import Asset
from gesso.safety import policy as safety

QUEUE_TIME = timedelta(hours=24)
"""How long a generation may wait for its turn (semantics: Money and holds)."""
QUEUED_HOLD_TIME = QUEUE_TIME + timedelta(hours=1)
"""The hold of a waiting generation outlives its place in the queue; from the start on it has its own deadline."""
WAITING_RETRY_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked for: `params` are the model's settings by our names, prompt and count among them."""

    kind: Kind
    model: str
    params: Mapping[str, Any]
    source: Source
    rerun_of: UUID | None = None


@dataclass(frozen=True, slots=True)
class Words:
    """What the provider would be told, and by which rules it is judged."""

    prompt: str
    policy: safety.Policy


@dataclass(frozen=True, slots=True)
class Estimate:
    """What an ask would cost now, what there is, and how long it will probably take, in seconds.

    `enough`: it can be asked for. `own` is there when allowances and credits do not cover it, and own keys might: where
    it is ready it costs nothing here.
    """

    price: Price
    balance: int
    allowances: Mapping[str, int]
    enough: bool
    seconds: int
    own: Choice | None = None

    @property
    def own_key(self) -> bool:
        """Whether it would run on the person's own key."""
        return self.own is not None and self.own.ready


@dataclass(frozen=True, slots=True)
class Submitted:
    """A generation that is held and queued. Not `dispatched`: it waits for a free place of the workspace."""

    id: UUID
    model: Model
    price: Price
    dispatched: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """A generation with everything one may want to know about it. `assets` by output index; `taken_down`: ids of
    those that the site's operators took away."""

    generation: Generation
    outputs: tuple[Output, ...]
    assets: Mapping[int, Asset]
    charged: Price
    progress: float
    queue_position: int | None
    eta_seconds: int | None
    taken_down: frozenset[UUID] = frozenset()


async def estimate(tx: WorkspaceSession, actor: Actor, ask: Ask, catalog: Catalog) -> Estimate:
    """The price of an ask, before its prompt is written and its pictures are chosen. Raises InvalidInput."""
    plan = catalog.plan(actor.plan_key)
    model = _model(catalog, ask)
    _, asks = _checked(model, _with_placeholders(model, ask.params), plan, catalog)
    price, enough = await credits.estimate(tx, asks, scopes=_scopes(model))
    balances = await credits.balances(tx)
    seconds = max(1, round(await expected_seconds(tx, model.key, catalog)))
    own = None if enough else await choice(tx, plan, [catalog.connection(model.connection_id)])
    if own is not None and own.ready:
        price, enough = Price.of(OutputPrice(0) for _ in asks), True
    return Estimate(price, balances.balance, balances.allowances, enough, seconds, own)


def words(actor: Actor, ask: Ask, catalog: Catalog) -> Words:
    """What an ask says, once the built-in rules let it pass. Raises InvalidInput, Blocked. Pure."""
    model = _model(catalog, ask)
    params, _ = _checked(model, ask.params, catalog.plan(actor.plan_key), catalog)
    return _ruled(model, params, catalog)


async def submit(
    tx: WorkspaceSession, actor: Actor, ask: Ask, catalog: Catalog, *, now: datetime, waiting_limit: int
) -> Submitted:
    """Check, quote, hold, store and queue, all or nothing.

    Raises InvalidInput, Blocked, OutOfCredits, TooManyRequests when `waiting_limit` of the workspace's wait already.
    """
    try:
        submitted = await _submit(tx, actor, ask, catalog, now=now, waiting_limit=waiting_limit)
    except GessoError as error:
        metrics.REFUSED.labels(ask.kind, error.code).inc()
        if isinstance(error, OutOfCredits):
            product.track("out of credits", actor.user_id, kind=ask.kind, source=ask.source)
        raise
    tx.record(metrics.SUBMITTED.labels(ask.kind, ask.source).inc)
    if product.wanted():
        tx.record(
            product.track, "generation submitted", actor.user_id, kind=ask.kind, source=ask.source,
            model=submitted.model.key, outputs=len(submitted.price.outputs),
        )  # fmt: skip
    return submitted


async def _submit(
    tx: WorkspaceSession, actor: Actor, ask: Ask, catalog: Catalog, *, now: datetime, waiting_limit: int
) -> Submitted:
    plan = catalog.plan(actor.plan_key)
    model = _model(catalog, ask)
    params, asks = _checked(model, ask.params, plan, catalog)
    said = _ruled(model, params, catalog)
    inputs = await _inputs(tx, params, now, uploads=said.policy != "adult")
    chosen = secrets.randbelow(SEED_LIMIT)
    output_seeds = seeds(model, params.get("seed"), len(asks), chosen)
    generation_id, hold_id = new_id(), new_id()
    price, own_key = await pay(
        tx, actor, catalog, now=now, unit=ask.kind, connections=[catalog.connection(model.connection_id)],
        hold_id=hold_id, subject_id=generation_id, asks=asks, expires_at=now + QUEUED_HOLD_TIME, scopes=_scopes(model),
    )  # fmt: skip
    new = NewGeneration(
        id=generation_id, user_id=actor.user_id, kind=ask.kind, source=ask.source, rerun_of=ask.rerun_of,
        model_key=model.key, model_id=model.id, model_name=model.name, prompt=str(params.get("prompt", "")),
        negative_prompt=params.get("negative_prompt") or None, params=params, inputs=inputs, seed=output_seeds[0],
        priority=plan.queue_priority, parallel=plan.parallel, hold_id=hold_id, price=price, warnings=(),
        created_at=now, queue_deadline_at=now + QUEUE_TIME, asset_ids=tuple(new_id() for _ in asks),
        seeds=output_seeds, origin=origin.current(), watermark=plan.watermark, own_key=own_key,
    )  # fmt: skip
    job = settlement.job(tx.workspace_id, generation_id)
    placed = await turns.insert(tx, new, job, waiting_limit=waiting_limit)
    if not placed.accepted:
        raise TooManyRequests(
            f"{placed.waiting} of your requests are waiting already. Let some of them finish first.",
            retry_after=WAITING_RETRY_SECONDS,
        )
    if placed.dispatched:
        jobs.wake(tx)
    settlement.announce(tx, generation_id, placed.event_id)
    return Submitted(generation_id, model, price, placed.dispatched)


async def find(tx: WorkspaceSession, actor: Actor, generation_id: UUID) -> Generation:
    """The generation, if the actor may see it. Raises NotFound."""
    generation = await repository.get(tx, generation_id)
    if generation is None or actor.only_user not in (None, generation.user_id):
        raise NotFound("There is no such generation.")
    return generation


async def standing(
    tx: WorkspaceSession, actor: Actor, generation_id: UUID, catalog: Catalog, now: datetime
) -> Standing:
    """How a generation stands. Raises NotFound."""
    generation = await find(tx, actor, generation_id)
    return (await standings(tx, [generation], catalog, now))[0]


async def recent(
    tx: WorkspaceSession,
    actor: Actor,
    catalog: Catalog,
    now: datetime,
    *,
    before: UUID | None = None,
    limit: int = 20,
    states: Sequence[GenerationState] = GENERATION_STATES,
    kind: Kind | None = None,
) -> tuple[list[Standing], UUID | None]:
    """The actor's own generations in these states (and of one kind), newest first, older than `before`.

    And the next page's `before`.
    """
    found = await repository.page(tx, user_id=actor.user_id, before=before, states=states, limit=limit + 1, kind=kind)
    following = found[limit - 1].id if len(found) > limit else None
    return await standings(tx, found[:limit], catalog, now), following


async def standings(
    tx: WorkspaceSession, generations: Sequence[Generation], catalog: Catalog, now: datetime
) -> list[Standing]:
    """How these stand, in a number of queries that does not grow with the ended ones among them."""
    outputs = await repository.outputs_of(tx, [generation.id for generation in generations])
    wanted = [output.asset_id for group in outputs.values() for output in group if output.state == "delivered"]
    assets = await media.by_ids(tx, wanted) if wanted else {}
    gone = [asset_id for asset_id in wanted if asset_id not in assets]
    down = await taken.taken_down(tx, gone) if gone else frozenset()
    expected: dict[str, float] = {}
    found = []
    for generation in generations:
        key = generation.model_key
        if not generation.ended and key not in expected:
            expected[key] = await expected_seconds(tx, key, catalog)
        place = await turns.place(tx, generation) if generation.state == "queued" else None
        group = outputs.get(generation.id, ())
        standing = _standing(generation, group, assets, place, expected.get(key, 0.0), now)
        found.append(replace(standing, taken_down=down) if down else standing)
    return found


async def expected_seconds(tx: WorkspaceSession, model_key: str, catalog: Catalog) -> float:
    """How long a generation of this model takes: from recent runs, else what the catalogue says."""
    measured = await repository.typical_seconds(tx, model_key)
    if measured is not None:
        return measured
    model = catalog.snapshot.models.get(model_key)
    return float(model.typical_seconds) if model is not None else 0.0


def _standing(
    generation: Generation,
    outputs: tuple[Output, ...],
    assets: Mapping[UUID, Asset],
    place: Place | None,
    expected: float,
    now: datetime,
) -> Standing:
    elapsed = (now - (generation.started_at or now)).total_seconds()
    ended = sum(output.state != "pending" for output in outputs)
    return Standing(
        generation=generation,
        outputs=outputs,
        assets={output.index: assets[output.asset_id] for output in outputs if output.asset_id in assets},
        charged=charged(outputs),
        progress=estimates.progress(generation, ended, elapsed, expected),
        queue_position=place.ahead + 1 if place is not None else None,
        eta_seconds=estimates.eta_seconds(generation, elapsed, expected, place),
    )


async def cancel(tx: WorkspaceSession, actor: Actor, generation_id: UUID, now: datetime) -> None:
    """End it now: what has arrived stays, the rest is given back. Again, or after its end: nothing happens.

    Raises NotFound.
    """
    generation = await find(tx, actor, generation_id)
    if not generation.ended:
        await settlement.cancel(tx, generation, now=now)


async def rerun(
    tx: WorkspaceSession,
    actor: Actor,
    generation_id: UUID,
    catalog: Catalog,
    *,
    new_seed: bool,
    source: Source,
    now: datetime,
    waiting_limit: int,
) -> Submitted:
    """Ask for the same again, with the seed it had or a new one. Raises what `submit` does, and NotFound.

    On a plan that lets nobody choose a seed it is a new one.
    """
    earlier = await find(tx, actor, generation_id)
    params = {name: value for name, value in earlier.params.items() if name != "seed"}
    prop = catalog.model(earlier.model_key).settings.get("seed", {})
    if not new_seed and earlier.seed is not None and not pinned(catalog.plan(actor.plan_key), "seed", prop):
        params["seed"] = earlier.seed
    ask = Ask(earlier.kind, earlier.model_key, params, source, rerun_of=earlier.id)
    return await submit(tx, actor, ask, catalog, now=now, waiting_limit=waiting_limit)


# --- checks --------------------------------------------------------------------------------------------


def _model(catalog: Catalog, ask: Ask) -> Model:
    model = catalog.model(ask.model)
    if model.kind != ask.kind:
        reason = f"{model.name} does not make {ask.kind}s."
        raise InvalidInput(reason, fields={"model": reason})
    return model


def _checked(
    model: Model, params: Mapping[str, Any], plan: Plan, catalog: Catalog
) -> tuple[dict[str, Any], tuple[OutputAsk, ...]]:
    """(clean parameters, one ask per output). A style's settings stand where nothing was given.

    Raises InvalidInput; PlanLimit for what the plan does not open.
    """
    check_model(model, plan, catalog.plans())
    style = styles.chosen(model, params, catalog.style_presets())
    cleaned = capabilities.check(model, styles.filled(model, params, style, plan), plan, catalog.plans())
    return cleaned, pricing.quote(model, cleaned, cleaned.get("count", 1))


def _ruled(model: Model, params: Mapping[str, Any], catalog: Catalog) -> Words:
    """What is said, if the built-in rules let it pass. Raises InvalidInput, Blocked."""
    said = _said(model, params, catalog)
    # Only adult models may be asked for more, and only who confirmed their age finds one in the catalogue.
    policy: safety.Policy = "adult" if catalog.connection(model.connection_id).adult else "general"
    safety.check(*said, policy)
    if policy == "adult":
        safety.check_for_adult_model(*said)
    return Words(said[0], policy)


def _said(model: Model, params: Mapping[str, Any], catalog: Catalog) -> tuple[str, str | None]:
    """Prompt and negative prompt as the provider will get them. Raises InvalidInput when a style makes it too long."""
    style = styles.chosen(model, params, catalog.style_presets())
    prompt, negative = styles.styled(str(params.get("prompt", "")), params.get("negative_prompt"), style)
    most = model.settings["prompt"].get("maxLength", len(prompt))
    if style is not None and len(prompt) > most:
        reason = f"Prompt and style “{style.name}” together are {len(prompt) - most:,} characters too long."
        raise InvalidInput(reason, fields={"prompt": reason})
    return prompt, negative


def _with_placeholders(model: Model, params: Mapping[str, Any]) -> dict[str, Any]:
    """An estimate does not need what the price does not depend on: the prompt and the pictures to work from."""
    filled = dict(params)
    if not str(filled.get("prompt") or "").strip():
        filled["prompt"] = "…"
    if "references" in model.settings and not filled.get("references"):
        least = model.settings["references"].get("minItems", 0)
        filled["references"] = [str(UUID(int=number)) for number in range(least)]
    return filled


async def _inputs(tx: WorkspaceSession, params: Mapping[str, Any], now: datetime, *, uploads: bool) -> tuple[UUID, ...]:
    """The pictures to work from, all the workspace's own; with `uploads`, also those that were brought along: they
    may be photographs of people, which no adult model gets. Raises InvalidInput on field `references`."""
    wanted = tuple(UUID(text) for text in params.get("references") or ())
    if wanted:
        found = await media.by_ids(tx, wanted)
        if any(asset_id not in found or found[asset_id].kind != "image" for asset_id in wanted):
            reason = "One of those to work from is not here. It may have been deleted."
            raise InvalidInput(reason, fields={"references": reason})
        if not uploads and any(found[asset_id].source == "upload" or found[asset_id].params.get("references")
                               for asset_id in wanted):  # fmt: skip
            reason = "Models for adults do not work from what was uploaded, nor from what was made of it."
            raise InvalidInput(reason, fields={"references": reason})
        await media.mark_used(tx, wanted, now)
    return wanted


def _scopes(model: Model) -> frozenset[str]:
    """Which scoped lots may pay: those for what this model makes ("image", "video")."""
    return frozenset({model.kind})
