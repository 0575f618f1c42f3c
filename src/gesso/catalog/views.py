"""What the API shows of the catalogue. Nothing here tells which provider is behind a model."""

import re
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, Field

from gesso.catalog.allowed import model_opener, opens
from gesso.catalog.items import Model, Plan, StylePreset
from gesso.catalog.pricing import usual_price
from gesso.catalog.styles import SETTING as STYLE
from gesso.catalog.styles import offered, takes_styles
from gesso.web.render import AssetMissing, static

_KEPT = re.compile(r"[0-9a-f]{64}")


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
    locked_by: str | None = Field(description="Key of the plan that opens it; null: it can be asked for.")

    @classmethod
    def of(
        cls,
        model: Model,
        styles: Sequence[StylePreset] = (),
        plan: Plan | None = None,
        plans: Sequence[Plan] = (),
    ) -> "ModelItem":
        """The model with the styles it can wear as the choices of its `style`; locked where `plan` does not open it."""
        found = None if plan is None or opens(plan, model) else model_opener(plans, model)
        return cls.model_validate(
            {
                "key": model.key,
                "kind": model.kind,
                "name": model.name,
                "description": model.description,
                "capabilities": _capabilities(model, styles),
                "price": usual_price(model).to_json(),
                "typical_seconds": model.typical_seconds,
                "tags": list(model.tags),
                "sample_url": sample_url(model),
                "locked_by": found.key if found else None,
            }
        )


class ModelsAnswer(BaseModel):
    """All models that are on, in their order."""

    items: list[ModelItem]


def _capabilities(model: Model, styles: Sequence[StylePreset]) -> dict[str, Any]:
    schema = dict(model.capabilities)
    if takes_styles(model):
        choices = [{"const": style.key, "title": style.name} for style in offered(model, styles)]
        properties = {name: prop for name, prop in model.settings.items() if name != STYLE or choices}
        schema["properties"] = properties | ({STYLE: {**properties[STYLE], "oneOf": choices}} if choices else {})
    return schema


def sample_url(item: Model | StylePreset) -> str | None:
    """The address of the sample picture of a model or style; None when it has none.

    An edition names one of web/static/pictures; the operator's own are named by their content (media.samples).
    """
    if item.sample is None:
        return None
    if _KEPT.fullmatch(item.sample):
        return f"/samples/{item.sample}.webp"
    try:
        return static(f"pictures/{item.sample}.webp")
    except AssetMissing:
        return None
