"""How many statements each page and each GET of the API sends: always as many, whatever there is to show.

Counted is every round trip of the web process's pools, BEGIN and COMMIT included. Whoever adds a page adds a line
here; whoever changes a number knows why.
"""

import asyncio
import re
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
import httpx2
import pytest
from bench.archive import Space, fill
from bench.recorder import Sent, recording, settled
from fastapi import FastAPI

from gesso.accounts.access import COOKIE, Actor
from gesso.app import create_app
from gesso.core.clock import SystemClock
from gesso.core.ids import new_id
from gesso.db import Database
from gesso.db.paging import encode_cursor
from gesso.media.storage import Storage
from tests.cast import add_member, make_user, session_token, sign_in
from tests.conftest import create_database
from tests.media.pictures import keep, picture
from tests.product import seeded, settings_for

FEW, MANY = 6, 1100
"""Many is more than is ever counted or shown at once."""
SCRIPT = {"HX-Request": "true"}
KEYED = re.compile(r"{(connection|model|style|plan|pack)}")
"""Routes of the operator's panel name these by a key."""
PAID = """
WITH bought AS (
    INSERT INTO subscription (id, workspace_id, provider, ref, plan_key, "interval", status, price_cents, currency)
    VALUES ($1, $2, 'stripe', $3::text, 'starter', 'month', 'active', 999, 'usd')
), billed AS (
    INSERT INTO invoice (id, workspace_id, provider, ref, subscription_ref, payment_ref, reason, status, total_cents,
        refunded_cents, currency, issued_at)
    SELECT gen_random_uuid(), $2, 'stripe', $3::text || n, $3::text, 'pi' || $3::text || n, 'subscription_cycle',
        'paid', 999, 999, 'usd', now() FROM generate_series(1, $4::integer) n
)
INSERT INTO webhook_event (id, provider, ref, type, payload, about, state, created_at)
SELECT CASE n WHEN 1 THEN $1 ELSE gen_random_uuid() END, 'stripe', 'evt' || $3::text || n, 'invoice.paid',
    '{"data": {"object": {}}}', ' ' || $3::text || ' ', 'done', now() FROM generate_series(1, $4::integer) n
"""
"""A subscription and its $4 invoices, all refunded, each with a notice; the first notice has the subscription's id."""


@dataclass(frozen=True)
class Things:
    """What addresses name: somebody's picture (with its files), generation, and places in their lists."""

    asset: UUID
    generation: UUID
    user: UUID
    workspace: UUID
    subscription: UUID
    notice: UUID
    below: str
    """A cursor of the gallery with at least one picture on both sides."""


@dataclass(frozen=True)
class Case:
    """An address of a route and how many statements it takes. `endless`: only what comes first is read."""

    route: str
    statements: int
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    stranger: bool = False
    endless: bool = False
    status: int = 200

    def __str__(self) -> str:
        whose = " of a stranger" if self.stranger else ""
        return f"{self.route}{self.query}{' by script' if self.headers else ''}{whose}"

    def address(self, things: Things) -> str:
        keys = {
            "{connection}": "fal",
            "{model}": "juggernaut-lightning",
            "{style}": "noir",
            "{plan}": "free",
            "{pack}": "credits-50",
        }
        named = KEYED.sub(lambda found: keys[found[0]], self.route)
        if "/webhook" in named:
            named = named.replace("{event_id}", "{notice}")
        return (named + self.query).format(
            asset_id=things.asset, generation_id=things.generation, event_id=things.generation,
            below=things.below, token="x" * 43, variant=320,
            file="0" * 64 + ".webp", user_id=things.user, workspace_id=things.workspace,
            subscription_id=things.subscription, notice=things.notice,
        )  # fmt: skip


# Who one is: 1. A transaction: 2 more (BEGIN with its scope, COMMIT). The frame of a page: 3, with the balance in it.
CASES = [
    Case("/", 0, stranger=True),
    Case("/", 4),
    Case("/.well-known/security.txt", 0, stranger=True, status=404),
    Case("/admin", 13),
    Case("/admin/audit", 8),
    Case("/admin/audit", 8, "?all=1&who=ada&about={workspace_id}"),
    Case("/admin/audit.csv", 4),
    Case("/admin/bills", 7),
    Case("/admin/chains", 8),
    Case("/admin/connections", 10),
    Case("/admin/connections/new", 4),
    Case("/admin/connections/{connection}", 13),
    Case("/admin/deletions", 11),
    Case("/admin/deletions.csv", 4),
    Case("/admin/jobs", 9),
    Case("/admin/jobs", 9, "?state=failed"),
    Case("/admin/jobs", 10, "?state=all&person=ada"),
    Case("/admin/jobs/{generation_id}", 10),
    Case("/admin/models", 9),
    Case("/admin/moderation", 8),
    Case("/admin/moderation/{event_id}/pictures/{asset_id}", 7, status=404),
    Case("/admin/models/new", 9),
    Case("/admin/models/{model}", 9),
    Case("/admin/models/{model}/remove", 11),
    Case("/admin/outbox", 7),
    Case("/admin/packs", 11),
    Case("/admin/packs/new", 11),
    Case("/admin/packs/{pack}", 11),
    Case("/admin/plans", 11),
    Case("/admin/plans/new", 11),
    Case("/admin/plans/{plan}", 12),
    Case("/admin/plans/{plan}/remove", 11),
    Case("/admin/styles", 8),
    Case("/admin/styles/new", 8),
    Case("/admin/styles/{style}", 8),
    Case("/admin/subscriptions", 8),
    Case("/admin/subscriptions", 8, "?status=past_due&plan=pro&q=ada"),
    Case("/admin/subscriptions/{subscription_id}", 14),
    Case("/admin/webhooks", 9),
    Case("/admin/webhooks", 9, "?state=done&type=invoice.paid&q=sub_"),
    Case("/admin/webhooks/{event_id}", 9),
    Case("/admin/users", 7),
    Case("/admin/users", 7, "?q=member&sort=name"),
    Case("/admin/users/{user_id}", 13),
    Case("/admin/workspaces", 7),
    Case("/admin/workspaces", 7, "?q=ada&sort=name"),
    Case("/admin/workspaces/{workspace_id}", 20),
    Case("/api/admin/audit", 4),
    Case("/api/admin/chains", 5),
    Case("/api/admin/connections", 7),
    Case("/api/admin/connections/{connection}", 7),
    Case("/api/admin/jobs", 4),
    Case("/api/admin/jobs/{generation_id}", 7),
    Case("/api/admin/models", 6),
    Case("/api/admin/models/{model}", 6),
    Case("/api/admin/moderation", 4),
    Case("/api/admin/packs", 8),
    Case("/api/admin/plans", 9),
    Case("/api/admin/plans/{plan}", 9),
    Case("/api/admin/styles", 5),
    Case("/api/admin/subscriptions", 5),
    Case("/api/admin/subscriptions/{subscription_id}", 11),
    Case("/api/admin/webhook-events", 5),
    Case("/api/admin/webhook-events/{event_id}", 5),
    Case("/api/admin/users", 4),
    Case("/api/admin/users/{user_id}", 7),
    Case("/api/admin/workspaces", 4),
    Case("/api/admin/workspaces/{workspace_id}", 17),
    Case("/api/auth/age", 1, status=404),  # this site has no models for adults
    Case("/api/auth/me", 1),
    Case("/api/credits", 4),
    Case("/api/credits/history", 4),
    Case("/api/credits/history", 4, "?limit=1"),
    Case("/api/docs", 4),
    Case("/api/docs", 0, stranger=True),
    Case("/api/events", 4, endless=True),
    Case("/api/generate", 6),
    Case("/api/generate", 6, "?limit=1"),
    Case("/api/generate/status/{generation_id}", 6),
    Case("/api/media", 4),
    Case("/api/media", 4, "?cursor={below}"),
    Case("/api/media", 4, "?cursor={below}&direction=newer"),
    Case("/api/media", 4, "?at=2026-01&q=light&favourite=true"),
    Case("/api/media/by/month", 4),
    Case("/api/media/{asset_id}", 4),
    Case("/api/models", 1),
    Case("/api/openapi.json", 0, stranger=True),
    Case("/api/payments/billing-history", 4),
    Case("/api/prompts/prices", 4),
    Case("/api/provider-keys", 4),
    Case("/api/user/subscription", 4),
    Case("/brand.css", 0, stranger=True),
    Case("/brand.svg", 0, stranger=True),
    Case("/manifest.webmanifest", 0, stranger=True),
    Case("/samples/{file}", 0, stranger=True, status=404),
    Case("/confirm-email/{token}", 0, stranger=True),
    Case("/create", 15),
    Case("/create", 6, "?before={generation_id}", SCRIPT),
    Case("/create/composer", 8, headers=SCRIPT),
    Case("/create/runs", 6, headers=SCRIPT),
    Case("/create/steps", 4, headers=SCRIPT),
    Case("/video", 14),
    Case("/video", 6, "?before={generation_id}", SCRIPT),
    Case("/video/composer", 8, headers=SCRIPT),
    Case("/video/runs", 6, headers=SCRIPT),
    Case("/dashboard", 11),
    Case("/dashboard", 11, "?days=365&show=requests"),
    Case("/dashboard", 11, "?kind=video&state=succeeded"),
    Case("/dashboard/history", 9),
    Case("/dashboard/history", 9, "?before={generation_id}"),
    Case("/dashboard/history", 6, "?before={generation_id}", SCRIPT),
    Case("/dashboard/history.csv", 6),
    Case("/dashboard/usage.csv", 6, "?days=30"),
    Case("/api/user/usage-stats", 9),
    Case("/pricing", 0, stranger=True),
    Case("/pricing", 5, "?interval=year"),
    Case("/billing", 9),
    Case("/billing", 9, headers=SCRIPT),
    Case("/billing/cancel", 7),
    Case("/billing/change", 10, "?plan=starter", status=409),
    Case("/billing/return", 8, "?session_id=cs_none", status=404),
    Case("/gallery", 9),
    Case("/gallery", 8, "?q=light"),
    Case("/gallery", 10, "?favourite=1"),
    Case("/gallery", 10, "?at={asset_id}"),
    Case("/gallery", 5, "?cursor={below}&day=2000-01-01", SCRIPT),
    Case("/gallery", 5, "?after={below}", SCRIPT),
    Case("/gallery/{asset_id}", 5),
    Case("/gallery/{asset_id}", 5, headers=SCRIPT),
    Case("/gallery/{asset_id}", 4, "?q=light", SCRIPT),
    Case("/generations/{generation_id}/card", 6, headers=SCRIPT),
    Case("/healthz", 0, stranger=True),
    Case("/login", 0, stranger=True),
    Case("/media/{asset_id}/{variant}", 4),
    Case("/metrics", 0, stranger=True, status=404),
    Case("/readyz", 3, stranger=True, status=503),
    Case("/reset", 0, stranger=True),
    Case("/reset/{token}", 3, stranger=True, status=410),
    Case("/settings", 4),
    Case("/settings/password", 4),
    Case("/settings/provider-keys", 7),
    Case("/settings/sessions", 7),
    Case("/settings/age", 4, status=404),  # this site has no models for adults
    Case("/shell/credits", 4),
    Case("/signup", 0, stranger=True),
    Case("/start", 4, status=303),
    Case("/styles", 4),
]


@dataclass(frozen=True)
class Site:
    """The product in this process, and what its two inhabitants have."""

    app: FastAPI
    db: Database
    sent: list[Sent]
    owners: tuple[tuple[Actor, Things], ...]


@pytest.fixture(scope="module")
async def site(postgres: Any, template: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """Ada made three pictures, Bea eleven hundred, with what belongs to them; both run the site."""
    url = await create_database(postgres, f"gesso_counts_{uuid.uuid4().hex}", template)
    settings = settings_for(url, Path(tmp_path_factory.mktemp("counts")), "http://127.0.0.1:9")
    await seeded(settings)
    owner = await asyncpg.connect(url)
    await owner.execute("UPDATE plan SET own_keys = true WHERE key = 'pro'")  # so that their page is there
    with recording() as sent:
        app = create_app(settings, SystemClock())
        async with app.router.lifespan_context(app):
            db: Database = app.state.db
            people = [await make_user(db, name, operator=True) for name in ("Ada", "Bea")]
            for number in range(20):
                await add_member(db, people[1], await make_user(db, f"Member {number}"))
            spaces = [
                Space(who.workspace_id, (who.user_id,), many) for who, many in zip(people, (FEW, MANY), strict=True)
            ]
            await fill(owner, spaces, [b"\1\2\3\4\5"])
            for who in people:  # chance may have given the few no film
                await owner.execute(
                    "UPDATE generation SET kind = 'video' WHERE id = (SELECT id FROM generation "
                    "WHERE workspace_id = $1 AND state = 'succeeded' ORDER BY id DESC OFFSET 1 LIMIT 1)",
                    who.workspace_id,
                )
            paid = [new_id() for _ in people]
            for who, subscription, many in zip(people, paid, (FEW, MANY), strict=True):
                await owner.execute(PAID, subscription, who.workspace_id, f"sub_{subscription.hex}", many)
            owners = tuple(
                [(who, await things_of(db, app.state.storage, who, one)) for who, one in zip(people, paid, strict=True)]
            )
            await owner.close()
            yield Site(app, db, sent, owners)


async def things_of(db: Database, storage: Storage, who: Actor, paid: UUID) -> Things:
    async with db.workspace(who.workspace_id, who.user_id) as tx:
        asset = await keep(tx, storage, picture())
        generation = await tx.fetchval("SELECT id FROM generation ORDER BY id DESC LIMIT 1")
        first, second, *_ = await tx.fetch("SELECT id FROM asset WHERE source = 'generated' ORDER BY id DESC LIMIT 3")
        assert first["id"] == asset.id
        below = encode_cursor(second["id"])
        return Things(asset.id, generation, who.user_id, who.workspace_id, paid, paid, below)


def routes_of(app: FastAPI) -> Iterator[str]:
    """The path of every route that answers GET."""

    def walk(routes: Any) -> Iterator[str]:
        for route in routes:
            if hasattr(route, "effective_candidates"):
                yield from walk(route.effective_candidates())
            elif "GET" in (getattr(route, "methods", None) or ()):
                yield route.path

    yield from walk(app.routes)


async def test_every_page_has_its_number(site: Site) -> None:
    assert set(routes_of(site.app)) == {KEYED.sub("{key}", case.route) for case in CASES}


async def counted(site: Site, who: Actor, things: Things, case: Case) -> list[str]:
    """The statements of a second visit: the first may find out about types and fill what is kept."""
    transport = httpx2.ASGITransport(app=site.app)
    async with httpx2.AsyncClient(transport=transport, base_url=site.app.state.settings.site.url) as client:
        if not case.stranger:
            await sign_in(client, site.db, who)
        for _ in range(2):
            await settled()
            site.sent.clear()
            answer = await client.get(case.address(things), headers=case.headers)
            assert answer.status_code == case.status, (answer.status_code, answer.text[:500])
            await settled()
    return [sent.sql for sent in site.sent]


@pytest.mark.parametrize("case", [case for case in CASES if not case.endless], ids=str)
async def test_as_many_statements_for_few_rows_as_for_many(site: Site, case: Case) -> None:
    few, many = [await counted(site, who, things, case) for who, things in site.owners]
    assert len(few) == len(many) == case.statements, "\n".join(["", *few, "-- with many", *many])


async def head_of(site: Site, who: Actor, path: str) -> list[str]:
    """The statements until a stream has sent its first bytes; then the reader leaves."""
    begun = asyncio.Event()

    async def receive() -> dict[str, Any]:
        await begun.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            assert message["status"] == 200
        elif message.get("body"):
            begun.set()

    cookie = f"{COOKIE}={await session_token(site.db, who)}".encode()
    host = urlsplit(site.app.state.settings.site.url).netloc.encode()
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"", "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 1), "headers": [(b"host", host), (b"cookie", cookie)],
    }  # fmt: skip
    site.sent.clear()
    async with asyncio.timeout(20):
        await site.app(scope, receive, send)
        await begun.wait()
    await settled()
    return [sent.sql for sent in site.sent]


async def test_an_event_stream_asks_once_and_holds_nothing(site: Site) -> None:
    (case,) = [case for case in CASES if case.endless]
    for who, _ in site.owners:
        await head_of(site, who, case.route)
        seen = await head_of(site, who, case.route)
        assert len(seen) == case.statements, seen
