"""JSON of generations, both ways. The shapes of the answers are frozen."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr

from gesso.core.money import format_credits
from gesso.credits.schemas import PriceJson
from gesso.generation.service import Estimate, Standing, Submitted
from gesso.generation.state import GenerationState
from gesso.media import taken
from gesso.media.views import asset_json

Text = Annotated[StrictStr, Field(max_length=20_000)]
Word = Annotated[StrictStr, Field(max_length=200)]


class _Settings(BaseModel):
    """Settings of the model. Which of them it takes, and others besides, is told by its `capabilities`."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={"additionalProperties": {"description": "Further settings of the model."}},
    )

    model: Word = Field(description="Key of the model, from `GET /api/models`.")
    count: StrictInt = Field(1, description="How many outputs.")
    negative_prompt: Text | None = Field(None, description="What should not be in it.")
    size: Word | None = Field(None, description='Pixels, as in "1024x768".')
    aspect_ratio: Word | None = Field(None, description='As in "16:9".')
    quality: Word | None = None
    seed: StrictInt | None = Field(None, description="The same seed and settings give the same pictures again.")
    references: list[UUID] | None = Field(None, max_length=100, description="Ids of own pictures to work from.")

    def params(self) -> dict[str, Any]:
        """The model's settings as they were given."""
        given = self.model_dump(mode="json", exclude_unset=True, exclude={"model", "kind"})
        return {**given, "count": self.count}


class GenerateImage(_Settings):
    """A request for pictures."""

    prompt: Text = Field(description="What to make.")


class GenerateVideo(_Settings):
    """A request for a film."""

    prompt: Text | None = Field(None, description="What happens in it. Some models work from a picture alone.")
    duration: StrictInt | None = Field(None, description="Whole seconds.")


class EstimateRequest(_Settings):
    """The same request, before it is made. The price does not depend on the prompt, so it may be absent."""

    kind: Literal["image", "video"] = "image"
    prompt: Text | None = None


class RerunRequest(BaseModel):
    """How to run it again."""

    model_config = ConfigDict(extra="forbid")

    new_seed: StrictBool = Field(False, description="Other pictures of the same, instead of the same ones.")


class EstimateAnswer(BaseModel):
    """What it would cost now."""

    price: PriceJson
    balance: str = Field(description="Credits that can be spent now.")
    allowances: dict[str, int] = Field(description="Uses left, by unit.")
    enough: bool
    own_key: bool = Field(description="It would run on your own key and cost nothing here: nothing else covers it.")
    seconds: int = Field(description="How long it will probably take.")

    @classmethod
    def of(cls, estimate: Estimate) -> "EstimateAnswer":
        return cls(
            price=PriceJson.of(estimate.price),
            balance=format_credits(estimate.balance),
            allowances=dict(estimate.allowances),
            enough=estimate.enough,
            own_key=estimate.own_key,
            seconds=estimate.seconds,
        )


class SubmittedAnswer(BaseModel):
    """Accepted and paid for; follow it at `/api/generate/status/{id}` or on `/api/events`."""

    id: UUID
    status: Literal["queued"] = "queued"
    model: str
    price: PriceJson

    @classmethod
    def of(cls, submitted: Submitted) -> "SubmittedAnswer":
        return cls(id=submitted.id, model=submitted.model.key, price=PriceJson.of(submitted.price))


class ErrorJson(BaseModel):
    """Why something was not delivered."""

    code: str
    message: str


class AssetJson(BaseModel):
    """A delivered output. Its addresses need the session's cookie."""

    model_config = ConfigDict(extra="allow")

    id: UUID
    kind: Literal["image", "video"]
    url: str
    thumbnails: dict[str, str]
    width: int
    height: int
    media_type: str
    size_bytes: int
    seed: int | None


class StatusAnswer(BaseModel):
    """How a generation stands."""

    id: UUID
    status: GenerationState
    kind: Literal["image", "video"]
    model: str
    model_name: str
    prompt: str
    count: int
    progress: float = Field(ge=0, le=1)
    queue_position: int | None = Field(description="1 = next; null when it is not waiting.")
    eta_seconds: int | None = Field(description="From recent runs of the model; null when it has ended.")
    price: PriceJson
    charged: PriceJson = Field(description="What was paid for so far.")
    own_key: bool = Field(description="It runs on the own provider key of whoever asked, and costs nothing here.")
    warnings: list[str]
    error: ErrorJson | None
    assets: list[AssetJson]
    outputs: list["OutputJson"] = Field(description="One per output asked for, in order.")
    rerun_of: UUID | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, standing: Standing) -> "StatusAnswer":
        generation = standing.generation
        return cls(
            id=generation.id,
            status=generation.state,
            kind=generation.kind,
            model=generation.model_key,
            model_name=generation.model_name,
            prompt=generation.prompt,
            count=generation.count,
            progress=standing.progress,
            queue_position=standing.queue_position,
            eta_seconds=standing.eta_seconds,
            price=PriceJson.of(generation.price),
            charged=PriceJson.of(standing.charged),
            own_key=generation.own_key,
            warnings=[*generation.warnings, *([taken.SENTENCE] if _any_down(standing) else [])],
            error=_error(generation.error_code, generation.error_message),
            assets=[AssetJson.model_validate(asset_json(asset)) for _, asset in sorted(standing.assets.items())],
            outputs=[
                OutputJson(
                    index=output.index,
                    status=output.state,
                    asset_id=output.asset_id if output.state == "delivered" else None,
                    error=_error(output.error_code, output.error_message),
                )
                for output in standing.outputs
            ],
            rerun_of=generation.rerun_of,
            created_at=generation.created_at,
            started_at=generation.started_at,
            finished_at=generation.finished_at,
        )


class OutputJson(BaseModel):
    """One of the outputs asked for."""

    index: int
    status: Literal["pending", "delivered", "failed", "cancelled"]
    asset_id: UUID | None
    error: ErrorJson | None


class HistoryAnswer(BaseModel):
    """Generations, newest first."""

    items: list[StatusAnswer]
    next: str | None = Field(description="Cursor of the next page; null at the end.")


def _any_down(standing: Standing) -> bool:
    return any(output.asset_id in standing.taken_down for output in standing.outputs)


def _error(code: str | None, message: str | None) -> ErrorJson | None:
    return ErrorJson(code=code, message=message) if code and message else None
