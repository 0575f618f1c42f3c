"""`/api/admin/connections`: for programs of the operator what the panel's pages do."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, Field, SecretStr

from gesso.accounts.access import CurrentOperator
from gesso.admin import connections
from gesso.admin.connections import Facts
from gesso.admin.frame import deed_of, sealer_of
from gesso.admin.shapes import Order, Switch, item_of
from gesso.admin.standing import ConnectionLine, lines
from gesso.catalog.edits.connections import LIMIT_MOST
from gesso.providers.base import TestReport
from gesso.web.errors import ANY_BODY, problems

router = APIRouter(prefix="/api/admin/connections", tags=["operator"])

Key = Annotated[str, Path(max_length=63, description="The connection's short name.")]
Limit = Annotated[int, Field(ge=1, le=LIMIT_MOST)]


class LimitsShape(BaseModel):
    """What a connection may be asked at most; absent means no limit."""

    concurrency: Limit | None = Field(default=None, description="Calls at once.")
    requests_per_minute: Limit | None = Field(default=None, description="Calls begun within a minute.")

    def given(self) -> dict[str, int]:
        """Those that are set."""
        return self.model_dump(exclude_none=True)


class ConnectionChange(BaseModel):
    """All that can be changed at once; the key stays when none is given."""

    name: Annotated[str, Field(min_length=1, max_length=80)]
    api_key: SecretStr | None = Field(default=None, description="Write-only: no answer ever holds it.")
    base_url: Annotated[str, Field(max_length=2000)] | None = Field(
        default=None, description="Where the provider is asked instead of its own address. Needs the key again."
    )
    sandbox: bool = Field(default=False, description="Let the sandbox answer.")
    limits: LimitsShape = LimitsShape()
    options: dict[str, Any] = Field(default={}, description="The adapter's own settings.")

    def facts(self) -> Facts:
        """As the service takes it."""
        return Facts(self.name, self.base_url or None, self.sandbox, self.limits.given(), self.options)


class NewConnection(ConnectionChange):
    """A connection to be added."""

    key: Annotated[
        str, Field(min_length=1, max_length=63, description="Its short name: lower-case letters, digits, -.")
    ]
    adapter: Annotated[str, Field(max_length=63, description="Which provider's wire to speak, such as fal.")]


class NewKey(BaseModel):
    """A key to replace the old one with."""

    api_key: SecretStr


class HealthShape(BaseModel):
    """How a connection is, in a word."""

    kind: str = Field(description="ok, warn, bad, or none when there is nothing to say.")
    label: str
    detail: str = Field(description="What the provider said.")
    paused: bool


class RecentShape(BaseModel):
    """The last hour."""

    calls: int
    succeeded: int
    failed: int
    median_ms: int | None = Field(description="From asking to the result, of the calls that succeeded.")


class ConnectionItem(BaseModel):
    """A connection. Of its key only that there is one, and its last characters."""

    key: str
    adapter: str
    name: str
    base_url: str | None
    sandbox: bool
    enabled: bool
    has_key: bool
    key_hint: str | None
    limits: LimitsShape
    options: dict[str, Any]
    models: int = Field(description="How many models use it.")
    running: int = Field(description="Calls under way.")
    health: HealthShape
    last_hour: RecentShape

    @classmethod
    def of(cls, line: ConnectionLine) -> "ConnectionItem":
        one, recent = line.connection, line.recent
        return cls(
            key=one.key, adapter=one.adapter, name=one.name, base_url=one.base_url, sandbox=one.sandbox,
            enabled=one.enabled, has_key=one.sealed_key is not None, key_hint=one.key_hint,
            limits=LimitsShape.model_validate(dict(one.limits)), options=dict(one.options), models=line.models,
            running=line.live,
            health=HealthShape(
                kind=line.health.kind, label=line.health.label, detail=line.health.detail, paused=line.health.paused
            ),
            last_hour=RecentShape(
                calls=recent.calls, succeeded=recent.succeeded, failed=recent.failed, median_ms=recent.p50_ms
            ),
        )  # fmt: skip


class ConnectionsAnswer(BaseModel):
    """All connections in their order."""

    items: list[ConnectionItem]


class TestAnswer(BaseModel):
    """What the provider said to the cheapest real call."""

    ok: bool
    reachable: bool
    key_accepted: bool | None
    latency_ms: int | None
    balance: str | None
    sentences: list[str]

    @classmethod
    def of(cls, report: TestReport) -> "TestAnswer":
        return cls(
            ok=report.ok, reachable=report.reachable, key_accepted=report.key_accepted, latency_ms=report.latency_ms,
            balance=report.balance, sentences=list(report.sentences),
        )  # fmt: skip


async def _item(request: Request, key: str) -> ConnectionItem:
    return item_of((await _items(request)).items, key, "There is no such connection.")


async def _items(request: Request) -> ConnectionsAnswer:
    async with request.app.state.db.elevated("operator: connections") as tx:
        every = await lines(tx, request.app.state.clock.now())
    return ConnectionsAnswer(items=[ConnectionItem.of(line) for line in every])


@router.get("", responses=problems(401, 404))
async def list_connections(request: Request, actor: CurrentOperator) -> ConnectionsAnswer:
    """All connections in their order, with how they fare."""
    return await _items(request)


@router.post("", status_code=201, responses=problems(*ANY_BODY, 401, 404, 409, 422))
async def create_connection(request: Request, actor: CurrentOperator, body: NewConnection) -> ConnectionItem:
    """Add a connection, switched on, behind all others."""
    async with request.app.state.db.elevated("operator: add a connection") as tx:
        await connections.add(
            tx, sealer_of(request), deed_of(request, actor), key=body.key, adapter=body.adapter, facts=body.facts(),
            api_key=body.api_key,
        )  # fmt: skip
    return await _item(request, body.key)


@router.put("/order", responses=problems(*ANY_BODY, 401, 404, 422))
async def put_connections_in_order(request: Request, actor: CurrentOperator, body: Order) -> ConnectionsAnswer:
    """Put these first, in this order."""
    async with request.app.state.db.elevated("operator: order connections") as tx:
        await connections.order(tx, deed_of(request, actor), body.keys)
    return await _items(request)


@router.get("/{key}", responses=problems(401, 404, 422))
async def read_connection(request: Request, actor: CurrentOperator, key: Key) -> ConnectionItem:
    """One connection."""
    return await _item(request, key)


@router.put("/{key}", responses=problems(*ANY_BODY, 401, 404, 422))
async def update_connection(
    request: Request, actor: CurrentOperator, key: Key, body: ConnectionChange
) -> ConnectionItem:
    """Change it; live in every process within a second."""
    async with request.app.state.db.elevated("operator: change a connection") as tx:
        await connections.change(tx, sealer_of(request), deed_of(request, actor), key, body.facts(), body.api_key)
    return await _item(request, key)


@router.delete("/{key}", status_code=204, responses=problems(401, 403, 404, 409, 422))
async def remove_connection(request: Request, actor: CurrentOperator, key: Key) -> Response:
    """Remove it. Refused while models use it."""
    async with request.app.state.db.elevated("operator: remove a connection") as tx:
        await connections.remove(tx, deed_of(request, actor), key)
    return Response(status_code=204)


@router.put("/{key}/key", responses=problems(*ANY_BODY, 401, 404, 422))
async def replace_connection_key(request: Request, actor: CurrentOperator, key: Key, body: NewKey) -> ConnectionItem:
    """Give it another key; it leaves the sandbox."""
    async with request.app.state.db.elevated("operator: replace a key") as tx:
        await connections.replace_key(tx, sealer_of(request), deed_of(request, actor), key, body.api_key)
    return await _item(request, key)


@router.put("/{key}/enabled", responses=problems(*ANY_BODY, 401, 404, 422))
async def switch_connection(request: Request, actor: CurrentOperator, key: Key, body: Switch) -> ConnectionItem:
    """Switch it on or off; its models go with it."""
    async with request.app.state.db.elevated("operator: switch a connection") as tx:
        await connections.switch(tx, deed_of(request, actor), key, body.enabled)
    return await _item(request, key)


@router.post("/{key}/test", responses=problems(401, 403, 404, 422))
async def test_connection(request: Request, actor: CurrentOperator, key: Key) -> TestAnswer:
    """Make the provider's cheapest real call and say what happened."""
    return TestAnswer.of(await connections.test(request.app, deed_of(request, actor), key))


@router.post("/{key}/resume", responses=problems(401, 403, 404, 422))
async def resume_connection(request: Request, actor: CurrentOperator, key: Key) -> ConnectionItem:
    """End its pause: the next call is made at once."""
    async with request.app.state.db.elevated("operator: resume a connection") as tx:
        await connections.resume(tx, deed_of(request, actor), key)
    return await _item(request, key)
