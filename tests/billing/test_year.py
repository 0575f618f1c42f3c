"""A year of four customers on Stripe's test clock. Every notice is told twice, in any order and side by side, old ones
again among them. After each step all that can be spent, and all that is owed, is to the microcredit what a model says
that knows of no notices: only of what people did and what the calendar does (`tests.billing.model`)."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from gesso.accounts.access import Actor
from gesso.billing.facts import Interval
from gesso.billing.tasks import end_overdue
from gesso.core.clock import FixedClock
from gesso.core.errors import OutOfCredits
from gesso.core.ids import new_id
from gesso.core.money import MICRO, OutputAsk
from gesso.credits import service as credits
from gesso.db import Database
from tests.billing.model import Model, Pile, next_renewal
from tests.billing.shop import FAILS_LATER, GOOD, Shop
from tests.billing.test_stripe_plans import Overdue
from tests.catalog.helpers import studio_catalog

OFFERS = {"free": {"credit": 10 * MICRO}, "starter": {"credit": 150 * MICRO}, "pro": {"credit": 600 * MICRO}}
CENTS = {("starter", "month"): 999, ("pro", "month"): 2999, ("pro", "year"): 29990}
PACKS = {"credits-50": (50 * MICRO, 499), "credits-250": (250 * MICRO, 1999)}
SETTLED = timedelta(hours=2)
"""Stripe draws a renewal an hour after the period has begun."""


def at(month: int, day: int, hour: int = 10, year: int = 2027) -> datetime:
    return datetime(year, month, day, hour, tzinfo=UTC)


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
    packs: list[tuple[Any, Pile, int]] = field(default_factory=list)
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
        self.packs.append((purchase, pile, amount))
        self.cents += cents

    def back(self, pile: Pile, amount: int) -> None:
        """So much of a pile is taken back: what is left of it, the rest is owed."""
        taken = min(pile.left, amount)
        pile.left -= taken
        self.debt += amount - taken

    def month_back(self, now: datetime) -> None:
        """The payment of a month went back as a whole."""
        for pile in [one for one in self.book.piles if one.monthly and one.end is not None and one.end > now]:
            self.back(pile, self.whole[id(pile)])
        self.book.change(self.book.plan, now, None, now)


Deed = Callable[[], Awaitable[None]]


@dataclass
class Year:
    """The shop and its customers."""

    shop: Shop
    source: random.Random = field(default_factory=lambda: random.Random(2027))  # always the same disorder
    people: dict[str, Customer] = field(default_factory=dict)
    told: list[dict[str, Any]] = field(default_factory=list)
    notices: int = 0

    @property
    def now(self) -> datetime:
        return self.shop.clock.now()

    async def arrives(self, name: str) -> None:
        actor = await self.shop.person()
        book = Model(OFFERS, {"free"}, "free", self.now, month_end=next_renewal(self.now, self.now))
        book.piles = [Pile("credit", 25 * MICRO, None, monthly=False)]
        self.people[name] = Customer(actor, book)

    async def subscribes(self, name: str, plan: str, interval: Interval = "month", card: str = GOOD) -> None:
        one = self.people[name]
        await self.shop.subscribe(one.actor, plan, interval, card)
        one.interval, one.broke = interval, card != GOOD
        one.paid(plan, self.now, self.now)

    async def moves(self, name: str, plan: str) -> None:
        """Upwards at once for what is left of the period, downwards with the next one."""
        one = self.people[name]
        wanted = self.shop.catalog.plan(plan)
        seen = await self.shop.payments.preview(one.actor.workspace_id, wanted, one.interval)
        await self.shop.payments.change_plan(one.actor.workspace_id, wanted, one.interval, seen.moment)
        if CENTS[plan, one.interval] < CENTS[one.book.plan, one.interval]:
            one.then = plan
            return
        assert one.ends is not None
        start = max(day for day in _renewals(one.book.anchor, self.now))
        share = (one.ends - self.now) / (one.ends - start)
        one.cents += round(CENTS[plan, one.interval] * share) - round(CENTS[one.book.plan, one.interval] * share)
        one.book.change(plan, self.now, None, one.ends)

    async def cancels(self, name: str) -> None:
        await self.shop.payments.cancel(self.people[name].actor.workspace_id)
        self.people[name].then = ""

    async def resumes(self, name: str) -> None:
        await self.shop.payments.resume(self.people[name].actor.workspace_id)
        self.people[name].then = None

    async def given_up(self, name: str) -> None:
        """The grace is over."""
        await end_overdue(Overdue(self.shop))
        self.people[name].free(self.now)

    async def buys(self, name: str, pack: str) -> None:
        one = self.people[name]
        one.bought(await self.shop.buy(one.actor, pack), pack)

    async def pack_refunded(self, name: str, number: int, cents: int) -> None:
        """The shop's owner gives money back for a pack."""
        one = self.people[name]
        purchase, pile, amount = one.packs[number]
        await self.shop.post("refunds", payment_intent=(await self.shop.purchase(purchase)).payment_ref, amount=cents)
        price = next(price for credits_, price in PACKS.values() if credits_ == amount)
        one.back(pile, amount * cents // price)

    async def month_refunded(self, name: str) -> None:
        one = self.people[name]
        rows = await self.shop.rows(
            "SELECT payment_ref FROM invoice WHERE workspace_id = $1 AND payment_ref IS NOT NULL"
            " AND subscription_ref IS NOT NULL ORDER BY issued_at DESC, read_mark DESC LIMIT 1",
            one.actor.workspace_id,
        )
        await self.shop.post("refunds", payment_intent=rows[0][0])
        one.month_back(self.now)

    async def spends(self, name: str, amount: int) -> None:
        """One picture of that price, if there is enough for it."""
        one, hold_id = self.people[name], new_id()
        could = one.book.spend("image", 1, amount, self.now)
        async with self.shop.db.workspace(one.actor.workspace_id, one.actor.user_id) as tx:
            try:
                await credits.hold(
                    tx, hold_id=hold_id, subject_id=new_id(), asks=[OutputAsk(amount)],
                    expires_at=self.now + timedelta(hours=1), now=self.now,
                )  # fmt: skip
                await credits.capture(tx, hold_id, 0, now=self.now)
                did = True
            except OutOfCredits:
                did = False
        assert did == could, (name, self.now)

    # --- time --------------------------------------------------------------------------------------------

    async def until(self, moment: datetime) -> None:
        """Go there, by every renewal on the way."""
        while True:
            due = [one.ends + SETTLED for one in self.people.values() if one.ends is not None]
            step = min([moment, *due])
            if step > self.now:
                await self.shop.travel(step)
                for one in self.people.values():
                    one.book.clock(self.now)
                    if one.ends is not None and one.ends + SETTLED <= self.now:
                        one.renews(self.now)
                await self.settle()
            if step >= moment:
                return

    async def settle(self) -> None:
        """All that is new is told, in disorder; then the books are compared, and everybody spends a little."""
        for _ in range(2):
            news = await self.shop.news()
            letters = news * 2 + self.source.sample(self.told, min(3, len(self.told)))
            self.source.shuffle(letters)
            for start in range(0, len(letters), 4):
                said = await asyncio.gather(*(self.shop.tell(event) for event in letters[start : start + 4]))
                assert "failed" not in said
            self.told += news
            self.notices += len(letters)
        await self.compare()
        for name, one in self.people.items():
            one.note()
            await self.spends(name, self.source.randint(1, 30 * MICRO))
        await self.compare()

    async def compare(self) -> None:
        for name, one in self.people.items():
            one.note()
            found = await self.shop.balances(one.actor)
            plan = await self.shop.plan(one.actor)
            assert (plan, found.balance, found.debt) == (one.book.plan, one.left(self.now), one.debt), (name, self.now)


def _renewals(anchor: datetime, now: datetime) -> list[datetime]:
    """The starts of all periods up to now."""
    found = [anchor]
    while (following := next_renewal(anchor, found[-1])) <= now:
        found.append(following)
    return found


async def test_a_year_of_four_customers(fresh_db: Database, sandbox: str) -> None:
    shop = Shop(fresh_db, await studio_catalog(fresh_db), FixedClock(at(1, 31)), sandbox)
    await shop.start_clock()
    year = Year(shop)
    deeds: list[tuple[datetime, Deed]] = [
        (at(1, 31, 11), lambda: year.subscribes("ada", "starter")),
        (at(2, 10), lambda: year.subscribes("bea", "pro", "year")),
        (at(3, 5), lambda: year.subscribes("cyd", "starter", card=FAILS_LATER)),
        (at(3, 20), lambda: year.buys("dan", "credits-50")),
        (at(4, 14), lambda: year.moves("ada", "pro")),
        (at(4, 16), lambda: year.given_up("cyd")),
        (at(5, 12), lambda: year.buys("bea", "credits-250")),
        (at(5, 13), lambda: year.pack_refunded("bea", 0, 700)),
        (at(6, 20), lambda: year.subscribes("cyd", "pro")),
        (at(7, 3), lambda: year.moves("ada", "starter")),
        (at(7, 24), lambda: year.pack_refunded("dan", 0, 499)),
        (at(8, 2), lambda: year.month_refunded("cyd")),
        (at(8, 9), lambda: year.buys("dan", "credits-250")),
        (at(10, 5), lambda: year.cancels("ada")),
        (at(10, 20), lambda: year.resumes("ada")),
        (at(11, 10), lambda: year.cancels("ada")),
        (at(11, 25), lambda: year.cancels("bea")),
        (at(2, 1, year=2028), lambda: year.cancels("cyd")),
    ]  # fmt: skip
    for name in ("ada", "bea", "cyd", "dan"):
        await year.arrives(name)
    for moment, deed in deeds:
        await year.until(moment)
        await deed()
        await year.settle()
    await year.until(at(3, 1, year=2028))
    assert [one.book.plan for one in year.people.values()] == ["free"] * 4
    owing = [name for name, one in year.people.items() if one.debt]
    assert owing == ["cyd"], "dan's next pack repaid what he owed; cyd bought none"
    assert year.notices > 400
    booked = (await shop.http.get(f"{sandbox}/stripe/_control/ledger")).json()["payments"]
    assert abs(sum(row["amount"] for row in booked) - sum(one.cents for one in year.people.values())) <= 1
    async with fresh_db.elevated("test: verify") as tx:
        assert await credits.verify(tx) == ()
    await shop.http.aclose()
