"""`/admin`: what needs the operator's attention now."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from fastapi import APIRouter, Request
from fastapi.responses import Response

from gesso.accounts.access import CurrentOperator
from gesso.admin import standing
from gesso.admin.frame import panel
from gesso.admin.jobs import first_id
from gesso.admin.standing import ConnectionLine, dollars
from gesso.billing.port import Payments
from gesso.credits.tasks import FACT as LEDGER
from gesso.db import ElevatedSession, facts
from gesso.db.facts import Fact
from gesso.generation.books import FACT as BOOKS
from gesso.web.render import number

router = APIRouter(prefix="/admin", include_in_schema=False)

UNCERTAIN_DAYS = 14
WORKER_SECONDS = 60
"""A worker that was not seen for so long does not count."""

_FIGURES = """
SELECT
    (SELECT count(*) FROM generation WHERE dispatched_at IS NULL AND state = 'queued') AS waiting,
    (SELECT count(*) FROM generation WHERE dispatched_at IS NOT NULL AND state = 'queued') AS queued,
    (SELECT min(dispatched_at) FROM generation WHERE dispatched_at IS NOT NULL AND state = 'queued') AS oldest,
    (SELECT count(*) FROM generation WHERE dispatched_at IS NOT NULL AND state = 'running') AS running,
    (SELECT count(*) FROM worker_seen WHERE seen_at > now() - make_interval(secs => $1)) AS workers,
    (SELECT max(seen_at) FROM worker_seen) AS worker_at,
    (SELECT count(*) FROM attempt WHERE state = 'uncertain' AND created_at > $2 AND NOT own_key) AS uncertain,
    (SELECT coalesce(sum(provider_cost_micro_usd), 0)::bigint FROM attempt
        WHERE state = 'uncertain' AND created_at > $2 AND NOT own_key) AS uncertain_cost,
    (SELECT count(*) FROM attempt
        WHERE state = 'uncertain' AND created_at > $2 AND NOT own_key AND provider_cost_micro_usd IS NULL) AS unpriced,
    (SELECT count(*) FROM moderation_event WHERE outcome = 'review' AND decision IS NULL) AS to_judge,
    (SELECT count(*) FROM moderation_event WHERE outcome = 'unjudged' AND id > $3) AS unjudged,
    (SELECT count(*) FROM webhook_event WHERE state = 'failed') AS notices_failed,
    (SELECT count(*) FROM dispute WHERE state = 'open') AS disputed
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """The site at this moment. Money in micro-dollars; `oldest`: since when a handed-out job waits for a worker;
    `to_judge` waits for the operator's decision; `unjudged` of the last day; `notices_failed`: what a payment provider
    told, and did not take effect; `disputed`: payments a bank has yet to decide on."""

    waiting: int
    queued: int
    oldest: datetime | None
    running: int
    workers: int
    worker_at: datetime | None
    uncertain: int
    uncertain_cost: int
    unpriced: int
    to_judge: int = 0
    unjudged: int = 0
    notices_failed: int = 0
    disputed: int = 0


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to act on. `kind` is warn or bad; `href` leads to where one can."""

    kind: str
    title: str
    text: str
    href: str
    action: str


async def figures(tx: ElevatedSession, now: datetime) -> Figures:
    """Everything that is counted, in one statement along small indexes."""
    row = await tx.fetchrow(
        _FIGURES, WORKER_SECONDS, now - timedelta(days=UNCERTAIN_DAYS), first_id(now - timedelta(days=1))
    )
    assert row is not None
    return Figures(**row)


def notices(
    found: Figures, lines: Sequence[ConnectionLine], ledger: Fact | None, books: Fact | None, payments: Payments
) -> tuple[Notice, ...]:
    """What is wrong, the worst first; nothing when all is well."""
    all_of = [
        *_site_notices(found, ledger, books), *_payment_notices(found, payments), *_connection_notices(lines),
        *_judging_notices(found),
    ]  # fmt: skip
    if found.uncertain:
        all_of.append(
            Notice(
                "warn", f"{_count(found.uncertain, 'call')} nobody knows the end of", uncertain_words(found),
                "/admin/jobs?state=uncertain", "See them",
            )
        )  # fmt: skip
    return tuple(sorted(all_of, key=lambda notice: notice.kind != "bad"))


def _site_notices(found: Figures, ledger: Fact | None, books: Fact | None) -> list[Notice]:
    told = []
    if not found.workers:
        told.append(
            Notice(
                "bad", "No worker is running", "Nothing is made until one starts: gesso work.", "/admin/jobs", "Jobs"
            )
        )
    if ledger is not None and ledger.value["mismatches"]:
        told.append(
            Notice(
                "bad", f"The ledger has {_count(ledger.value['mismatches'], 'mismatch', 'mismatches')}",
                "Run “gesso ledger verify” to see them one by one.", "/admin/jobs", "Jobs",
            )
        )  # fmt: skip
    if books is not None and (books.value["charges"] or books.value["deliveries"]):
        told.append(
            Notice(
                "bad", "Charges and pictures do not match",
                f"{_count(books.value['charges'], 'charge')} without a picture, "
                f"{_count(books.value['deliveries'], 'picture')} without a charge.", "/admin/jobs", "Jobs",
            )
        )  # fmt: skip
    return told


def _payment_notices(found: Figures, payments: Payments) -> list[Notice]:
    told = []
    if payments.sells and not payments.hears:
        told.append(
            Notice(
                "bad", "Payments cannot be announced",
                "STRIPE_WEBHOOK_SECRET is not set, so what happens at Stripe is known up to an hour late."
                " Set it to the signing secret of your endpoint in Stripe's dashboard, and start gesso anew.",
                "/admin/webhooks", "Webhooks",
            )
        )  # fmt: skip
    if found.notices_failed:
        failed = _count(found.notices_failed, "payment event")
        told.append(
            Notice(
                "bad", f"{failed} failed", "What was paid or refunded may not have taken effect yet. See why, and"
                " replay what is not tried again by itself.", "/admin/webhooks?state=failed", "See why",
            )
        )  # fmt: skip
    if found.disputed:
        told.append(
            Notice(
                "bad", f"{_count(found.disputed, 'payment')} disputed", "Answer at the payment provider before its"
                " deadline. Until the bank has decided, nothing new can be made in the workspace that paid.",
                "/admin/webhooks?state=all&type=charge.dispute.created", "See whose",
            )
        )  # fmt: skip
    return told


def _judging_notices(found: Figures) -> list[Notice]:
    told = []
    if found.to_judge:
        title = f"{_count(found.to_judge, 'prompt or picture', 'prompts and pictures')} to decide on"
        told.append(Notice("warn", title, "The judge was unsure; people have them.", "/admin/moderation", "Decide"))
    if found.unjudged:
        title = f"{_count(found.unjudged, 'request or result', 'requests and results')} not judged in 24 hours"
        href = "/admin/moderation?tab=unjudged"
        told.append(Notice("warn", title, "No model of the chain “Judging” answered.", href, "See them"))
    return told


def _connection_notices(lines: Sequence[ConnectionLine]) -> list[Notice]:
    return [
        Notice(
            "bad" if line.health.kind == "bad" else "warn", f"{line.name}: {line.health.label}",
            _what_to_do(line), f"/admin/connections/{line.key}", "Look at it",
        )
        for line in lines
        if line.health.kind in ("bad", "warn")
    ]  # fmt: skip


def _what_to_do(line: ConnectionLine) -> str:
    """What the provider said, what that means here, and what to do."""
    return " ".join(part for part in (line.health.said, line.health.way_out) if part) or line.recent_words


def uncertain_words(found: Figures) -> str:
    """“Up to $0.12 may be billed for them; 2 have no estimate.”"""
    parts = []
    if found.uncertain > found.unpriced:
        parts.append(f"Up to {dollars(found.uncertain_cost)} may be billed for them")
    if found.unpriced:
        parts.append(f"{number(found.unpriced)} without an estimate")
    return "; ".join(parts) + f". Counted over {UNCERTAIN_DAYS} days; users paid nothing for them."


def _count(amount: int, thing: str, things: str = "") -> str:
    return f"{amount:,} {thing if amount == 1 else things or thing + 's'}"


@router.get("")
async def overview_page(request: Request, actor: CurrentOperator) -> Response:
    """What needs attention now."""
    now = request.app.state.clock.now()
    async with request.app.state.db.elevated("operator: overview") as tx:
        found = await figures(tx, now)
        ledger, books = await facts.read(tx, LEDGER), await facts.read(tx, BOOKS)
        lines = await standing.lines(tx, now)
    return await panel(
        request, "admin/overview.html",
        figures=found, ledger=ledger, books=books, lines=lines,
        notices=notices(found, lines, ledger, books, request.app.state.payments),
    )  # fmt: skip
