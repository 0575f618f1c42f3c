"""Delivering events: at least once, signed, retried with growing gaps, and in the bad ways that were asked for.

What is to be delivered stands in the store, so that a killed sandbox goes on where it was. Each account has one
line of deliveries: one after another, unless its settings ask for several at once.
"""

import asyncio
import json
import logging
import time
from typing import Any

from gesso.sandbox.courier import Courier
from gesso.sandbox.pace import Pace
from gesso.sandbox.stripe import signing
from gesso.sandbox.stripe.desk import SETTINGS, public
from gesso.sandbox.stripe.store import Obj, Store

ATTEMPTS = 16
ROLL_SECONDS = 24 * 3600
"""How long an old secret signs too."""
_LONGEST_WAIT_SECONDS = 3600.0
_IDLE_DEADLINE_SECONDS = 20.0

logger = logging.getLogger("gesso.sandbox.webhooks")


class Mail:
    """Sends what waits. `close()` gives up what is under way; it goes on when the store is opened again."""

    def __init__(self, store: Store, courier: Courier, pace: Pace) -> None:
        self._store = store
        self._courier = courier
        self._pace = pace
        self._pumps: dict[str, asyncio.Task[None]] = {}
        self._woken: dict[str, asyncio.Event] = {}

    def wake(self, account: str) -> None:
        """There may be something to send. In the event loop."""
        self._woken.setdefault(account, asyncio.Event()).set()
        pump = self._pumps.get(account)
        if (pump is None or pump.done()) and self._next(account):
            self._pumps[account] = asyncio.create_task(self._pump(account))

    def resume(self) -> None:
        rows = self._store.db.execute("SELECT DISTINCT account FROM stripe_delivery WHERE state = 'waiting'")
        for row in rows.fetchall():
            self.wake(row["account"])

    def retry_now(self, account: str) -> int:
        """Try everything that waits for another attempt at once; returns how many that is."""
        count = self._store.db.execute(
            "UPDATE stripe_delivery SET next_at = ?, state = 'waiting' WHERE account = ? AND state <> 'done'",
            (time.time(), account),
        ).rowcount
        self.wake(account)
        return count

    def resend(self, account: str, event: str, endpoint: str) -> None:
        """Send an event once more."""
        self._store.db.execute(
            "INSERT INTO stripe_delivery (account, event, endpoint, next_at) VALUES (?, ?, ?, ?)",
            (account, event, endpoint, time.time()),
        )

    async def idle(self, account: str) -> None:
        """Until everything due now was tried once, or a receiver has taken very long over it."""
        deadline = time.monotonic() + _IDLE_DEADLINE_SECONDS
        while time.monotonic() < deadline and self._untried(account):  # noqa: ASYNC110 - only the store knows
            await asyncio.sleep(0.005)

    def pending(self, account: str, event: str) -> int:
        """To how many endpoints an event is still to be delivered."""
        row = self._store.db.execute(
            "SELECT count(*) FROM stripe_delivery WHERE account = ? AND event = ? AND state <> 'done'",
            (account, event),
        ).fetchone()
        return int(row[0])

    async def close(self) -> None:
        pumps = tuple(self._pumps.values())
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        self._pumps.clear()

    def _untried(self, account: str) -> bool:
        return bool(self._store.db.execute(
            "SELECT 1 FROM stripe_delivery WHERE account = ? AND state = 'waiting' AND attempts = 0 AND next_at <= ?",
            (account, time.time()),
        ).fetchone())  # fmt: skip

    def _next(self, account: str, limit: int = 1) -> list[Any]:
        return self._store.db.execute(
            "SELECT * FROM stripe_delivery WHERE account = ? AND state = 'waiting' ORDER BY next_at, id LIMIT ?",
            (account, limit),
        ).fetchall()

    async def _pump(self, account: str) -> None:
        woken = self._woken[account]
        while True:
            woken.clear()
            settings = self._store.get(account, SETTINGS) or {}
            rows = self._next(account, settings.get("parallel", 1))
            if not rows:
                return
            now = time.time()
            due = [row for row in rows if row["next_at"] <= now]
            if due:
                await asyncio.gather(*(self._deliver(row) for row in due))
            else:
                try:
                    async with asyncio.timeout(rows[0]["next_at"] - now):
                        await woken.wait()
                except TimeoutError:
                    pass

    async def _deliver(self, row: Any) -> None:
        event = self._store.get(row["account"], row["event"])
        endpoint = self._store.get(row["account"], row["endpoint"])
        if event is None or endpoint is None or endpoint["status"] != "enabled":
            self._mark(row, "done", None)
            return
        shown = public(event) | {"pending_webhooks": max(1, self.pending(row["account"], row["event"]))}
        body = json.dumps(shown, indent=2).encode()
        marks = set(json.loads(row["marks"])) if row["attempts"] == 0 else set()
        headers = {"Stripe-Signature": _signature(body, endpoint, marks), "User-Agent": "Stripe/1.0"}
        status = await self._courier.post(endpoint["url"], body, headers)
        if status is not None and 200 <= status < 300:
            self._mark(row, "done", status)
            return
        attempts = row["attempts"] + 1
        if attempts >= ATTEMPTS:
            logger.warning("an event was not taken after %d attempts", attempts)
            self._mark(row, "failed", status)
            return
        pause = min(self._pace.webhook_retry_seconds * 2 ** (attempts - 1), _LONGEST_WAIT_SECONDS)
        self._store.db.execute(
            "UPDATE stripe_delivery SET attempts = ?, next_at = ?, status = ? WHERE id = ?",
            (attempts, time.time() + pause, status, row["id"]),
        )

    def _mark(self, row: Any, state: str, status: int | None) -> None:
        self._store.db.execute(
            "UPDATE stripe_delivery SET state = ?, attempts = attempts + 1, status = ? WHERE id = ?",
            (state, status, row["id"]),
        )


def _signature(body: bytes, endpoint: Obj, marks: set[str]) -> str:
    """As the faults of the first attempt will have it: later ones are what they should be."""
    now = int(time.time())
    names = [endpoint["_secret"]]
    old = endpoint.get("_old_secret")
    if old and endpoint["_old_until"] > now:
        names.insert(0, old)
    if "webhook-rolled" in marks:
        names.insert(0, signing.new_secret())
    if "webhook-forged" in marks:
        names = [signing.new_secret()]
    return signing.header(body, names, now - (signing.STALE_SECONDS if "webhook-stale" in marks else 0))
