"""`/admin/styles`: the list in order, and the form of one. All of it works without script."""

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from gesso.accounts.access import Actor, CurrentOperator
from gesso.admin import samples, styles
from gesso.admin.frame import deed_of, panel
from gesso.admin.listing import ordered, switched
from gesso.admin.typed import json_object, shown
from gesso.catalog.edits.styles import MISSING, NEGATIVE_MOST, PROMPT_MOST, StyleFacts
from gesso.catalog.items import StylePreset
from gesso.catalog.views import sample_url
from gesso.core.errors import GessoError, InvalidInput, NotFound, TooLarge
from gesso.web.forms import Form, blank, read
from gesso.web.render import is_htmx, redirect, toast

router = APIRouter(prefix="/admin/styles", include_in_schema=False)
HOME = "/admin/styles"
LABELS = {
    "name": "Name", "key": "Short name", "prompt": "Adds to the prompt", "negative_prompt": "Leaves out",
    "settings": "Settings", "file": "Sample picture",
}  # fmt: skip


class StyleForm(BaseModel):
    """A style as it is typed."""

    name: Annotated[str, Field(max_length=80)]
    prompt: Annotated[str, Field(max_length=PROMPT_MOST)] = ""
    negative_prompt: Annotated[str, Field(max_length=NEGATIVE_MOST)] = ""
    settings: str = ""
    enabled: bool = False

    def facts(self) -> StyleFacts:
        """As the service takes it. Raises InvalidInput naming the line."""
        settings = json_object(self.settings, "settings")
        return StyleFacts(self.name, self.prompt, self.negative_prompt, settings, self.enabled)


class NewStyleForm(StyleForm):
    """A new one also says what it is called in addresses and in the API."""

    key: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]


@router.get("")
async def styles_page(request: Request, actor: CurrentOperator) -> Response:
    """All styles in their order."""
    return await _list(request)


async def _list(request: Request) -> Response:
    async with request.app.state.db.elevated("operator: styles") as tx:
        found, models = await styles.listing(tx)
    lines = [{"style": style, "sample": sample_url(style)} for style in found]
    return await panel(request, "admin/styles.html", lines=lines, wearers=[model.name for model in models])


@router.get("/new")
async def new_style_page(request: Request, actor: CurrentOperator) -> Response:
    """The form of a new style."""
    return await _form(request, None, blank(enabled="true"))


async def _form(request: Request, key: str | None, form: Form[Any] | None = None, status: int = 200) -> Response:
    """The form of the style of this key (of a new one without), as stored unless `form` says otherwise."""
    async with request.app.state.db.elevated("operator: a style") as tx:
        found, models = await styles.listing(tx)
    style = next((style for style in found if style.key == key), None)
    if key is not None and style is None:
        raise NotFound(MISSING)
    if style is not None and (form is None or not form.typed):
        form = _filled(style, form.errors if form else {})
    names = sorted({name for model in models for name in model.settings})
    return await panel(
        request, "admin/style.html", status, style=style, form=form, labels=LABELS, names=names,
        sample=sample_url(style) if style else None,
    )  # fmt: skip


def _filled(style: StylePreset, errors: dict[str, str]) -> Form[Any]:
    form = blank(
        name=style.name, prompt=style.prompt, negative_prompt=style.negative_prompt,
        settings=shown(dict(style.settings)), enabled="true" if style.enabled else "",
    )  # fmt: skip
    form.errors |= errors
    return form


@router.post("/new")
async def add_style(request: Request, actor: CurrentOperator) -> Response:
    """Add it."""
    return await _save(request, actor, await read(request, NewStyleForm), None)


@router.post("/order")
async def order_styles(request: Request, actor: CurrentOperator) -> Response:
    """Move one a step, or put all in a new order."""
    await ordered(request, actor, "styles", styles.move, styles.order)
    return await _list(request) if is_htmx(request) else redirect(request, HOME)


@router.get("/{key}")
async def style_page(request: Request, actor: CurrentOperator, key: str) -> Response:
    """One style."""
    return await _form(request, key)


@router.post("/{key}")
async def change_style(request: Request, actor: CurrentOperator, key: str) -> Response:
    """Save what was changed."""
    return await _save(request, actor, await read(request, StyleForm), key)


async def _save(request: Request, actor: Actor, form: Form[Any], key: str | None) -> Response:
    status = 422
    if form.ok:
        name = form.value.key if key is None else key
        try:
            async with request.app.state.db.elevated("operator: save a style") as tx:
                await styles.save(tx, deed_of(request, actor), name, form.value.facts(), new=key is None)
            return toast(redirect(request, f"{HOME}/{name}"), "Saved", "ok", detail="Live in every process now.")
        except GessoError as error:
            form.fail(error)
            status = error.status
    return await _form(request, key, form, status)


@router.post("/{key}/enabled")
async def switch_style(request: Request, actor: CurrentOperator, key: str) -> Response:
    """Offer it, or not."""
    return await switched(request, partial(_switch, request, actor, key), _list, HOME)


async def _switch(request: Request, actor: Actor, key: str, enabled: bool) -> str:
    async with request.app.state.db.elevated("operator: switch a style") as tx:
        return (await styles.switch(tx, deed_of(request, actor), key, enabled)).name


@router.post("/{key}/remove")
async def remove_style(request: Request, actor: CurrentOperator, key: str) -> Response:
    """Remove it for good."""
    try:
        async with request.app.state.db.elevated("operator: remove a style") as tx:
            gone = await styles.remove(tx, deed_of(request, actor), key)
    except GessoError as error:
        return await _told(request, key, error)
    return toast(redirect(request, HOME), f"{gone.name} is removed", "ok")


@router.post("/{key}/sample")
async def give_sample(request: Request, actor: CurrentOperator, key: str) -> Response:
    """Show this picture where people choose the style."""
    try:
        await samples.put(request, actor, "style_preset", key, await samples.sent(request))
    except (InvalidInput, TooLarge) as error:
        return await _told(request, key, error)
    return toast(redirect(request, f"{HOME}/{key}"), "People see this picture now", "ok")


async def _told(request: Request, key: str, error: GessoError) -> Response:
    """The style's page as stored, with what is wrong."""
    form: Form[Any] = blank()
    form.fail(error)
    return await _form(request, key, form, error.status)


@router.post("/{key}/sample/remove")
async def take_sample(request: Request, actor: CurrentOperator, key: str) -> Response:
    """Show no picture."""
    await samples.drop(request, actor, "style_preset", key)
    return toast(redirect(request, f"{HOME}/{key}"), "It has no sample picture now", "ok")
