"""The pages of somebody with a million pictures, at depth: how long they take and what the database reads for them."""

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import asyncpg
import httpx2
from rich.console import Console
from rich.table import Table

from bench.archive import MODELS, RARE_MODEL, VIDEO
from bench.load import Line, get, percentile
from bench.prompts import NOWHERE
from bench.recorder import Sent, recording, settled
from bench.report import commit, machine
from gesso.accounts import sessions
from gesso.accounts.access import COOKIE
from gesso.accounts.visit import Visit
from gesso.app import create_app
from gesso.cli.common import owner_url
from gesso.core.settings import Settings
from gesso.db.database import set_json_codec
from gesso.db.paging import encode_cursor
from gesso.runtime import open_database

RESULTS = Path(__file__).parent / "MILLION.md"
PAGE = 50
WARM_UP = 8
BUFFERS = 5000
"""Pages of 8 kB that one statement may touch: 40 MB, whatever the size of the archive. A page of 60 pictures that
lie far apart touches some 400."""
GROWING = ("asset", "generation", "output", "credit_journal", "credit_hold", "credit_hold_part")
"""Tables that nothing may read from end to end."""


@dataclass(frozen=True, slots=True)
class Case:
    """Something to ask for. `base` names the case whose p95 it is compared with; `who` the person who asks."""

    group: str
    what: str
    path: str
    base: str = ""
    who: str = "ada"


@dataclass(frozen=True, slots=True)
class Finding:
    """A case measured. Times in milliseconds; `buffers` of its hungriest statement."""

    case: Case
    p50: float
    p95: float
    ratio: float | None = None
    statements: int = 0
    buffers: int = 0
    trouble: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Facts:
    """What the cases need to know of the archive."""

    cursors: Mapping[int, str]
    ids: Mapping[int, UUID]
    history: tuple[str, str]
    generation: UUID
    tokens: Mapping[str, str]
    months: tuple[str, str]


async def facts(settings: Settings, email: str) -> Facts:
    """Look up places deep in the archive, and sign people in."""
    owner = await asyncpg.connect(owner_url(settings))
    user = await owner.fetchval("SELECT id FROM app_user WHERE email = $1", email)
    workspace = await owner.fetchval("SELECT workspace_id FROM membership WHERE user_id = $1 ORDER BY created_at", user)
    total = await owner.fetchval("SELECT count(*) FROM asset WHERE workspace_id = $1", workspace)
    deep = (("DESC", 0), ("DESC", 100 * PAGE), ("DESC", min(10_000 * PAGE, total // 2)), ("ASC", PAGE // 2))
    ids: dict[int, UUID] = {}
    for place, (order, offset) in enumerate(deep):
        ids[place] = await owner.fetchval(
            "SELECT id FROM asset WHERE workspace_id = $1 AND deleted_at IS NULL AND source = 'generated' "
            f"ORDER BY id {order} OFFSET $2 LIMIT 1",
            workspace, offset,
        )  # fmt: skip
    bounds = await owner.fetchrow(
        "SELECT min(id) AS low, max(id) AS high FROM credit_journal WHERE workspace_id = $1", workspace
    )
    half, oldest = ((bounds["low"] * part + bounds["high"] * (100 - part)) // 100 for part in (50, 99))
    generation = await owner.fetchval(
        "SELECT id FROM generation WHERE workspace_id = $1 AND id < $2 ORDER BY id DESC LIMIT 1", workspace, ids[2]
    )
    middle = datetime.fromtimestamp((ids[2].int >> 80) / 1000, UTC)
    tokens = {}
    db = open_database(settings)
    for name, address in (("ada", email), ("cleo", email.replace("ada", "cleo", 1))):
        member = await owner.fetchval("SELECT id FROM app_user WHERE email = $1", address)
        async with db.workspace(workspace, member) as tx:
            opened = await sessions.open_session(tx, lasting=True, visit=Visit(at=datetime.now(UTC)))
        tokens[name] = opened.token
    await db.close()
    await owner.close()
    return Facts(
        {place: encode_cursor(asset_id) for place, asset_id in ids.items()}, ids,
        (encode_cursor(half), encode_cursor(oldest)), generation, tokens,
        (f"{middle:%Y-%m}", f"{middle:%Y-%m-%d}"),
    )  # fmt: skip


def cases(known: Facts) -> list[Case]:
    """Everything that is measured."""

    def media(what: str, base: str = "first page", group: str = "gallery, API", **query: str | int) -> Case:
        return Case(group, what, f"/api/media?{urlencode({'limit': PAGE, **query})}", base)

    def page(what: str, base: str = "first page", **query: str) -> Case:
        return Case("gallery, page", what, f"/gallery?{urlencode(query)}", base)

    def search(what: str, words: str, base: str = "common word", **query: str) -> Case:
        return media(what, base, "search, API", q=words, **query)

    def lightbox(what: str, place: int, base: str = "newest", **query: str) -> Case:
        kept = f"?{urlencode(query)}" if query else ""
        return Case("lightbox", what, f"/gallery/{known.ids[place]}{kept}", base)

    month, day = known.months
    credits, api = "/api/credits/history", f"/api/media?limit={PAGE}"
    common, medium = MODELS[0][0], MODELS[-1][0]
    return [
        media("first page", ""),
        media("page 100", cursor=known.cursors[1]),
        media("page 10,000", cursor=known.cursors[2]),
        media("last page", cursor=known.cursors[3]),
        media("a common model", model=common),
        media("a model in 3 %", model=medium),
        media("a model in 10 of all", model=RARE_MODEL[0]),
        media("a model in none", model="nobody-s-model"),
        media("favourites (2 %)", favourite="true"),
        media("videos", kind="video"),
        media("pictures only", kind="image"),
        media("uploads", source="upload"),
        media("everything, uploads too", source="all"),
        media("a day two years ago", **{"from": day, "to": day}),
        media("a year and older", to=day),
        media("model in 3 % + favourites", model=medium, favourite="true"),
        media("common model + favourites, page 10,000", model=common, favourite="true", cursor=known.cursors[2]),
        media("videos + favourites", kind="video", favourite="true"),
        media("a picture model + videos: none", kind="video", model=common),
        media("a video model + pictures: none", kind="image", model=VIDEO[0]),
        media("uploads + favourites", source="upload", favourite="true"),
        media("model + favourites + a day", model=common, favourite="true", **{"from": day, "to": day}),
        page("first page", ""),
        page("page 10,000", cursor=known.cursors[2]),
        page("a model in 10 of all", model=RARE_MODEL[0]),
        page("favourites", favourite="1"),
        page("model in 3 % + favourites", model=medium, favourite="1"),
        page("search: common word", q="light"),
        page("search: no hit", q=NOWHERE),
        Case("jump to date", "a month, API", f"{api}&at={month}"),
        Case("jump to date", "up from it, API", f"{api}&at={month}&direction=newer", "a month, API"),
        Case("jump to date", "a month among favourites, API", f"{api}&at={month}&favourite=true", "a month, API"),
        Case("jump to date", "a month and a common word, API", f"{api}&at={month}&q=light", "a month, API"),
        Case("jump to date", "a month and a rare word, API", f"{api}&at={month}&q=theodolite", "a month, API"),
        Case("jump to date", "months, API", "/api/media/by/month", "a month, API"),
        Case("jump to date", "a month, page", f"/gallery?at={month}", "a month, API"),
        Case("jump to date", "a month, page, model in 3 %", f"/gallery?at={month}&model={medium}", "a month, page"),
        Case("jump to date", "a month, page, a word", f"/gallery?at={month}&q=lighthouse", "a month, page"),
        search("common word", "light", ""),
        search("common word, page 10,000", "light", cursor=known.cursors[2]),
        search("frequent word (1 %)", "lighthouse"),
        search("uncommon word (0.03 %)", "subscript"),
        search("word in 100 prompts", "theodolite"),
        search("word in 10 prompts", "quokka"),
        search("word in 1 prompt", "zephyranthes"),
        search("no hit", NOWHERE),
        search("phrase", "golden hour"),
        search("three common words", "soft portrait glass"),
        search("common word + no hit", f"light {NOWHERE}"),
        search("one letter + no hit", f"s {NOWHERE}"),
        search("two letters", "so"),
        search("two rare words", "quokka theodolite"),
        search("Cyrillic", "Маяк на закате"),
        search("Japanese", "夕暮れ"),
        search("Chinese, rare pair", "水墨画 subscript"),
        search("Arabic", "منارة"),
        search("Hebrew", "מגדלור"),
        search("Hindi", "सूर्यास्त"),
        search("only punctuation", "!!! ,,, ---"),
        search("common word + rare model", "light", model=RARE_MODEL[0]),
        search("common word + favourites", "light", favourite="true"),
        search("rare word + favourites", "theodolite", favourite="true"),
        search("no hit + favourites", NOWHERE, favourite="true"),
        search("common word + videos", "light", kind="video"),
        search("rare word, one day", "theodolite", **{"from": day, "to": day}),
        lightbox("newest", 0, ""),
        lightbox("the 5,000th", 1),
        lightbox("the 500,000th", 2),
        lightbox("the oldest", 3),
        lightbox("the 500,000th among favourites", 2, favourite="1"),
        lightbox("the 500,000th of a model", 2, model=common),
        lightbox("the 500,000th, model in 10 of all", 2, model=RARE_MODEL[0]),
        lightbox("the 500,000th, common word", 2, q="light"),
        lightbox("the 500,000th, word in 10 prompts", 2, q="quokka"),
        lightbox("the 500,000th, no hit", 2, q=NOWHERE),
        lightbox("the 500,000th, word + favourites", 2, q="light", favourite="1"),
        Case("create", "newest runs", "/create"),
        Case("create", "newest runs, a member with few", "/create", "newest runs", "cleo"),
        Case("create", "a deep run", f"/create?before={known.generation}", "newest runs"),
        Case("dashboard", "7 days", "/dashboard?days=7"),
        Case("dashboard", "30 days", "/dashboard?days=30", "7 days"),
        Case("dashboard", "12 months", "/dashboard?days=365", "7 days"),
        Case("dashboard", "12 months, a member with few", "/dashboard?days=365", "7 days", "cleo"),
        Case("dashboard", "90 days by day, requests", "/dashboard?days=90&step=day&show=requests", "7 days"),
        Case("dashboard", "history of a model in 10 of all", f"/dashboard/history?model={RARE_MODEL[0]}", "7 days"),
        Case("dashboard", "history, what failed: none", "/dashboard/history?state=failed", "7 days"),
        Case("dashboard", "use as JSON, 12 months", "/api/user/usage-stats?days=365", "7 days"),
        Case("dashboard", "history at half of it", f"/dashboard/history?before={known.generation}", "7 days"),
        Case("dashboard", "history, of a member", f"/dashboard/history?before={known.generation}", "7 days", "cleo"),
        Case("credits, API", "balance", "/api/credits"),
        Case("credits, API", "history, newest", credits, "balance"),
        Case("credits, API", "history at half of it", f"{credits}?cursor={known.history[0]}", "history, newest"),
        Case("credits, API", "history, the oldest", f"{credits}?cursor={known.history[1]}", "history, newest"),
        Case("credits, API", "history, a member with few", credits, "history, newest", "cleo"),
    ]


async def times(settings: Settings, port: int, email: str, *, requests: int) -> list[Finding]:
    """Milliseconds of every case, one request after the other, a case's requests spread over the run."""
    known = await facts(settings, email)
    asked = cases(known)
    taken: dict[Case, list[float]] = {case: [] for case in asked}
    async with Line.opened(port) as line:
        for round_number in range(WARM_UP + requests):
            for case in asked:
                reply = await line.send(
                    get(case.path, known.tokens[case.who], gzip=case.path.startswith("/api") is False)
                )
                if reply.status != 200:
                    raise RuntimeError(f"{case.path} was answered {reply.status}: {reply.body[:300]!r}")
                if round_number >= WARM_UP:
                    taken[case].append(reply.whole * 1000)
    return _compared([Finding(case, percentile(ms, 0.5), percentile(ms, 0.95)) for case, ms in taken.items()])


def _compared(findings: Sequence[Finding]) -> list[Finding]:
    p50 = {(finding.case.group, finding.case.what): finding.p50 for finding in findings}
    return [
        replace(one, ratio=one.p50 / p50[one.case.group, one.case.base] if one.case.base else None) for one in findings
    ]


async def looked_into(settings: Settings, findings: Sequence[Finding], email: str) -> list[Finding]:
    """The same with how many statements each sends, and what EXPLAIN says they read, under the sender's own role."""
    known = await facts(settings, email)
    app = create_app(replace(settings, log=settings.log.model_copy(update={"access": False})))
    with recording() as sent:
        async with app.router.lifespan_context(app):
            transport = httpx2.ASGITransport(app=app)
            seen: dict[Case, list[Sent]] = {}
            async with httpx2.AsyncClient(transport=transport, base_url=settings.site.url) as client:
                for case in [finding.case for finding in findings]:
                    client.cookies.set(COOKIE, known.tokens[case.who])
                    for _ in range(2):
                        await settled()
                        sent.clear()
                        answer = await client.get(case.path)
                        answer.raise_for_status()
                        await settled()
                    seen[case] = list(sent)
    connections = {}
    db = open_database(settings)
    for role in (db.roles.app, db.roles.elevated):
        connections[role] = await asyncpg.connect(db.roles.url(role))
        await set_json_codec(connections[role])
    found = []
    for finding in findings:
        statements = seen[finding.case]
        buffers, trouble = await _explained(connections, statements)
        found.append(replace(finding, statements=len(statements), buffers=buffers, trouble=trouble))
    for connection in connections.values():
        await connection.close()
    return found


async def _explained(
    connections: Mapping[str, asyncpg.Connection], statements: Sequence[Sent]
) -> tuple[int, tuple[str, ...]]:
    """Most buffers of one statement; what reads a growing table from end to end, or too much."""
    most, trouble = 0, []
    for sent in statements:
        connection = connections[sent.role]
        if not sent.sql.lstrip().upper().startswith(("SELECT", "WITH")):
            if sent.sql.startswith(("BEGIN", "COMMIT")):
                await connection.execute(sent.sql)
            continue
        # under a generic plan, too: that is what a prepared statement may be given after its fifth time
        for mode in ("custom", "generic"):
            plan = await _plan(connection, sent, mode)
            buffers = plan.get("Shared Hit Blocks", 0) + plan.get("Shared Read Blocks", 0)
            most = max(most, buffers)
            table = next((node["Relation Name"] for node in _nodes(plan) if _scans(node)), None)
            first = " ".join(sent.sql.split())[:90]
            if table:
                trouble.append(f"reads {table} from end to end ({mode} plan): {first}")
            elif buffers > BUFFERS:
                trouble.append(f"touches {buffers:,} pages ({mode} plan): {first}")
    return most, tuple(dict.fromkeys(trouble))


async def _plan(connection: asyncpg.Connection, sent: Sent, mode: str) -> dict[str, Any]:
    """The executed plan of a statement, prepared as the driver prepares it."""
    prepared = await connection.prepare(sent.sql)
    kinds = [parameter.name for parameter in prepared.get_parameters()]
    given = ", ".join(_literal(value, kind) for value, kind in zip(sent.args, kinds, strict=True))
    await connection.execute(f"SET plan_cache_mode = force_{mode}_plan")
    execute = f"EXECUTE {prepared.get_name()}" + (f"({given})" if given else "")
    text = await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {execute}")
    found: dict[str, Any] = (json.loads(text) if isinstance(text, str) else text)[0]["Plan"]
    return found


def _literal(value: Any, kind: str) -> str:
    """A parameter as SQL text."""
    if value is None:
        return f"NULL::{kind}"
    if isinstance(value, list | tuple):
        inner = kind.removesuffix("[]")
        return f"ARRAY[{', '.join(_literal(one, inner) for one in value)}]::{kind}"
    if isinstance(value, bytes):
        return f"'\\x{value.hex()}'::bytea"
    text = json.dumps(value) if isinstance(value, dict) else str(value)
    return "'" + text.replace("'", "''") + f"'::{kind}"


def _nodes(plan: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [plan, *(node for inner in plan.get("Plans", ()) for node in _nodes(inner))]


def _scans(node: Mapping[str, Any]) -> bool:
    return node["Node Type"] == "Seq Scan" and node.get("Relation Name") in GROWING


def _lines(findings: Sequence[Finding]) -> list[tuple[str, ...]]:
    return [
        (
            one.case.group, one.case.what, f"{one.p50:.1f}", f"{one.p95:.1f}",
            f"{one.ratio:.2f}×" if one.ratio is not None else "", str(one.statements), f"{one.buffers:,}",
        )
        for one in findings
    ]  # fmt: skip


_HEAD = ("where", "what", "p50 ms", "p95 ms", "÷ first", "statements", "pages read")


def show(console: Console, findings: Sequence[Finding]) -> None:
    """Print the table."""
    table = Table(*_HEAD, title="a million pictures", title_justify="left", header_style="dim")
    for column in table.columns[2:7]:
        column.justify = "right"
    before = ""
    for group, *rest in _lines(findings):
        table.add_row(group if group != before else "", *rest)
        before = group
    console.print(table)
    for one in findings:
        for trouble in one.trouble:
            console.print(f"[red]{one.case.group}: {one.case.what}[/] {trouble}", highlight=False, soft_wrap=True)


def write(findings: Sequence[Finding], command: str) -> None:
    """Write MILLION.md."""
    lines = [
        "# A million pictures in one workspace",
        "",
        f"`{command}` on {time.strftime('%d %B %Y').lstrip('0')}, commit {commit()}.",
        f"{machine()} PostgreSQL, the web process and the client share it; its load was {os.getloadavg()[1]:.0f} over "
        "the last five minutes, so compare lines with each other.",
        "",
        "One workspace with a million pictures of three years (and what was asked and paid for them), a hundred small "
        "ones beside it. Times are whole answers over loopback, one request after the other, the lines in turns. "
        "*÷ first* compares medians with the first line of the group (or the one that belongs to it). *Statements* "
        "counts every round trip to the database, BEGIN and COMMIT included. *Pages read* are the 8 kB blocks that the "
        "hungriest of them touches, by EXPLAIN as the application's role with row-level security on, custom plan and "
        f"generic one; the run fails above {BUFFERS:,}, or when a growing table is read from end to end.",
        "",
        f"| {' | '.join(_HEAD)} |",
        "|---|---|--:|--:|--:|--:|--:|",
        *(f"| {' | '.join(line)} |" for line in _lines(findings)),
        "",
    ]
    RESULTS.write_text("\n".join(lines), encoding="utf-8")
