"""What Pricing and Billing show, as frozen values for their templates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from gesso.billing.facts import Interval
from gesso.billing.moves import Move, cents, monthly, move
from gesso.billing.repository import Invoice, Purchase, Subscription
from gesso.billing.words import day, money
from gesso.catalog import pricing
from gesso.catalog.costs import counted
from gesso.catalog.items import Model, Pack, Plan
from gesso.catalog.registry import Catalog
from gesso.core.money import MICRO
from gesso.credits.types import CREDIT, Balances
from gesso.web.render import credits_text, credits_words
from gesso.web.wording import title, unit_words, word


@dataclass(frozen=True, slots=True)
class Offer:
    """A plan on a card. `action`: the words on its button ("": it has none), and `href` or `post` where that leads;
    `mine`: the plan one is on. `ticks` are what it gives (True) and what it lacks.
    """

    key: str
    name: str
    text: str
    price: str
    period: str
    ticks: Sequence[tuple[str, bool]]
    mine: bool
    best: bool
    action: str
    href: str = ""
    post: bool = False


@dataclass(frozen=True, slots=True)
class Looker:
    """Who looks at the plans. `on`: the plan they are on, None for a stranger; `live`: the subscription that runs.

    `sells`: whether anything is sold on the site, `buys`: whether to them; `left`: the plan or pack whose checkout they
    have just left unpaid.
    """

    on: str | None = None
    live: Subscription | None = None
    sells: bool = True
    buys: bool = True
    left: str = ""


@dataclass(frozen=True, slots=True)
class PackCard:
    """A pack: "50 credits", "10.0 ¢ each", "$4.99"."""

    key: str
    name: str
    each: str
    price: str


@dataclass(frozen=True, slots=True)
class Unpaid:
    """What somebody was about to buy: "Pro, $29.99 a month", and where a form with its key in `field` buys it."""

    words: str
    post: str
    field: str


@dataclass(frozen=True, slots=True)
class Work:
    """A line of what credits buy."""

    name: str
    credits: str
    seconds: int


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """A line of the history. `state` is a word and the colour of its badge."""

    what: str
    number: str
    total: str
    state: tuple[str, str]
    when: datetime
    url: str | None
    pdf: str | None


_REASONS = {
    "subscription_create": "First payment", "subscription_cycle": "Renewal", "subscription_update": "Change of plan",
}  # fmt: skip
_STATES = {
    "paid": ("Paid", "ok"), "open": ("Not paid yet", "warn"), "uncollectible": ("Not paid", "bad"),
    "void": ("Taken back", ""),
}  # fmt: skip


def offers(catalog: Catalog, interval: Interval, looker: Looker) -> list[Offer]:
    """The plans as cards."""
    plans = [plan for plan in catalog.plans() if plan.free or cents(plan, interval) is not None]
    dearest = max(plans, key=monthly, default=None)
    return [_offer(plan, catalog, interval, looker, best=plan is dearest and not plan.free) for plan in plans]


def _offer(plan: Plan, catalog: Catalog, interval: Interval, looker: Looker, *, best: bool) -> Offer:
    mine = plan.key == looker.on and (plan.free or looker.live is None or looker.live.interval == interval)
    action, href, post = ("Your plan", "", False) if mine else _action(plan, catalog, interval, looker)
    return Offer(
        key=plan.key, name=plan.name, text=plan.description,
        price=money(cents(plan, interval) or 0, plan.currency), period="for good" if plan.free else f"a {interval}",
        ticks=ticks(plan, catalog), mine=mine, best=best and not mine, action=action, href=href, post=post,
    )  # fmt: skip


def _action(plan: Plan, catalog: Catalog, interval: Interval, looker: Looker) -> tuple[str, str, bool]:
    """Words, address, and whether the button sends a form. No address and no form: it cannot be pressed."""
    live = looker.live
    if looker.on is None:
        back = "/pricing" if interval == "month" else f"/pricing?interval={interval}"
        return (
            ("Start free", "/signup", False)
            if plan.free
            else (f"Start with {plan.name}", f"/signup?next={back}", False)
        )
    if not looker.sells:
        return "Set by the operator", "", False
    if not looker.buys:
        return "", "", False
    if live is None:
        return ("The plan without a card", "", False) if plan.free else (f"Move to {plan.name}", "", True)
    if plan.free:
        return "Cancel to return here", "/billing/cancel", False
    found: Move = move(catalog.plan(live.plan_key), live.interval, plan, interval)
    if live.next_plan_key == plan.key and live.next_interval == interval:
        return "Yours from the next period", "", False
    if live.next_plan_key is not None:
        return f"Keep {catalog.plan(live.plan_key).name} first", "/billing", False
    if found == "later":
        return "After what is paid for", "", False
    return f"Move to {plan.name}", f"/billing/change?plan={plan.key}&interval={interval}", False


def ticks(plan: Plan, catalog: Catalog) -> list[tuple[str, bool]]:
    """What a plan gives, and what it lacks that another has."""
    others = catalog.plans()
    makers = len((*catalog.models("image"), *catalog.models("video")))
    found = [
        *((f"{_amount(unit, amount)} to start with", True) for unit, amount in _units(plan.signup_grants)),
        *((f"{_amount(unit, amount)} a month", True) for unit, amount in _units(plan.monthly_grants)),
        (_models(len(plan.models), makers), True),
        (f"Up to {unit_words('image', plan.max_count)} at once", True),
        (f"{plan.parallel} requests side by side" if plan.parallel > 1 else "One request at a time", True),
    ]
    if any(one.queue_priority != plan.queue_priority for one in others):
        found.append((_queue(plan, others), plan.queue_priority > min(one.queue_priority for one in others)))
    if any(one.watermark for one in others):
        found.append(("Small watermark" if plan.watermark else "No watermark", True))
    if any(one.retention_days for one in others):
        found.append((f"Kept for {plan.retention_days} days" if plan.retention_days else "Kept for good", True))
    if not all(one.advanced for one in others):
        found.append(("Advanced options", plan.advanced))
    if "own-keys" in catalog.edition.modules and any(one.own_keys for one in others):
        found.append(("Your own provider keys", plan.own_keys))
    return found


def _models(some: int, makers: int) -> str:
    if some:
        return f"{some} of {makers} models"
    return f"All {makers} models" if makers > 2 else "Both models" if makers == 2 else "Every model"


def _queue(plan: Plan, others: Sequence[Plan]) -> str:
    first = max(one.queue_priority for one in others)
    least = min(one.queue_priority for one in others)
    if plan.queue_priority == first:
        return "First in the queue"
    return "Ahead in the queue" if plan.queue_priority > least else "Priority in the queue"


def _units(grants: Mapping[str, int]) -> list[tuple[str, int]]:
    return [(unit, amount) for unit, amount in grants.items() if amount]


def _amount(unit: str, amount: int) -> str:
    return credits_words(amount) if unit == CREDIT else unit_words(unit, amount)


def left_words(balances: Balances, catalog: Catalog, plan_key: str) -> str:
    """What there is: "12 credits · 3 pictures"; credits first, unless nobody here has any."""
    parts = [unit_words(unit, uses) for unit, uses in balances.allowances.items() if uses]
    if catalog.credited or balances.balance:
        parts.insert(0, credits_words(balances.balance))
    return " · ".join(parts) or unit_words(counted(catalog.plan(plan_key), credited=False), 0)


def unpaid(plans: Sequence[Offer], cards: Sequence[PackCard], looker: Looker) -> Unpaid | None:
    """What was left unpaid at a checkout; None for nothing, or nothing that can be bought here."""
    if plan := next((one for one in plans if one.post and one.key == looker.left), None):
        return Unpaid(f"{plan.name}, {plan.price} {plan.period}", "/billing/subscribe", "plan")
    if looker.buys and (pack := next((one for one in cards if one.key == looker.left), None)):
        return Unpaid(f"{pack.name}, {pack.price}", "/billing/packs", "pack")
    return None


def grant_words(amounts: Mapping[str, int]) -> str:
    """What the next month gives: "150 credits more", "50 pictures and 5 videos more"."""
    return " and ".join(_amount(unit, amount) for unit, amount in _units(amounts)) + " more"


def packs(found: Sequence[Pack]) -> list[PackCard]:
    """The packs as cards."""
    return [
        PackCard(pack.key, credits_words(pack.credits), _each(pack), money(pack.price_cents, pack.currency))
        for pack in found
    ]


def _each(pack: Pack) -> str:
    each = pack.price_cents * MICRO / pack.credits
    return f"{each:.1f} ¢ each" if pack.currency in ("usd", "eur") else f"for each {word('credit')} {each / 100:.3f}"


def work(catalog: Catalog) -> list[tuple[str, list[Work]]]:
    """What one output of each model usually costs, and how long it takes, under the name of what they make."""
    kinds = (
        (title("pictures"), catalog.models("image")),
        ("Videos", catalog.models("video")),
        ("Prompts", catalog.models("chat")),
    )
    return [
        (name, [Work(model.name, _takes(model, catalog), model.typical_seconds) for model in models])
        for name, models in kinds
        if models
    ]


def _takes(model: Model, catalog: Catalog) -> str:
    """A figure in credits; in words where uses of a plan pay. What a text model writes here are prompts."""
    if catalog.credited:
        return credits_text(pricing.usual_price(model).credits)
    return unit_words("prompt" if model.kind == "chat" else model.kind, 1)


def invoice_line(row: Invoice) -> InvoiceLine:
    """A line of the history in words."""
    state = _STATES.get(row.status, (row.status, ""))
    if row.refunded_cents:
        whole = row.refunded_cents >= row.total_cents
        state = ("Refunded", "") if whole else (f"{money(row.refunded_cents, row.currency)} refunded", "")
    return InvoiceLine(
        what=_REASONS.get(row.reason, "Purchase"), number=row.number or "", state=state,
        total=money(row.total_cents, row.currency), when=row.issued_at, url=row.hosted_url, pdf=row.pdf_url,
    )  # fmt: skip


def standing(live: Subscription | None, catalog: Catalog) -> Mapping[str, str]:
    """How the subscription stands, in words: what it costs, and what comes next."""
    if live is None:
        return {"price": "", "next": ""}
    price = f"{money(live.price_cents, live.currency)} a {live.interval}"
    if live.cancel_at is not None:
        return {"price": price, "next": f"Ends on {day(live.cancel_at)}"}
    if live.status == "past_due":
        return {"price": price, "next": "The last renewal could not be paid"}
    if live.next_plan_key is not None and live.period_end is not None:
        name = catalog.plan(live.next_plan_key).name
        return {"price": price, "next": f"Becomes {name} on {day(live.period_end)}"}
    return {"price": price, "next": f"Renews on {day(live.period_end)}" if live.period_end else ""}


def checkout(found: Purchase | Subscription, catalog: Catalog) -> Mapping[str, str]:
    """How a checkout stands: `state` waiting, done or gone, and a heading and a sentence for it."""
    if isinstance(found, Purchase):
        amount = credits_words(found.credits)
        if found.state == "expired":
            return {"state": "gone", "title": "Nothing was paid", "text": "The checkout has run out. Nothing changed."}
        if found.lot_id is not None:
            return {"state": "done", "title": f"{amount} are yours", "text": "They never expire."}
        return {"state": "waiting", "title": "Waiting for the payment", "text": f"{amount} arrive here by themselves."}
    name = catalog.plan(found.plan_key).name
    if found.running and found.paid_until is not None:
        text = f"Renews on {day(found.period_end)}." if found.period_end else ""
        return {"state": "done", "title": f"You are on {name}", "text": f"What it gives this month is here. {text}"}
    if found.ended_at is not None:
        return {"state": "gone", "title": "Nothing was paid", "text": "The checkout has run out. Nothing changed."}
    return {"state": "waiting", "title": "Waiting for the payment", "text": f"{name} begins here by itself."}
