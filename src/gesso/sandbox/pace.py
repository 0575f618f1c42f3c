"""How long things take. Life-like by default; tests use `Pace.instant()`."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """All values in seconds."""

    queue_seconds: float = 0.3
    """Time a job waits before it starts."""
    queue_step_seconds: float = 0.5
    """Time each place in the queue takes when the fault `queue=N` asks for N places."""
    paint_min_seconds: float = 0.8
    paint_max_seconds: float = 1.5
    """A picture takes between these, or as long as painting really takes."""
    webhook_timeout_seconds: float = 15.0
    webhook_retry_seconds: float = 2.0
    """Wait before the second attempt to deliver a webhook; doubles with each further one, up to a minute."""
    webhook_late_seconds: float = 10.0
    hang_seconds: float = 300.0

    @classmethod
    def instant(cls) -> "Pace":
        """No waiting beyond the work itself."""
        return cls(
            queue_seconds=0.0,
            queue_step_seconds=0.02,
            paint_min_seconds=0.0,
            paint_max_seconds=0.0,
            webhook_timeout_seconds=2.0,
            webhook_retry_seconds=0.05,
            webhook_late_seconds=0.3,
            hang_seconds=30.0,
        )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Pace":
        """Reads GESSO_SANDBOX_QUEUE_SECONDS ("0.3") and GESSO_SANDBOX_PAINT_SECONDS ("1" or "0.8-1.5").

        Raises ValueError, naming the variable, when a value is not a number ≥ 0.
        """
        values = os.environ if environment is None else environment
        queue = _seconds(values, "GESSO_SANDBOX_QUEUE_SECONDS")
        paint = _seconds(values, "GESSO_SANDBOX_PAINT_SECONDS")
        normal = cls()
        return cls(
            queue_seconds=queue[0] if queue else normal.queue_seconds,
            paint_min_seconds=paint[0] if paint else normal.paint_min_seconds,
            paint_max_seconds=paint[-1] if paint else normal.paint_max_seconds,
        )

    def paint_seconds(self) -> float:
        """How long the next picture shall take."""
        share = secrets.randbelow(1001) / 1000
        return self.paint_min_seconds + share * (self.paint_max_seconds - self.paint_min_seconds)


def _seconds(values: Mapping[str, str], name: str) -> tuple[float, ...]:
    text = values.get(name, "").strip()
    if not text:
        return ()
    try:
        found = tuple(sorted(float(part) for part in text.split("-")))
    except ValueError:
        raise ValueError(f"{name} must be seconds such as 1 or 0.8-1.5, not {text!r}") from None
    return found
