"""All settings together, read once, and the secret that must not be missing or weak."""

import os
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic_settings import BaseSettings

from gesso.core.sealed import Sealer
from gesso.core.settings.base import SettingsError, read_settings
from gesso.core.settings.billing import BillingSettings
from gesso.core.settings.data import DatabaseSettings, StorageSettings
from gesso.core.settings.providers import ProviderSettings, SandboxSettings
from gesso.core.settings.safety import SafetySettings
from gesso.core.settings.site import MailSettings, SiteSettings, WebSettings
from gesso.core.settings.watching import LogSettings, TelemetrySettings
from gesso.core.settings.work import LimitSettings, WorkerSettings

_WEAK_SECRETS = {"secret", "changeme", "change-me", "password", "gesso", "development", "test"}
_SECRET_KEY_MIN_LENGTH = 32

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


def _with_secret(site: SiteSettings) -> SiteSettings:
    """The given secret when it is strong enough; in development one is made and kept."""
    if site.secret_key is not None:
        value = site.secret_key.get_secret_value()
        if not site.development and (len(value) < _SECRET_KEY_MIN_LENGTH or value.lower() in _WEAK_SECRETS):
            raise SettingsError(
                f"GESSO_SECRET_KEY must have at least {_SECRET_KEY_MIN_LENGTH} random characters in production; "
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
