"""`/admin/chains` and `/api/admin/chains`: which models are asked in turn, and how long each may take."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, Field

from gesso.accounts.access import Actor, CurrentOperator
from gesso.admin import traces
from gesso.admin.frame import deed_of, panel
from gesso.catalog import rows
from gesso.catalog.edits.chains import SECONDS_MOST, forget_chain, set_chain
from gesso.catalog.items import CHAIN_SECONDS, CHAINS, LINK_SECONDS, Chain, ChainKey, ChainLink, Model
from gesso.core.errors import GessoError, InvalidInput
from gesso.db import ElevatedSession
from gesso.web.errors import ANY_BODY, problems
from gesso.web.forms import Form, blank, read
from gesso.web.render import redirect, toast

pages = APIRouter(prefix="/admin/chains", include_in_schema=False)
api = APIRouter(prefix="/api/admin/chains", tags=["operator"])

WORDS: Mapping[ChainKey, tuple[str, str]] = {
    "text": ("Text", "Improves prompts, and writes whatever else the product writes."),
    "vision": ("Looking at pictures", "Describes pictures people give."),
    "moderation": (
        "Judging",
        "Judges prompts after the built-in rules; pictures and videos, too, by those with the tag “vision”. "
        "Empty: the built-in rules alone.",
    ),
}
MOST_LINKS = 20
SPARE_ROWS = 2
Seconds = Annotated[int, Field(ge=1, le=SECONDS_MOST)]
Key = Annotated[ChainKey, Path(description="Which chain.")]


class ChainForm(BaseModel):
    """The rows of the form: models and their seconds, side by side; a row without a model does not count."""

    model: Annotated[list[str], Field(max_length=MOST_LINKS)] = []
    seconds: Annotated[list[str], Field(max_length=MOST_LINKS)] = []
    total_seconds: Seconds = CHAIN_SECONDS

    def links(self) -> tuple[ChainLink, ...]:
        """The rows that name a model. Raises InvalidInput on `seconds` for what is no number."""
        pairs = list(zip(self.model, [*self.seconds, *[""] * len(self.model)], strict=False))
        for place, (key, text) in enumerate(pairs, start=1):
            if key and text and not (text.isascii() and text.isdigit()):
                reason = f"Row {place}: give whole seconds, or leave it empty for {LINK_SECONDS}."
                raise InvalidInput(reason, fields={"seconds": reason})
        return tuple(ChainLink(key, int(text) if text else LINK_SECONDS) for key, text in pairs if key)


class LinkShape(BaseModel):
    """A model of a chain."""

    model: Annotated[str, Field(max_length=63, description="Its short name.")]
    seconds: Seconds = Field(default=LINK_SECONDS, description="Until its first word.")


class ChainChange(BaseModel):
    """A whole chain."""

    links: Annotated[list[LinkShape], Field(min_length=1, max_length=MOST_LINKS)]
    total_seconds: Seconds = CHAIN_SECONDS


class ChainItem(ChainChange):
    """A chain as it is asked now. Not `set`: nobody chose it, its models are asked by their own order."""

    key: ChainKey
    links: list[LinkShape]
    set: bool


class ChainsAnswer(BaseModel):
    """All chains there are."""

    items: list[ChainItem]


async def _read(tx: ElevatedSession) -> tuple[dict[str, Model], dict[str, Chain]]:
    models = rows.read_items(await rows.fetch(tx, "model"), rows.model_of)
    chains = rows.read_items(await rows.fetch(tx, "chain"), rows.chain_of)
    return {model.key: model for model in models}, {chain.key: chain for chain in chains}


def _links(key: ChainKey, models: Mapping[str, Model], chain: Chain | None) -> Sequence[ChainLink]:
    if chain is not None:
        return chain.links
    return [ChainLink(model.key) for model in models.values() if model.enabled and model.serves(key)]


async def save(request: Request, actor: Actor, key: ChainKey, links: Sequence[ChainLink], total_seconds: int) -> None:
    """Set a chain, for page and API alike. Raises InvalidInput."""
    async with request.app.state.db.elevated("operator: set a chain") as tx:
        models, _ = await _read(tx)
        before = await traces.values(tx, "chain", key)
        await set_chain(tx, key, links, total_seconds, models)
        told = traces.between(before, await traces.values(tx, "chain", key))
        await deed_of(request, actor).note(tx, "chain.changed", chain=key, **told)


async def forget(request: Request, actor: Actor, key: ChainKey) -> None:
    """Go back to the models' own order."""
    async with request.app.state.db.elevated("operator: forget a chain") as tx:
        await forget_chain(tx, key)
        await deed_of(request, actor).note(tx, "chain.forgotten", chain=key)


async def _page(request: Request, wrong: Mapping[str, Form[Any]], status: int = 200) -> Response:
    async with request.app.state.db.elevated("operator: chains") as tx:
        models, chains = await _read(tx)
    shown = []
    for key in CHAINS:
        chain = chains.get(key)
        form = wrong.get(key)
        links = [{"model": link.model, "seconds": link.seconds} for link in _links(key, models, chain)]
        if form is not None:
            links = [
                {"model": model, "seconds": seconds}
                for model, seconds in zip(form.get("model", []), form.get("seconds", []), strict=False)
            ]
        spare = [{"model": "", "seconds": ""}] * SPARE_ROWS
        shown.append(
            {
                "key": key, "title": WORDS[key][0], "text": WORDS[key][1], "set": chain is not None,
                "rows": ([link for link in links if link["model"]] + spare)[:MOST_LINKS],
                "form": form or blank(total_seconds=chain.total_seconds if chain else CHAIN_SECONDS),
                "choices": [(model.key, model.name) for model in models.values() if model.serves(key)],
            }
        )  # fmt: skip
    return await panel(request, "admin/chains.html", status, chains=shown, link_seconds=LINK_SECONDS)


@pages.get("")
async def chains_page(request: Request, actor: CurrentOperator) -> Response:
    """All chains with their forms."""
    return await _page(request, {})


@pages.post("/{key}")
async def save_chain(request: Request, actor: CurrentOperator, key: Key) -> Response:
    """Save one."""
    form = await read(request, ChainForm)
    if form.ok:
        try:
            await save(request, actor, key, form.value.links(), form.value.total_seconds)
            return toast(redirect(request, "/admin/chains"), "Saved", "ok", detail="Live in every process now.")
        except GessoError as error:
            form.fail(error)
    return await _page(request, {key: form}, 422)


@pages.post("/{key}/forget")
async def forget_chain_page(request: Request, actor: CurrentOperator, key: Key) -> Response:
    """Back to the models' own order."""
    await forget(request, actor, key)
    return toast(redirect(request, "/admin/chains"), "Its models are asked by their own order", "ok")


@api.get("", responses=problems(401, 404))
async def list_chains(request: Request, actor: CurrentOperator) -> ChainsAnswer:
    """The chains as they are asked now."""
    return await _answer(request)


async def _answer(request: Request) -> ChainsAnswer:
    async with request.app.state.db.elevated("operator: chains") as tx:
        models, chains = await _read(tx)
    return ChainsAnswer(
        items=[
            ChainItem(
                key=key,
                set=key in chains,
                links=[
                    LinkShape(model=link.model, seconds=link.seconds) for link in _links(key, models, chains.get(key))
                ],
                total_seconds=chains[key].total_seconds if key in chains else CHAIN_SECONDS,
            )
            for key in CHAINS
        ]
    )


@api.put("/{key}", responses=problems(*ANY_BODY, 401, 404, 422))
async def update_chain(request: Request, actor: CurrentOperator, key: Key, body: ChainChange) -> ChainsAnswer:
    """Ask these models, in this order; live in every process within a second."""
    await save(request, actor, key, [ChainLink(one.model, one.seconds) for one in body.links], body.total_seconds)
    return await _answer(request)


@api.delete("/{key}", responses=problems(401, 403, 404, 422))
async def reset_chain(request: Request, actor: CurrentOperator, key: Key) -> ChainsAnswer:
    """Ask its models by their own order again."""
    await forget(request, actor, key)
    return await _answer(request)
