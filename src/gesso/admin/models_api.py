"""`/api/admin/models`: for programs of the operator what the panel's pages do."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, Path, Request, Response, UploadFile
from pydantic import BaseModel, Field

from gesso.accounts.access import CurrentOperator
from gesso.admin import models, samples
from gesso.admin.frame import deed_of
from gesso.admin.models import Catalogue
from gesso.admin.shapes import Order, Switch, item_of
from gesso.catalog.edits.models import ModelFacts
from gesso.catalog.items import Model
from gesso.catalog.views import sample_url
from gesso.web.errors import ANY_BODY, problems

router = APIRouter(prefix="/api/admin/models", tags=["operator"])

Key = Annotated[str, Path(max_length=63, description="The model's short name.")]


class ModelChange(BaseModel):
    """A whole model. Figures in rules are decimal strings."""

    name: Annotated[str, Field(min_length=1, max_length=80)]
    description: Annotated[str, Field(max_length=300)] = ""
    connection: Annotated[str, Field(max_length=63, description="Short name of its connection.")]
    upstream: Annotated[str, Field(min_length=1, max_length=300, description="What the provider calls it.")]
    capabilities: dict[str, Any] = Field(description="JSON Schema of its settings, in the order of the form.")
    price: dict[str, Any] | None = Field(default=None, description='Such as {"credits": "2"}; null: not for sale.')
    cost: dict[str, Any] | None = Field(default=None, description='Such as {"usd": "0.045"}; null: not known.')
    wire: dict[str, Any] = {}
    tags: Annotated[list[str], Field(max_length=50)] = []
    fallbacks: Annotated[list[str], Field(max_length=20)] = []
    outputs_per_call: Annotated[int, Field(ge=1, le=100)] = 1
    typical_seconds: Annotated[int, Field(ge=1, le=86_400)] = 10
    enabled: bool = False

    def facts(self) -> ModelFacts:
        """As the service takes it."""
        values = self.model_dump(include=set(ModelChange.model_fields))
        return ModelFacts(**{**values, "tags": tuple(self.tags), "fallbacks": tuple(self.fallbacks)})


class ModelPut(ModelChange):
    """A change, with what must be said on purpose."""

    free: bool = Field(default=False, description="A price of nothing is meant.")
    below_cost: bool = Field(default=False, description="A price below the provider's cost is meant.")


class NewModel(ModelPut):
    """A model to be added."""

    key: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,62}$", description="Its short name; it stays.")]
    kind: Literal["image", "video", "chat", "vision", "moderation"]


class OperatorModel(ModelChange):
    """A model as the operator sees it."""

    key: str
    kind: str
    sample_url: str | None = Field(description="Its sample picture.")

    @classmethod
    def of(cls, model: Model, catalogue: Catalogue) -> "OperatorModel":
        connection = catalogue.connection(model.connection_id)
        return cls(
            key=model.key, kind=model.kind, name=model.name, description=model.description,
            connection=connection.key if connection else "", upstream=model.upstream,
            capabilities=dict(model.capabilities), price=model.price.to_json() if model.price else None,
            cost=model.cost.to_json() if model.cost else None, wire=dict(model.wire), tags=list(model.tags),
            fallbacks=list(model.fallbacks), outputs_per_call=model.outputs_per_call,
            typical_seconds=model.typical_seconds, enabled=model.enabled,
            sample_url=sample_url(model),
        )  # fmt: skip


class OperatorModels(BaseModel):
    """All models in their order, those that are off among them."""

    items: list[OperatorModel]


async def _items(request: Request) -> OperatorModels:
    async with request.app.state.db.elevated("operator: models") as tx:
        catalogue = await models.read(tx)
    return OperatorModels(items=[OperatorModel.of(model, catalogue) for model in catalogue.models])


async def _item(request: Request, key: str) -> OperatorModel:
    return item_of((await _items(request)).items, key, "There is no such model.")


@router.get("", responses=problems(401, 404))
async def list_all_models(request: Request, actor: CurrentOperator) -> OperatorModels:
    """All models with what they stand on."""
    return await _items(request)


@router.post("", status_code=201, responses=problems(*ANY_BODY, 401, 404, 409, 422))
async def create_model(request: Request, actor: CurrentOperator, body: NewModel) -> OperatorModel:
    """Add a model behind all others."""
    async with request.app.state.db.elevated("operator: add a model") as tx:
        await models.save(
            tx, deed_of(request, actor), body.key, body.kind, body.facts(), free=body.free, below_cost=body.below_cost
        )
    return await _item(request, body.key)


@router.put("/order", responses=problems(*ANY_BODY, 401, 404, 422))
async def put_models_in_order(request: Request, actor: CurrentOperator, body: Order) -> OperatorModels:
    """Put these first, in this order."""
    async with request.app.state.db.elevated("operator: order models") as tx:
        await models.order(tx, deed_of(request, actor), body.keys)
    return await _items(request)


@router.get("/{key}", responses=problems(401, 404, 422))
async def read_one_model(request: Request, actor: CurrentOperator, key: Key) -> OperatorModel:
    """One model."""
    return await _item(request, key)


@router.put("/{key}", responses=problems(*ANY_BODY, 401, 404, 422))
async def update_model(request: Request, actor: CurrentOperator, key: Key, body: ModelPut) -> OperatorModel:
    """Change it; live in every process within a second."""
    async with request.app.state.db.elevated("operator: change a model") as tx:
        await models.save(
            tx, deed_of(request, actor), key, None, body.facts(), free=body.free, below_cost=body.below_cost
        )
    return await _item(request, key)


@router.put("/{key}/enabled", responses=problems(*ANY_BODY, 401, 404, 422))
async def switch_one_model(request: Request, actor: CurrentOperator, key: Key, body: Switch) -> OperatorModel:
    """Switch it on or off. Refused for one without a price."""
    async with request.app.state.db.elevated("operator: switch a model") as tx:
        await models.switch(tx, deed_of(request, actor), key, body.enabled)
    return await _item(request, key)


@router.delete("/{key}", status_code=204, responses=problems(401, 403, 404, 409, 422))
async def remove_one_model(request: Request, actor: CurrentOperator, key: Key) -> Response:
    """Remove it for good, and its name from fallbacks and chains. Refused while anything is asked of it.

    What was made with it keeps its name.
    """
    async with request.app.state.db.elevated("operator: remove a model") as tx:
        await models.remove(tx, deed_of(request, actor), key)
    return Response(status_code=204)


@router.put("/{key}/sample", responses=problems(*ANY_BODY, 401, 404, 422, 503))
async def give_model_a_sample(
    request: Request,
    actor: CurrentOperator,
    key: Key,
    file: Annotated[UploadFile, File(description="A PNG, JPEG, WebP or AVIF picture.")],
) -> OperatorModel:
    """Show people this picture where they choose the model."""
    await samples.put(request, actor, "model", key, file)
    return await _item(request, key)


@router.delete("/{key}/sample", responses=problems(401, 403, 404, 422))
async def take_model_its_sample(request: Request, actor: CurrentOperator, key: Key) -> OperatorModel:
    """Show no picture."""
    await samples.drop(request, actor, "model", key)
    return await _item(request, key)
