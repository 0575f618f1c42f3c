"""What the API shows of the catalogue. Nothing here tells which provider is behind a model."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from gesso.catalog.items import Model
from gesso.catalog.pricing import usual_price
from gesso.web.render import AssetMissing, static


class OutputPriceShape(BaseModel):
    """What one output costs."""

    credits: str = Field(description="Credits as a decimal string.")
    allowances: dict[str, int] = Field(default={}, description="Uses of allowances, where they pay instead.")


class PriceShape(BaseModel):
    """The one shape of prices and charges."""

    credits: str = Field(description="The sum in credits, as a decimal string.")
    allowances: dict[str, int] = Field(description="Uses of allowances, by unit.")
    outputs: list[OutputPriceShape] = Field(description="Output by output.")


class ModelItem(BaseModel):
    """A model that can be asked for."""

    key: str
    kind: Literal["image", "video", "chat", "vision"]
    name: str
    description: str
    capabilities: dict[str, Any] = Field(
        description="JSON Schema of its settings, in the order of the form, with defaults and choices."
    )
    price: PriceShape = Field(description="Of one output when no setting is changed.")
    typical_seconds: int = Field(description="How long one output usually takes.")
    tags: list[str]
    sample_url: str | None = Field(description="A picture that shows what it makes.")

    @classmethod
    def of(cls, model: Model) -> "ModelItem":
        return cls.model_validate(
            {
                "key": model.key,
                "kind": model.kind,
                "name": model.name,
                "description": model.description,
                "capabilities": model.capabilities,
                "price": usual_price(model).to_json(),
                "typical_seconds": model.typical_seconds,
                "tags": list(model.tags),
                "sample_url": sample_url(model),
            }
        )


class ModelsAnswer(BaseModel):
    """All models that are on, in their order."""

    items: list[ModelItem]


def sample_url(model: Model) -> str | None:
    """The address of the model's sample picture under web/static/pictures; None when it has none."""
    if model.sample is None:
        return None
    try:
        return static(f"pictures/{model.sample}.webp")
    except AssetMissing:
        return None
