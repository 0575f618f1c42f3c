"""JSON of prices: one shape wherever something costs something (semantics: Money and holds)."""

from pydantic import BaseModel, Field

from gesso.core.money import Price


class OutputPriceJson(BaseModel):
    """What one output costs: credits, or uses of an allowance."""

    credits: str
    allowances: dict[str, int] = Field(
        default_factory=dict, exclude_if=lambda uses: not uses, description="Only where they pay instead."
    )


class PriceJson(BaseModel):
    """What a request costs, output by output. Credits are decimal strings."""

    credits: str
    allowances: dict[str, int]
    outputs: list[OutputPriceJson]

    @classmethod
    def of(cls, price: Price) -> "PriceJson":
        return cls.model_validate(price.to_json())
