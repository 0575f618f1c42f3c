"""One prediction: what was asked, by whom, and what became of it."""

import asyncio
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from gesso.sandbox.caller import Caller
from gesso.sandbox.faults import Faults
from gesso.sandbox.replicate.models import Model
from gesso.sandbox.replicate.schemas import Input

_ALPHABET = "abcdefghijkmnpqrstuvwxyz0123456789"
_LONGEST_ECHO = 1_000
ENDED = frozenset({"succeeded", "failed", "canceled", "aborted"})


def new_id() -> str:
    """26 lower-case letters and digits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(26))


def stamp(at: datetime | None, digits: int = 6) -> str | None:
    """A time as Replicate writes it; recordings show 3 to 9 digits of fraction."""
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at:%f}000"[: 20 + digits] + "Z" if at else None


@dataclass
class Job:
    """`base_url` is the face as the client addressed it. `outputs` are names of stored files, in order."""

    model: Model
    version: str
    input: Input
    raw: dict[str, Any]
    caller: Caller
    faults: Faults
    base_url: str
    deployment: str | None = None
    webhook: str | None = None
    events: tuple[str, ...] = ("output", "completed")
    deadline: datetime | None = None
    id: str = field(default_factory=new_id)
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    started_at: datetime | None = None
    completed_at: datetime | None = None
    status: str = "starting"
    logs: str = ""
    outputs: list[str] = field(default_factory=list)
    error: str | None = None
    predict_seconds: Decimal | None = None
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def owner(self) -> str:
        return self.caller.owner

    @property
    def is_over(self) -> bool:
        return self.status in ENDED

    @property
    def is_removed(self) -> bool:
        """Whether input, output, logs and files have been removed, as they are an hour after the end."""
        if self.completed_at is None:
            return False
        early = self.faults.get("removed")
        kept = timedelta(seconds=early.number(0)) if early else timedelta(hours=1)
        return datetime.now(UTC) >= self.completed_at + kept

    def url(self, tail: str = "") -> str:
        return f"{self.base_url}/v1/predictions/{self.id}{tail}"

    def to_json(self, output: Any = None) -> dict[str, Any]:
        """The prediction object. `output` as the model shapes it; absent on fresh ones."""
        body: dict[str, Any] = {
            "id": self.id,
            "model": self.model.name,
            "version": self.version,
            "input": {} if self.is_removed else clipped(self.raw),
            "logs": "" if self.is_removed else self.logs,
            "error": self.error,
            "status": self.status,
            "source": "api",
            "data_removed": self.is_removed,
            "created_at": stamp(self.created_at, 3),
            "urls": {"get": self.url(), "cancel": self.url("/cancel")},
        }
        if self.started_at is not None:
            body["started_at"] = stamp(self.started_at)
        if self.is_over:
            body |= {"output": None if self.is_removed else output, "completed_at": stamp(self.completed_at, 9)}
            body["metrics"] = self._metrics()
        if self.deadline is not None:
            body["deadline"] = stamp(self.deadline)
        if self.deployment is not None:
            body["deployment"] = self.deployment
        if self.webhook is not None and "webhook-told" in self.faults:
            body |= {"webhook": self.webhook, "webhook_events_filter": list(self.events)}
        return body

    def _metrics(self) -> dict[str, float]:
        assert self.completed_at is not None
        metrics = {"total_time": round((self.completed_at - self.created_at).total_seconds(), 6)}
        return metrics if self.predict_seconds is None else {"predict_time": float(self.predict_seconds)} | metrics


def clipped(value: Any) -> Any:
    """A JSON value with long texts (data URIs) cut short, to be echoed or kept."""
    if isinstance(value, str):
        return value[:_LONGEST_ECHO]
    if isinstance(value, dict):
        return {str(name): clipped(part) for name, part in value.items()}
    return [clipped(part) for part in value] if isinstance(value, list) else value
