"""What Stripe told to nobody: the site was down, the endpoint was switched off, its secret was not set.

Stripe lists its events of the last thirty days (docs.stripe.com/webhooks/process-undelivered-events). Those that never
came are taken as if they did. How far that got is kept, once all before it is done.
"""

from datetime import datetime, timedelta

import structlog

from gesso.billing import inbox, repository
from gesso.billing.inbox import Inbox
from gesso.billing.stripe.line import Line, Obj
from gesso.db import facts

log = structlog.get_logger()

KINDS = (
    "checkout.session.completed", "checkout.session.async_payment_succeeded", "checkout.session.async_payment_failed",
    "checkout.session.expired", "customer.subscription.created", "customer.subscription.updated",
    "customer.subscription.deleted", "customer.subscription.paused", "customer.subscription.resumed", "invoice.paid",
    "invoice.payment_failed", "invoice.voided", "invoice.marked_uncollectible", "charge.refunded", "refund.updated",
    "refund.failed", "charge.dispute.created", "charge.dispute.updated", "charge.dispute.closed",
)  # fmt: skip
"""At most twenty may be asked for by name."""
KEPT_FOR = timedelta(days=30)
ON_ITS_WAY = timedelta(minutes=5)
"""A younger event is not missed yet."""
OVERLAP = timedelta(hours=1)
"""Stripe's clock is not ours, and its list may lag behind."""
PAGE = 100


async def fetch(line: Line, box: Inbox) -> int:
    """Take the events that never came; how many. Raises Unavailable; the next time it begins where it began now."""
    name, until = f"payments.{box.provider}.events_until", box.clock.now() - ON_ITS_WAY
    async with box.db.elevated("billing: how far the events were read") as tx:
        known, first = await facts.read(tx, name), await repository.first_customer(tx, box.provider)
    since = datetime.fromisoformat(known.value["until"]) if known is not None else first
    if since is None:  # nothing there can be about this site
        return 0
    found, more = 0, True
    start = max(since - OVERLAP, until - KEPT_FOR)
    params: Obj = {
        "types": list(KINDS), "limit": PAGE, "created": {"gte": int(start.timestamp()), "lt": int(until.timestamp())}
    }  # fmt: skip
    while more:
        page = await line.call("events.list", params=params)
        found += await _take(box, page["data"])
        more = page["has_more"]
        if more:
            params["starting_after"] = page["data"][-1]["id"]
    async with box.db.elevated("billing: so far the events were read") as tx:
        await facts.note(tx, name, {"until": until.isoformat()})
    return found


async def _take(box: Inbox, events: list[Obj]) -> int:
    """Those of a page that never came, newest first: their order does not matter."""
    told = {event["id"]: event for event in events}
    async with box.db.elevated("billing: which events never came") as tx:
        missed = await inbox.unknown(tx, box.provider, list(told))
    for ref in missed:
        log.warning("payments.notice_missed", event_id=ref, type=told[ref]["type"])
        await box.receive(told[ref])
    return len(missed)
