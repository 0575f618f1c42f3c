"""From a URL and settings to an opened object store. Nothing is sent anywhere yet.

For S3 everything is decided here and handed to the library as it stands, so that a stray `AWS_*` variable never
mixes with ours: an address, a region and a key each come from `GESSO_STORAGE_*` or, whole, from the AWS names.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from obstore.exceptions import BaseError
from obstore.store import LocalStore, MemoryStore, S3Store, from_url

from gesso.core.settings import SettingsError, StorageSettings

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

_S3 = ("s3", "s3a")
_OTHERS = ("gs", "az", "azure", "abfs", "abfss", "adl")
_DEFAULT_REGION = "us-east-1"
_CONNECT_SECONDS = 5.0
_WHOLE_ANSWER = "10m"
"""A body may take minutes to a slow reader; what must not last is bounded by `GESSO_STORAGE_TIMEOUT_SECONDS`."""
_RETRY: "RetryConfig" = {"max_retries": 3}


@dataclass(frozen=True, slots=True)
class Credentials:
    """A key of S3 that does not change while the process runs."""

    key_id: str
    secret: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class S3Place:
    """Where a bucket is and how it is spoken to. `credentials` is None when the machine's own role counts."""

    bucket: str
    prefix: str
    """Path inside the bucket, without slashes at its ends; "" for the bucket itself."""
    region: str
    endpoint: str | None
    """Origin of the service as configured; None for AWS."""
    path_style: bool
    credentials: Credentials | None

    def address(self, endpoint: str | None = None) -> str:
        """The bucket's own address (at another origin of the service, when given), without a trailing slash."""
        base = endpoint or self.endpoint or f"https://s3.{self.region}.amazonaws.com"
        if self.path_style:
            return f"{base}/{self.bucket}"
        scheme, _, rest = base.partition("://")
        return base if rest.startswith(f"{self.bucket}.") else f"{scheme}://{self.bucket}.{rest}"


@dataclass(frozen=True, slots=True)
class Opened:
    """A store of the library, its name without credentials, and for S3 the place it stands for."""

    store: Any = field(repr=False)
    name: str
    root: str
    """Where its objects lie, with a slash at the end: two stores overlap when one root begins with the other."""
    s3: S3Place | None = None


def open_store(url: str, settings: StorageSettings, named: str = "GESSO_STORAGE_URL") -> Opened:
    """Open the store at `url`, which came from the variable or option `named`.

    Raises `SettingsError` when it cannot be understood; never shows a secret.
    """
    parts = urlsplit(url)
    if parts.password or (parts.username and parts.scheme in _S3):
        raise SettingsError(f"{named} must not hold credentials; they have variables of their own.")
    try:
        if parts.scheme == "memory":
            memory = MemoryStore()
            return Opened(memory, "memory", f"memory:{id(memory)}/")
        if parts.scheme in ("", "file"):
            folder = Path(unquote(parts.path) if parts.scheme else url).expanduser().absolute()
            local = LocalStore(folder, mkdir=True, automatic_cleanup=True)
            return Opened(local, f"folder {folder}", f"{folder.resolve()}/")
        if parts.scheme in _S3:
            return _open_s3(s3_place(url, settings, os.environ, named), settings)
        if parts.scheme in _OTHERS:
            store = from_url(url, client_options=_client(settings), retry_config=_RETRY)
            name = f"{parts.scheme}://{parts.hostname}{parts.path}".rstrip("/")
            return Opened(store, name, f"{name}/")
    except (BaseError, OSError, ValueError) as error:
        raise SettingsError(f"{named}: cannot open the store ({_first_line(error)})") from None
    raise SettingsError(f"{named}: '{parts.scheme}' is not a store; use file://, s3://, gs://, az:// or memory://")


def s3_place(
    url: str, settings: StorageSettings, environment: Mapping[str, str], named: str = "GESSO_STORAGE_URL"
) -> S3Place:
    """What `s3://bucket/prefix` means under these settings. Raises `SettingsError` naming the variable."""
    parts = urlsplit(url)
    if not parts.hostname or parts.port or parts.query:
        raise SettingsError(f"{named} must look like s3://bucket or s3://bucket/prefix.")
    given = {name: environment.get(name) or "" for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")}
    variable = next((name for name, value in given.items() if value), "")
    endpoint = settings.endpoint or given.get(variable, "").rstrip("/") or None
    if endpoint and endpoint.startswith("http://") and not settings.allow_http:
        raise SettingsError(
            f"{variable} is a plain http:// address. Use https://, or set GESSO_STORAGE_ALLOW_HTTP=true."
        )
    region = settings.region or environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    # A bucket with dots has no certificate as a host name of AWS.
    by_path = endpoint is not None or "." in parts.hostname
    return S3Place(
        bucket=parts.hostname,
        prefix=unquote(parts.path).strip("/"),
        region=region or _DEFAULT_REGION,
        endpoint=endpoint,
        path_style=by_path if settings.path_style is None else settings.path_style,
        credentials=_credentials(settings, environment),
    )


def _credentials(settings: StorageSettings, environment: Mapping[str, str]) -> Credentials | None:
    if settings.access_key_id and settings.secret_access_key:
        token = settings.session_token.get_secret_value() if settings.session_token else None
        return Credentials(settings.access_key_id, settings.secret_access_key.get_secret_value(), token)
    key_id, secret = environment.get("AWS_ACCESS_KEY_ID"), environment.get("AWS_SECRET_ACCESS_KEY")
    if bool(key_id) != bool(secret):
        missing = "AWS_SECRET_ACCESS_KEY" if key_id else "AWS_ACCESS_KEY_ID"
        raise SettingsError(f"{missing} is missing: a key is of no use without its other half.")
    return Credentials(key_id, secret, environment.get("AWS_SESSION_TOKEN") or None) if key_id and secret else None


def _open_s3(place: S3Place, settings: StorageSettings) -> Opened:
    address = place.address()
    origin = address.removesuffix(f"/{place.bucket}") if place.path_style else address
    options: dict[str, Any] = {
        "endpoint": origin,
        "aws_endpoint_url_s3": origin,  # else the environment's would win over ours
        "region": place.region,
        "virtual_hosted_style_request": not place.path_style,
        "disable_bulk_delete": True,  # not every service has it, and it is not tried again
    }
    if place.credentials is not None:
        key = place.credentials
        given = {"access_key_id": key.key_id, "secret_access_key": key.secret, "token": key.token, "expires_at": None}
        options["credential_provider"] = lambda: given
    store = S3Store(
        place.bucket, prefix=place.prefix or None, client_options=_client(settings), retry_config=_RETRY, **options
    )
    root = f"{address}/{place.prefix}".rstrip("/")
    return Opened(store, f"s3://{place.bucket}/{place.prefix}".rstrip("/"), f"{root}/", place)


def _client(settings: StorageSettings) -> "ClientConfig":
    seconds = settings.timeout_seconds
    return {
        "connect_timeout": f"{round(min(seconds, _CONNECT_SECONDS) * 1000)}ms",
        "read_timeout": f"{round(seconds * 1000)}ms",
        "timeout": _WHOLE_ANSWER,
        "allow_http": settings.allow_http,
    }


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
