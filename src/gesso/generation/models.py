"""Rows of this room as frozen values. The SQL that reads and writes them is in `repository`."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Literal, Self
from uuid import UUID

from gesso.core.money import OutputPrice, Price
from gesso.generation.state import ENDED, GenerationState, OutputState

Kind = Literal["image", "video"]
Source = Literal["page", "api"]


@dataclass(frozen=True, slots=True)
class Generation:
    """One request. `params` are the model's checked parameters; `charged` is set when it has ended. `origin` names the
    request and the trace it came from (`core.telemetry.origin`), for logs and traces only. `watermark`: the plan it was
    asked for under marks pictures. `own_key`: it runs on the person's own key and costs nothing here."""

    id: UUID
    workspace_id: UUID
    user_id: UUID
    kind: Kind
    state: GenerationState
    source: Source
    rerun_of: UUID | None
    model_key: str
    model_id: UUID
    model_name: str
    prompt: str
    negative_prompt: str | None
    params: Mapping[str, Any]
    inputs: tuple[UUID, ...]
    count: int
    seed: int | None
    priority: int
    parallel: int
    hold_id: UUID
    price: Price
    charged: Price | None
    progress: float
    warnings: tuple[str, ...]
    error_code: str | None
    error_message: str | None
    created_at: datetime
    queue_deadline_at: datetime
    dispatched_at: datetime | None
    started_at: datetime | None
    deadline_at: datetime | None
    finished_at: datetime | None
    origin: Mapping[str, Any] | None = None
    watermark: bool = False
    own_key: bool = False

    @property
    def ended(self) -> bool:
        """Whether nothing can change any more, except a late result."""
        return self.state in ENDED

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        values = {name: row[name] for name in _GENERATION_COLUMNS}
        values["inputs"] = tuple(row["inputs"])
        values["warnings"] = tuple(row["warnings"])
        values["price"] = Price.from_json(row["price"])
        values["charged"] = Price.from_json(row["charged"]) if row["charged"] is not None else None
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Output:
    """One of the pictures asked for. `price` is its part of the hold; a `late` one was given free. `paid` is what was
    charged where it is less than the price."""

    generation_id: UUID
    index: int
    asset_id: UUID
    state: OutputState
    seed: int | None
    price: OutputPrice
    late: bool = False
    error_code: str | None = None
    error_message: str | None = None
    finished_at: datetime | None = None
    paid: OutputPrice | None = None

    @property
    def charged(self) -> OutputPrice | None:
        """What was paid for it; None when it was not delivered."""
        if self.state != "delivered":
            return None
        return OutputPrice(0) if self.late else self.paid or self.price

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        values = {name: row[name] for name in _OUTPUT_COLUMNS}
        values["price"] = OutputPrice.from_json(row["price"])
        values["paid"] = OutputPrice.from_json(row["charged"]) if row["charged"] is not None else None
        return cls(**values)


@dataclass(frozen=True, slots=True)
class NewGeneration:
    """Everything `turns.insert` writes for a request that is held and ready to be queued."""

    id: UUID
    user_id: UUID
    kind: Kind
    source: Source
    rerun_of: UUID | None
    model_key: str
    model_id: UUID
    model_name: str
    prompt: str
    negative_prompt: str | None
    params: Mapping[str, Any]
    inputs: tuple[UUID, ...]
    seed: int | None
    priority: int
    parallel: int
    hold_id: UUID
    price: Price
    warnings: tuple[str, ...]
    created_at: datetime
    queue_deadline_at: datetime
    asset_ids: tuple[UUID, ...]
    seeds: tuple[int | None, ...] = field(default=())
    origin: Mapping[str, Any] | None = None
    watermark: bool = False
    own_key: bool = False


def charged(outputs: tuple[Output, ...]) -> Price:
    """What was paid so far: the prices of the delivered outputs, in their order."""
    return Price.of(paid for output in outputs if (paid := output.charged) is not None)


_GENERATION_COLUMNS = tuple(item.name for item in fields(Generation))
_OUTPUT_COLUMNS = tuple(item.name for item in fields(Output) if item.name != "paid")
