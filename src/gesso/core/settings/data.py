"""Settings of where rows and files live."""

from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings

from gesso.core.settings.base import prefixed


class DatabaseSettings(BaseSettings):
    """The database. Without `DATABASE_URL` an embedded PostgreSQL runs in the data folder."""

    model_config = prefixed("GESSO_DATABASE_")

    url: SecretStr | None = Field(None, validation_alias="DATABASE_URL")
    """`postgresql://user:password@host/name` of the owner role, which must be able to create roles. TLS:
    `?sslmode=verify-full&sslrootcert=/path/ca.pem`, or `sslrootcert=system`. May lead to a pooler."""
    direct_url: SecretStr | None = None
    """The same database past the pooler, when `DATABASE_URL` leads to one that pools by transaction (pgbouncer, Neon):
    for migrations, LISTEN and the queue."""
    prepared_statements: bool = True
    """`false` behind a pooler that does not keep prepared statements (pgbouncer before 1.21): each statement then takes
    two round trips."""
    role_prefix: str = Field("gesso", pattern=r"^[a-z][a-z0-9_]{0,30}$")
    """Prefix of the roles `gesso_app` and `gesso_elevated`. Change it when two installations share a cluster."""
    pool_size: int = Field(10, ge=1, le=200)
    """Connections a process keeps for requests and jobs."""
    elevated_pool_size: int = Field(3, ge=1, le=50)
    """Connections a process keeps for cross-workspace work."""
    statement_seconds: int = Field(30, ge=1, le=3600)
    """The database ends a statement of a request after this long, one of a sweep after ten times as long. Set on the
    roles by `gesso migrate`, as are the next two."""
    lock_seconds: int = Field(10, ge=1, le=3600)
    """How long a statement waits for a row or a table that another transaction holds."""
    idle_transaction_seconds: int = Field(30, ge=1, le=3600)
    """The database ends a transaction in which nothing happens for this long: its process hangs, and holds locks."""

    @field_validator("url", "direct_url")
    @classmethod
    def _address(cls, value: SecretStr | None) -> SecretStr | None:
        scheme, _, rest = (value.get_secret_value() if value else "postgresql://-").partition("://")
        if scheme.split("+")[0] not in ("postgres", "postgresql") or not rest:
            raise ValueError("must look like postgresql://user:password@host/name")
        return value

    @field_validator("direct_url")
    @classmethod
    def _beside_the_other(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is not None and info.data.get("url") is None:
            raise ValueError("leads past the pooler that DATABASE_URL names, and DATABASE_URL is not set")
        return value

    @property
    def owner_urls(self) -> tuple[str, str]:
        """The owner's address for the pools, and the one past any pooler. The settings must hold the first."""
        assert self.url is not None
        return self.url.get_secret_value(), (self.direct_url or self.url).get_secret_value()


class StorageSettings(BaseSettings):
    """Where files live. The lines from `GESSO_STORAGE_ENDPOINT` on are for `s3://` only; see storage.md."""

    model_config = prefixed("GESSO_STORAGE_")

    url: str | None = None
    """`file:///folder`, `s3://bucket/prefix`, `gs://…`, `az://…`, `memory://`. Default: `files` in the data folder."""
    max_upload_bytes: int = Field(20 * 2**20, ge=2**10)
    """The largest picture a person may upload."""
    max_output_bytes: int = Field(50 * 2**20, ge=2**10)
    """The largest picture accepted from a provider."""
    max_video_bytes: int = Field(200 * 2**20, ge=2**10)
    """The largest film accepted from a provider."""
    timeout_seconds: float = Field(10, ge=0.1, le=300)
    """How long the store may take for an answer, or for the next piece of a file."""
    endpoint: str | None = None
    """Address of a service that speaks S3 (R2, MinIO), else `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, else AWS."""
    allow_http: bool = False
    """Whether that address may be plain `http://`, as inside a private network."""
    region: str | None = Field(None, pattern=r"^[A-Za-z0-9-]+$")
    """Region of the bucket, else `AWS_REGION`, `AWS_DEFAULT_REGION`, else `us-east-1`. R2 takes `auto`."""
    path_style: bool | None = None
    """Whether the bucket stands in the path and not in the host name. Default: true with an endpoint, else false."""
    access_key_id: str | None = None
    """Key of the bucket. Without it `AWS_ACCESS_KEY_ID` and its kin count, else the machine's own role."""
    secret_access_key: SecretStr | None = None
    """The secret that belongs to `GESSO_STORAGE_ACCESS_KEY_ID`."""
    session_token: SecretStr | None = None
    """The token of temporary credentials, where they have one."""
    redirect: Literal["none", "originals", "all"] = "none"
    """Which files browsers fetch from the bucket by signed addresses instead of through the web server."""
    public_endpoint: str | None = None
    """The bucket's address for browsers, when they reach it by another one than `GESSO_STORAGE_ENDPOINT`."""

    @field_validator("endpoint", "public_endpoint")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "https://-")
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("must be an address such as https://s3.example.com")
        if parts.username or parts.password:
            raise ValueError("must not hold credentials; they have variables of their own")
        return value and value.rstrip("/")

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        prefix = str(self.model_config.get("env_prefix", "GESSO_STORAGE_"))
        if self.access_key_id and not self.secret_access_key:
            raise ValueError(f"{prefix}SECRET_ACCESS_KEY is missing; {prefix}ACCESS_KEY_ID is of no use alone.")
        if (self.secret_access_key or self.session_token) and not self.access_key_id:
            raise ValueError(f"{prefix}ACCESS_KEY_ID is missing; the secret or token is of no use alone.")
        if self.endpoint and self.endpoint.startswith("http://") and not self.allow_http:
            raise ValueError(
                f"{prefix}ENDPOINT is a plain http:// address. Use https://, or set {prefix}ALLOW_HTTP=true "
                "when nobody can listen in between."
            )
        return self
