"""Typed settings, one class per concern, read from the environment. `docs/settings.md` lists them all.

`load_settings()` reads everything once and refuses what cannot work: an unreadable value or a weak secret
outside development stops the start with a sentence naming the variable.
"""

from gesso.core.settings.base import SettingsError, env_name, read_settings
from gesso.core.settings.billing import BillingSettings
from gesso.core.settings.data import DatabaseSettings, StorageSettings
from gesso.core.settings.providers import ProviderSettings, SandboxSettings
from gesso.core.settings.safety import SafetySettings
from gesso.core.settings.site import MailSettings, SiteSettings, WebSettings
from gesso.core.settings.watching import LogSettings, TelemetrySettings
from gesso.core.settings.whole import SETTINGS_CLASSES, Settings, load_settings
from gesso.core.settings.work import LimitSettings, WorkerSettings

__all__ = [
    "SETTINGS_CLASSES", "BillingSettings", "DatabaseSettings", "LimitSettings", "LogSettings", "MailSettings",
    "ProviderSettings", "SafetySettings", "SandboxSettings", "Settings", "SettingsError", "SiteSettings",
    "StorageSettings", "TelemetrySettings", "WebSettings", "WorkerSettings", "env_name", "load_settings",
    "read_settings",
]  # fmt: skip
