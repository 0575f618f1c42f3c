"""The log of what operators did, and of everything else that bears on security: searched, paged, exported.

An act of an operator belongs to no workspace (admin.frame.Deed); what people do in theirs does.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from gesso.admin.finding import PAGE, Conditions, distinct, like
from gesso.admin.jobs import first_id
from gesso.db import ElevatedSession

_PEOPLE = 200
"""So many people of an address are looked through."""
_LISTED = """
SELECT a.id, a.user_id, u.email AS who, a.workspace_id, w.name AS workspace, t.name AS named, a.action, a.detail,
    host(a.ip) AS ip, a.created_at
FROM (SELECT * FROM audit_event WHERE {where} ORDER BY id DESC LIMIT {limit}) a
    LEFT JOIN app_user u ON u.id = a.user_id LEFT JOIN workspace w ON w.id = a.workspace_id
    LEFT JOIN workspace t ON a.workspace_id IS NULL
        AND t.id = CASE WHEN a.detail->>'workspace' ~ '^[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}$'
            THEN (a.detail->>'workspace')::uuid END
ORDER BY a.id DESC
"""
_PAGES: Mapping[str, str] = {
    "user": "/admin/users/", "workspace": "/admin/workspaces/", "generation": "/admin/jobs/",
    "connection": "/admin/connections/", "model": "/admin/models/", "style": "/admin/styles/",
    "plan": "/admin/plans/", "pack": "/admin/packs/", "subscription": "/admin/subscriptions/",
    "webhook_event": "/admin/webhooks/",
}  # fmt: skip
"""What an act can be done to, by the name it has in an event's detail, and where the panel shows it."""
CSV_HEAD = ("at", "who", "action", "workspace", "from", "detail")


@dataclass(frozen=True, slots=True)
class Filters:
    """`everybody`: not operators' acts alone. `who`: part of the address of who did it. `about`: what the act was done
    to: an id or a short name. `since` and `until`: days in UTC, both inclusive."""

    everybody: bool = False
    who: str = ""
    action: str = ""
    about: str = ""
    since: date | None = None
    until: date | None = None

    def query(self) -> dict[str, str]:
        """As the page's address has them."""
        named = {name: getattr(self, name) for name in ("who", "action", "about", "since", "until")}
        found = {name: str(value) for name, value in named.items() if value}
        return found | ({"all": "1"} if self.everybody else {})


@dataclass(frozen=True, slots=True)
class Event:
    """Something that was done. `who` None: nobody in particular, or somebody who has been forgotten.

    `named`: the workspace an operator did it to, while there is one.
    """

    id: UUID
    user_id: UUID | None
    who: str | None
    workspace_id: UUID | None
    workspace: str | None
    named: str | None
    action: str
    detail: Mapping[str, Any]
    ip: str | None
    created_at: datetime

    @property
    def about(self) -> tuple[tuple[str, str], ...]:
        """What it was done to, with the page of the panel where that is, "" without one."""
        gone = self.action.endswith(".removed")
        return tuple(
            (self._name(name, value), "" if gone else f"{page}{value}")
            for name, page in _PAGES.items()
            if isinstance(value := self.detail.get(name), str)
        )

    def _name(self, kind: str, value: str) -> str:
        """What to call it: by what people know it, else by its id."""
        if kind == "user":
            return str(self.detail.get("email", value))
        return self.named or value if kind == "workspace" else value

    @property
    def changes(self) -> tuple[tuple[str, str, str], ...]:
        """(what, before, after) of what it changed; before is "" for something new."""
        before, after = (self.detail.get(name) for name in ("before", "after"))
        if not isinstance(before, Mapping) and not isinstance(after, Mapping):
            return () if before is None and after is None else (("", _text(before), _text(after)),)
        old = before if isinstance(before, Mapping) else {}
        new = after if isinstance(after, Mapping) else {}
        names = dict.fromkeys([*old, *new])
        return tuple((name, _text(old.get(name, "")), _text(new.get(name, ""))) for name in names)

    @property
    def rest(self) -> tuple[tuple[str, str], ...]:
        """What else is known of it."""
        shown = {"before", "after", "email", *_PAGES}
        return tuple((name, _text(value)) for name, value in self.detail.items() if name not in shown)


def _text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ", ".join(value).replace("_", " ") or "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


async def actions(tx: ElevatedSession) -> tuple[str, ...]:
    """Everything that was ever done, by name."""
    return await distinct(tx, "audit_event", "action")


async def listing(
    tx: ElevatedSession, filters: Filters, *, before: UUID | None = None, limit: int = PAGE
) -> tuple[tuple[Event, ...], UUID | None]:
    """Events, newest first, older than `before`; and the next page's `before`."""
    asked = Conditions()
    if not filters.everybody:
        asked.parts.append("workspace_id IS NULL")
    if filters.who:
        asked.add(
            f"user_id IN (SELECT id FROM app_user WHERE email::text ILIKE {{}} LIMIT {_PEOPLE})", like(filters.who)
        )
    if filters.action:
        asked.add("action = {}", filters.action)
    if filters.about:
        asked.add(
            "(detail::text ILIKE {0} OR workspace_id::text = {1} OR user_id::text = {1})",
            like(filters.about), filters.about,
        )  # fmt: skip
    if filters.since:
        asked.add("id >= {}", first_id(datetime.combine(filters.since, time(), UTC)))
    if filters.until:
        asked.add("id < {}", first_id(datetime.combine(filters.until, time(), UTC) + timedelta(days=1)))
    if before is not None:
        asked.add("id < {}", before)
    rows = await tx.fetch(_LISTED.format(where=asked.where, limit=limit + 1), *asked.values)
    events = tuple(Event(**row) for row in rows[:limit])
    return events, events[-1].id if len(rows) > limit else None


def csv_row(event: Event) -> list[str]:
    """One line of the export. Text that a spreadsheet would run as a formula is made harmless."""
    values = (
        event.created_at.isoformat(timespec="seconds"), event.who or "", event.action, event.workspace or "",
        event.ip or "", json.dumps(dict(event.detail), ensure_ascii=False),
    )  # fmt: skip
    return [f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text for text in values]
