"""`/admin/connections`: the list, a connection beside it, and its forms. All of it works without script."""

from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field, SecretStr

from gesso.accounts.access import Actor, CurrentOperator
from gesso.admin import connections
from gesso.admin.chart import health_chart
from gesso.admin.connections import Facts
from gesso.admin.frame import deed_of, panel, sealer_of
from gesso.admin.listing import ordered, switched
from gesso.admin.standing import ConnectionLine, lines, share
from gesso.admin.typed import json_object, shown
from gesso.catalog.edits.connections import LIMIT_MOST
from gesso.core.errors import GessoError
from gesso.providers.base import TestReport
from gesso.providers.registry import ADAPTERS
from gesso.web.forms import Form, blank, read
from gesso.web.render import is_htmx, redirect, toast

router = APIRouter(prefix="/admin/connections", include_in_schema=False)
HOME = "/admin/connections"
_CHOICES = [("", "Choose a provider"), *((adapter.name, adapter.title) for adapter in ADAPTERS.values())]

Limit = Annotated[int, Field(ge=1, le=LIMIT_MOST)]


class ConnectionForm(BaseModel):
    """What the form of a connection holds."""

    name: Annotated[str, Field(max_length=80)]
    api_key: SecretStr | None = None
    base_url: str | None = None
    answers: Literal["provider", "sandbox"] = "provider"
    concurrency: Limit | None = None
    requests_per_minute: Limit | None = None
    options: str = ""

    def facts(self) -> Facts:
        """As the service takes it. Raises InvalidInput for options that are no JSON."""
        limits = {"concurrency": self.concurrency, "requests_per_minute": self.requests_per_minute}
        return Facts(
            self.name, self.base_url, self.answers == "sandbox",
            {name: value for name, value in limits.items() if value is not None},
            json_object(self.options, "options"),
        )  # fmt: skip


class NewConnectionForm(ConnectionForm):
    """A new one needs a name of its own for addresses, and a wire."""

    key: str
    adapter: str


@router.get("")
async def connections_page(request: Request, actor: CurrentOperator) -> Response:
    """All connections in their order."""
    return await _list(request)


async def _list(request: Request, tests: dict[str, TestReport] | None = None) -> Response:
    now = request.app.state.clock.now()
    async with request.app.state.db.elevated("operator: connections") as tx:
        every = await lines(tx, now)
    return await panel(request, "admin/connections.html", **_summary(every), tests=tests or {}, detail=None)


def _summary(every: tuple[ConnectionLine, ...]) -> dict[str, Any]:
    on = [line for line in every if line.connection.enabled]
    succeeded, failed = (sum(getattr(line.recent, name) for line in every) for name in ("succeeded", "failed"))
    return {
        "lines": every,
        "usable": sum(line.health.kind != "bad" and not line.health.paused for line in on),
        "on": len(on),
        "live": sum(line.live for line in every),
        "delivered": share(succeeded, succeeded + failed),
    }


@router.get("/new")
async def new_connection_page(
    request: Request, actor: CurrentOperator, adapter: Annotated[str, Query(max_length=60)] = ""
) -> Response:
    """The form of a new connection."""
    return await _new(request, blank(adapter=adapter, answers="provider", options=""))


async def _new(request: Request, form: Form[NewConnectionForm], status: int = 200) -> Response:
    return await panel(request, "admin/connection_new.html", status, form=form, adapters=_CHOICES)


@router.post("/new")
async def add_connection(request: Request, actor: CurrentOperator) -> Response:
    """Add it, and show it."""
    form = await read(request, NewConnectionForm)
    status = 422
    if form.ok:
        try:
            async with request.app.state.db.elevated("operator: add a connection") as tx:
                await connections.add(
                    tx, sealer_of(request), deed_of(request, actor), key=form.value.key, adapter=form.value.adapter,
                    facts=form.value.facts(), api_key=form.value.api_key,
                )  # fmt: skip
            answer = redirect(request, f"{HOME}/{form.value.key}")
            return toast(answer, f"{form.value.name} is on", "ok", detail="Test it before models rely on it.")
        except GessoError as error:
            form.fail(error)
            status = error.status
    return await _new(request, form, status)


@router.post("/order")
async def order_connections(request: Request, actor: CurrentOperator) -> Response:
    """Move one a step, or put all in a new order."""
    await ordered(request, actor, "connections", connections.move, connections.order)
    return await _list(request) if is_htmx(request) else redirect(request, HOME)


@router.post("/test")
async def test_connections(request: Request, actor: CurrentOperator) -> Response:
    """Test all that are on."""
    return await _list(request, await connections.test_all(request.app, deed_of(request, actor)))


@router.get("/{key}")
async def connection_page(request: Request, actor: CurrentOperator, key: str) -> Response:
    """A connection beside the list."""
    return await _detail(request, key)


async def _detail(
    request: Request,
    key: str,
    *,
    form: Form[ConnectionForm] | None = None,
    report: TestReport | None = None,
    status: int = 200,
) -> Response:
    now = request.app.state.clock.now()
    async with request.app.state.db.elevated("operator: a connection") as tx:
        detail, every = await connections.detail(tx, key, now)
    return await panel(
        request, "admin/connections.html", status, **_summary(every), tests={}, detail=detail, report=report,
        form=form or _filled(detail.line), chart=health_chart(detail.hours, now),
    )  # fmt: skip


def _filled(line: ConnectionLine) -> Form[Any]:
    one = line.connection
    return blank(
        name=one.name, base_url=one.base_url or "", answers="sandbox" if one.sandbox else "provider",
        concurrency=one.limits.get("concurrency", ""),
        requests_per_minute=one.limits.get("requests_per_minute", ""), options=shown(dict(one.options)),
    )  # fmt: skip


@router.post("/{key}")
async def change_connection(request: Request, actor: CurrentOperator, key: str) -> Response:
    """Save what was changed."""
    form = await read(request, ConnectionForm)
    status = 422
    if form.ok:
        try:
            async with request.app.state.db.elevated("operator: change a connection") as tx:
                await connections.change(
                    tx, sealer_of(request), deed_of(request, actor), key, form.value.facts(), form.value.api_key
                )
            return toast(redirect(request, f"{HOME}/{key}"), "Saved", "ok", detail="Live in every process now.")
        except GessoError as error:
            form.fail(error)
            status = error.status
    return await _detail(request, key, form=form, status=status)


@router.post("/{key}/enabled")
async def switch_connection(request: Request, actor: CurrentOperator, key: str) -> Response:
    """Switch it on or off."""
    return await switched(request, partial(_switch, request, actor, key), _list, HOME)


async def _switch(request: Request, actor: Actor, key: str, enabled: bool) -> str:
    async with request.app.state.db.elevated("operator: switch a connection") as tx:
        return (await connections.switch(tx, deed_of(request, actor), key, enabled)).name


@router.post("/{key}/test")
async def test_connection(request: Request, actor: CurrentOperator, key: str) -> Response:
    """Ask the provider, and show its real answer."""
    return await _detail(request, key, report=await connections.test(request.app, deed_of(request, actor), key))


@router.post("/{key}/resume")
async def resume_connection(request: Request, actor: CurrentOperator, key: str) -> Response:
    """End its pause."""
    async with request.app.state.db.elevated("operator: resume a connection") as tx:
        connection = await connections.resume(tx, deed_of(request, actor), key)
    return toast(redirect(request, f"{HOME}/{key}"), f"{connection.name} is tried again", "ok")


@router.post("/{key}/delete")
async def delete_connection(request: Request, actor: CurrentOperator, key: str) -> Response:
    """Remove it, unless models use it."""
    try:
        return await _removed(request, actor, key)
    except GessoError as error:
        if error.status != 409:
            raise
        form: Form[ConnectionForm] = blank()
        async with request.app.state.db.elevated("operator: a connection") as tx:
            detail, _ = await connections.detail(tx, key, request.app.state.clock.now())
        form = _filled(detail.line)
        form.fail(error)
        return await _detail(request, key, form=form, status=error.status)


async def _removed(request: Request, actor: Actor, key: str) -> Response:
    async with request.app.state.db.elevated("operator: remove a connection") as tx:
        connection = await connections.remove(tx, deed_of(request, actor), key)
    return toast(redirect(request, HOME), f"{connection.name} is removed", "ok")
