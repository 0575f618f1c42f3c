"""What Billing says first when something is out of the ordinary, and the way out of it. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from gesso.billing.repository import Subscription
from gesso.billing.words import day
from gesso.web.render import credits_words
from gesso.web.wording import word


@dataclass(frozen=True, slots=True)
class Banner:
    """One thing to know. `action` are the words on its button: it sends a form to `post`, or leads to `href`."""

    kind: Literal["bad", "warn", ""]
    title: str
    text: str
    action: str = ""
    post: str = ""
    href: str = ""


def banners(
    *, live: Subscription | None, plan: str, after: str, frozen: bool, debt: int, now: datetime, sells: bool,
    packs: bool,
) -> list[Banner]:  # fmt: skip
    """The worst first. `plan`: the name of the one that runs, `after`: of the one that everybody has; `debt` in
    microcredits; `packs`: whether there are any to repay it with."""
    found = []
    if frozen:
        found.append(_frozen())
    if live is not None and live.status == "past_due":
        found.append(_unpaid(plan, after, live.grace_until, now))
    elif live is not None and live.cancel_at is not None:
        text = f"Until then everything stays as it is; then the workspace goes on with {after}."
        found.append(Banner("warn", f"{plan} ends on {day(live.cancel_at)}", text, f"Keep {plan}", "/billing/resume"))
    if debt:
        found.append(_debt(debt, buys=sells and packs))
    return found


def _frozen() -> Banner:
    return Banner(
        "bad", "A payment is disputed",
        "Nothing new can be made until the bank has decided; what you made stays. Was it a mistake? Ask the bank to "
        "withdraw it, and this ends by itself.",
    )  # fmt: skip


def _unpaid(plan: str, after: str, until: datetime | None, now: datetime) -> Banner:
    if until is not None and until > now:
        stays = f"You keep {plan} until {day(until)}; after that the workspace goes on with {after}."
    else:
        stays = f"{plan} is about to end; the workspace goes on with {after}."
    text = f"{stays} Nothing is lost: give another payment method, and it goes on."
    return Banner("bad", "Your last renewal could not be paid", text, "Change the payment method", "/billing/portal")


def _debt(debt: int, *, buys: bool) -> Banner:
    owed = credits_words(debt)
    title = f"{owed[:1].upper()}{owed[1:]} {'is' if owed.startswith('1 ') else 'are'} owed"
    text = f"A payment went back after its {word('credits')} had been spent. The next pack pays for them first."
    return Banner("warn", title, text, "Buy a pack" if buys else "", href="/pricing#packs" if buys else "")
