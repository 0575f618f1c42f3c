"""Stripe's objects as rows of the sandbox's archive, so that they survive a kill with the rest of it.

An account is whoever holds one secret key: two keys never see each other's objects. Fields whose names begin with an
underscore are the sandbox's own and never leave it; `_due` is the unix time at which something happens to an object
by itself, by the test clock in its `test_clock`, or by the wall clock.
"""

import json
import secrets
import string
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

from gesso.sandbox.archive import Archive

Obj = dict[str, Any]
_LETTERS = string.ascii_letters + string.digits
_TABLES = """
CREATE TABLE IF NOT EXISTS stripe_object (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, account TEXT NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL,
    customer TEXT, clock TEXT, due REAL, data TEXT NOT NULL, UNIQUE (account, id));
CREATE INDEX IF NOT EXISTS stripe_object_kind ON stripe_object (account, kind, customer);
CREATE INDEX IF NOT EXISTS stripe_object_due ON stripe_object (account, clock, due) WHERE due IS NOT NULL;
CREATE TABLE IF NOT EXISTS stripe_answer (
    account TEXT NOT NULL, key TEXT NOT NULL, digest TEXT NOT NULL, status INTEGER NOT NULL, request_id TEXT NOT NULL,
    body BLOB NOT NULL, kept_until REAL NOT NULL, PRIMARY KEY (account, key));
CREATE TABLE IF NOT EXISTS stripe_delivery (
    id INTEGER PRIMARY KEY AUTOINCREMENT, account TEXT NOT NULL, event TEXT NOT NULL, endpoint TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, next_at REAL NOT NULL, state TEXT NOT NULL DEFAULT 'waiting',
    marks TEXT NOT NULL DEFAULT '[]', status INTEGER);
CREATE INDEX IF NOT EXISTS stripe_delivery_waiting ON stripe_delivery (account, next_at) WHERE state = 'waiting';
CREATE INDEX IF NOT EXISTS stripe_delivery_event ON stripe_delivery (account, event);
"""


def new_id(prefix: str, length: int = 24) -> str:
    """A name such as `cus_…`."""
    return f"{prefix}_" + "".join(secrets.choice(_LETTERS) for _ in range(length))


class Store:
    """The rows. To be used from the event loop's thread."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self.db = archive.db
        self.db.executescript(_TABLES)

    def transaction(self) -> AbstractContextManager[None]:
        """All or nothing of what the block writes."""
        return self._archive.transaction()

    def get(self, account: str, name: str) -> Obj | None:
        row = self.db.execute("SELECT data FROM stripe_object WHERE account = ? AND id = ?", (account, name)).fetchone()
        return json.loads(row["data"]) if row else None

    def put(self, account: str, obj: Obj) -> None:
        customer = obj.get("customer") if isinstance(obj.get("customer"), str) else None
        clock = obj.get("_clock", obj.get("test_clock")) or ""
        self.db.execute(
            "INSERT INTO stripe_object (account, id, kind, customer, clock, due, data) VALUES (?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (account, id) DO UPDATE SET customer = excluded.customer, clock = excluded.clock,"
            " due = excluded.due, data = excluded.data",
            (account, obj["id"], obj["object"], customer, clock, obj.get("_due"), json.dumps(obj)),
        )

    def delete(self, account: str, name: str) -> None:
        self.db.execute("DELETE FROM stripe_object WHERE account = ? AND id = ?", (account, name))

    def find(self, account: str, kind: str, **fields: Any) -> list[Obj]:
        """Objects of a kind whose top-level fields have these values, newest first."""
        return list(self.each(account, kind, **fields))

    def each(self, account: str, kind: str, *, since: str | None = None, **fields: Any) -> Iterator[Obj]:
        """As `find`, one after another. `since`: only this object and those that were made after it."""
        where, values = "account = ? AND kind = ?", [account, kind]
        if since is not None:
            where += " AND seq >= (SELECT seq FROM stripe_object WHERE account = ? AND id = ?)"
            values += [account, since]
        for name, value in fields.items():
            where += " AND customer = ?" if name == "customer" else f" AND json_extract(data, '$.{name}') = ?"
            values.append(value)
        rows = self.db.execute(f"SELECT data FROM stripe_object WHERE {where} ORDER BY seq DESC", values).fetchall()
        return (json.loads(row["data"]) for row in rows)

    def next_due(self, account: str, clock: str, until: float) -> tuple[float, Obj] | None:
        """The object to which something happens first, no later than `until`, and when."""
        row = self.db.execute(
            "SELECT due, data FROM stripe_object WHERE account = ? AND clock = ? AND due <= ?"
            " ORDER BY due, seq LIMIT 1",
            (account, clock, until),
        ).fetchone()
        return (row["due"], json.loads(row["data"])) if row else None

    def accounts_due(self, until: float) -> list[str]:
        """Accounts in which something happens by the wall clock."""
        rows = self.db.execute("SELECT DISTINCT account FROM stripe_object WHERE clock = '' AND due <= ?", (until,))
        return [row["account"] for row in rows]

    def accounts(self) -> list[str]:
        return [row["account"] for row in self.db.execute("SELECT DISTINCT account FROM stripe_object")]

    def holder(self, name: str) -> str | None:
        """The account that has the object of this name."""
        row = self.db.execute("SELECT account FROM stripe_object WHERE id = ?", (name,)).fetchone()
        return row["account"] if row else None

    def invoice_by_key(self, key: str) -> tuple[str, Obj] | None:
        """The account and invoice of a hosted page."""
        row = self.db.execute(
            "SELECT account, data FROM stripe_object WHERE kind = 'invoice' AND json_extract(data, '$._key') = ?",
            (key,),
        ).fetchone()
        return (row["account"], json.loads(row["data"])) if row else None
