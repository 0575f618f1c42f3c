"""How long the database lets one of our sessions keep others waiting."""

from dataclasses import dataclass

ELEVATED_FACTOR = 10
"""Sweeps across workspaces may take this many times longer than a request."""
CLIENT_EXTRA_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Kept by PostgreSQL as settings of the two application roles, so they hold through any pooler.

    All in whole seconds. A process that stops in the middle of a transaction (paused, cut off, out of memory) keeps
    its locks, a wallet's among them, for `idle_transaction` at most.
    """

    statement: int = 30
    lock: int = 10
    idle_transaction: int = 30

    def role_settings(self, *, elevated: bool) -> dict[str, str]:
        """PostgreSQL's settings and their values for one of the two roles."""
        return {
            "statement_timeout": f"{self.statement * (ELEVATED_FACTOR if elevated else 1)}s",
            "lock_timeout": f"{self.lock}s",
            "idle_in_transaction_session_timeout": f"{self.idle_transaction}s",
        }

    def client_seconds(self, *, elevated: bool = False) -> float:
        """When our side stops waiting for an answer: the network may have gone, and nobody would tell us."""
        return self.statement * (ELEVATED_FACTOR if elevated else 1) + CLIENT_EXTRA_SECONDS
