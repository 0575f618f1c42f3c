"""Answers a healthy server would not give: closed connections, silence, broken JSON, a proxy's error page."""

import asyncio
from collections.abc import AsyncIterator, Callable

from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import Receive, Scope, Send

from gesso.sandbox.faults import Fault, Faults, Tally

_NGINX = (
    "<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n"
    "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)
_NGINX_TITLES = {"502": "502 Bad Gateway", "503": "503 Service Temporarily Unavailable"}
_OWN = frozenset({"429", "500"})
"""What every provider says in words of its own."""
_AFTER = frozenset({"drop", "malformed"})
"""What spoils the answer of a request that was carried out."""


def proxy_page(title: str) -> str:
    """The page of a proxy that answers in its own name, such as "502 Bad Gateway"."""
    return _NGINX.format(title)


class DroppedResponse(Response):
    """Sends headers and a piece of the body, then the connection closes: the length promised is not kept."""

    media_type = "application/json"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"4096"),
            (b"connection", b"close"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"request_', "more_body": True})


class SilentResponse(DroppedResponse):
    """Nothing at all until the client gives up or `seconds` have passed, then the connection closes."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                while (await receive())["type"] != "http.disconnect":
                    pass
        except TimeoutError:
            await super().__call__(scope, receive, send)


class CutStream(Response):
    """Sends what the events hold, and then the connection closes without an end."""

    def __init__(self, events: AsyncIterator[str]) -> None:
        super().__init__()
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async for event in self._events:
            await send({"type": "http.response.body", "body": event.encode(), "more_body": True})


def strike_before(
    faults: Faults, stage: str, prompt: str, tally: Tally, hang_seconds: float,
    own: Callable[[Fault], Response] | None = None,
) -> Response | None:  # fmt: skip
    """The answer of a fault that keeps the request from being carried out, or None.

    `own` gives 429 and 500 the provider's shape; they strike first then.
    """
    due = [fault for fault in faults.transport(stage) if fault.name not in _AFTER]
    if own is not None:
        for fault in due:
            if fault.name in _OWN and tally.strikes(fault, prompt):
                return own(fault)
        due = [fault for fault in due if fault.name not in _OWN]
    for fault in due:
        if tally.strikes(fault, prompt):
            return _answer(fault, hang_seconds)
    return None


def _answer(fault: Fault, hang_seconds: float) -> Response:
    if fault.name == "429":
        retry_after = {} if fault.argument is None else {"Retry-After": fault.argument}
        body = {"detail": "Too many concurrent requests", "error_type": "concurrent_requests_limit"}
        return JSONResponse(body, 429, headers={"X-Fal-Error-Type": "concurrent_requests_limit", **retry_after})
    if fault.name in _NGINX_TITLES:
        return HTMLResponse(proxy_page(_NGINX_TITLES[fault.name]), int(fault.name))
    if fault.name == "hang":
        return SilentResponse(fault.number(hang_seconds))
    if fault.name == "drop-before":
        return DroppedResponse()
    return JSONResponse({"detail": "Internal Server Error"}, 500)


def strike_after(faults: Faults, stage: str, prompt: str, tally: Tally, response: Response) -> Response:
    """The answer, spoilt by a fault that strikes after the request was carried out."""
    for fault in faults.transport(stage):
        if fault.name in _AFTER and tally.strikes(fault, prompt):
            if fault.name == "drop":
                return DroppedResponse()
            body = bytes(response.body)
            return Response(body[: max(1, len(body) * 2 // 3)], response.status_code, media_type="application/json")
    return response
