"""Test clocks: time that stands still until it is moved, and then passes in its true order."""

import asyncio
import logging
import time
from collections.abc import Coroutine
from typing import Any

from gesso.sandbox.stripe import form
from gesso.sandbox.stripe.cycle import happen
from gesso.sandbox.stripe.desk import Desk
from gesso.sandbox.stripe.errors import invalid
from gesso.sandbox.stripe.form import Params, group
from gesso.sandbox.stripe.mail import Mail
from gesso.sandbox.stripe.periods import DAY
from gesso.sandbox.stripe.store import Obj, Store, new_id

KIND = "test_helpers.test_clock"
CLOCK = group(frozen_time_=form.integer, name=form.text, customer=form.text, expand=form.EXPAND)
ADVANCE = group(frozen_time_=form.integer, expand=form.EXPAND)
CLOCKS = group(**form.PAGE)
_LASTS_DAYS = 30
_ADDRESS = ("", "_address")
_FURTHEST_SECONDS = 2 * 366 * DAY
_LOOK_EVERY_SECONDS = 1.0

logger = logging.getLogger("gesso.sandbox.stripe")


def create(desk: Desk, params: Params) -> Obj:
    """POST /v1/test_helpers/test_clocks; `customer`: an existing one that goes by it from now on, for good."""
    now = int(time.time())
    clock = desk.save({
        "id": new_id("clock"), "object": KIND, "created": now, "deletes_after": now + _LASTS_DAYS * DAY,
        "frozen_time": params["frozen_time"], "livemode": False, "name": params.get("name"), "status": "ready",
        "status_details": {}, "_at": params["frozen_time"],
    })  # fmt: skip
    desk.tell("test_helpers.test_clock.created", clock)
    if name := params.get("customer"):
        adopt(desk, clock, desk.get(name, "customer", "customer"))
    return clock


def adopt(desk: Desk, clock: Obj, customer: Obj) -> None:
    """The customer, and what they have, goes by the clock. Raises StripeError when they have a clock."""
    if customer["test_clock"]:
        said = f"The customer {customer['id']} is already attached to a test clock."
        raise invalid(said, "customer")
    desk.save(customer | {"test_clock": clock["id"]})
    for kind in ("subscription", "invoice", "invoiceitem", "subscription_schedule"):
        for one in desk.find(kind, customer=customer["id"]):
            desk.save(one | {"test_clock": clock["id"]})
    for kind in ("payment_intent", "charge"):
        for one in desk.find(kind, customer=customer["id"]):
            desk.save(one | {"_clock": clock["id"]})


def advance(desk: Desk, params: Params, name: str) -> Obj:
    """POST /v1/test_helpers/test_clocks/{id}/advance: answers at once; the status is `ready` when it is done."""
    clock = desk.get(name, KIND)
    target = params["frozen_time"]
    if clock["status"] == "advancing":
        raise invalid("Test clock advancement underway - cannot perform modifications.", code="test_clock_advancing")
    if target <= clock["_at"]:
        said = "The time to advance the test clock to must be after the current frozen time."
        raise invalid(said, "frozen_time")
    if target > clock["_at"] + _FURTHEST_SECONDS:
        raise invalid("The time to advance the test clock to is too far in the future.", "frozen_time")
    details = {"advancing": {"target_frozen_time": target}}
    clock |= {"status": "advancing", "status_details": details, "frozen_time": target, "_advancing": 1}
    desk.save(clock)
    desk.tell("test_helpers.test_clock.advancing", clock)
    return clock


def delete(desk: Desk, params: Params, name: str) -> Obj:
    """DELETE /v1/test_helpers/test_clocks/{id}: and the customers on it."""
    clock = desk.get(name, KIND)
    for customer in desk.find("customer"):
        if customer["test_clock"] == name:
            for kind in ("subscription", "invoice", "invoiceitem", "payment_method", "subscription_schedule"):
                for one in desk.find(kind, customer=customer["id"]):
                    desk.remove(one)
            desk.remove(customer)
    desk.remove(clock)
    if desk.settings()["clock"] == name:
        desk.save(desk.settings() | {"clock": None})
    return {"id": name, "object": KIND, "deleted": True}


class Time:
    """Lets time pass: by the wall clock once a second, by test clocks when they are advanced."""

    def __init__(self, store: Store, mail: Mail) -> None:
        self._store = store
        self._mail = mail
        self._tasks: set[asyncio.Task[None]] = set()
        self._advancing: set[tuple[str, str]] = set()
        seen = store.get(*_ADDRESS)
        self._base = seen["base"] if seen else ""

    def resume(self) -> None:
        """In the event loop: the wall clock ticks, and clocks whose advance was cut off go on."""
        self._start(self._wall())
        for account in self._store.accounts():
            for clock in self._store.find(account, KIND, _advancing=1):
                self.let_pass(account, clock["id"])

    def seen_at(self, base: str) -> None:
        """The face's address as clients know it, for the pages of invoices that are made by themselves."""
        if base != self._base:
            self._base = base
            self._store.put(_ADDRESS[0], {"id": _ADDRESS[1], "object": _ADDRESS[1], "base": base})

    def let_pass(self, account: str, name: str) -> None:
        """Advance a clock to where it was told to go, in the background."""
        if (account, name) not in self._advancing:
            self._advancing.add((account, name))
            self._start(self._advance(account, name))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _advance(self, account: str, name: str) -> None:
        """Instant by instant; each one's events have gone out before the next begins."""
        try:
            while (clock := self._store.get(account, name)) is not None and clock.get("_advancing"):
                target = clock["frozen_time"]
                found = self._store.next_due(account, name, target)
                desk = Desk(self._store, account, self._base)
                with desk.open():
                    at = max(clock["_at"], int(found[0])) if found else target
                    clock |= {"_at": at}
                    if found is None:
                        clock |= {"status": "ready", "status_details": {}, "_advancing": 0}
                    desk.save(clock)
                    if found is None:
                        desk.tell("test_helpers.test_clock.ready", clock)
                    else:
                        happen(desk, found[1])
                self._mail.wake(account)
                await self._mail.idle(account)
        except Exception:
            logger.exception("test clock %s has stopped", name)
            if (clock := self._store.get(account, name)) is not None:
                self._store.put(account, clock | {"status": "internal_failure", "_advancing": 0})
            raise
        finally:
            self._advancing.discard((account, name))

    async def _wall(self) -> None:
        while True:
            now = time.time()
            for account in self._store.accounts_due(now):
                while (found := self._store.next_due(account, "", now)) is not None:
                    self._happen(account, found[1])
                self._mail.wake(account)
            await asyncio.sleep(_LOOK_EVERY_SECONDS)

    def _happen(self, account: str, obj: Obj) -> None:
        """One thing by the wall clock; a fault of the sandbox's own stops that one thing only."""
        try:
            desk = Desk(self._store, account, self._base)
            with desk.open():
                happen(desk, obj)
        except Exception:
            logger.exception("nothing happens to %s any more", obj["id"])
            self._store.put(account, obj | {"_due": None})

    async def close(self) -> None:
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
