"""Engines, roles and the edge where transactions open and commit."""

import contextlib
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit, urlunsplit
from uuid import UUID

import asyncpg
import structlog
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gesso.db.session import ElevatedSession, PublicSession, Session, WorkspaceSession

log = structlog.get_logger()
SessionType = TypeVar("SessionType", bound=Session)

_ENTER_WORKSPACE = text("SELECT set_config('gesso.workspace', :workspace, true), set_config('gesso.user', :user, true)")


@dataclass(frozen=True, slots=True)
class Roles:
    """Names and addresses of the three roles.

    The two application roles log in with passwords derived from the site's secret, so that one
    `DATABASE_URL` (the owner's) is all an operator has to give.
    """

    owner_url: str
    prefix: str
    secret: str

    @property
    def app(self) -> str:
        return f"{self.prefix}_app"

    @property
    def elevated(self) -> str:
        return f"{self.prefix}_elevated"

    def password(self, role: str) -> str:
        """The password of an application role: HMAC-SHA256 of its name under the site's secret."""
        return hmac.new(self.secret.encode(), f"gesso/role/{role}".encode(), hashlib.sha256).hexdigest()

    def url(self, role: str) -> str:
        """The owner's address with the role's name and password in place of the owner's."""
        parts = urlsplit(self.owner_url)
        host = parts.netloc.rsplit("@", 1)[-1]
        return urlunsplit(parts._replace(netloc=f"{quote(role)}:{self.password(role)}@{host}"))


class Database:
    """The connection pools of one process."""

    def __init__(
        self,
        owner_url: str,
        *,
        secret: str,
        role_prefix: str = "gesso",
        pool_size: int = 10,
        elevated_pool_size: int = 3,
    ) -> None:
        self.roles = Roles(normalise_url(owner_url), role_prefix, secret)
        self._app = _engine(self.roles.url(self.roles.app), pool_size)
        self._elevated = _engine(self.roles.url(self.roles.elevated), elevated_pool_size)

    @contextlib.asynccontextmanager
    async def workspace(self, workspace_id: UUID, user_id: UUID | None = None) -> AsyncIterator[WorkspaceSession]:
        """A transaction in one workspace, on behalf of `user_id`; commits on a clean exit."""
        async with self._transaction(WorkspaceSession, self._app) as session:
            session.workspace_id, session.user_id = workspace_id, user_id
            await session.execute(
                _ENTER_WORKSPACE, {"workspace": str(workspace_id), "user": str(user_id) if user_id else ""}
            )
            yield session

    @contextlib.asynccontextmanager
    async def public(self) -> AsyncIterator[PublicSession]:
        """A transaction that belongs to no workspace; commits on a clean exit."""
        async with self._transaction(PublicSession, self._app) as session:
            await session.execute(_ENTER_WORKSPACE, {"workspace": "", "user": ""})
            yield session

    @contextlib.asynccontextmanager
    async def elevated(self, reason: str) -> AsyncIterator[ElevatedSession]:
        """A transaction across workspaces; `reason` says who needs it. Commits on a clean exit."""
        async with self._transaction(ElevatedSession, self._elevated) as session:
            session.reason = reason
            await session.execute(_ENTER_WORKSPACE, {"workspace": "", "user": ""})
            yield session

    @contextlib.asynccontextmanager
    async def _transaction(self, kind: type[SessionType], engine: AsyncEngine) -> AsyncIterator[SessionType]:
        async with kind(engine, expire_on_commit=False) as session:
            async with session.begin():
                yield session
        await self._after_commit(session)

    async def _after_commit(self, session: Session) -> None:
        if session.pending_notifications:
            await self.notify(list(session.pending_notifications))
        for action in session.pending_actions:
            try:
                await action()
            except Exception:
                log.exception("after_commit.failed")

    async def notify(self, messages: list[tuple[str, str]]) -> None:
        """Send (channel, payload) pairs now. A lost one costs at most a poll, so failure is only logged."""
        try:
            async with self._app.connect() as connection:
                raw = await connection.get_raw_connection()
                assert raw.driver_connection is not None
                await raw.driver_connection.execute(
                    "SELECT pg_notify(channel, payload) FROM unnest($1::text[], $2::text[]) AS m(channel, payload)",
                    [channel for channel, _ in messages],
                    [payload for _, payload in messages],
                )
        except Exception as error:  # noqa: BLE001 — whatever it is, the commit stands
            log.warning("notify.failed", error=type(error).__name__, messages=len(messages))

    async def dedicated(self, *, elevated: bool = False) -> asyncpg.Connection:
        """A connection outside the pools, for LISTEN and the queue. The caller closes it."""
        role = self.roles.elevated if elevated else self.roles.app
        connection = await asyncpg.connect(self.roles.url(role), command_timeout=60)
        await set_json_codec(connection)
        return connection

    async def close(self) -> None:
        """Close all pooled connections."""
        await self._app.dispose()
        await self._elevated.dispose()


def normalise_url(url: str) -> str:
    """`postgres://` and SQLAlchemy's `postgresql+driver://` as plain `postgresql://`."""
    scheme, _, rest = url.partition("://")
    if scheme.split("+")[0] not in ("postgres", "postgresql") or not rest:
        raise ValueError("DATABASE_URL must look like postgresql://user:password@host/name")
    return f"postgresql://{rest}"


async def set_json_codec(connection: asyncpg.Connection) -> None:
    """Let json and jsonb parameters be Python values, both ways. A `str` parameter is JSON text already."""
    for name in ("json", "jsonb"):
        await connection.set_type_codec(name, schema="pg_catalog", encoder=_dumps, decoder=json.loads)


def _dumps(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), default=str)


def _engine(url: str, pool_size: int) -> AsyncEngine:
    engine = create_async_engine(
        url.replace("postgresql://", "postgresql+asyncpg://", 1),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=10,
        pool_pre_ping=False,
        pool_recycle=1800,
        # the connection's own codec speaks Python values already
        json_serializer=lambda value: value,
        json_deserializer=lambda value: value,
    )

    @event.listens_for(engine.sync_engine, "connect")
    def _prepare(connection: Any, _: Any) -> None:
        connection.run_async(set_json_codec)

    return engine
