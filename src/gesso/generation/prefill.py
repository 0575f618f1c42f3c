"""Forms of Create and Video that are filled in already: `/create?prompt=…`, `?from=<picture>`,
`?from_generation=<id>`, `?input=<picture>`.

What an address names and is not there, or is somebody else's, is left out with a notice; it is never an error.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from gesso.accounts.access import Actor
from gesso.catalog.allowed import model_opener, opens
from gesso.catalog.items import Model, Plan
from gesso.catalog.registry import Catalog
from gesso.core.errors import NotFound
from gesso.db import WorkspaceSession
from gesso.generation import service
from gesso.generation.models import Kind
from gesso.generation.typed import fitted, typed_of
from gesso.media import repository as media

Prefilled = tuple[dict[str, str | list[str]], str]
"""The form's values, and a notice or ""."""

_NO_PICTURE = "What you chose is not here. It may have been deleted."
_NO_GENERATION = "That request is not here. It may be somebody else's."
_NO_STILL = "A video cannot be worked from. Choose a still."
_NO_MODEL = "No model here works from what you chose at the moment."


async def prefilled(
    tx: WorkspaceSession, actor: Actor, query: Mapping[str, str], catalog: Catalog, kind: Kind
) -> Prefilled:
    """The form an address asks for, with a model that makes `kind`."""
    notice = ""
    params: dict[str, Any] = {}
    try:
        if wanted := query.get("from"):
            params = await _of_picture(tx, actor, wanted, query)
        elif wanted := query.get("from_generation"):
            params = await _of_generation(tx, actor, wanted)
        if wanted := query.get("input"):
            return await _with_input(tx, wanted, params | _given(query), actor, catalog, kind)
    except NotFound as error:
        notice = error.detail
    params |= _given(query)
    key = str(params.get("model", ""))
    if params.get("model_name") and not any(model.key == key for model in catalog.models(kind)):
        notice = f"{params['model_name']} is not offered any more. Its settings were taken over as far as they fit."
    notice = notice or _locked(key, actor, catalog, kind)
    return _fit(params, actor, catalog, kind), notice


def model_of(catalog: Catalog, key: str, kind: Kind, plan: Plan) -> Model | None:
    """The model of this key if it makes `kind` and the plan has it, else the one that is chosen first.

    Where the plan has none, one that another plan has; None without any.
    """
    known = offered(catalog, kind)
    usable = [model for model in known if opens(plan, model)] or known
    found = next((model for model in usable if model.key == key), None)
    if found is None and (default := catalog.default_model) in usable:
        found = default
    return found or next(iter(usable), None)


def offered(catalog: Catalog, kind: Kind) -> tuple[Model, ...]:
    """The models of this kind that are on, but for those that no plan has."""
    return tuple(model for model in catalog.models(kind) if model_opener(catalog.plans(), model) is not None)


def _given(query: Mapping[str, str]) -> dict[str, str]:
    return {name: query[name] for name in ("prompt", "model") if query.get(name)}


async def _of_picture(tx: WorkspaceSession, actor: Actor, wanted: str, query: Mapping[str, str]) -> dict[str, Any]:
    """The settings of one picture: the same seed for a re-run, a new one for everything else."""
    asset = await media.get(tx, _id(wanted, _NO_PICTURE))
    params: dict[str, Any] = {
        **asset.params, "prompt": asset.prompt, "negative_prompt": asset.negative_prompt or "",
        "model": asset.model_key or "", "model_name": asset.model_name or "",
    }  # fmt: skip
    if query.get("mode") == "rerun":
        params |= {"seed": asset.seed, "count": 1}
    if asset.source == "upload":
        # an upload was not made with any settings: it can only be worked from
        params = {"references": [str(asset.id)]}
    return params


async def _of_generation(tx: WorkspaceSession, actor: Actor, wanted: str) -> dict[str, Any]:
    try:
        generation = await service.find(tx, actor, _id(wanted, _NO_GENERATION))
    except NotFound:
        raise NotFound(_NO_GENERATION) from None
    return {**generation.params, "model": generation.model_key, "model_name": generation.model_name}


async def _with_input(
    tx: WorkspaceSession, wanted: str, params: dict[str, Any], actor: Actor, catalog: Catalog, kind: Kind
) -> Prefilled:
    """A picture to work from, in a model that takes one."""
    try:
        asset = await media.get(tx, _id(wanted, _NO_PICTURE))
    except NotFound as error:
        return typed_of(params), error.detail
    if asset.kind != "image":
        return typed_of(params), _NO_STILL
    plan = catalog.plan(actor.plan_key)
    chosen = model_of(catalog, str(params.get("model", "")), kind, plan)
    takers = [model for model in catalog.models(kind) if "references" in model.settings and opens(plan, model)]
    if not takers:
        return typed_of(params), _NO_MODEL
    if chosen not in takers:
        # one made for it, if there is one, before one that merely may
        chosen = next((model for model in takers if model.settings["references"].get("minItems")), takers[0])
    if kind == "video" and asset.prompt and not params.get("prompt"):
        params = {**params, "prompt": asset.prompt}
    return typed_of({**params, "model": chosen.key, "references": [str(asset.id)]}), ""


def _fit(params: dict[str, Any], actor: Actor, catalog: Catalog, kind: Kind) -> dict[str, str | list[str]]:
    params.pop("model_name", None)
    typed = typed_of(params)
    plan = catalog.plan(actor.plan_key)
    model = model_of(catalog, str(params.get("model", "")), kind, plan)
    return fitted(typed, model, plan, catalog.plans()) if model is not None else typed


def _locked(key: str, actor: Actor, catalog: Catalog, kind: Kind) -> str:
    """What to tell of a model that the plan does not have; "" when it has it."""
    plan = catalog.plan(actor.plan_key)
    wanted = next((model for model in offered(catalog, kind) if model.key == key), None)
    if wanted is None or opens(plan, wanted):
        return ""
    opener = model_opener(catalog.plans(), wanted)
    return f"{wanted.name} is part of {opener.name}. Its settings were taken over as far as they fit." if opener else ""


def _id(text: str, missing: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound(missing) from None
