"""Answers: lists with their paging, and fields expanded on request."""

from collections.abc import Callable
from typing import Any

from gesso.sandbox.stripe.desk import Desk, public
from gesso.sandbox.stripe.errors import invalid, missing
from gesso.sandbox.stripe.store import Obj

_DEPTH = 4


def full_list(url: str, rows: list[Obj]) -> Obj:
    """A list object that holds everything there is."""
    return {"object": "list", "data": rows, "has_more": False, "url": url}


def paged(rows: list[Obj], params: Obj, url: str) -> Obj:
    """The page of `rows` (newest first) that `limit`, `starting_after`, `ending_before` and `created` ask for."""
    limit = params.get("limit", 10)
    if not 1 <= limit <= 100:
        said = "This value must be between 1 and 100 (inclusive)."
        raise invalid(said, "limit", "parameter_invalid_integer")
    rows = [row for row in rows if _within(row, params.get("created") or {})]
    ids = [row["id"] for row in rows]
    more = False
    if (last := params.get("starting_after")) is not None:
        rows = rows[_place(ids, last, "starting_after") + 1 :]
        more, rows = len(rows) > limit, rows[:limit]
    elif (first := params.get("ending_before")) is not None:
        rows = rows[: _place(ids, first, "ending_before")]
        more, rows = len(rows) > limit, rows[-limit:]
    else:
        more, rows = len(rows) > limit, rows[:limit]
    return {"object": "list", "data": rows, "has_more": more, "url": url}


def _place(ids: list[str], name: str, param: str) -> int:
    if name not in ids:
        raise missing("object", name, param)
    return ids.index(name)


def _within(row: Obj, bounds: Obj) -> bool:
    tests: dict[str, Callable[[int, int], bool]] = {
        "gt": lambda a, b: a > b, "gte": lambda a, b: a >= b, "lt": lambda a, b: a < b, "lte": lambda a, b: a <= b
    }  # fmt: skip
    return all(tests[name](row["created"], bound) for name, bound in bounds.items())


def answer(desk: Desk, obj: Obj, expand: list[str]) -> Obj:
    """The object as it leaves the sandbox."""
    shown: Obj = public(obj)
    for path in expand:
        parts = path.split(".")
        if len(parts) > _DEPTH:
            raise invalid(f"You cannot expand more than {_DEPTH} levels of a property.", "expand")
        _expand(desk, shown, parts, path)
    return shown


def _expand(desk: Desk, at: Any, parts: list[str], path: str) -> None:
    if at is None:
        return
    if isinstance(at, list):
        for one in at:
            _expand(desk, one, parts, path)
        return
    name, rest = parts[0], parts[1:]
    include = _INCLUDED.get((at.get("object", ""), name))
    if include is not None:
        at[name] = public(include(desk, at))
    elif name not in at:
        raise invalid(f"This property cannot be expanded ({path}).", "expand")
    elif isinstance(at[name], str):
        held = desk.store.get(desk.account, at[name])
        if held is None:
            raise invalid(f"This property cannot be expanded ({path}).", "expand")
        at[name] = public(held)
    if rest:
        _expand(desk, at[name], rest, path)


def invoice_payments(desk: Desk, invoice: Obj) -> Obj:
    """What was tried to pay an invoice, newest first."""
    rows = desk.find("invoice_payment", invoice=invoice["id"])
    return full_list(f"/v1/invoice_payments?invoice={invoice['id']}", rows)


def _line_items(desk: Desk, session: Obj) -> Obj:
    held = desk.get(session["id"], "checkout.session")
    return full_list(f"/v1/checkout/sessions/{session['id']}/line_items", held["_lines"])


def _refunds(desk: Desk, charge: Obj) -> Obj:
    return full_list(f"/v1/charges/{charge['id']}/refunds", desk.find("refund", charge=charge["id"]))


def _subscriptions(desk: Desk, customer: Obj) -> Obj:
    rows = [s for s in desk.find("subscription", customer=customer["id"]) if s["status"] != "canceled"]
    return full_list(f"/v1/customers/{customer['id']}/subscriptions", rows)


_INCLUDED: dict[tuple[str, str], Callable[[Desk, Obj], Obj]] = {
    ("invoice", "payments"): invoice_payments,
    ("checkout.session", "line_items"): _line_items,
    ("charge", "refunds"): _refunds,
    ("customer", "subscriptions"): _subscriptions,
}
