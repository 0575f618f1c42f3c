"""`/api/admin/styles`: for programs of the operator what the panel's pages do."""

from typing import Annotated, Any

from fastapi import APIRouter, File, Path, Request, Response, UploadFile
from pydantic import BaseModel, Field

from gesso.accounts.access import CurrentOperator
from gesso.admin import samples, styles
from gesso.admin.frame import deed_of
from gesso.admin.shapes import Order, item_of
from gesso.catalog.edits.styles import MISSING, NEGATIVE_MOST, PROMPT_MOST, StyleFacts
from gesso.catalog.items import StylePreset
from gesso.catalog.views import sample_url
from gesso.web.errors import ANY_BODY, problems

router = APIRouter(prefix="/api/admin/styles", tags=["operator"])

Key = Annotated[str, Path(max_length=63, description="The style's short name.")]


class StyleChange(BaseModel):
    """A whole style."""

    name: Annotated[str, Field(min_length=1, max_length=80)]
    prompt: Annotated[str, Field(max_length=PROMPT_MOST, description="Words that join what people write.")] = ""
    negative_prompt: Annotated[str, Field(max_length=NEGATIVE_MOST, description="What is left out with it.")] = ""
    settings: dict[str, Any] = Field(
        default={},
        description="Settings of models by our names, where nothing was given; a model takes those it knows.",
    )
    enabled: bool = True

    def facts(self) -> StyleFacts:
        """As the service takes it."""
        return StyleFacts(**{name: getattr(self, name) for name in StyleChange.model_fields})


class NewStyle(StyleChange):
    """A style to be added."""

    key: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", description="Its short name; it stays.")]


class StyleItem(StyleChange):
    """A style as the operator sees it."""

    key: str
    sample_url: str | None = Field(description="Its sample picture.")

    @classmethod
    def of(cls, style: StylePreset) -> "StyleItem":
        return cls(
            key=style.key, name=style.name, prompt=style.prompt, negative_prompt=style.negative_prompt,
            settings=dict(style.settings), enabled=style.enabled, sample_url=sample_url(style),
        )  # fmt: skip


class StylesAnswer(BaseModel):
    """All styles in their order."""

    items: list[StyleItem]


async def _items(request: Request) -> StylesAnswer:
    async with request.app.state.db.elevated("operator: styles") as tx:
        found, _ = await styles.listing(tx)
    return StylesAnswer(items=[StyleItem.of(style) for style in found])


async def _item(request: Request, key: str) -> StyleItem:
    return item_of((await _items(request)).items, key, MISSING)


@router.get("", responses=problems(401, 404))
async def list_styles(request: Request, actor: CurrentOperator) -> StylesAnswer:
    """All styles in their order, those that are off among them."""
    return await _items(request)


@router.post("", status_code=201, responses=problems(*ANY_BODY, 401, 404, 409, 422))
async def create_style(request: Request, actor: CurrentOperator, body: NewStyle) -> StyleItem:
    """Add a style behind all others."""
    async with request.app.state.db.elevated("operator: add a style") as tx:
        await styles.save(tx, deed_of(request, actor), body.key, body.facts(), new=True)
    return await _item(request, body.key)


@router.put("/order", responses=problems(*ANY_BODY, 401, 404, 422))
async def put_styles_in_order(request: Request, actor: CurrentOperator, body: Order) -> StylesAnswer:
    """Put these first, in this order."""
    async with request.app.state.db.elevated("operator: order styles") as tx:
        await styles.order(tx, deed_of(request, actor), body.keys)
    return await _items(request)


@router.put("/{key}", responses=problems(*ANY_BODY, 401, 404, 422))
async def update_style(request: Request, actor: CurrentOperator, key: Key, body: StyleChange) -> StyleItem:
    """Change it; live in every process within a second, for what is still waiting too."""
    async with request.app.state.db.elevated("operator: change a style") as tx:
        await styles.save(tx, deed_of(request, actor), key, body.facts(), new=False)
    return await _item(request, key)


@router.delete("/{key}", status_code=204, responses=problems(401, 403, 404, 409, 422))
async def remove_style(request: Request, actor: CurrentOperator, key: Key) -> Response:
    """Remove it for good. Refused while something is being made in it."""
    async with request.app.state.db.elevated("operator: remove a style") as tx:
        await styles.remove(tx, deed_of(request, actor), key)
    return Response(status_code=204)


@router.put("/{key}/sample", responses=problems(*ANY_BODY, 401, 404, 422, 503))
async def give_style_a_sample(
    request: Request,
    actor: CurrentOperator,
    key: Key,
    file: Annotated[UploadFile, File(description="A PNG, JPEG, WebP or AVIF picture.")],
) -> StyleItem:
    """Show people this picture where they choose the style."""
    await samples.put(request, actor, "style_preset", key, file)
    return await _item(request, key)


@router.delete("/{key}/sample", responses=problems(401, 403, 404, 422))
async def take_style_its_sample(request: Request, actor: CurrentOperator, key: Key) -> StyleItem:
    """Show no picture."""
    await samples.drop(request, actor, "style_preset", key)
    return await _item(request, key)
