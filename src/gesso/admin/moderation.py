"""What the rules and the judge stopped, what the operator is asked about, and what becomes of it.

Here, and only here, an operator sees what people wrote and made: of what was found wanting, nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from gesso.admin import jobs
from gesso.admin.frame import Deed
from gesso.admin.jobs import first_id
from gesso.core.errors import Conflict, InvalidInput, NotFound
from gesso.db import Database, ElevatedSession
from gesso.generation.settlement import EVENTS_CHANNEL
from gesso.media import taken

Tab = Literal["waiting", "unjudged", "blocked", "decided"]
Decision = Literal["kept", "taken_down"]
PAGE = 20
REASON_MOST = 500

_WHERE: Mapping[Tab, str] = {
    "waiting": "outcome = 'review' AND decision IS NULL",
    "unjudged": "outcome = 'unjudged'",
    "blocked": "outcome = 'blocked'",
    "decided": "decision IS NOT NULL",
}
_COLUMNS = """e.id, e.workspace_id, w.name AS workspace, u.email AS person, e.stage, e.subject, e.outcome, e.rule,
    e.categories, e.prompt, e.model_key, e.generation_id, e.asset_id, e.created_at, e.decision, e.decided_at,
    d.name AS decided_by, e.reason, e.taken"""
_JOINED = """LEFT JOIN workspace w ON w.id = e.workspace_id LEFT JOIN app_user u ON u.id = e.user_id
    LEFT JOIN app_user d ON d.id = e.decided_by"""
# What a line is about: the output that was judged, else all that came of the prompt.
_PICTURES = """
SELECT e.id AS line, a.id, a.kind, a.width, a.height, a.storage_key,
    a.deleted_at IS NULL AS live, a.deleted_for IS NOT DISTINCT FROM 'taken_down' AS down
FROM moderation_event e CROSS JOIN LATERAL (
    SELECT e.asset_id AS id WHERE e.asset_id IS NOT NULL
    UNION ALL
    SELECT o.asset_id FROM output o WHERE e.asset_id IS NULL AND o.workspace_id = e.workspace_id
        AND o.generation_id = e.generation_id AND o.state = 'delivered'
) one JOIN asset a ON a.id = one.id AND a.workspace_id = e.workspace_id
WHERE e.id = ANY($1) ORDER BY a.id
"""


@dataclass(frozen=True, slots=True)
class Picture:
    """Something a line is about. Not `live` and not `down`: its owner has deleted it."""

    id: UUID
    kind: str
    width: int
    height: int
    storage_key: str
    live: bool
    down: bool


@dataclass(frozen=True, slots=True)
class Case:
    """A line with what it is about. `categories`: what the judge saw, category → score, the highest first."""

    id: UUID
    workspace_id: UUID
    workspace: str | None
    person: str | None
    stage: str
    subject: str
    outcome: str
    rule: str | None
    categories: Mapping[str, float]
    prompt: str
    model_key: str | None
    generation_id: UUID | None
    asset_id: UUID | None
    created_at: datetime
    decision: Decision | None
    decided_at: datetime | None
    decided_by: str | None
    reason: str | None
    taken: tuple[UUID, ...]
    pictures: tuple[Picture, ...] = ()

    @classmethod
    def of(cls, row: Mapping[str, Any], pictures: Sequence[Picture]) -> "Case":
        scores = dict(sorted(row["categories"].items(), key=lambda item: (-item[1], item[0])))
        values = {**row, "categories": scores, "taken": tuple(row["taken"] or ())}
        return cls(**values, pictures=tuple(pictures))

    @property
    def to_decide(self) -> bool:
        """Whether there is something to decide."""
        return self.decision is None and self.outcome != "blocked"

    @property
    def to_take(self) -> bool:
        """Whether there is, or will be, something that can be taken down."""
        return self.to_decide and (any(picture.live for picture in self.pictures) or self.generation_id is not None)


@dataclass(frozen=True, slots=True)
class Counts:
    """What waits for the operator; and of the last day: what was blocked, and what nobody could judge."""

    waiting: int
    blocked: int
    unjudged: int


async def counts(tx: ElevatedSession, now: datetime) -> Counts:
    """For the tabs and the overview: three looks at small indexes."""
    row = await tx.fetchrow(
        """SELECT (SELECT count(*) FROM moderation_event WHERE outcome = 'review' AND decision IS NULL) AS waiting,
            (SELECT count(*) FROM moderation_event WHERE outcome = 'blocked' AND id > $1) AS blocked,
            (SELECT count(*) FROM moderation_event WHERE outcome = 'unjudged' AND id > $1) AS unjudged""",
        first_id(now - timedelta(days=1)),
    )
    assert row is not None
    return Counts(**row)


async def listing(
    tx: ElevatedSession, tab: Tab, *, before: UUID | None = None, limit: int = PAGE
) -> tuple[tuple[Case, ...], UUID | None]:
    """Newest first, older than `before`; and the next page's `before`. What waits comes in the order it came."""
    order, beyond = ("ASC", ">") if tab == "waiting" else ("DESC", "<")
    rows = await tx.fetch(
        f"SELECT {_COLUMNS} FROM (SELECT * FROM moderation_event WHERE {_WHERE[tab]}"
        f" AND ($1::uuid IS NULL OR id {beyond} $1) ORDER BY id {order} LIMIT $2) e {_JOINED} ORDER BY e.id {order}",
        before, limit + 1,
    )  # fmt: skip
    shown = rows[:limit]
    pictures = await _pictures(tx, [row["id"] for row in shown])
    cases = tuple(Case.of(dict(row), pictures.get(row["id"], ())) for row in shown)
    return cases, cases[-1].id if len(rows) > limit else None


async def find(tx: ElevatedSession, event_id: UUID) -> Case:
    """The line of this id. Raises NotFound."""
    row = await tx.fetchrow(f"SELECT {_COLUMNS} FROM moderation_event e {_JOINED} WHERE e.id = $1", event_id)
    if row is None:
        raise NotFound("There is no such line.")
    return Case.of(dict(row), (await _pictures(tx, [event_id])).get(event_id, ()))


async def _pictures(tx: ElevatedSession, ids: Sequence[UUID]) -> dict[UUID, list[Picture]]:
    found: dict[UUID, list[Picture]] = {}
    if ids:
        for row in await tx.fetch(_PICTURES, list(ids)):
            values = {name: row[name] for name in Picture.__slots__}
            found.setdefault(row["line"], []).append(Picture(**values))
    return found


async def keep(db: Database, deed: Deed, event_id: UUID, reason: str = "") -> Case:
    """It may stay. Raises NotFound, Conflict when it was decided already."""
    async with db.elevated("operator: keep what was judged") as tx:
        case = await _open_case(tx, event_id)
        await _decide(tx, deed, case, "kept", _reason(reason), ())
        return await find(tx, event_id)


async def take_down(db: Database, deed: Deed, event_id: UUID, reason: str) -> Case:
    """Take what it is about away from its owner, and stop what is still being made of it.

    Raises NotFound, InvalidInput on `reason` without one, Conflict when it was decided already or there is nothing.
    """
    reason = _reason(reason)
    if not reason:
        raise InvalidInput("Say why: it is kept.", fields={"reason": "Say why: it is kept."})
    async with db.elevated("operator: look at what is to be taken down") as tx:
        case = await _open_case(tx, event_id)
    if case.generation_id is not None and case.asset_id is None:
        await jobs.cancel(db, deed, case.generation_id)  # first, so that nothing more arrives
    async with db.elevated("operator: take down what was judged") as tx:
        case = await _open_case(tx, event_id)
        ids = [picture.id for picture in case.pictures]
        gone = await taken.take_down(tx, case.workspace_id, ids, deed.at)
        if not ids and case.generation_id is None:
            raise Conflict("Nothing came of it that could be taken down.")
        await _decide(tx, deed, case, "taken_down", reason, gone)
        _tell(tx, case)
        return await find(tx, event_id)


async def undo(db: Database, deed: Deed, event_id: UUID) -> tuple[Case, int]:
    """Take a decision back; and how many of what was taken down came back. Raises NotFound, Conflict without one."""
    async with db.elevated("operator: undo a decision") as tx:
        case = await find(tx, await _locked(tx, event_id))
        if case.decision is None:
            raise Conflict("Nothing was decided about it.")
        back = await taken.put_back(tx, case.workspace_id, case.taken)
        await tx.execute_raw(
            "UPDATE moderation_event SET decision = NULL, decided_at = NULL, decided_by = NULL, reason = NULL,"
            " taken = NULL WHERE workspace_id = $1 AND id = $2",
            case.workspace_id, case.id,
        )  # fmt: skip
        await deed.note(tx, "moderation.undone", line=str(case.id), was=case.decision, back=[str(one) for one in back])
        _tell(tx, case)
        return await find(tx, event_id), len(back)


async def picture(tx: ElevatedSession, event_id: UUID, asset_id: UUID) -> Picture:
    """Something a line is about, for the operator's eyes. Raises NotFound for anything else."""
    found = next((one for one in (await find(tx, event_id)).pictures if one.id == asset_id), None)
    if found is None:
        raise NotFound("This is not here any more.")
    return found


async def _open_case(tx: ElevatedSession, event_id: UUID) -> Case:
    case = await find(tx, await _locked(tx, event_id))
    if case.decision is not None:
        raise Conflict("It was decided already. Undo that first.")
    if case.outcome == "blocked":
        raise Conflict("It was blocked: nothing came of it.")
    return case


async def _locked(tx: ElevatedSession, event_id: UUID) -> UUID:
    """Two operators who decide at once wait for each other."""
    await tx.fetchval("SELECT 1 FROM moderation_event WHERE id = $1 FOR UPDATE", event_id)
    return event_id


async def _decide(
    tx: ElevatedSession, deed: Deed, case: Case, decision: Decision, reason: str, gone: Sequence[UUID]
) -> None:
    await tx.execute_raw(
        "UPDATE moderation_event SET decision = $3, decided_at = $4, decided_by = $5, reason = $6, taken = $7"
        " WHERE workspace_id = $1 AND id = $2",
        case.workspace_id, case.id, decision, deed.at, deed.actor.user_id, reason, list(gone),
    )  # fmt: skip
    await deed.note(
        tx, f"moderation.{decision}", line=str(case.id), workspace=str(case.workspace_id), reason=reason,
        gone=[str(one) for one in gone],
    )  # fmt: skip


def _reason(text: str) -> str:
    text = " ".join(text.split())
    if len(text) > REASON_MOST or "\0" in text:
        raise InvalidInput("Too long.", fields={"reason": f"At most {REASON_MOST} characters."})
    return text


def _tell(tx: ElevatedSession, case: Case) -> None:
    """Open pages of its owner show it as it is now."""
    if case.generation_id is not None:
        tx.notify_after_commit(
            EVENTS_CHANNEL,
            {"workspace": str(case.workspace_id), "type": "generation", "id": str(case.generation_id)},
        )
