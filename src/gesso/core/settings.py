"""Typed settings, one class per concern, read from the environment. `docs/settings.md` lists them all.

`load_settings()` reads everything once and refuses what cannot work: an unreadable value or a weak secret
outside development stops the start with a sentence naming the variable.
"""

import os
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings

from gesso import __version__
from gesso.core.sealed import Sealer
from gesso.core.settings_billing import BillingSettings
from gesso.core.settings_data import DatabaseSettings, StorageSettings, prefixed
from gesso.core.settings_safety import SafetySettings

Some = TypeVar("Some", bound=BaseSettings)

_WEAK_SECRETS = {"secret", "changeme", "change-me", "password", "gesso", "development", "test"}
SECRET_KEY_MIN_LENGTH = 32


class SettingsError(Exception):
    """A setting is missing or cannot be used. The text names the variable and the way out."""


class SiteSettings(BaseSettings):
    """Where and as what the product runs."""

    model_config = prefixed("GESSO_")

    env: Literal["development", "production", "test"] = "development"
    """`development` allows the sandbox, the outbox and a secret made by itself; `production` refuses weak secrets."""
    secret_key: SecretStr | None = None
    """Seals provider keys. At least 32 characters. In development one is made and kept in the data folder."""
    secret_key_others: SecretStr | None = None
    """Further secrets, with commas, while it is being changed: what was sealed under them opens, and the database's
    roles may have their passwords from them. Nothing new is sealed under them. See docs/security.md."""
    base_url: str | None = None
    """The address people use, such as `https://art.example.com`. Cookies become Secure when it is https."""
    host: str = "127.0.0.1"
    """The address the web server binds."""
    port: int = Field(8000, ge=1, le=65535)
    """The port the web server binds."""
    edition: str = "studio"
    """Which product this is: a name under `gesso/editions`, or the path of a TOML file."""
    adult_content: bool = False
    """The operator's word, needed by an edition whose content policy is `adult`: this is a site for adults only,
    and the law allows it where the operator and the users are. People confirm their age besides."""
    data_dir: Path = Path(".gesso")
    """The folder for the embedded database, local files and the development secret."""
    sandbox_url: str | None = None
    """Address of a running `gesso sandbox`. `gesso up` starts one and sets this by itself."""
    extra_hosts: str = ""
    """Further host names under which the site may be asked, with commas. A request for any other host is refused, so
    that a foreign name that leads here cannot act as this site."""
    security_contact: str | None = Field(None, pattern=r"^(mailto:[^@\s]+@[^@\s]+|https://\S+)$")
    """`mailto:security@example.com` or an https address: where weaknesses are reported, told at
    `/.well-known/security.txt`."""
    time_zone: str = "UTC"
    """The site's time zone, such as `Europe/Berlin`: its nights, in which the clean-up runs at 03:00, and the days of
    its reports."""
    release: str = __version__
    """What is deployed, such as a tag or a commit: `/healthz` says it, so that a roll-out can be watched."""

    @field_validator("base_url", "sandbox_url")
    @classmethod
    def _origin(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must be an address such as https://art.example.com")
        return value.rstrip("/")

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("must be a time zone such as Europe/Berlin") from None
        return value

    @property
    def zone(self) -> ZoneInfo:
        """The site's time zone."""
        return ZoneInfo(self.time_zone)

    @property
    def url(self) -> str:
        """The address people use, without a trailing slash."""
        return self.base_url or f"http://{'localhost' if self.host == '0.0.0.0' else self.host}:{self.port}"  # noqa: S104

    @property
    def host_name(self) -> str:
        """The host in the address people use, without its port."""
        return urlsplit(self.url).hostname or ""

    @property
    def secure_cookies(self) -> bool:
        """Whether cookies carry Secure."""
        return self.url.startswith("https://")

    @property
    def development(self) -> bool:
        """Whether conveniences for trying gesso without keys are on."""
        return self.env != "production"


class WebSettings(BaseSettings):
    """Which proxies the web server believes, and how it stops."""

    model_config = prefixed("GESSO_WEB_")

    trusted_proxies: str = "127.0.0.1,::1"
    """Addresses and networks, with commas, whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed."""
    keep_alive_seconds: int = Field(75, ge=1, le=3600)
    """How long an idle connection stays open. More than the proxy in front keeps its own: it has to close first."""
    head_seconds: float = Field(15, gt=0, le=600)
    """How long a connection may take to send a request's head before it is closed."""
    stall_seconds: float = Field(30, gt=0, le=600)
    """How long a sender or reader may stand still, or nearly, in the middle of a request or an answer before it is cut
    off."""
    connections_per_address: int = Field(256, ge=1)
    """Connections one network address may have open at a web process. Trusted proxies may have any number."""
    drain_seconds: float | None = Field(None, ge=0, le=600)
    """After SIGTERM `/readyz` says 503 for so long while all else goes on. Default: 3, in development 0."""
    finish_seconds: float = Field(10, ge=1, le=600)
    """How long requests under way may take after that, before they are cut off."""

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: str) -> str:
        for one in value.split(","):
            try:
                ip_network(one.strip())
            except ValueError:
                raise ValueError("must be addresses or networks such as 127.0.0.1,10.0.0.0/8") from None
        return value

    @property
    def proxies(self) -> list[str]:
        """The trusted addresses and networks, one by one."""
        return [one.strip() for one in self.trusted_proxies.split(",")]


class MailSettings(BaseSettings):
    """How mail leaves. Without `GESSO_MAIL_SMTP_URL`, in development, it is kept on the operator's outbox page."""

    model_config = prefixed("GESSO_MAIL_")

    smtp_url: SecretStr | None = None
    """`smtp://user:password@host:587` (STARTTLS where offered) or `smtps://…:465`."""
    from_address: str = "gesso <no-reply@localhost>"
    """The sender."""
    verification: bool = False
    """Whether a new account must confirm its e-mail address before it can generate."""


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


class ProviderSettings(BaseSettings):
    """Keys that fill each provider's connection at the start, until an operator has edited it."""

    model_config = prefixed("")

    fal_key: SecretStr | None = None
    """Key of fal, `id:secret`. Without it the sandbox answers in development; in production fal is off."""
    fal_base_url: str | None = None
    """Another origin that speaks fal's wire: a proxy or a stand-in."""
    replicate_api_token: SecretStr | None = None
    """Token of Replicate. Without it as with fal."""
    replicate_base_url: str | None = None
    """Another origin that speaks Replicate's wire, with or without `/v1` at its end."""
    kie_api_key: SecretStr | None = None
    """Key of kie.ai, or `key:webhook key` where the account signs its notices. Without it as with fal."""
    kie_base_url: str | None = None
    """Another origin that speaks kie.ai's wire, uploads included."""
    openai_api_key: SecretStr | None = None
    """Key of OpenAI, or of the server that `OPENAI_BASE_URL` names. Without it as with fal."""
    openai_base_url: str | None = None
    """A server that speaks OpenAI's wire, such as `http://localhost:11434/v1`. It may want no key."""
    gemini_api_key: SecretStr | None = None
    """Key of the Gemini API. Without it as with fal."""
    gemini_base_url: str | None = None
    """Another origin that speaks Gemini's wire; `/v1beta` is added where no version stands at its end."""
    comfyui_base_url: str | None = None
    """A ComfyUI box, such as `http://10.0.0.5:8188`. Without it as with fal."""
    comfyui_api_key: SecretStr | None = None
    """Bearer token for a proxy in front of that box. ComfyUI itself wants none."""
    promptchan_api_key: SecretStr | None = None
    """Key of Promptchan, a provider of adult models. Without it as with fal."""
    promptchan_base_url: str | None = None
    """Another address that speaks Promptchan's wire, with or without `/api/external` at its end."""


class SandboxSettings(BaseSettings):
    """How long the sandbox takes for things, so that it feels like a provider."""

    model_config = prefixed("GESSO_SANDBOX_")

    queue_seconds: float = Field(0.3, ge=0)
    """Time a job waits in the sandbox's queue."""
    paint_seconds: str = Field("0.8-1.5", pattern=r"^\d+(\.\d+)?(-\d+(\.\d+)?)?$")
    """Time a picture takes, such as `1` or `0.8-1.5`."""
    painters: int = Field(2, ge=0, le=64)
    """Processes that paint. 0: a thread of the sandbox itself, which holds up its answers while it paints."""
    folder: Path | None = None
    """Where jobs, files and the bill are kept, so that they outlive a restart. Without it they end with the process."""
    webhook_origin: str | None = None
    """Deliver webhooks to this origin whatever host they name: for a product whose public name leads elsewhere."""
    stripe_webhook_url: str | None = None
    """Where the sandbox's Stripe sends every event. `gesso up` sets this by itself."""
    stripe_webhook_secret: SecretStr | None = None
    """Signs them. Both or neither."""

    @property
    def payment_webhook(self) -> tuple[str, str] | None:
        """Address and secret for Stripe's events, if both are set."""
        if self.stripe_webhook_url is None or self.stripe_webhook_secret is None:
            return None
        return self.stripe_webhook_url, self.stripe_webhook_secret.get_secret_value()


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


SETTINGS_CLASSES: tuple[type[BaseSettings], ...] = (
    SiteSettings, WebSettings, DatabaseSettings, StorageSettings, MailSettings, WorkerSettings, LimitSettings,
    ProviderSettings, BillingSettings, SafetySettings, SandboxSettings, LogSettings, TelemetrySettings,
)  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """Everything, read once at the start."""

    site: SiteSettings = field(default_factory=SiteSettings)
    web: WebSettings = field(default_factory=WebSettings)
    database: DatabaseSettings = field(default_factory=DatabaseSettings)
    storage: StorageSettings = field(default_factory=StorageSettings)
    mail: MailSettings = field(default_factory=MailSettings)
    worker: WorkerSettings = field(default_factory=WorkerSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    providers: ProviderSettings = field(default_factory=ProviderSettings)
    billing: BillingSettings = field(default_factory=BillingSettings)
    safety: SafetySettings = field(default_factory=SafetySettings)
    sandbox: SandboxSettings = field(default_factory=SandboxSettings)
    log: LogSettings = field(default_factory=LogSettings)
    telemetry: TelemetrySettings = field(default_factory=TelemetrySettings)

    @property
    def secret_key(self) -> str:
        """The site's secret. `load_settings` has made sure that there is one."""
        assert self.site.secret_key is not None
        return self.site.secret_key.get_secret_value()

    @property
    def other_secrets(self) -> tuple[str, ...]:
        """Secrets that still open, or will soon: see `GESSO_SECRET_KEY_OTHERS`."""
        given = self.site.secret_key_others
        parts = given.get_secret_value().split(",") if given is not None else []
        return tuple(dict.fromkeys(one.strip() for one in parts if one.strip()))

    @property
    def sealer(self) -> Sealer:
        """Seals under the site's secret; opens what was sealed under the others, too."""
        return Sealer(self.secret_key, *self.other_secrets)

    @property
    def signups_per_hour(self) -> int:
        """New accounts per network address an hour."""
        return self.limits.signups_per_hour or (1000 if self.site.development else 30)

    @property
    def drain_seconds(self) -> float:
        """How long a stopping web server goes on as if nothing had happened, but for `/readyz`."""
        if self.web.drain_seconds is None:
            return 0 if self.site.development else 3
        return self.web.drain_seconds

    @property
    def worker_grace_seconds(self) -> float:
        """How long a stopping worker waits for what nobody else could go on with."""
        if self.worker.grace_seconds is None:
            return 5 if self.site.development else 270
        return self.worker.grace_seconds

    @property
    def storage_url(self) -> str:
        """Where files live, as a URL."""
        return self.storage.url or (self.site.data_dir.resolve() / "files").as_uri()


def env_name(owner: type[BaseSettings], name: str) -> str:
    """The environment variable of a field, in upper case."""
    alias = owner.model_fields[name].validation_alias
    return alias if isinstance(alias, str) else f"{owner.model_config.get('env_prefix', '')}{name}".upper()


def load_settings(**site: Any) -> Settings:
    """Read all settings; keyword arguments replace single values of SiteSettings (the CLI's options).

    Raises SettingsError.
    """
    read: dict[str, Any] = {}
    for name, owner in zip(Settings.__dataclass_fields__, SETTINGS_CLASSES, strict=True):
        given = {key: value for key, value in site.items() if value is not None} if name == "site" else {}
        read[name] = read_settings(owner, **given)
    read["site"] = _with_secret(read["site"])
    if read["site"].base_url is None and not read["site"].development:
        raise SettingsError("GESSO_BASE_URL is not set. Mails, webhooks and cookies need the address people use.")
    return Settings(**read)


def read_settings(owner: type[Some], **given: Any) -> Some:
    """One class of settings from the environment. Raises SettingsError."""
    try:
        return owner(**given)
    except ValidationError as error:
        first = error.errors()[0]
        if not first["loc"]:  # several settings that do not go together: the sentence names them
            raise SettingsError(first["msg"].removeprefix("Value error, ")) from None
        variable = str(first["loc"][0])
        shown = env_name(owner, variable) if variable in owner.model_fields else variable.upper()
        raise SettingsError(f"{shown}: {first['msg'].removeprefix('Value error, ')}.") from None


def _with_secret(site: SiteSettings) -> SiteSettings:
    """The given secret when it is strong enough; in development one is made and kept."""
    if site.secret_key is not None:
        value = site.secret_key.get_secret_value()
        if not site.development and (len(value) < SECRET_KEY_MIN_LENGTH or value.lower() in _WEAK_SECRETS):
            raise SettingsError(
                f"GESSO_SECRET_KEY must have at least {SECRET_KEY_MIN_LENGTH} random characters in production; "
                "make one with: python -c 'import secrets; print(secrets.token_urlsafe(48))'"
            )
        return site
    if not site.development:
        raise SettingsError("GESSO_SECRET_KEY is not set. It is needed outside development.")
    return site.model_copy(update={"secret_key": SecretStr(_kept_secret(site.data_dir))})


def _kept_secret(data_dir: Path) -> str:
    """The development secret from the data folder, made on first use; two starts at once agree on one."""
    path = data_dir / "secret_key"
    data_dir.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        made = data_dir / f"secret_key.{os.getpid()}"
        made.touch(mode=0o600)
        made.write_text(secrets.token_urlsafe(48))
        with suppress(FileExistsError):  # a link appears with its whole content, or not at all
            os.link(made, path)
        made.unlink()
    return path.read_text().strip()
