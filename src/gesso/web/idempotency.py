"""Idempotency-Key: the same request sent twice is done once.

Scope is workspace + route + key. The answer is stored in the transaction that does the work, so there is no
state in between: a crash leaves neither. The key is kept for 24 hours; failures are not stored.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from gesso.core.errors import Conflict, InvalidInput
from gesso.db import ElevatedSession, WorkspaceSession

MAX_KEY_LENGTH = 255
KEPT_HOURS = 24


@dataclass(frozen=True, slots=True)
class Answer:
    """A stored answer."""

    status: int
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Once:
    """One keyed request. Without a key (None) nothing is looked up or stored."""

    route: str
    key: str | None
    body_hash: bytes

    @classmethod
    def of(cls, route: str, key: str | None, body: Any) -> "Once":
        """Raises InvalidInput when the key is empty or longer than 255 characters."""
        if key is not None and not 0 < len(key) <= MAX_KEY_LENGTH:
            raise InvalidInput(
                f"Idempotency-Key must have 1 to {MAX_KEY_LENGTH} characters.",
                fields={"Idempotency-Key": f"1 to {MAX_KEY_LENGTH} characters."},
            )
        canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), default=str)
        return cls(route, key, hashlib.sha256(canonical.encode()).digest())

    async def before(self, tx: WorkspaceSession) -> Answer | None:
        """The stored answer of the same request, or None when the work is to be done now.

        Raises Conflict while the same key is being worked on, InvalidInput when it was used with another body.
        """
        if self.key is None:
            return None
        row = await tx.fetchrow("SELECT * FROM idempotency_claim($1, $2, $3)", tx.workspace_id, self.route, self.key)
        assert row is not None
        if row["body_hash"] is None:
            if not row["mine"]:
                raise Conflict("The same request is still being worked on. Ask again in a moment.")
            return None
        if row["body_hash"] != self.body_hash:
            raise InvalidInput(
                "This Idempotency-Key was used for another request. Use a new key.",
                fields={"Idempotency-Key": "Already used with another body."},
            )
        return Answer(row["response_status"], row["response_body"])

    async def after(self, tx: WorkspaceSession, answer: Answer) -> None:
        """Store the answer together with the work."""
        if self.key is not None:
            await tx.execute_raw(
                "INSERT INTO idempotency_key (workspace_id, route, key, body_hash, response_status, response_body) "
                "VALUES ($1, $2, $3, $4, $5, $6)",
                tx.workspace_id, self.route, self.key, self.body_hash, answer.status, answer.body,
            )  # fmt: skip


async def clean(tx: ElevatedSession) -> int:
    """Forget keys older than a day."""
    return await tx.execute_raw(
        "DELETE FROM idempotency_key WHERE created_at < now() - make_interval(hours => $1)", KEPT_HOURS
    )
