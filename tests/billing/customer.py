"""Somebody at the till by the model: what they should have, what they should have paid, and what they should owe."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gesso.accounts.access import Actor
from gesso.billing.facts import Interval
from gesso.core.money import MICRO
from tests.billing.model import Model, Pile, next_renewal

CENTS = {("starter", "month"): 999, ("pro", "month"): 2999, ("pro", "year"): 29990}
PACKS = {"credits-50": (50 * MICRO, 499), "credits-250": (250 * MICRO, 1999)}


@dataclass
class Pack:
    """A pack that was bought: the product's name for the purchase, and how much of it has been taken back."""

    purchase: Any
    pile: Pile
    amount: int
    cents: int
    back: int = 0


@dataclass
class Dispute:
    """A payment that is disputed: for a pack, or for the month of a plan that these piles are of."""

    ref: str
    pack: Pack | None
    piles: list[Pile]


@dataclass
class Customer:
    """Somebody, what they should have, and what they should have paid, by the model."""

    actor: Actor
    book: Model
    interval: Interval = "month"
    ends: datetime | None = None
    """When the paid period ends; None without a subscription."""
    then: str | None = None
    """What it becomes then: another plan, "" for none."""
    broke: bool = False
    """Whether the card fails from now on."""
    debt: int = 0
    cents: int = 0
    packs: list[Pack] = field(default_factory=list)
    disputes: list[Dispute] = field(default_factory=list)
    """Those that are undecided."""
    whole: dict[int, int] = field(default_factory=dict)
    """What each pile began with."""

    def note(self) -> None:
        """Remember the size of new piles, before anything is taken from them."""
        for pile in self.book.piles:
            self.whole.setdefault(id(pile), pile.left)

    def left(self, now: datetime) -> int:
        return self.book.left("credit", now)

    def paid(self, plan: str, now: datetime, anchor: datetime | None) -> None:
        """A period of a plan has been paid."""
        start = anchor or self.book.anchor
        self.ends = next_renewal(start, now)
        if self.interval == "year":
            self.ends = start.replace(year=start.year + 1)
        self.cents += CENTS[plan, self.interval]
        self.book.change(plan, now, anchor, self.ends)

    def renews(self, now: datetime) -> None:
        """The period is over, and Stripe has tried to draw the next."""
        if self.then == "":
            self.free(now)
        elif not self.broke:
            plan, self.then = self.then or self.book.plan, None
            self.paid(plan, now, None)
        else:
            self.ends = None

    def free(self, now: datetime) -> None:
        self.book.change("free", now, None, None)
        self.ends = self.then = None

    def bought(self, purchase: Any, pack: str) -> None:
        """A purchase repays what is owed first."""
        amount, cents = PACKS[pack]
        repaid = min(self.debt, amount)
        self.debt -= repaid
        pile = Pile("credit", amount - repaid, None, monthly=False)
        self.book.piles.append(pile)
        self.packs.append(Pack(purchase, pile, amount, cents))
        self.cents += cents

    def pack_back(self, pack: Pack, amount: int) -> None:
        """So much of a pack has gone back by now."""
        self.back(pack.pile, amount - pack.back)
        pack.back = amount

    def back(self, pile: Pile, amount: int) -> None:
        """So much of a pile is taken back: what is left of it, the rest is owed."""
        taken = min(pile.left, amount)
        pile.left -= taken
        self.debt += amount - taken

    def month(self, now: datetime) -> list[Pile]:
        """What the month under way has given."""
        return [pile for pile in self.book.piles if pile.monthly and pile.end is not None and pile.end > now]

    def month_back(self, now: datetime) -> None:
        """The payment of a month went back as a whole."""
        for pile in self.month(now):
            self.back(pile, self.whole[id(pile)])
        self.book.change(self.book.plan, now, None, now)

    def lost(self, dispute: Dispute, now: datetime) -> None:
        """The bank gave the money back. Of a month that is over only what was spent is left to be owed."""
        if dispute.pack is not None:
            self.pack_back(dispute.pack, dispute.pack.amount)
        elif any(pile.end is not None and pile.end > now for pile in dispute.piles):
            self.month_back(now)
        else:
            self.debt += sum(self.whole[id(pile)] - pile.left for pile in dispute.piles)
