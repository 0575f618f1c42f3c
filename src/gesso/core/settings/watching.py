"""Settings of what can be seen of a running product: logs, metrics, traces, reports."""

from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings

from gesso.core.settings.base import prefixed


class LogSettings(BaseSettings):
    """What is logged and how."""

    model_config = prefixed("GESSO_LOG_")

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe level that is written."""
    format: Literal["console", "json"] = "console"
    """`console` for people, `json` for a log collector."""
    access: bool = True
    """Whether the web server writes a line for each request (at level `info`)."""


class TelemetrySettings(BaseSettings):
    """What the product tells about itself, and to whom. All of it is off until set; see docs/monitoring.md."""

    model_config = prefixed("GESSO_METRICS_") | {"populate_by_name": True}

    port: int | None = Field(None, ge=1, le=65535)
    """Web and worker each serve their metrics at `/metrics` on this port, or on the first free one of the 20 from it
    on. Unset: on none."""
    host: str = "127.0.0.1"
    """The address that port is bound to. Anything wider is for networks only the collector reaches."""
    token: SecretStr | None = Field(None, min_length=16)
    """`/metrics` asks for it as `Authorization: Bearer …`; with it the web server's own port has `/metrics`, too."""
    otlp_endpoint: str | None = Field(None, validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT")
    """An OpenTelemetry collector (OTLP over HTTP), such as `http://127.0.0.1:4318`, for traces. The other standard
    `OTEL_*` variables hold as well."""
    sentry_dsn: SecretStr | None = Field(None, validation_alias="SENTRY_DSN")
    """Where error reports go."""
    sentry_environment: str | None = Field(None, validation_alias="SENTRY_ENVIRONMENT")
    """What error reports call this installation. Default: `GESSO_ENV`."""
    posthog_api_key: SecretStr | None = Field(None, validation_alias="POSTHOG_API_KEY")
    """Project key for product events under pseudonyms. Browsers that say DNT or Sec-GPC are left out."""
    posthog_host: str = Field("https://eu.i.posthog.com", validation_alias="POSTHOG_HOST")
    """Where product events go."""
