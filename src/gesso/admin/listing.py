"""What the panel's lists can do on their pages: switch a line on or off, and put the lines in order."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from pydantic import BaseModel

from gesso.accounts.access import Actor
from gesso.admin.frame import Deed, deed_of
from gesso.core.errors import InvalidInput
from gesso.db import ElevatedSession
from gesso.web.forms import read
from gesso.web.render import ToastKind, is_htmx, redirect, toast

_LINES_MOST = 500


class SwitchForm(BaseModel):
    """On or off."""

    enabled: bool


class OrderForm(BaseModel):
    """One step, or a whole order: short names with commas between them."""

    up: str | None = None
    down: str | None = None
    keys: str = ""

    def order(self) -> list[str]:
        """The whole order."""
        return [key for key in self.keys.split(",") if key]


async def switched(
    request: Request,
    switch: Callable[[bool], Awaitable[str]],
    listing: Callable[[Request], Awaitable[Response]],
    home: str,
) -> Response:
    """A switch of a list was pressed: the list again, with what came of it. `switch` gives the name of what it was.

    Why something cannot be switched on is said over the list, with scripts and without.
    """
    form = await read(request, SwitchForm)
    if not form.ok:
        raise InvalidInput("Say whether it is to be on.", fields=form.errors)
    enabled = form.value.enabled
    try:
        told: tuple[str, ToastKind, str] = (f"{await switch(enabled)} is {'on' if enabled else 'off'}", "ok", "")
    except InvalidInput as error:
        told = ("It stays off" if enabled else "It stays on", "bad", error.detail)
    answer = await listing(request) if is_htmx(request) else redirect(request, home)
    return toast(answer, told[0], told[1], detail=told[2])


async def ordered(
    request: Request,
    actor: Actor,
    what: str,
    move: Callable[[ElevatedSession, Deed, str, int], Awaitable[Any]],
    order: Callable[[ElevatedSession, Deed, list[str]], Awaitable[Any]],
) -> None:
    """Does what an order's form says: `move` takes a short name one place up (−1) or down (+1), `order` puts these
    first. `what` names the lines in the database's log. Raises InvalidInput, and what the two raise."""
    form = await read(request, OrderForm, max_fields=_LINES_MOST)
    if not form.ok:
        raise InvalidInput("That is no order.", fields=form.errors)
    deed, step = deed_of(request, actor), form.value.up or form.value.down
    async with request.app.state.db.elevated(f"operator: order {what}") as tx:
        if step:
            await move(tx, deed, step, -1 if form.value.up else 1)
        else:
            await order(tx, deed, form.value.order())
