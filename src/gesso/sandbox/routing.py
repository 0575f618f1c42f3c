"""How a face's requests find their handlers.

Two ways: by Starlette's own routes, or, where a path holds names with slashes, by patterns under one route.
"""

import re
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gesso.sandbox.face import ProviderFace
from gesso.sandbox.faults import UnknownFault

Handler = Callable[..., Awaitable[Response]]
F = TypeVar("F", bound=ProviderFace)

_EVERY_METHOD = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH")


class Patterns:
    """Handlers by method and pattern; the first row that fits the whole path answers. Named groups are arguments."""

    def __init__(self, *rows: tuple[str, str, Handler]) -> None:
        self._rows = tuple((method, re.compile(pattern), handler) for method, pattern, handler in rows)

    def find(self, method: str, path: str) -> Handler | None:
        """The handler with the path's parts filled in. HEAD is answered as GET is."""
        method = "GET" if method == "HEAD" else method
        for wanted, pattern, handler in self._rows:
            if wanted == method and (match := pattern.fullmatch(path)):
                return partial(handler, **match.groupdict())
        return None


def catch_all(face: ProviderFace, endpoint: Callable[[Request], Awaitable[Response]]) -> Route:
    """One route for everything under the face's prefix; `path_params["path"]` is what follows it."""
    return Route(f"{face.prefix}/{{path:path}}", endpoint, methods=list(_EVERY_METHOD))


def routes(
    face: F, rows: Iterable[tuple[str, str, Callable[[Request, F], Awaitable[Response]]]],
    unknown: Callable[[Request, F], Awaitable[Response]], wrong: Callable[[str], Response],
) -> list[Route]:  # fmt: skip
    """A route for each (method, path under the prefix, handler), and `unknown` for all else.

    `wrong` answers who asks for a fault that does not exist, told what is wrong with it.
    """

    def endpoint(handler: Callable[[Request, F], Awaitable[Response]]) -> Callable[[Request], Awaitable[Any]]:
        async def answer(request: Request) -> Response:
            try:
                return await handler(request, face)
            except UnknownFault as error:
                return wrong(str(error))

        return answer

    table = [Route(f"{face.prefix}{path}", endpoint(handler), methods=[method]) for method, path, handler in rows]
    return [*table, catch_all(face, endpoint(unknown))]
