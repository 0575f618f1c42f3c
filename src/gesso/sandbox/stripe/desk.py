"""One operation in one account: reading and writing its objects, its time, and the events it leaves behind."""

import json
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from gesso.sandbox.faults import Faults
from gesso.sandbox.stripe.errors import StripeError, invalid, missing
from gesso.sandbox.stripe.store import Obj, Store, new_id

VERSION = "2026-10-28.endive"
SETTINGS = "_settings"
_SPREAD_SECONDS = 1.0


@dataclass
class Desk:
    """`base` is the face's address as clients know it, `settle_seconds` how long a bank debit takes by the wall clock.

    Everything happens inside `open()`; what it raised is undone, unless it is a refusal that is `kept`.
    """

    store: Store
    account: str
    base: str
    settle_seconds: float = 0.0
    faults: Faults = field(default_factory=Faults)
    request_id: str | None = None
    idempotency_key: str | None = None
    _told: list[Obj] = field(default_factory=list)

    @contextmanager
    def open(self) -> Iterator["Desk"]:
        """The transaction. Events go out when it has ended."""
        refusal: StripeError | None = None
        with self.store.transaction():
            try:
                yield self
            except StripeError as error:
                if not error.kept:
                    raise
                refusal = error
            self._post()
        if refusal is not None:
            raise refusal

    def seek(self, name: str | None, kind: str) -> Obj | None:
        """An object of this kind, or None."""
        obj = self.store.get(self.account, name) if name else None
        return obj if obj is not None and obj["object"] == kind else None

    def get(self, name: str, kind: str, param: str | None = None) -> Obj:
        """As `seek`. Raises StripeError: 404, or 400 when a parameter named it."""
        obj = self.seek(name, kind)
        if obj is None:
            raise missing(kind.rpartition(".")[2], name, param)
        return obj

    def find(self, kind: str, **fields: Any) -> list[Obj]:
        """Objects of this kind with these values, newest first."""
        return self.store.find(self.account, kind, **fields)

    def save(self, obj: Obj) -> Obj:
        self.store.put(self.account, obj)
        return obj

    def remove(self, obj: Obj) -> None:
        self.store.delete(self.account, obj["id"])

    def settings(self) -> Obj:
        """How the account is set up: standing faults, what ends failed payments, parallel deliveries, its clock."""
        return self.store.get(self.account, SETTINGS) or {
            "id": SETTINGS, "object": SETTINGS, "faults": [], "parallel": 1, "dunning": "cancel", "clock": None
        }  # fmt: skip

    def now(self, clock: str | None) -> int:
        """The time, in unix seconds, of objects on this test clock; without one the wall clock's."""
        if clock and (held := self.seek(clock, "test_helpers.test_clock")):
            return int(held["_at"])
        return int(time.time())

    def tell(self, kind: str, obj: Obj, previous: Obj | None = None) -> None:
        """An event about the object as it is now. `previous`: what its changed fields were."""
        data: Obj = {"object": json.loads(json.dumps(public(obj)))}
        if previous:
            data["previous_attributes"] = previous
        self._told.append({
            "id": new_id("evt"), "object": "event", "api_version": VERSION,
            "created": self.now(obj.get("_clock", obj.get("test_clock"))), "data": data, "livemode": False,
            "request": {"id": self.request_id, "idempotency_key": self.idempotency_key}, "type": kind,
        })  # fmt: skip

    def changed(self, kind: str, before: Obj, after: Obj) -> None:
        """An event with what differs, saved with the object; nothing when nothing does."""
        self.save(after)
        old, new = public(before), public(after)
        previous = {name: old.get(name) for name in new if old.get(name) != new.get(name)}
        if previous:
            self.tell(kind, after, previous)

    def _post(self) -> None:
        """Write the events down, and to whom they go, in the ways the faults ask for."""
        told, self._told = self._told, []
        endpoints = [e for e in self.store.find(self.account, "webhook_endpoint") if e["status"] == "enabled"]
        settings = self.settings()
        standing = Faults.from_json(settings["faults"])
        letters = []
        for event in told:
            marks = [f for f in (*self.faults, *standing) if f.name.startswith("webhook-")]
            names = {fault.name for fault in marks}
            twins = [event, event | {"id": new_id("evt")}] if "webhook-twin" in names else [event]
            for one in twins:
                self.save(one)
                for endpoint in endpoints:
                    if "*" in endpoint["enabled_events"] or one["type"] in endpoint["enabled_events"]:
                        letters += [(one["id"], endpoint["id"], marks)] * (2 if "webhook-duplicate" in names else 1)
            standing = _worn(standing)
        if told and standing.to_json() != settings["faults"]:
            self.save(settings | {"faults": standing.to_json()})
        if any(fault.name == "webhook-reversed" for _, _, marks in letters for fault in marks):
            letters.reverse()
        for event_id, endpoint_id, marks in letters:
            wait = sum(_wait(fault.name, fault.argument) for fault in marks)
            lost = any(fault.name == "webhook-never" for fault in marks)
            self.store.db.execute(
                "INSERT INTO stripe_delivery (account, event, endpoint, next_at, state, marks)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (self.account, event_id, endpoint_id, time.time() + wait, "lost" if lost else "waiting",
                 json.dumps([fault.name for fault in marks])),
            )  # fmt: skip


def _worn(faults: Faults) -> Faults:
    """Standing faults after one event: those with `*times` strike once less."""
    left = [replace(fault, times=None if fault.times is None else fault.times - 1) for fault in faults]
    return Faults(fault for fault in left if fault.times is None or fault.times > 0)


def _wait(name: str, argument: str | None) -> float:
    if name == "webhook-late":
        return float(argument or 1.0)
    if name == "webhook-shuffled":
        return random.uniform(0, float(argument or _SPREAD_SECONDS))  # noqa: S311
    return 0.0


def public(value: Any) -> Any:
    """An object without the sandbox's own fields."""
    if isinstance(value, dict):
        return {name: public(inner) for name, inner in value.items() if not name.startswith("_")}
    return [public(inner) for inner in value] if isinstance(value, list) else value


def required(params: Obj, *names: str) -> None:
    """Raises StripeError unless one of the parameters is there."""
    if not any(params.get(name) is not None for name in names):
        said = f"Missing required param: {names[0]}." if len(names) == 1 else f"Must provide {' or '.join(names)}."
        raise invalid(said, names[0], "parameter_missing")
