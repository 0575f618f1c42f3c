"""A prediction as JSON, so that another process of the sandbox can go on with it or answer for it."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from gesso.sandbox.caller import Caller
from gesso.sandbox.faults import Faults
from gesso.sandbox.replicate.job import ENDED, Job
from gesso.sandbox.replicate.models import MODELS

_PLAIN = ("version", "raw", "base_url", "deployment", "webhook", "id", "status", "logs", "outputs", "error")
_MOMENTS = ("deadline", "created_at", "started_at", "completed_at")


def to_json(job: Job) -> dict[str, Any]:
    """Everything about a job but who waits for it."""
    data = {name: getattr(job, name) for name in _PLAIN}
    data |= {name: moment.isoformat() if (moment := getattr(job, name)) else None for name in _MOMENTS}
    return data | {
        "model": job.model.name,
        "caller": job.caller.to_json(),
        "faults": job.faults.to_json(),
        "events": list(job.events),
        "predict_seconds": None if job.predict_seconds is None else str(job.predict_seconds),
    }


def from_json(data: dict[str, Any]) -> Job:
    """The job as it was written down. One that had not ended stands at the beginning again."""
    model, ended = MODELS[data["model"]], data["status"] in ENDED
    moments = {name: datetime.fromisoformat(data[name]) if data[name] else None for name in _MOMENTS}
    known: dict[str, Any] = {name: data[name] for name in _PLAIN} | moments
    if not ended:
        known |= {"status": "starting", "logs": "", "outputs": [], "started_at": None}
    job = Job(
        model=model,
        # what is over may have been cut short for keeping
        input=model.input.model_construct(**data["raw"]) if ended else model.input.model_validate(data["raw"]),
        caller=Caller.from_json(data["caller"]),
        faults=Faults.from_json(data["faults"]),
        events=tuple(data["events"]),
        predict_seconds=Decimal(data["predict_seconds"]) if data["predict_seconds"] else None,
        **known,
    )
    if ended:
        job.ended.set()
    return job
