"""What the sandbox must not forget: its bill always; with a folder also jobs and files, across restarts and kills.

One SQLite file. What was committed survives a kill −9 of the process (SQLite's write-ahead log lies with the
kernel by then), though not a power cut, for which nobody needs a stand-in to be prepared. Without a folder the
same tables live in memory.
"""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_TABLES = """
CREATE TABLE IF NOT EXISTS line (
    request_id TEXT PRIMARY KEY, provider TEXT NOT NULL, endpoint TEXT NOT NULL, key_hint TEXT NOT NULL,
    prompt_sha256 TEXT NOT NULL, webhook TEXT, created_at TEXT NOT NULL, status TEXT NOT NULL DEFAULT 'queued',
    units TEXT NOT NULL DEFAULT '0', cost_micro_usd INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS total (jobs INTEGER NOT NULL, cost_micro_usd INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS job (
    request_id TEXT PRIMARY KEY, owner TEXT NOT NULL, open INTEGER NOT NULL, kept_until REAL NOT NULL,
    data TEXT NOT NULL, face TEXT NOT NULL DEFAULT 'fal');
CREATE INDEX IF NOT EXISTS job_open ON job (request_id) WHERE open;
CREATE INDEX IF NOT EXISTS job_kept_until ON job (kept_until);
CREATE TABLE IF NOT EXISTS file (
    name TEXT PRIMARY KEY, media_type TEXT NOT NULL, prompt TEXT NOT NULL, faults TEXT NOT NULL,
    kept_until REAL NOT NULL, data BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS file_kept_until ON file (kept_until);
"""
_FORGET_EVERY_SECONDS = 60.0


class Archive:
    """The tables. To be used from one thread; every method outside `transaction` commits at once."""

    def __init__(self, folder: Path | None = None) -> None:
        self.lasting = folder is not None
        """Whether jobs and files are kept too."""
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        path = ":memory:" if folder is None else str(folder / "sandbox.sqlite")
        self.db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
        self.db.row_factory = sqlite3.Row
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = OFF")
        self.db.executescript(_TABLES)
        if not any(column["name"] == "face" for column in self.db.execute("PRAGMA table_info(job)")):
            self.db.execute("ALTER TABLE job ADD COLUMN face TEXT NOT NULL DEFAULT 'fal'")  # a folder kept from before
        self._forgotten_at = 0.0

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing of what the block writes."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")

    def keep_job(
        self, face: str, request_id: str, owner: str, data: dict[str, Any], *, is_open: bool, seconds: float
    ) -> None:
        """Write a face's job down, or what became of it; kept for `seconds` from now. Nothing without a folder."""
        if self.lasting:
            self.db.execute(
                "INSERT OR REPLACE INTO job (face, request_id, owner, open, kept_until, data)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (face, request_id, owner, is_open, time.time() + seconds, json.dumps(data)),
            )
            self._forget()

    def job(self, face: str, request_id: str) -> dict[str, Any] | None:
        """What was written down about a job of this face."""
        row = self.db.execute("SELECT data FROM job WHERE request_id = ? AND face = ?", (request_id, face)).fetchone()
        return json.loads(row["data"]) if row else None

    def jobs_of(self, face: str, owner: str, limit: int) -> list[dict[str, Any]]:
        """An owner's jobs at this face, newest first."""
        rows = self.db.execute(
            "SELECT data FROM job WHERE owner = ? AND face = ? ORDER BY rowid DESC LIMIT ?", (owner, face, limit)
        )
        return [json.loads(row["data"]) for row in rows]

    def open_jobs(self, face: str) -> list[dict[str, Any]]:
        """A face's jobs with something left to do: not ended, or ended and nobody told, oldest first."""
        rows = self.db.execute("SELECT data FROM job WHERE open AND face = ? ORDER BY rowid", (face,))
        return [json.loads(row["data"]) for row in rows]

    def keep_file(
        self, name: str, data: bytes, media_type: str, *, prompt: str, faults: list[Any], seconds: float
    ) -> None:
        """Write a file down for `seconds` from now. Nothing without a folder."""
        if self.lasting:
            self.db.execute(
                "INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?, ?, ?)",
                (name, media_type, prompt, json.dumps(faults), time.time() + seconds, data),
            )

    def file(self, name: str) -> sqlite3.Row | None:
        """The row of a file that is still kept."""
        row: sqlite3.Row | None = self.db.execute(
            "SELECT * FROM file WHERE name = ? AND kept_until > ?", (name, time.time())
        ).fetchone()
        return row

    def close(self) -> None:
        self.db.close()

    def _forget(self) -> None:
        """Drop what is kept no longer, once in a while."""
        now = time.time()
        if now - self._forgotten_at > _FORGET_EVERY_SECONDS:
            self._forgotten_at = now
            self.db.execute("DELETE FROM job WHERE kept_until < ? AND NOT open", (now,))
            self.db.execute("DELETE FROM file WHERE kept_until < ?", (now,))
