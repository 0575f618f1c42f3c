"""The foot of the composer: what it costs, what there is, and how to go on without enough. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from gesso.core.money import Price
from gesso.web.render import credits_words
from gesso.web.wording import unit_words


@dataclass(frozen=True, slots=True)
class PromptTool:
    """A helper at the prompt: "improve" or "describe", and what one use costs, in words; "" when it is free."""

    kind: str
    price: str


@dataclass(frozen=True, slots=True)
class Support:
    """Who to ask: an address and how to call it."""

    href: str
    words: str


@dataclass(frozen=True, slots=True)
class Quote:
    """The foot of the composer. Without `price` there is none to name (something in the form is wrong).

    `own_key`: the provider whose key of one's own this runs on, when nothing else covers it; `own_way`: what to do, at
    `own_href`, so that it could. `by_plan`: a use of the plan pays for an output, or would where none is left.
    `missing` is empty unless what there is does not cover the price: a sentence. Ways on: `grant` comes at `grant_at`;
    `upgrade` and `pack` are sold at `plans_href` and `packs_href`. `locked`: the plan does not have the model, which
    says the same of its ways. `tools` are the helpers at the prompt.
    """

    price: str = ""
    balance: str = ""
    after: str = ""
    seconds: int = 0
    missing: str = ""
    grant: str = ""
    grant_at: datetime | None = None
    upgrade: str = ""
    plans_href: str = ""
    pack: str = ""
    packs_href: str = ""
    locked: str = ""
    support: Support | None = None
    tools: tuple[PromptTool, ...] = ()
    by_plan: bool = False
    own_key: str = ""
    own_way: str = ""
    own_href: str = ""


def short_words(missing: int, price: Price, kind: str, allowances: Mapping[str, int], granted: int) -> str:
    """What is lacking, in a sentence: uses of the plan where it gives some of this kind, else credits.

    `granted` is how many uses of this kind a month of the plan gives.
    """
    if not granted or price.credits > missing:
        return f"{credits_words(missing)} short."
    return few_words(kind, allowances, granted)


def few_words(kind: str, allowances: Mapping[str, int], granted: int) -> str:
    """ "Only 2 pictures left this month.", "No pictures left."; `granted` as for `short_words`."""
    left, when = allowances.get(kind, 0), " this month" if granted else ""
    return f"Only {unit_words(kind, left)} left{when}." if left else f"No {unit_words(kind, 0)[2:]} left{when}."


def owned_words(balance: int, kind: str, allowances: Mapping[str, int], *, credited: bool = True) -> str:
    """What there is for something of this kind: "12 pictures and 3 credits", "3 credits". Without `credited` there are
    no credits to come by: "0 pictures"."""
    left = allowances.get(kind, 0)
    if not left and (credited or balance):
        return credits_words(balance)
    return unit_words(kind, left) + (f" and {credits_words(balance)}" if balance else "")


def support_of(support: str | None) -> Support | None:
    """An edition's e-mail address or link for help."""
    if not support:
        return None
    return Support(support, "Get help") if "://" in support else Support(f"mailto:{support}", support)
