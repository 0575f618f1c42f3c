"""What was paid, given back and disputed, for tests to compare with: every row once, in the order it happened."""

from gesso.sandbox.stripe.desk import Desk
from gesso.sandbox.stripe.store import Obj

_SUMS = ("paid", "refunded", "disputed")


def of(desk: Desk, customer: str | None = None) -> Obj:
    """Payments that succeeded, refunds and disputes, minor units; `by_customer` sums them, by customer and currency.

    A dispute that was won is not in the sums. Payments without a customer stand under "".
    """
    payments = [_row(c, c["customer"]) | {
        "invoice": _invoice(desk, c), "session": _session(desk, c), "amount_refunded": c["amount_refunded"],
    } for c in reversed(desk.find("charge")) if c["status"] == "succeeded"]  # fmt: skip
    refunds = [_row(r, r["_customer"]) | {"charge": r["charge"]} for r in reversed(desk.find("refund"))]
    disputes = [
        _row(d, d["_customer"]) | {"charge": d["charge"], "status": d["status"]} for d in reversed(desk.find("dispute"))
    ]
    found = {"payments": payments, "refunds": refunds, "disputes": disputes}
    if customer is not None:
        found = {name: [row for row in rows if row["customer"] == customer] for name, rows in found.items()}
    lost = [row for row in found["disputes"] if row["status"] != "won"]
    sums: dict[str, dict[str, dict[str, int]]] = {}
    for word, rows in zip(_SUMS, (found["payments"], found["refunds"], lost), strict=True):
        for row in rows:
            by_currency = sums.setdefault(row["customer"] or "", {})
            by_currency.setdefault(row["currency"], dict.fromkeys(_SUMS, 0))[word] += row["amount"]
    return found | {"by_customer": sums}


def _row(obj: Obj, customer: str | None) -> Obj:
    return {name: obj[name] for name in ("id", "amount", "currency", "created", "payment_intent")} | {
        "customer": customer
    }


def _invoice(desk: Desk, charge: Obj) -> str | None:
    payment = next(iter(desk.find("invoice_payment", _intent=charge["payment_intent"])), None)
    return payment["invoice"] if payment else None


def _session(desk: Desk, charge: Obj) -> str | None:
    intent = desk.seek(charge["payment_intent"], "payment_intent")
    return intent.get("_session") if intent else None
