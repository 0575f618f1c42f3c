"""Whose jobs, of which model, from when: what an operator narrows the list to."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from gesso.db import ElevatedSession

_KNOWN = 200
"""So many workspaces or people of a name are looked through."""


@dataclass(frozen=True, slots=True)
class Filters:
    """`workspace`: part of a name, or its id. `person`: the beginning of an e-mail address. `model`: its key. `since`
    and `until`: days in UTC, both inclusive."""

    workspace: str = ""
    person: str = ""
    model: str = ""
    since: date | None = None
    until: date | None = None

    @property
    def any(self) -> bool:
        """Whether anything is asked for."""
        return self != NOTHING

    def query(self) -> dict[str, str]:
        """As the page's address has them."""
        named = {name: getattr(self, name) for name in ("workspace", "person", "model", "since", "until")}
        return {name: str(value) for name, value in named.items() if value}


NOTHING = Filters()


@dataclass(frozen=True, slots=True)
class Narrowed:
    """The filters with names turned into ids; None where nothing was asked for."""

    filters: Filters
    workspaces: tuple[UUID, ...] | None
    people: tuple[UUID, ...] | None

    @property
    def somebody(self) -> bool:
        """Whether a workspace or a person is asked for."""
        return self.workspaces is not None

    @property
    def empty(self) -> bool:
        """Whether nobody is called so."""
        return self.workspaces == () or self.people == ()

    def where(self, values: list[Any], first_id: Callable[[datetime], UUID]) -> list[str]:
        """Conditions on `generation`; their values join `values`. `first_id`: the smallest id of a moment."""
        day = timedelta(days=1)
        since, until = (self.filters.since, self.filters.until)
        asked = (
            ("workspace_id = ANY({}::uuid[])", list(self.workspaces) if self.workspaces is not None else None),
            ("user_id = ANY({}::uuid[])", list(self.people) if self.people is not None else None),
            ("model_key = {}", self.filters.model or None),
            ("id >= {}", first_id(datetime.combine(since, time(), UTC)) if since else None),
            ("id < {}", first_id(datetime.combine(until, time(), UTC) + day) if until else None),
        )
        found = []
        for condition, value in asked:
            if value is not None:
                values.append(value)
                found.append("generation." + condition.format(f"${len(values)}"))
        return found


async def narrow(tx: ElevatedSession, filters: Filters) -> Narrowed:
    """Find whom the filters mean. A person narrows to their workspaces too, so that an index serves."""
    people = workspaces = None
    if filters.person:
        rows = await tx.fetch(
            "SELECT u.id, m.workspace_id FROM app_user u LEFT JOIN membership m ON m.user_id = u.id"
            " WHERE u.email::text ILIKE $1 LIMIT $2",
            _like(filters.person) + "%", _KNOWN,
        )  # fmt: skip
        people = tuple({row["id"] for row in rows})
        workspaces = tuple({row["workspace_id"] for row in rows if row["workspace_id"]})
    if filters.workspace:
        rows = await tx.fetch(
            "SELECT id FROM workspace WHERE name ILIKE $1 OR id::text = lower($2) LIMIT $3",
            f"%{_like(filters.workspace)}%", filters.workspace, _KNOWN,
        )  # fmt: skip
        named = tuple(row["id"] for row in rows)
        workspaces = named if workspaces is None else tuple(set(named) & set(workspaces))
    return Narrowed(filters, workspaces, people)


def clean(text: str) -> str:
    """What was typed, without what no name can have."""
    return text.replace("\0", "").strip()


def _like(text: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", text)
