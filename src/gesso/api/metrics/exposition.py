"""The text Prometheus reads, and who may read it."""

import hmac
from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from gesso import __version__
from gesso.api.metrics.families import of_process, of_site
from gesso.api.metrics.site import SiteFigures
from gesso.core.settings import Settings
from gesso.core.telemetry import metrics
from gesso.db import Database


class Exposition:
    """`/metrics` of one process, as an ASGI application. `streams` counts open event streams, in a web process."""

    def __init__(
        self, settings: Settings, db: Database, *, role: str, streams: Callable[[], int] | None = None
    ) -> None:
        self._token = settings.telemetry.token
        self._db = db
        self._streams = streams
        self._site = SiteFigures(db)
        metrics.BUILD.labels(__version__, settings.site.release, role).set(1)

    async def answer(self, request: Request) -> Response:
        """The metrics, for whoever knows the token, if there is one."""
        if not allowed(self._token, request.headers.get("authorization")):
            return PlainTextResponse("The token is missing or wrong.\n", 401, {"WWW-Authenticate": "Bearer"})
        figures = await self._site.get()
        streams = self._streams() if self._streams is not None else None
        encode, media_type = choose_encoder(request.headers.get("accept", ""))
        text = encode(_Together([*of_process(self._db.pools(), streams), *of_site(figures)]))
        return Response(text, media_type=media_type, headers={"Cache-Control": "no-store"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """On a port of its own: `/metrics` and nothing else."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        found = request.method in ("GET", "HEAD") and scope["path"] == "/metrics"
        response = await self.answer(request) if found else PlainTextResponse("Look at /metrics.\n", 404)
        await response(scope, receive, send)


def allowed(token: SecretStr | None, header: str | None) -> bool:
    """Whether an Authorization header carries the token; always, when there is none."""
    if token is None:
        return True
    given = (header or "").removeprefix("Bearer ").encode()
    return hmac.compare_digest(given, token.get_secret_value().encode())


class _Together(Collector):
    """The process's registry, and families made for this one answer."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        yield from metrics.registry.collect()
        yield from self._families
