"""One job: what was asked, by whom, and what became of it."""

import asyncio
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

from gesso.sandbox.caller import Caller
from gesso.sandbox.fal.endpoints import Endpoint
from gesso.sandbox.fal.errors import Failure
from gesso.sandbox.fal.schemas import Input
from gesso.sandbox.faults import Faults
from gesso.sandbox.files import KEEP_SECONDS

Status = Literal["IN_QUEUE", "IN_PROGRESS", "COMPLETED"]


@dataclass
class Job:
    """`base_url` is the fal face as the client addressed it; files are named under it."""

    endpoint: Endpoint
    input: Input
    raw: dict[str, Any]
    caller: Caller
    faults: Faults
    base_url: str
    webhook_url: str | None = None
    start_timeout_seconds: float | None = None
    keep_seconds: float = KEEP_SECONDS
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    started_at: datetime | None = None
    ended_at: datetime | None = None
    status: Status = "IN_QUEUE"
    position: int = 0
    logs: list[dict[str, Any]] = field(default_factory=list)
    outcome: dict[str, Any] | Failure | None = None
    units: Decimal = Decimal(0)
    inference_seconds: float = 0.0
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def owner(self) -> str:
        return self.caller.owner

    @property
    def is_over(self) -> bool:
        return self.outcome is not None

    def url(self, tail: str = "") -> str:
        """The request's URL; the endpoint's sub-path is dropped, as fal does."""
        return f"{self.base_url}/{self.endpoint.app}/requests/{self.id}{tail}"

    def log(self, message: str) -> None:
        stamp = datetime.now(UTC).isoformat()
        self.logs.append({"timestamp": stamp, "message": message, "level": "INFO", "source": "sandbox", "labels": {}})

    async def notify(self) -> None:
        async with self.changed:
            self.changed.notify_all()
