"""Settings of the site: as what it runs, how it is reached, how its mail leaves."""

from ipaddress import ip_network
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings

from gesso import __version__
from gesso.core.settings.base import prefixed, web_address


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
        return web_address(value, "https://art.example.com")

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
