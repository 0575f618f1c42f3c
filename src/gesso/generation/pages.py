"""The pages Create and Video (see rooms.py): the composer, the results, and what one does there.

Everything works as plain pages and forms; with scripts the same addresses answer fragments. A generation that is
asked for twice by the same form (a double click, a reload of the answer) is made once.
"""

import asyncio
import hashlib
import json
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response

from gesso.accounts.access import Actor, CurrentActor, VerifiedActor, verified_actor
from gesso.calls import gate
from gesso.catalog import capabilities
from gesso.catalog.shown import shown_catalog
from gesso.core.errors import (
    Conflict,
    Forbidden,
    GessoError,
    InvalidInput,
    NotFound,
    OutOfCredits,
    TooManyRequests,
)
from gesso.core.sealed import token
from gesso.db import Database, WorkspaceSession
from gesso.generation import composer as compose
from gesso.generation import quoting, repository, service, views
from gesso.generation.composer import Composer
from gesso.generation.inputs import ids_of, known_references, read, take_uploads
from gesso.generation.moderating import heard
from gesso.generation.prefill import model_of, offered, prefilled
from gesso.generation.rooms import CREATE, room_for, room_of
from gesso.generation.service import Ask
from gesso.generation.steps import FirstSteps, first_steps
from gesso.generation.steps import router as steps_router
from gesso.generation.styling import restyled, style_cards
from gesso.generation.typed import Typed, fitted, text_of, texts_of
from gesso.media import repository as media
from gesso.safety.moderation import NotChecked
from gesso.web.idempotency import Answer, Once
from gesso.web.render import fragment, is_htmx, page, redirect

# Found out before a transaction begins, so that none waits for another.
router = APIRouter(include_in_schema=False, dependencies=[Depends(shown_catalog)])
router.include_router(steps_router)

RUNS = 12
"""Generations on a page of results."""
_REFUSALS = (InvalidInput, OutOfCredits, TooManyRequests, Forbidden, NotChecked)
_TWIN_TRIES, _TWIN_PAUSE_SECONDS = 50, 0.1


# --- the page ------------------------------------------------------------------------------------------


@router.get("/create")
@router.get("/video")
async def create_page(request: Request, actor: CurrentActor) -> Response:
    """Composer and results. A script gets older results (`before`) as a fragment."""
    before = _before(request)
    if before is not None and is_htmx(request):
        return fragment(request, "generation/_runs.html", results=await _results(request, actor, before), key=token())
    async with _tx(request, actor) as tx:
        catalog = await shown_catalog(request)
        typed, notice = await prefilled(tx, actor, request.query_params, catalog, room_of(request).kind)
        composer = await _composer(
            request, actor, tx, typed, notice=notice, everything=request.query_params.get("all") == "1"
        )
        results = await _results_in(tx, request, actor, before)
        steps = await first_steps(request, tx, actor) if room_of(request).kind == CREATE.kind and not before else None
    return await _page(request, composer, results, steps=steps)


@router.get("/create/composer")
@router.get("/video/composer")
async def composer_fragment(request: Request, actor: CurrentActor) -> Response:
    """The composer filled in as the address says; without scripts the whole page."""
    if not is_htmx(request):
        return redirect(request, f"{room_of(request).path}?{request.url.query}")
    async with _tx(request, actor) as tx:
        catalog = await shown_catalog(request)
        typed, notice = await prefilled(tx, actor, request.query_params, catalog, room_of(request).kind)
        composer = await _composer(request, actor, tx, typed | {"sheet": "1"}, notice=notice)
    return fragment(request, "generation/_composer.html", composer=composer)


@router.get("/create/runs")
@router.get("/video/runs")
async def newest_runs(request: Request, actor: CurrentActor) -> Response:
    """The newest results, for a page that may have missed something."""
    return fragment(request, "generation/_runs.html", results=await _results(request, actor, None), key=token())


@router.post("/create/controls")
@router.post("/video/controls")
async def change_composer(request: Request, actor: CurrentActor) -> Response:
    """The composer after another model was chosen, or (without scripts) pictures were added or removed."""
    typed = await read(request)
    errors = await take_uploads(request, actor, typed)
    catalog = await shown_catalog(request)
    plan = catalog.plan(actor.plan_key)
    model = model_of(catalog, text_of(typed, "model"), room_of(request).kind, plan)
    if model is not None:
        before = catalog.snapshot.models.get(text_of(typed, "was"))
        typed = restyled(fitted(typed, model, plan, catalog.plans(), before), model, catalog.style_presets(), plan)
    async with _tx(request, actor) as tx:
        composer = await _composer(request, actor, tx, typed, errors=errors)
    return await _answer(request, actor, composer, 422 if errors else 200)


@router.post("/create/estimate")
@router.post("/video/estimate")
async def estimate_fragment(request: Request, actor: CurrentActor) -> Response:
    """The foot of the composer: what this would cost, what is left then, how long it takes."""
    typed = await read(request)
    async with _tx(request, actor) as tx:
        composer = await _composer(request, actor, tx, typed)
    if composer is None:
        return Response(status_code=204)
    return fragment(request, "generation/_estimate.html", composer=composer)


@router.post("/create")
@router.post("/video")
async def create(request: Request, actor: CurrentActor) -> Response:
    """Ask for pictures or a film. What is wrong comes back with everything that was typed."""
    typed, room = await read(request), room_of(request)
    errors = await take_uploads(request, actor, typed)
    if errors:
        return await _refused(request, actor, typed, InvalidInput(errors["references"], fields=errors))
    try:
        await verified_actor(request)
        catalog = await shown_catalog(request)
        model = catalog.model(text_of(typed, "model"))
        ask = Ask(room.kind, model.key, capabilities.from_form(model, typed), "page")
        generation_id = await _once(request, actor, room.path[1:], text_of(typed, "key"), ask)
    except _REFUSALS as error:
        return await _refused(request, actor, typed, error)
    if not is_htmx(request):
        return redirect(request, room.path)
    typed["key"] = ""
    async with _tx(request, actor) as tx:
        composer = await _composer(request, actor, tx, typed)
        standing = await service.standing(tx, actor, generation_id, catalog, request.app.state.clock.now())
    run = views.run(standing, request.app.state.clock.now())
    return _on_top(
        fragment(request, "generation/_created.html", run=run, composer=composer, key=token()), generation_id
    )


# --- one generation ------------------------------------------------------------------------------------


@router.get("/generations/{generation_id}/card")
async def card(request: Request, actor: CurrentActor, generation_id: str) -> Response:
    """One run as it stands. With `mine` (a kind) only one's own of that kind, as the results show them."""
    return await _card(request, actor, _id(generation_id), mine=request.query_params.get("mine", ""))


@router.post("/generations/{generation_id}/cancel")
async def cancel(request: Request, actor: CurrentActor, generation_id: str) -> Response:
    """Stop it. What has arrived stays, the rest is given back at once."""
    async with _tx(request, actor) as tx:
        await service.cancel(tx, actor, _id(generation_id), request.app.state.clock.now())
        room = room_for((await service.find(tx, actor, _id(generation_id))).kind)
    if not is_htmx(request):
        return redirect(request, room.path)
    return await _card(request, actor, _id(generation_id))


@router.post("/generations/{generation_id}/rerun")
async def rerun(request: Request, actor: VerifiedActor, generation_id: str) -> Response:
    """The same again with a new seed; with field `output`, only that one of its pictures."""
    typed = await read(request)
    async with _tx(request, actor) as tx:
        earlier = await service.find(tx, actor, _id(generation_id))
    params = {name: value for name, value in earlier.params.items() if name != "seed"}
    if text_of(typed, "output"):
        params["count"] = 1
    ask = Ask(earlier.kind, earlier.model_key, params, "page", rerun_of=earlier.id)
    route = f"rerun/{earlier.id}/{text_of(typed, 'output')[:9]}"
    made = await _once(request, actor, route, text_of(typed, "key"), ask)
    if not is_htmx(request):
        return redirect(request, room_for(earlier.kind).path)
    return _on_top(await _card(request, actor, made), made)


async def _card(request: Request, actor: Actor, generation_id: UUID, *, mine: str = "") -> Response:
    now = request.app.state.clock.now()
    async with _tx(request, actor) as tx:
        standing = await service.standing(tx, actor, generation_id, await shown_catalog(request), now)
    generation = standing.generation
    if mine and (generation.user_id != actor.user_id or generation.kind != mine):
        raise NotFound("There is no such generation.")
    return fragment(request, "generation/_run.html", run=views.run(standing, now), key=token())


def _on_top(response: Response, generation_id: UUID) -> Response:
    """Let htmx put the card above all others, and the page know that credits have moved."""
    response.headers["HX-Retarget"] = "#runs"
    response.headers["HX-Reswap"] = "afterbegin"
    response.headers["HX-Trigger"] = json.dumps({"gesso:credits": {}, "gesso:created": {"id": str(generation_id)}})
    return response


# --- asking --------------------------------------------------------------------------------------------


async def _once(request: Request, actor: Actor, route: str, key: str, ask: Ask) -> UUID:
    """Submit, or find what the same form has made already. A form that was changed since is another one.

    Raises what `service.submit` does, and NotChecked.
    """
    state, catalog = request.app.state, await shown_catalog(request)
    body = {"model": ask.model, "params": dict(ask.params)}
    digest = hashlib.sha256(json.dumps(body, sort_keys=True, default=str).encode()).hexdigest()
    once = Once.of(route, f"{key[:100]}/{digest}" if key else None, body)
    async with heard(state, actor, ask, catalog, once) as prompt:
        for last in (False,) * _TWIN_TRIES + (True,):
            try:
                async with _tx(request, actor) as tx:
                    answer = await once.before(tx)
                    if answer is None:
                        submitted = await service.submit(
                            tx, actor, ask, catalog, now=state.clock.now(),
                            waiting_limit=state.settings.limits.waiting_generations,
                        )  # fmt: skip
                        await prompt.keep(tx, submitted.id)
                        answer = Answer(202, {"id": str(submitted.id)})
                        await once.after(tx, answer)
                return UUID(answer.body["id"])
            except Conflict:
                # its twin is being worked on at this moment: wait for that one's answer
                if last:
                    raise
                await asyncio.sleep(_TWIN_PAUSE_SECONDS)
    raise AssertionError("unreachable")


async def _refused(request: Request, actor: Actor, typed: Typed, error: GessoError) -> Response:
    """The form again, with what is wrong at its fields and at its top. Missing credits are told at its foot."""
    errors = error.fields or {"": error.detail}
    async with _tx(request, actor) as tx:
        composer = await _composer(request, actor, tx, typed, errors=errors)
        if isinstance(error, OutOfCredits) and composer is not None and composer.quote.missing:
            composer = replace(composer, errors={})
    response = await _answer(request, actor, composer, error.status)
    if isinstance(error, TooManyRequests | NotChecked):
        response.headers["Retry-After"] = str(error.facts.get("retry_after", 1))
    return response


async def _answer(request: Request, actor: Actor, composer: Composer | None, status: int) -> Response:
    if is_htmx(request):
        return fragment(request, "generation/_composer.html", status, composer=composer)
    return await _page(request, composer, await _results(request, actor, None), status)


async def _page(
    request: Request,
    composer: Composer | None,
    results: views.Results,
    status: int = 200,
    *,
    steps: FirstSteps | None = None,
) -> Response:
    room = room_of(request)
    return await page(
        request, "generation/create.html", status, composer=composer, results=results, room=room, key=token(),
        steps=steps,
    )  # fmt: skip


# --- the composer --------------------------------------------------------------------------------------


async def _composer(
    request: Request,
    actor: Actor,
    tx: WorkspaceSession,
    typed: Typed,
    *,
    errors: Mapping[str, str] | None = None,
    notice: str = "",
    everything: bool = False,
) -> Composer | None:
    """The composer as it stands with these values; None when no model is on."""
    catalog, errors = await shown_catalog(request), errors or {}
    room = room_of(request)
    plan, plans = catalog.plan(actor.plan_key), catalog.plans()
    model = model_of(catalog, text_of(typed, "model"), room.kind, plan)
    if model is None:
        return None
    main, advanced = compose.controls(model, typed, errors, plan, plans)
    shown = offered(catalog, room.kind)
    closed = await gate.closed(tx)
    measured = await repository.typical_seconds_of(tx, [one.key for one in shown])
    quote = await quoting.quote(tx, actor, catalog, room.kind, model, typed, request.app.state.clock.now())
    cards = compose.model_cards(shown, model, measured, closed, plan, plans, by_plan=quote.by_plan)
    pictures = await media.by_ids(tx, ids_of(texts_of(typed, "references")))
    fold = text_of(typed, "fold")
    return Composer(
        room=room,
        key=text_of(typed, "key") or token(),
        open=text_of(typed, "sheet") == "1" or any(name not in ("", "prompt") for name in errors),
        fold_open=fold == "1" or any(control.error for control in advanced),
        fold_wanted=fold,
        prompt=text_of(typed, "prompt"),
        prompt_help=str(model.settings["prompt"].get("description", "")),
        prompt_max=model.settings["prompt"].get("maxLength", 2000),
        cards=compose.first_cards(cards, everything),
        more=() if everything or len(cards) <= compose.CARDS else cards,
        model=next(card for card in cards if card.checked),
        main=main,
        advanced=advanced,
        references=compose.reference_part(
            model, known_references(typed), pictures, errors, request.app.state.settings.storage.max_upload_bytes
        ),
        hidden=compose.left_over(model, typed),
        quote=quote,
        errors=errors,
        labels={name: capabilities.label_of(name, prop) for name, prop in model.settings.items()} | {"model": "Model"},
        notice=notice,
        styles=style_cards(model, typed, catalog.style_presets()),
        closed=compose.closed_words(model, shown, closed),
        grown=len(offered(catalog.adults, room.kind)) - len(shown),
    )


async def _results(request: Request, actor: Actor, before: UUID | None) -> views.Results:
    async with _tx(request, actor) as tx:
        return await _results_in(tx, request, actor, before)


async def _results_in(tx: WorkspaceSession, request: Request, actor: Actor, before: UUID | None) -> views.Results:
    now = request.app.state.clock.now()
    room = room_of(request)
    found, following = await service.recent(
        tx, actor, await shown_catalog(request), now, before=before, limit=RUNS, kind=room.kind
    )
    return views.results(found, following, now, room, newest=before is None)


# --- small things --------------------------------------------------------------------------------------


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound("There is no such generation.") from None


def _before(request: Request) -> UUID | None:
    """Where older results begin; an address that was cut short begins at the newest."""
    found = ids_of([request.query_params.get("before", "")])
    return found[0] if found else None


def _tx(request: Request, actor: Actor) -> AbstractAsyncContextManager[WorkspaceSession]:
    db: Database = request.app.state.db
    return db.workspace(actor.workspace_id, actor.user_id)
