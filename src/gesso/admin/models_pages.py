"""`/admin/models`: the list by kind, and the form of one with its live price. All of it works without script."""

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from gesso.accounts.access import Actor, CurrentOperator
from gesso.admin import models, samples
from gesso.admin.chains import WORDS
from gesso.admin.frame import deed_of, panel
from gesso.admin.listing import ordered, switched
from gesso.admin.models import Catalogue
from gesso.admin.models_form import ModelForm, NewModelForm, example_fields, filled, tell
from gesso.admin.standing import dollars, share
from gesso.catalog import pricing
from gesso.catalog.edits.models import build, credit_value, worst_margin
from gesso.catalog.items import JUDGES, KINDS, Kind, Model
from gesso.catalog.views import sample_url
from gesso.core.errors import Conflict, GessoError, InvalidInput, NotFound, TooLarge
from gesso.web.forms import Form, blank, read
from gesso.web.render import credits_text, credits_words, fragment, is_htmx, redirect, toast

router = APIRouter(prefix="/admin/models", include_in_schema=False)
HOME = "/admin/models"
KIND_WORDS: dict[str, str] = {
    "image": "Pictures", "video": "Videos", "chat": "Text", "vision": "Describing pictures", "moderation": "Judging",
}  # fmt: skip
STARTER = """{
  "type": "object",
  "properties": {
    "prompt": { "type": "string", "maxLength": 2000 },
    "count": { "type": "integer", "minimum": 1, "maximum": 4, "default": 1 }
  },
  "required": ["prompt"],
  "additionalProperties": false
}"""
LABELS = {
    "name": "Name", "key": "Short name", "kind": "Kind", "description": "Description", "connection": "Connection",
    "upstream": "The provider’s name for it", "capabilities": "Capabilities", "price_amount": "Price",
    "price_factors": "Price factors", "cost_amount": "Cost", "cost_factors": "Cost factors", "wire": "Wire",
    "tags": "Tags", "fallbacks": "Fallbacks", "outputs_per_call": "Outputs of one call",
    "typical_seconds": "Typical seconds", "free": "Free", "below_cost": "Below cost", "file": "Sample picture",
}  # fmt: skip


def _line(model: Model, catalogue: Catalogue) -> dict[str, Any]:
    connection = catalogue.connection(model.connection_id)
    worst = worst_margin(model, credit_value(catalogue.packs))
    try:
        price = credits_text(pricing.usual_price(model).credits)
    except InvalidInput:
        price = "–"
    cost = pricing.estimate_cost(
        model, {name: prop["default"] for name, prop in model.settings.items() if "default" in prop}
    )
    left = worst.share if worst else None
    return {
        "model": model,
        "connection": connection,
        "sample": sample_url(model),
        "price": price,
        "cost": dollars(cost),
        "margin": "–" if left is None else f"{left * 100:.0f} %",
        "loses": left is not None and left < 0,
        "off": connection is not None and not connection.enabled,
    }


@router.get("")
async def models_page(request: Request, actor: CurrentOperator) -> Response:
    """All models, by kind, in their order."""
    return await _list(request)


async def _list(request: Request) -> Response:
    async with request.app.state.db.elevated("operator: models") as tx:
        catalogue = await models.read(tx)
    kinds = [
        (kind, KIND_WORDS[kind], [_line(model, catalogue) for model in of_kind])
        for kind, of_kind in catalogue.by_kind().items()
    ]
    return await panel(request, "admin/models.html", kinds=kinds, valued=credit_value(catalogue.packs) is not None)


@router.get("/new")
async def new_model_page(
    request: Request, actor: CurrentOperator, like: Annotated[str, Query(max_length=63)] = ""
) -> Response:
    """The form of a new model, perhaps filled with another's values."""
    async with request.app.state.db.elevated("operator: models") as tx:
        catalogue = await models.read(tx)
    other = next((model for model in catalogue.models if model.key == like), None)
    if other is None:
        form: Form[Any] = blank(capabilities=STARTER, typical_seconds=10, outputs_per_call=1, kind="image")
    else:
        form = filled(other, catalogue.connection(other.connection_id))
        form.typed |= {"kind": other.kind, "name": "", "enabled": ""}
    return await _form(request, catalogue, None, form)


async def _form(
    request: Request, catalogue: Catalogue, model: Model | None, form: Form[Any], status: int = 200
) -> Response:
    return await panel(
        request, "admin/model.html", status, model=model, form=form, labels=LABELS,
        kinds=[("", "Choose a kind"), *((kind, KIND_WORDS[kind]) for kind in KINDS)],
        connections=[("", "Choose a connection"), *((one.key, one.name) for one in catalogue.connections)],
        sample=sample_url(model) if model else None, example=_example(catalogue, model, form),
    )  # fmt: skip


def _example(catalogue: Catalogue, model: Model | None, form: Form[Any]) -> dict[str, Any]:
    """What the typed model would cost; until it can be read, why there is no price."""
    typed = form.model
    if not isinstance(typed, ModelForm):
        if model is None or form.errors:
            return {"problem": "Fill in the form to see a price."}
        read_model = model
    else:
        kind: Kind = typed.kind if isinstance(typed, NewModelForm) else model.kind if model else "image"
        key = typed.key if isinstance(typed, NewModelForm) else model.key if model else "new"
        try:
            read_model = build(key, kind, typed.facts(), catalogue.connections, catalogue.models)
        except GessoError as error:
            return {"problem": f"No price yet. {error.detail}"}
    if read_model.kind == JUDGES and read_model.price is None:
        return {"problem": "Nobody chooses a model that judges, and nobody pays for it."}
    fields = example_fields(read_model, form.typed)
    chosen = {field.name: field.value for field in fields}
    count = int(chosen.pop("count", 1) or 1)
    found = models.example(read_model, {k: v for k, v in chosen.items() if v is not None}, count, catalogue.packs)
    left = found.margin
    return {
        "problem": found.problem,
        "fields": fields,
        "total": credits_words(found.price.credits) if found.price else "",
        "each": [credits_text(output.credits) for output in found.price.outputs][:1] if found.price else [],
        "count": count,
        "cost": dollars(found.cost),
        "income": dollars(left.income * count) if left else "–",
        "left": share(left.income - left.cost, left.income) if left and left.income else "–",
        "loses": left is not None and left.income < left.cost,
    }


@router.post("/example")
async def example_of_new(request: Request, actor: CurrentOperator) -> Response:
    """The live price of a model that is being typed."""
    return await _priced(request, await read(request, NewModelForm, max_fields=200), None)


@router.post("/{key}/example")
async def example_of_old(request: Request, actor: CurrentOperator, key: str) -> Response:
    """The live price of a model that is being changed."""
    return await _priced(request, await read(request, ModelForm, max_fields=200), key)


async def _priced(request: Request, form: Form[Any], key: str | None) -> Response:
    async with request.app.state.db.elevated("operator: models") as tx:
        catalogue = await models.read(tx)
    model = _of(catalogue, key) if key else None
    if is_htmx(request):
        return fragment(request, "admin/_example.html", example=_example(catalogue, model, form), model=model)
    return await _form(request, catalogue, model, form, 422 if form.errors else 200)


def _of(catalogue: Catalogue, key: str) -> Model:
    found = next((model for model in catalogue.models if model.key == key), None)
    if found is None:
        raise NotFound("There is no such model.")
    return found


@router.post("/new")
async def add_model(request: Request, actor: CurrentOperator) -> Response:
    """Add it, and show it."""
    return await _save(request, actor, await read(request, NewModelForm, max_fields=200), None)


@router.post("/order")
async def order_models(request: Request, actor: CurrentOperator) -> Response:
    """Move one a step, or put those of a kind in a new order."""
    await ordered(request, actor, "models", models.move, models.order)
    return await _list(request) if is_htmx(request) else redirect(request, HOME)


@router.get("/{key}")
async def model_page(request: Request, actor: CurrentOperator, key: str) -> Response:
    """One model."""
    async with request.app.state.db.elevated("operator: models") as tx:
        catalogue = await models.read(tx)
    model = _of(catalogue, key)
    return await _form(request, catalogue, model, filled(model, catalogue.connection(model.connection_id)))


@router.post("/{key}")
async def change_model(request: Request, actor: CurrentOperator, key: str) -> Response:
    """Save what was changed."""
    return await _save(request, actor, await read(request, ModelForm, max_fields=200), key)


async def _save(request: Request, actor: Actor, form: Form[Any], key: str | None) -> Response:
    status = 422
    if form.ok:
        typed: ModelForm = form.value
        kind = typed.kind if isinstance(typed, NewModelForm) else None
        name = key if key is not None else form.value.key
        try:
            async with request.app.state.db.elevated("operator: save a model") as tx:
                await models.save(
                    tx, deed_of(request, actor), name, kind, typed.facts(), free=typed.free,
                    below_cost=typed.below_cost,
                )  # fmt: skip
            return toast(redirect(request, f"{HOME}/{name}"), "Saved", "ok", detail="Live in every process now.")
        except GessoError as error:
            tell(form, error)
            status = error.status
    async with request.app.state.db.elevated("operator: models") as tx:
        catalogue = await models.read(tx)
    return await _form(request, catalogue, _of(catalogue, key) if key else None, form, status)


@router.post("/{key}/enabled")
async def switch_model(request: Request, actor: CurrentOperator, key: str) -> Response:
    """Switch it on or off."""
    return await switched(request, partial(_switch, request, actor, key), _list, HOME)


async def _switch(request: Request, actor: Actor, key: str, enabled: bool) -> str:
    async with request.app.state.db.elevated("operator: switch a model") as tx:
        return (await models.switch(tx, deed_of(request, actor), key, enabled)).name


@router.get("/{key}/remove")
async def removal_page(request: Request, actor: CurrentOperator, key: str) -> Response:
    """What removing it would touch, before it is done."""
    return await _removal(request, key)


async def _removal(request: Request, key: str, status: int = 200) -> Response:
    async with request.app.state.db.elevated("operator: what a model touches") as tx:
        found = await models.removal(tx, key)
    return await panel(
        request, "admin/model_remove.html", status, found=found, model=found.model, chain_words=WORDS,
        first=request.app.state.catalog.edition.defaults.model == key,
    )  # fmt: skip


@router.post("/{key}/remove")
async def remove_model(request: Request, actor: CurrentOperator, key: str) -> Response:
    """Remove it for good."""
    try:
        async with request.app.state.db.elevated("operator: remove a model") as tx:
            found = await models.remove(tx, deed_of(request, actor), key)
    except Conflict as error:
        return await _removal(request, key, error.status)
    return toast(redirect(request, HOME), f"{found.model.name} is removed", "ok")


@router.post("/{key}/sample")
async def give_sample(request: Request, actor: CurrentOperator, key: str) -> Response:
    """Show this picture where people choose the model."""
    try:
        await samples.put(request, actor, "model", key, await samples.sent(request))
    except (InvalidInput, TooLarge) as error:
        async with request.app.state.db.elevated("operator: models") as tx:
            catalogue = await models.read(tx)
        model = _of(catalogue, key)
        form = filled(model, catalogue.connection(model.connection_id))
        form.fail(error)
        return await _form(request, catalogue, model, form, error.status)
    return toast(redirect(request, f"{HOME}/{key}"), "People see this picture now", "ok")


@router.post("/{key}/sample/remove")
async def take_sample(request: Request, actor: CurrentOperator, key: str) -> Response:
    """Show no picture."""
    await samples.drop(request, actor, "model", key)
    return toast(redirect(request, f"{HOME}/{key}"), "It has no sample picture now", "ok")
