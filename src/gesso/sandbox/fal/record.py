"""A job as JSON, so that another process of the sandbox can go on with it or answer for it."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from gesso.sandbox.caller import Caller
from gesso.sandbox.fal.endpoints import ENDPOINTS
from gesso.sandbox.fal.errors import Failure
from gesso.sandbox.fal.job import Job
from gesso.sandbox.faults import Faults


def to_json(job: Job) -> dict[str, Any]:
    """Everything about a job but its place in the queue and who waits for it."""
    outcome = job.outcome
    return {
        "endpoint": job.endpoint.id,
        "raw": job.raw,
        "caller": job.caller.to_json(),
        "faults": job.faults.to_json(),
        "base_url": job.base_url,
        "webhook_url": job.webhook_url,
        "start_timeout_seconds": job.start_timeout_seconds,
        "keep_seconds": job.keep_seconds,
        "request_id": job.id,
        "created_at": job.created_at.isoformat(),
        "started_at": _text(job.started_at),
        "ended_at": _text(job.ended_at),
        "logs": job.logs,
        "outcome": vars(outcome) if isinstance(outcome, Failure) else outcome,
        "failed": isinstance(outcome, Failure),
        "units": str(job.units),
        "inference_seconds": job.inference_seconds,
    }


def from_json(data: dict[str, Any]) -> Job:
    """The job as it was written down. One that had not ended stands at the beginning again."""
    endpoint = ENDPOINTS[data["endpoint"]]
    ended = data["outcome"] is not None
    return Job(
        endpoint,
        endpoint.input.model_construct(**data["raw"]) if ended else endpoint.input.model_validate(data["raw"]),
        data["raw"],
        Caller.from_json(data["caller"]),
        Faults.from_json(data["faults"]),
        data["base_url"],
        webhook_url=data["webhook_url"],
        start_timeout_seconds=data["start_timeout_seconds"],
        keep_seconds=data["keep_seconds"],
        id=data["request_id"],
        created_at=datetime.fromisoformat(data["created_at"]),
        started_at=_moment(data["started_at"]) if ended else None,
        ended_at=_moment(data["ended_at"]),
        status="COMPLETED" if ended else "IN_QUEUE",
        logs=data["logs"] if ended else [],
        outcome=Failure(**data["outcome"]) if data["failed"] else data["outcome"],
        units=Decimal(data["units"]),
        inference_seconds=data["inference_seconds"],
    )


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
