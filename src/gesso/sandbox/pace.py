"""How long things take. Life-like by default; tests use `Pace.instant()`."""

import secrets
from dataclasses import dataclass

from gesso.core.settings import SandboxSettings


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
    def of(cls, settings: SandboxSettings) -> "Pace":
        """As the settings say; what they do not name is as usual."""
        shortest, _, longest = settings.paint_seconds.partition("-")
        low, high = sorted((float(shortest), float(longest or shortest)))
        return cls(queue_seconds=settings.queue_seconds, paint_min_seconds=low, paint_max_seconds=high)

    def paint_seconds(self) -> float:
        """How long the next picture shall take."""
        share = secrets.randbelow(1001) / 1000
        return self.paint_min_seconds + share * (self.paint_max_seconds - self.paint_min_seconds)
