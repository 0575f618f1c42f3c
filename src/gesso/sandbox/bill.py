"""The sandbox's own bill, which the product's journal is reconciled against."""

import csv
import hashlib
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from gesso.sandbox.archive import Archive

_MICRO = Decimal(1_000_000)
_AT_ONCE = 1000


class Bill:
    """One line per accepted job, the newest `limit` of them; totals count dropped lines too.

    A line's status is queued, running, done, failed or cancelled; a done one costs, and one that did not come to its
    end where the provider sells time. `webhook` is where the
    customer wanted to be told, which lets a customer find the line of a call whose answer was lost.
    """

    def __init__(self, archive: Archive, limit: int = 100_000) -> None:
        self._db = archive.db
        self._limit = limit

    def open(
        self, *, request_id: str, provider: str, endpoint: str, key_hint: str, prompt: str, webhook: str | None = None
    ) -> None:
        """Notes an accepted job. Keys are never stored, only a hint of the last four characters."""
        self._db.execute(
            "INSERT INTO line (request_id, provider, endpoint, key_hint, prompt_sha256, webhook, created_at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                request_id,
                provider,
                endpoint,
                key_hint,
                hashlib.sha256(prompt.encode()).hexdigest(),
                webhook,
                datetime.now(UTC).isoformat(),
            ),
        )
        self._db.execute("DELETE FROM line WHERE rowid <= (SELECT max(rowid) FROM line) - ?", (self._limit,))
        self._add(1, 0)

    def mark(self, request_id: str, status: str) -> None:
        self._db.execute("UPDATE line SET status = ? WHERE request_id = ?", (status, request_id))

    def charge(self, request_id: str, units: Decimal, cost_micro_usd: int, status: str = "done") -> None:
        """Ends a job, with its units and cost; once, however often it is called."""
        charged = self._db.execute(
            "UPDATE line SET status = ?, units = ?, cost_micro_usd = ?"
            " WHERE request_id = ? AND status NOT IN ('done', 'failed', 'cancelled')",
            (status, str(units), cost_micro_usd, request_id),
        )
        if charged.rowcount:
            self._add(0, cost_micro_usd)

    def clear(self) -> None:
        self._db.execute("DELETE FROM line")
        self._db.execute("DELETE FROM total")

    def to_json(self) -> dict[str, Any]:
        lines = self._db.execute("SELECT * FROM line ORDER BY rowid").fetchall()
        jobs, cost = self._db.execute(
            "SELECT coalesce(sum(jobs), 0), coalesce(sum(cost_micro_usd), 0) FROM total"
        ).fetchone()
        by_status = self._db.execute("SELECT status, count(*) FROM line GROUP BY status")
        return {
            "jobs": [
                dict(line) | {"units": float(line["units"]), "cost_usd": float(line["cost_micro_usd"] / _MICRO)}
                for line in lines
            ],
            "totals": {
                "jobs": jobs,
                "cost_usd": float(cost / _MICRO),
                "cost_micro_usd": cost,
                "by_status": {row[0]: row[1] for row in by_status},
            },
        }

    def to_csv(self, provider: str | None = None) -> Iterator[str]:
        """The lines as a table, a piece at a time: of one provider, or of all."""
        yield "provider,reference,at,model,cost_usd,status,webhook\r\n"
        after = 0
        while lines := self._db.execute(
            "SELECT rowid, * FROM line WHERE rowid > ? AND provider = coalesce(?, provider) ORDER BY rowid LIMIT ?",
            (after, provider, _AT_ONCE),
        ).fetchall():
            text = io.StringIO()
            writer = csv.writer(text)
            for line in lines:
                after = line["rowid"]
                cost = Decimal(line["cost_micro_usd"]) / _MICRO
                writer.writerow([
                    line["provider"], line["request_id"], line["created_at"], line["endpoint"], f"{cost:f}",
                    line["status"], line["webhook"] or "",
                ])  # fmt: skip
            yield text.getvalue()

    def _add(self, jobs: int, cost_micro_usd: int) -> None:
        if not self._db.execute(
            "UPDATE total SET jobs = jobs + ?, cost_micro_usd = cost_micro_usd + ?", (jobs, cost_micro_usd)
        ).rowcount:
            self._db.execute("INSERT INTO total VALUES (?, ?)", (jobs, cost_micro_usd))
