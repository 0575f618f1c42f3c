"""The ledger once more, in plain Python: one workspace, no database, written from semantics.md.

It keeps per lot what became of every unit (free, held, spent, expired, refunded, repaid) and asks each
question by adding up; it shares no code with the product.
"""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass
class Ask:
    credits: int
    allowance: str | None = None
    uses: int = 0


@dataclass
class Lot:
    name: str
    unit: str
    amount: int
    source: str
    scope: str | None
    expires_at: datetime | None
    born: tuple[datetime, str]
    free: int = 0
    held: int = 0
    spent: int = 0
    expired: int = 0
    refunded: int = 0  # given back out of the lot
    owed: int = 0  # refunded though it was gone
    repaid: int = 0
    claims: int = 0  # of what is owed: still in the hands of holds


@dataclass
class Output:
    unit: str
    draws: list[tuple[Lot, int]]
    state: str = "held"

    @property
    def amount(self) -> int:
        return sum(amount for _, amount in self.draws)


@dataclass
class Hold:
    deadline: datetime
    outputs: list[Output]


@dataclass
class Ledger:
    now: datetime
    lots: dict[str, Lot] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)
    refunds: dict[str, tuple[int, int]] = field(default_factory=dict)
    holds: dict[str, Hold] = field(default_factory=dict)
    debts: dict[str, int] = field(default_factory=dict)

    # -- questions

    def free(self, unit: str) -> int:
        return sum(lot.free for lot in self.lots.values() if lot.unit == unit)

    def held(self, unit: str) -> int:
        return sum(lot.held for lot in self.lots.values() if lot.unit == unit)

    def spent(self, unit: str) -> int:
        return sum(lot.spent for lot in self.lots.values() if lot.unit == unit)

    def expired(self, unit: str) -> int:
        return sum(lot.expired for lot in self.lots.values() if lot.unit == unit)

    def earned(self, unit: str) -> int:
        return sum(lot.amount - lot.refunded - lot.owed for lot in self.lots.values() if lot.unit == unit)

    def usable(self, unit: str, scopes: frozenset[str]) -> list[Lot]:
        """Lots that may pay, first to burn first."""
        far = datetime.max.replace(tzinfo=self.now.tzinfo)
        lots = [
            lot for lot in self.lots.values()
            if lot.unit == unit and lot.free and (lot.scope is None or lot.scope in scopes)
        ]  # fmt: skip
        return sorted(lots, key=lambda lot: (lot.scope is None, lot.expires_at or far, lot.born))

    def price(self, asks: list[Ask], scopes: frozenset[str]) -> list[tuple[str, int]]:
        left: dict[str, int] = {}
        prices = []
        for ask in asks:
            if ask.allowance is not None:
                left.setdefault(ask.allowance, sum(lot.free for lot in self.usable(ask.allowance, scopes)))
                if left[ask.allowance] >= ask.uses:
                    left[ask.allowance] -= ask.uses
                    prices.append((ask.allowance, ask.uses))
                    continue
            prices.append(("credit", ask.credits))
        return prices

    def missing(self, asks: list[Ask], scopes: frozenset[str]) -> int:
        needed = sum(amount for unit, amount in self.price(asks, scopes) if unit == "credit")
        return max(0, needed - sum(lot.free for lot in self.usable("credit", scopes)))

    # -- events

    def advance(self, now: datetime) -> None:
        self.now = now
        for lot in self.lots.values():
            self._age(lot)

    def _age(self, lot: Lot) -> None:
        if lot.expires_at is not None and lot.expires_at <= self.now:
            lot.expired += lot.free
            lot.free = 0

    def grant(
        self, name: str, key: str, unit: str, amount: int, source: str, scope: str | None, expires_at: datetime | None
    ) -> bool:
        if key in self.keys:
            return False
        self.keys.add(key)
        repaid = min(amount, self.debts.get(unit, 0)) if source == "pack" else 0
        self.debts[unit] = self.debts.get(unit, 0) - repaid
        self.lots[name] = Lot(
            name, unit, amount, source, scope, expires_at, (self.now, name), free=amount - repaid, repaid=repaid
        )  # fmt: skip
        return True

    def hold(self, name: str, asks: list[Ask], scopes: frozenset[str], deadline: datetime) -> bool:
        if self.missing(asks, scopes):
            return False
        outputs = []
        for unit, amount in self.price(asks, scopes):
            draws = []
            for lot in self.usable(unit, scopes):
                take = min(amount, lot.free)
                if take:
                    lot.free -= take
                    lot.held += take
                    amount -= take
                    draws.append((lot, take))
            assert amount == 0
            outputs.append(Output(unit, draws))
        self.holds[name] = Hold(deadline, outputs)
        return True

    def capture(self, name: str, index: int, most: int | None = None) -> str:
        """`most`: what it costs at most; the rest of its draws goes back like any other that is released."""
        hold = self.holds[name]
        output = hold.outputs[index]
        if output.state == "held" and hold.deadline <= self.now:
            return "expired"
        if output.state == "held":
            output.state = "captured"
            left, paid, spare = most, [], []
            for lot, amount in output.draws:
                take = amount if left is None else min(amount, left)
                left = None if left is None else left - take
                lot.held -= take
                lot.spent += take
                lot.claims = min(lot.claims, lot.held)
                paid.append((lot, take))
                spare.append((lot, amount - take))
            output.draws = paid
            self._give_back(spare)
        return output.state

    def release(self, name: str, indexes: list[int] | None, state: str = "released") -> None:
        """Per lot, what comes back in one go first meets what a refund claims of the lot."""
        draws = []
        for index, output in enumerate(self.holds[name].outputs):
            if output.state == "held" and (indexes is None or index in indexes):
                output.state = state
                draws += output.draws
        self._give_back(draws)

    def _give_back(self, draws: list[tuple[Lot, int]]) -> None:
        back: dict[str, int] = {}
        for lot, amount in draws:
            if amount:
                back[lot.name] = back.get(lot.name, 0) + amount
        for lot_name in sorted(back):
            lot, amount = self.lots[lot_name], back[lot_name]
            repaid = min(amount, lot.claims, self.debts.get(lot.unit, 0))
            self.debts[lot.unit] = self.debts.get(lot.unit, 0) - repaid
            lot.held -= amount
            lot.repaid += repaid
            lot.claims = min(lot.claims - repaid, lot.held)
            lot.free += amount - repaid
            self._age(lot)

    def extend(self, name: str, deadline: datetime) -> bool:
        hold = self.holds[name]
        if hold.deadline <= self.now or not any(output.state == "held" for output in hold.outputs):
            return False
        hold.deadline = deadline
        return True

    def refund(self, name: str, amount: int | None, key: str) -> str:
        if key in self.refunds:
            return "repeated"
        lot = self.lots[name]
        possible = lot.amount - lot.expired - lot.refunded - lot.owed
        amount = possible if amount is None else amount
        if not 0 < amount <= possible:
            return "exceeds"
        taken = min(amount, lot.free)
        owed = amount - taken
        lot.free -= taken
        lot.refunded += taken
        lot.owed += owed
        lot.claims = min(lot.claims + owed, lot.held)
        self.debts[lot.unit] = self.debts.get(lot.unit, 0) + owed
        self.refunds[key] = (taken, owed)
        return "refunded"

    def sweep(self) -> None:
        for name in sorted(self.holds):
            if self.holds[name].deadline <= self.now:
                self.release(name, None, "expired")
