"""Database addresses: three roles from one URL, and what the driver needs of libpq's spelling."""

import hashlib
import hmac
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import asyncpg

NOT_SPOKEN = ("channel_binding", "gssencmode", "sslcompression", "sslsni")
"""Parameters of libpq that hosts put into their addresses and the driver would send to the server as settings."""


@dataclass(frozen=True, slots=True)
class Roles:
    """Names and addresses of the three roles.

    The two application roles log in with passwords derived from the site's secret, so that one
    `DATABASE_URL` (the owner's) is all an operator has to give. `direct_url` is the owner's address past a
    pooler, where there is one. While the secret is being changed the roles may have their passwords from one of
    `other_secrets`.
    """

    owner_url: str
    prefix: str
    secret: str
    direct_url: str
    other_secrets: tuple[str, ...] = ()

    @property
    def app(self) -> str:
        return f"{self.prefix}_app"

    @property
    def elevated(self) -> str:
        return f"{self.prefix}_elevated"

    def password(self, role: str) -> str:
        """The password of an application role: HMAC-SHA256 of its name under the site's secret."""
        return _password(self.secret, role)

    def other_passwords(self, role: str) -> tuple[str, ...]:
        """What else its password may be, while the secret is being changed."""
        return tuple(_password(secret, role) for secret in self.other_secrets)

    def url(self, role: str, *, direct: bool = False) -> str:
        """The owner's address with the role's name and password in place of the owner's."""
        parts = urlsplit(self.direct_url if direct else self.owner_url)
        host = parts.netloc.rsplit("@", 1)[-1]
        return urlunsplit(parts._replace(netloc=f"{quote(role)}:{self.password(role)}@{host}"))


def _password(secret: str, role: str) -> str:
    return hmac.new(secret.encode(), f"gesso/role/{role}".encode(), hashlib.sha256).hexdigest()


def normalise_url(url: str) -> str:
    """`postgres://` and SQLAlchemy's `postgresql+driver://` as plain `postgresql://`."""
    scheme, _, rest = url.partition("://")
    if scheme.split("+")[0] not in ("postgres", "postgresql") or not rest:
        raise ValueError("DATABASE_URL must look like postgresql://user:password@host/name")
    return f"postgresql://{rest}"


def driver_arguments(url: str) -> dict[str, Any]:
    """What `asyncpg.connect` takes for an address that libpq would take.

    asyncpg reads `sslmode`, `sslrootcert`, `sslcert`, `sslkey`, `target_session_attrs` and several hosts by
    itself. Two things it does not know: `sslrootcert=system` (the machine's own authorities, host name checked,
    as libpq has it), and `channel_binding`, which Neon's addresses carry: it would become a setting that the
    server refuses.
    """
    parts = urlsplit(normalise_url(url))
    query = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in NOT_SPOKEN]
    arguments: dict[str, Any] = {}
    given = dict(query)
    if given.get("sslrootcert") == "system":
        arguments["ssl"] = True
        query = [(name, value) for name, value in query if name not in ("sslrootcert", "sslmode")]
    if given.get("connect_timeout", "").isdigit():
        arguments["timeout"] = max(2, int(given["connect_timeout"]))
        query = [(name, value) for name, value in query if name != "connect_timeout"]
    arguments["dsn"] = urlunsplit(parts._replace(query=urlencode(query, quote_via=quote)))
    return arguments


async def connect(url: str, *, other_passwords: Sequence[str] = (), **options: Any) -> asyncpg.Connection:
    """A plain connection to an address as libpq spells it. Raises what asyncpg raises.

    `other_passwords` are tried in turn when the one in the address is refused.
    """
    return await log_in(other_passwords, **{**driver_arguments(url), **options})


async def log_in(other_passwords: Sequence[str], *args: Any, **arguments: Any) -> asyncpg.Connection:
    """`asyncpg.connect`, again with each of the other passwords while the one before is refused."""
    tries = [arguments, *(arguments | {"password": password} for password in other_passwords)]
    for attempt in tries[:-1]:
        try:
            return await asyncpg.connect(*args, **attempt)
        except asyncpg.InvalidPasswordError:
            continue
    return await asyncpg.connect(*args, **tries[-1])


async def pools_transactions(url: str) -> bool:
    """Whether a pooler in transaction mode stands at this address.

    Two connections that are open at once never share a server process, unless somebody between hands it out per
    transaction: then the second gets the one the first has just given back. Under load a pooler may hide so; it
    never shows where there is none.
    """
    first = await connect(url)
    try:
        second = await connect(url)
        try:
            one = await first.fetchval("SELECT pg_backend_pid()")
            return bool(one == await second.fetchval("SELECT pg_backend_pid()"))
        finally:
            await second.close()
    finally:
        await first.close()


def why_refused(error: BaseException) -> str | None:
    """A sentence for an error of connecting that waiting does not cure; None when it may pass by itself."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"The database's certificate is not to be trusted ({error.verify_message}). "
            "Look at sslmode and sslrootcert in DATABASE_URL."
        )
    if isinstance(error, ssl.SSLError):
        return f"The database's encryption cannot be agreed on ({error.reason}). Look at sslmode in DATABASE_URL."
    if isinstance(error, asyncpg.InterfaceError | FileNotFoundError):  # a wrong parameter, a certificate's file
        return f"DATABASE_URL cannot be used: {error}."
    if isinstance(error, asyncpg.InvalidAuthorizationSpecificationError):
        return f"The database refuses the log-in of DATABASE_URL ({type(error).__name__})."
    if isinstance(error, ConnectionError) and "rejected SSL upgrade" in str(error):
        return "The database does not speak TLS, and DATABASE_URL asks for it (sslmode)."
    return None
