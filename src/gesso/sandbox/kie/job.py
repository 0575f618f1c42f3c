"""One task: what was asked, by whom, what became of it, and how recordInfo and callbacks tell it."""

import asyncio
import json
import time
import uuid
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from gesso.sandbox.faults import Faults
from gesso.sandbox.kie.models import MODELS, Model

ENDED = ("success", "fail")
_KEPT = (
    "input", "owner", "base_url", "callback_url", "id", "created_ms", "state", "outputs", "fail_code", "fail_message",
    "completed_ms",
)  # fmt: skip


def now_ms() -> int:
    """Unix time in milliseconds, as kie.ai counts."""
    return time.time_ns() // 1_000_000


@dataclass
class Job:
    """`base_url` is the face as the client addressed it. `outputs` are names of stored files, in order."""

    model: Model
    input: dict[str, Any]
    owner: str
    faults: Faults
    base_url: str
    callback_url: str | None = None
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    created_ms: int = field(default_factory=now_ms)
    state: str = "waiting"
    outputs: list[str] = field(default_factory=list)
    fail_code: int | None = None
    fail_message: str = ""
    completed_ms: int | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_over(self) -> bool:
        return self.state in ENDED

    @property
    def prompt(self) -> str:
        return str(self.input.get("prompt", ""))

    @property
    def count(self) -> int:
        """Pictures asked for."""
        return int(self.input.get("max_images", 1))

    @property
    def credits(self) -> Decimal:
        """What it cost: nothing when it failed."""
        return self.model.credits(self.input) * len(self.outputs) if self.state == "success" else Decimal(0)

    def kept(self) -> dict[str, Any]:
        """Everything as JSON, so that another process can go on with it or answer for it."""
        data = {name: getattr(self, name) for name in _KEPT}
        return data | {"model": self.model.id, "faults": self.faults.to_json()}

    @classmethod
    def of(cls, data: dict[str, Any]) -> "Job":
        """What `kept` gave. A task that had not ended stands at the beginning again."""
        known = {name: data[name] for name in _KEPT}
        job = cls(model=MODELS[data["model"]], faults=Faults.from_json(data["faults"]), **known)
        if job.is_over:
            job.ended.set()
        else:
            job.state, job.outputs = "waiting", []
        return job

    def told(self, urls: list[str]) -> dict[str, Any]:
        """The `data` of the answer to who asks how it stands."""
        return self._kontext(urls) if self.model.door == "kontext" else self._market(urls)

    def notice(self, urls: list[str]) -> dict[str, Any]:
        """The body of the callback."""
        failed = self.state == "fail"
        if self.model.door == "kontext":
            info = None if failed else {"originImageUrl": urls[0], "resultImageUrl": urls[0]}
            data: dict[str, Any] = {"taskId": self.id, "info": info}
        else:
            data = self._market(urls) | {"costTime": self._took_ms() // 1000}
            data["resultJson"] = data["resultJson"] or None
        message = self.fail_message if failed else "Playground task completed successfully."
        return {"code": (self.fail_code or 501) if failed else 200, "msg": message, "data": data}

    def _took_ms(self) -> int:
        return (self.completed_ms or self.created_ms) - self.created_ms

    def _cost(self) -> dict[str, float]:
        told = self.is_over and "untold" not in self.faults
        return {"creditsConsumed": float(self.credits)} if told else {}

    def _market(self, urls: list[str]) -> dict[str, Any]:
        failed = self.state == "fail"
        return {
            "taskId": self.id, "model": self.model.id, "state": self.state,
            "param": json.dumps({"model": self.model.id, "callBackUrl": self.callback_url, "input": self.input}),
            "resultJson": json.dumps({"resultUrls": urls}) if self.state == "success" else "",
            "failCode": str(self.fail_code) if failed else "", "failMsg": self.fail_message if failed else "",
            "costTime": self._took_ms(), "createTime": self.created_ms,
            "updateTime": self.completed_ms or self.created_ms, "completeTime": self.completed_ms,
            "progress": 100 if self.state == "success" else 0, **self._cost(),
        }  # fmt: skip

    def _kontext(self, urls: list[str]) -> dict[str, Any]:
        failed = self.state == "fail"
        response = {"originImageUrl": urls[0], "resultImageUrl": urls[0]} if urls and self.state == "success" else None
        return {
            "taskId": self.id, "paramJson": json.dumps({"model": self.model.id, **self.input}),
            "completeTime": self.completed_ms, "response": response,
            "successFlag": {"success": 1, "fail": 3}.get(self.state, 0),
            "errorCode": self.fail_code if failed else None, "errorMessage": self.fail_message if failed else None,
            **self._cost(),
        }  # fmt: skip
