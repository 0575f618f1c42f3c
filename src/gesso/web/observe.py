"""What is seen of every request: a metric, a line in the log, a span. The outermost layer, plain ASGI.

All three name the route's pattern and never the address: that may hold a mailed token, a share link, a search.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gesso.core.telemetry import metrics, origin, product, tracing

Write = Callable[[Mapping[str, Any]], None]

QUIET = frozenset({"/healthz", "/readyz", "/metrics"})
"""Asked every few seconds by machines: no span, and a line only when the answer is a bad one."""
_UNTRACED = QUIET | {"/api/events"}
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_YES = b"1"
_FROM_PROXIES = frozenset({b"traceparent", b"x-request-id"})


class ObserveMiddleware:
    """Measures requests up to the first byte of their answer, which is when event streams and downloads have begun.

    `write` writes the access log's line, if there is to be one.
    """

    def __init__(self, app: ASGIApp, *, write: Write | None) -> None:
        self.app = app
        self.write = write

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun, status = time.perf_counter(), 0
        metrics.HTTP_IN_FLIGHT.inc()

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start" and not status:
                status = message["status"]
                self._note(scope, status, time.perf_counter() - begun)
            await send(message)

        parent = self._headers(scope)
        try:
            with _span(scope, parent) as span:
                await self.app(scope, receive, noting)
                if span is not tracing.SILENT:
                    _tell(span, scope, status)
        finally:
            if not status:  # the browser went away first
                self._note(scope, 0, time.perf_counter() - begun)

    def _headers(self, scope: Scope) -> str | None:
        """What a request says about how it wants to be seen: its trace, returned, and its id, if a trusted proxy says
        so; and whether the person wants to be counted.

        uvicorn replaces the client's address by the one a trusted proxy gives, and its port by 0: nobody who
        connects by himself has that port.
        """
        parent: str | None = None
        left_out = False
        for name, value in scope["headers"]:
            if name in _FROM_PROXIES:
                client = scope.get("client")
                if not client or client[1] != 0:
                    scope["headers"] = [one for one in scope["headers"] if one[0] not in _FROM_PROXIES]
                elif name == b"traceparent":
                    parent = value.decode("latin-1")
            elif name in (b"dnt", b"sec-gpc") and value == _YES:
                left_out = True
        if product.on():
            origin.untracked.set(left_out)
        return parent

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        metrics.HTTP_IN_FLIGHT.dec()
        route, method = route_of(scope), scope["method"] if scope["method"] in _METHODS else "other"
        shown = f"{status // 100}xx" if status else "gone"
        metrics.HTTP_SECONDS.labels(route, method, shown).observe(seconds)
        if self.write is not None and not (route in QUIET and status < 400):
            self.write(
                {
                    "method": method, "route": route, "status": status, "ms": round(seconds * 1000, 1),
                    "request_id": scope.get("state", {}).get("request_id"),
                }
            )  # fmt: skip


def _span(scope: Scope, parent: str | None) -> tracing.Span:
    if scope["path"] in _UNTRACED or scope["path"].startswith("/static/"):
        return tracing.SILENT
    return tracing.root(scope["method"], "SERVER", parent, http__request__method=scope["method"])


def _tell(span: tracing.Span, scope: Scope, status: int) -> None:
    span.rename(f"{scope['method']} {route_of(scope)}")
    span.set("http.route", route_of(scope))
    span.set("http.response.status_code", status)
    span.set("gesso.request_id", str(scope.get("state", {}).get("request_id")))
    if status >= 500:
        span.fail(str(status))


def route_of(scope: Scope) -> str:
    """The pattern of the route that took a request, such as `/media/{asset_id}`."""
    path = getattr(scope.get("route"), "path", None)
    if path is not None:
        return str(path)
    return "/static" if scope["path"].startswith("/static/") else "none"
