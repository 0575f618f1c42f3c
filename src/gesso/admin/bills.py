"""`/admin/bills`: what came of comparing our calls with providers' bills the last time (`gesso reconcile`)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from gesso.accounts.access import CurrentOperator
from gesso.admin.frame import panel
from gesso.admin.standing import dollars
from gesso.calls.reconcile import service as reconcile

router = APIRouter(prefix="/admin/bills", include_in_schema=False)

WRONG: Mapping[tuple[str, str | None], str] = {
    ("missing", None): "Not on the bill",
    ("phantom", "unknown"): "No call of ours",
    ("phantom", "twice"): "Billed twice",
    ("priced", None): "Another price",
}


@dataclass(frozen=True)
class FindingView:
    """One thing that is wrong. `attempt`: our call, to be looked for among the jobs."""

    words: str
    at: datetime
    reference: str | None
    attempt: str | None
    model: str | None
    ours: str
    theirs: str


@dataclass(frozen=True)
class ComparisonView:
    """One bill, as it was compared last. `more`: findings that only the command shows."""

    names: str
    at: datetime
    since: datetime | None
    until: datetime | None
    days: tuple[Mapping[str, Any], ...]
    findings: tuple[FindingView, ...]
    found: int
    more: int


@router.get("")
async def bills_page(request: Request, actor: CurrentOperator) -> Response:
    """The last comparison of each group of connections, the newest first."""
    async with request.app.state.db.elevated("operator: bills") as tx:
        kept = await reconcile.kept_of(tx)
    views = sorted(map(_view, kept), key=lambda view: view.at, reverse=True)
    return await panel(request, "admin/bills.html", comparisons=views, dollars=dollars)


def _view(kept: Mapping[str, Any]) -> ComparisonView:
    findings = tuple(map(_finding, kept["findings"]))
    found = sum(kept["counts"].values())
    return ComparisonView(
        names=", ".join(kept["connections"]), at=_moment(kept["at"]),
        since=_moment(kept["since"]) if kept["since"] else None,
        until=_moment(kept["until"]) if kept["until"] else None,
        days=tuple(reversed(kept["days"])), findings=findings, found=found, more=found - len(findings),
    )  # fmt: skip


def _finding(one: Mapping[str, Any]) -> FindingView:
    return FindingView(
        WRONG[one["kind"], one["why"]], _moment(one["at"]), one["reference"], one["attempt"], one["model"],
        dollars(one["ours_micro_usd"]), dollars(one["theirs_micro_usd"]),
    )  # fmt: skip


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
