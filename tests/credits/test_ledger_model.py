"""The ledger in Postgres behaves like the model, whatever is done to it in whatever order."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from gesso.core.clock import FixedClock
from gesso.core.errors import Conflict, OutOfCredits
from gesso.core.ids import new_id
from gesso.core.money import OutputAsk, OutputPrice, format_credits
from gesso.credits import service
from gesso.credits.tasks import sweep
from gesso.db import Database
from tests.conftest import SECRET
from tests.credits import model

EXAMPLES, STEPS = 40, 50
# Small figures, so that lots run out, expire and are refunded in the middle of things.
hours = st.integers(1, 6).map(lambda count: timedelta(hours=count))
asks = st.builds(
    model.Ask,
    credits=st.integers(0, 4),
    allowance=st.sampled_from([None, None, "image", "video"]),
    uses=st.integers(1, 3),
)
grants_of = st.tuples(
    st.sampled_from(["credit", "credit", "credit", "image", "video"]),
    st.integers(1, 12),
    st.sampled_from([None, None, "flux", "sdxl"]),
)
scope_sets = st.frozensets(st.sampled_from(["flux", "sdxl"]))


class LedgerMachine(RuleBasedStateMachine):
    """Plays on one workspace; `database` and `runner` are set by the test."""

    database: Database
    runner: asyncio.Runner
    lots = Bundle("lots")
    holds = Bundle("holds")

    def run(self, coroutine: Any) -> Any:
        return self.runner.run(coroutine)

    @initialize(target=lots, grants=st.lists(st.tuples(grants_of, hours | st.none()), min_size=2, max_size=5))
    def open_workspace(self, grants: list[Any]) -> Any:
        self.workspace_id = new_id()
        self.now = datetime(2030, 1, 1, tzinfo=UTC)
        self.model = model.Ledger(self.now)
        self.run(self._insert_workspace())
        return multiple(
            *(
                self._grant(f"first {number}", unit, amount, "plan", scope, lasting)
                for number, ((unit, amount, scope), lasting) in enumerate(grants)
            )
        )

    async def _insert_workspace(self) -> None:
        async with self.database.elevated("test") as tx:
            await tx.execute_raw(
                "INSERT INTO workspace (id, name, kind, plan_key) VALUES ($1, 'Ada', 'personal', 'free')",
                self.workspace_id,
            )

    async def _call(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        async with self.database.workspace(self.workspace_id) as tx:
            return await function(tx, *args, now=self.now, **kwargs)

    @rule(
        target=lots,
        key=st.integers(1, 60).map(str),
        of=grants_of,
        source=st.sampled_from(["plan", "pack"]),
        lasting=st.none() | hours,
    )
    def grant(self, key: str, of: Any, source: str, lasting: timedelta | None) -> Any:
        unit, amount, scope = of
        lot_id = self._grant(key, unit, amount, source, scope, lasting)
        return multiple() if lot_id is None else lot_id

    def _grant(
        self, key: str, unit: str, amount: int, source: str, scope: str | None, lasting: timedelta | None
    ) -> Any:
        # a moment later, since within a millisecond the order of ids is left to chance
        self.now += timedelta(seconds=1)
        self.model.advance(self.now)
        expires_at = self.now + lasting if lasting else None
        lot_id = self.run(
            self._call(
                service.grant, self.workspace_id,
                unit=unit, amount=amount, source=source, key=key, scope=scope, expires_at=expires_at,
            )
        )  # fmt: skip
        assert self.model.grant(str(lot_id), key, unit, amount, source, scope, expires_at) == (lot_id is not None)
        return lot_id

    @rule(target=holds, asked=st.lists(asks, min_size=1, max_size=4), scopes=scope_sets, lasting=hours)
    def hold(self, asked: list[model.Ask], scopes: frozenset[str], lasting: timedelta) -> Any:
        hold_id = new_id()
        outputs = [OutputAsk(ask.credits, ask.allowance, ask.uses) for ask in asked]
        expected = [
            OutputPrice(amount) if unit == "credit" else OutputPrice(0, {unit: amount})
            for unit, amount in self.model.price(asked, scopes)
        ]
        missing = self.model.missing(asked, scopes)
        price, enough = self.run(self._call(service.estimate, outputs, scopes=scopes))
        assert (list(price.outputs), enough) == (expected, missing == 0)
        try:
            price = self.run(
                self._call(
                    service.hold, hold_id=hold_id, subject_id=new_id(), asks=outputs,
                    expires_at=self.now + lasting, scopes=scopes,
                )
            )  # fmt: skip
        except OutOfCredits as error:
            assert error.facts["missing"] == format_credits(missing) != "0"
            return multiple()
        assert list(price.outputs) == expected
        assert self.model.hold(str(hold_id), asked, scopes, self.now + lasting)
        return hold_id

    @rule(hold=holds, pick=st.integers(0, 4), most=st.none() | st.integers(0, 4))
    def capture(self, hold: Any, pick: int, most: int | None) -> None:
        outputs = self.model.holds[str(hold)].outputs
        index = pick % len(outputs)
        unit = outputs[index].unit
        asked = None
        if most is not None:
            asked = OutputPrice(most) if unit == "credit" else OutputPrice(0, {unit: most})
        expected = self.model.capture(str(hold), index, most)
        try:
            price = self.run(self._call(service.capture, hold, index, price=asked))
        except Conflict as error:
            assert error.facts["outcome"] == expected != "captured"
        else:
            output = outputs[index]
            assert expected == "captured"
            assert price.credits + sum(price.allowances.values()) == output.amount

    @rule(hold=holds, indexes=st.none() | st.lists(st.integers(0, 4), max_size=2))
    def release(self, hold: Any, indexes: list[int] | None) -> None:
        self.run(self._call(service.release, hold, indexes))
        self.model.release(str(hold), indexes)

    @rule(hold=holds, lasting=hours)
    def extend(self, hold: Any, lasting: timedelta) -> None:
        possible = self.model.extend(str(hold), self.now + lasting)
        try:
            self.run(self._call(service.extend, hold, self.now + lasting))
        except Conflict:
            assert not possible
        else:
            assert possible

    @rule(lot=lots, amount=st.none() | st.integers(1, 6), key=st.integers(1, 20).map(str))
    def refund(self, lot: Any, amount: int | None, key: str) -> None:
        expected = self.model.refund(str(lot), amount, key)
        try:
            done = self.run(
                self._call(service.refund, self.workspace_id, lot, key=key, reason="returned", amount=amount)
            )
        except Conflict:
            assert expected == "exceeds"
        else:
            assert expected in ("refunded", "repeated")
            assert (done.taken, done.owed) == self.model.refunds[key]

    @rule(by=hours)
    def advance(self, by: timedelta) -> None:
        self.now += by
        self.model.advance(self.now)

    @rule()
    def sweep(self) -> None:
        self.run(sweep(self.database, FixedClock(self.now)))
        self.model.sweep()
        totals = self.run(self._totals())
        for unit, figures in totals.units.items():
            assert figures.expired == self.model.expired(unit)

    async def _totals(self) -> Any:
        async with self.database.workspace(self.workspace_id) as tx:
            return await service.totals(tx)

    @invariant()
    def agrees(self) -> None:
        self.run(self._compare())

    async def _compare(self) -> None:
        async with self.database.workspace(self.workspace_id) as tx:
            found = await service.balances(tx, now=self.now)
            totals = await service.totals(tx)
            lines, following = await service.history(tx, limit=200)
        async with self.database.elevated("test") as elevated:
            assert await service.verify(elevated) == ()
        burn_order = [
            (lot.name, lot.free)
            for lot in sorted(
                self.model.usable("credit", frozenset({"flux", "sdxl"})), key=lambda lot: lot.scope is None
            )
        ]
        assert [(str(lot.id), lot.remaining) for lot in found.lots if lot.unit == "credit"] == burn_order
        assert (found.balance, found.held) == (self.model.free("credit"), self.model.held("credit"))
        assert found.debt == self.model.debts.get("credit", 0)
        for unit in ("image", "video"):
            assert found.allowances.get(unit, 0) == self.model.free(unit)
            assert found.allowances_held.get(unit, 0) == self.model.held(unit)
        for unit, figures in totals.units.items():
            assert (figures.earned, figures.spent) == (self.model.earned(unit), self.model.spent(unit))
        assert following is None
        for unit, figures in totals.units.items():
            net = sum(line.credits if unit == "credit" else line.allowances.get(unit, 0) for line in lines)
            owed_now = self.model.debts.get(unit, 0)
            # what is on the statement = what one has (the part not yet swept included)
            assert net == figures.earned + owed_now - figures.spent - figures.expired


def test_ledger_behaves_like_its_model(fresh_database_url: str) -> None:
    with asyncio.Runner() as runner:
        database = Database(fresh_database_url, secret=SECRET, pool_size=1, elevated_pool_size=1)
        LedgerMachine.database, LedgerMachine.runner = database, runner
        try:
            run_state_machine_as_test(
                LedgerMachine,
                settings=settings(
                    max_examples=EXAMPLES,
                    stateful_step_count=STEPS,
                    deadline=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(database.close())
