"""Rows of this room as frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Self
from uuid import UUID

from gesso.catalog.items import ChainKey
from gesso.core.money import OutputPrice

Kind = Literal["improve", "describe"]
State = Literal["writing", "done", "failed"]
KINDS: tuple[Kind, ...] = ("improve", "describe")
CHAIN_OF: Mapping[Kind, ChainKey] = {"improve": "text", "describe": "vision"}


@dataclass(frozen=True, slots=True)
class PromptRecord:
    """One use of a tool. `input_text` or `asset_id` went in; `output_text` came out. `price` was held for it,
    `charged` was paid; tokens as far as the model's provider told. `own_key`: it runs on the person's own key."""

    id: UUID
    workspace_id: UUID
    user_id: UUID
    kind: Kind
    state: State
    input_text: str
    asset_id: UUID | None
    output_text: str | None
    model_key: str | None
    attempt_id: UUID | None
    hold_id: UUID
    price: OutputPrice
    charged: OutputPrice | None
    input_tokens: int | None
    output_tokens: int | None
    error_code: str | None
    error_message: str | None
    expires_at: datetime
    created_at: datetime
    own_key: bool

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        values = {name: row[name] for name in cls.__slots__}
        values["price"] = OutputPrice.from_json(row["price"])
        values["charged"] = OutputPrice.from_json(row["charged"]) if row["charged"] is not None else None
        return cls(**values)


@dataclass(frozen=True, slots=True)
class NewRecord:
    """What is written before a model is asked. `request_key` and `request_hash`: both or neither."""

    id: UUID
    user_id: UUID
    kind: Kind
    input_text: str
    asset_id: UUID | None
    hold_id: UUID
    price: OutputPrice
    expires_at: datetime
    created_at: datetime
    request_key: bytes | None = None
    request_hash: bytes | None = None
    own_key: bool = False
