"""What an edition does not have is not there: no page, no route, no entry in a menu."""

from collections.abc import Awaitable, Callable

from fastapi import Request

from gesso.core.errors import NotFound


def part_of(module: str) -> Callable[[Request], Awaitable[None]]:
    """A dependency for routes of one module. It raises NotFound while the edition is without that."""

    async def present(request: Request) -> None:
        if module not in request.app.state.modules():
            raise NotFound("There is nothing here.")

    return present
