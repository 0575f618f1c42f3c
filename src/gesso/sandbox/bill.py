"""The sandbox's own bill, which the product's journal is reconciled against."""

import hashlib
from collections import Counter, OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

_MICRO = Decimal(1_000_000)


@dataclass
class BillLine:
    """One accepted job. `status`: queued, running, done, failed or cancelled; only a done one costs."""

    request_id: str
    provider: str
    endpoint: str
    key_hint: str
    prompt_sha256: str
    created_at: datetime
    status: str = "queued"
    units: Decimal = Decimal(0)
    cost_micro_usd: int = 0

    def to_json(self) -> dict[str, Any]:
        return {
            "request_id": self.request_id,
            "provider": self.provider,
            "endpoint": self.endpoint,
            "units": float(self.units),
            "cost_usd": float(self.cost_micro_usd / _MICRO),
            "cost_micro_usd": self.cost_micro_usd,
            "status": self.status,
            "key_hint": self.key_hint,
            "created_at": self.created_at.isoformat(),
            "prompt_sha256": self.prompt_sha256,
        }


class Bill:
    """Lines by request id, the newest `limit` of them; totals count dropped lines too."""

    def __init__(self, limit: int = 10_000) -> None:
        self._limit = limit
        self._lines: OrderedDict[str, BillLine] = OrderedDict()
        self._jobs = 0
        self._cost_micro_usd = 0

    def open(self, *, request_id: str, provider: str, endpoint: str, key_hint: str, prompt: str) -> None:
        """Notes an accepted job. Keys are never stored, only a hint of the last four characters."""
        self._lines[request_id] = BillLine(
            request_id,
            provider,
            endpoint,
            key_hint,
            hashlib.sha256(prompt.encode()).hexdigest(),
            datetime.now(UTC),
        )
        self._jobs += 1
        while len(self._lines) > self._limit:
            self._lines.popitem(last=False)

    def mark(self, request_id: str, status: str) -> None:
        if line := self._lines.get(request_id):
            line.status = status

    def charge(self, request_id: str, units: Decimal, cost_micro_usd: int) -> None:
        """Ends a job as done, with its units and cost."""
        if line := self._lines.get(request_id):
            line.status, line.units, line.cost_micro_usd = "done", units, cost_micro_usd
            self._cost_micro_usd += cost_micro_usd

    def clear(self) -> None:
        self._lines.clear()
        self._jobs = self._cost_micro_usd = 0

    def to_json(self) -> dict[str, Any]:
        lines = list(self._lines.values())
        return {
            "jobs": [line.to_json() for line in lines],
            "totals": {
                "jobs": self._jobs,
                "cost_usd": float(self._cost_micro_usd / _MICRO),
                "cost_micro_usd": self._cost_micro_usd,
                "by_status": dict(Counter(line.status for line in lines)),
            },
        }
