"""Settings of how much is done at once, and for whom how often."""

from pydantic import Field
from pydantic_settings import BaseSettings

from gesso.core.settings.base import prefixed


class WorkerSettings(BaseSettings):
    """How much a worker does at once."""

    model_config = prefixed("GESSO_WORKER_")

    concurrency: int = Field(32, ge=1, le=1000)
    """Generations one worker drives at once; they mostly wait for providers."""
    ingest_threads: int = Field(2, ge=1, le=64)
    """Threads that decode pictures and make thumbnails."""
    grace_seconds: float | None = Field(None, ge=0, le=3600)
    """How long a stopping worker waits for what nobody else could go on with: a call whose answer is the picture
    itself. All else it hands over at once. Default: 270, in development 5."""


class LimitSettings(BaseSettings):
    """Guards against guessing and flooding."""

    model_config = prefixed("GESSO_LIMIT_")

    login_attempts: int = Field(5, ge=1)
    """Wrong passwords per e-mail address within the window before a pause."""
    login_attempts_per_address: int = Field(50, ge=1)
    """Wrong passwords per network address within the window before a pause."""
    login_window_seconds: int = Field(900, ge=1)
    """Length of the window for log-in, in seconds."""
    reset_mails_per_hour: int = Field(5, ge=1)
    """Password-reset mails per e-mail address an hour."""
    signups_per_hour: int | None = Field(None, ge=1)
    """New accounts per network address an hour. Default: 30, in development 1,000."""
    waiting_generations: int = Field(200, ge=1)
    """Generations of one workspace that may wait before more are refused."""
