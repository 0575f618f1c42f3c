"""What the database itself refuses, whatever the code above it does."""

from typing import Any

import asyncpg
import pytest
from structlog.testing import capture_logs

from gesso.core.errors import Conflict, NotFound
from gesso.core.ids import new_id
from gesso.core.money import MICRO
from gesso.credits import service
from gesso.credits.tasks import verify_ledger
from gesso.db import Database
from tests.cast import make_user
from tests.credits.conftest import HOUR, Wallet, credits

TABLES = ("credit_account", "credit_balance", "credit_lot", "credit_hold", "credit_hold_part", "credit_journal")


@pytest.fixture
async def used(wallet: Wallet) -> Wallet:
    """Ada's wallet with a row in every table of the ledger."""
    await wallet.grant(5)
    hold = await wallet.hold(credits(1), credits(1))
    await wallet.capture(hold, 0)
    return wallet


async def test_another_workspace_sees_no_row(db: Database, used: Wallet) -> None:
    ben = await make_user(db, "Ben")
    async with db.workspace(ben.workspace_id, ben.user_id) as tx:
        for table in (*TABLES, "credit_leg"):
            assert await tx.fetchval(f"SELECT count(*) FROM {table}") == 0, table
    async with db.public() as nobody:
        for table in (*TABLES, "credit_leg"):
            assert await nobody.fetchval(f"SELECT count(*) FROM {table}") == 0, table


async def test_another_workspace_changes_no_row(db: Database, used: Wallet) -> None:
    ben = await make_user(db, "Ben")
    before = await used.balances()
    async with db.workspace(ben.workspace_id, ben.user_id) as tx:
        for change in (
            "UPDATE credit_balance SET held = held",
            "UPDATE credit_lot SET remaining = remaining",
            "UPDATE credit_hold SET expires_at = expires_at",
            "UPDATE credit_hold_part SET state = 'released'",
        ):
            assert await tx.execute_raw(change) == 0, change
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        async with db.workspace(ben.workspace_id, ben.user_id) as tx:
            await tx.fetchval("SELECT ledger_lock($1)", used.workspace_id)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        async with db.workspace(ben.workspace_id, ben.user_id) as tx:
            await service.grant(tx, used.workspace_id, unit="credit", amount=1, source="admin", key="mine now")
    assert await used.balances() == before


async def test_a_hold_of_another_workspace_is_not_found(db: Database, used: Wallet) -> None:
    hold = await used.hold(credits(1))
    ben = Wallet(db, await make_user(db, "Ben"))
    for act in (ben.capture(hold, 0), ben.release(hold)):
        with pytest.raises(NotFound):
            await act
    with pytest.raises(Conflict):
        await ben.call(service.extend, hold, ben.now + 9 * HOUR)
    assert await used.credits() == (2, 2)


@pytest.mark.parametrize("who", ["workspace", "elevated"])
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE credit_journal SET amount = amount + 1",
        "DELETE FROM credit_journal",
        "TRUNCATE credit_journal",
        *(f"DELETE FROM {table}" for table in TABLES if table != "credit_journal"),
    ],
)
async def test_the_roles_may_not_rewrite_or_delete(db: Database, used: Wallet, who: str, change: str) -> None:
    scope: Any = db.elevated("test") if who == "elevated" else db.workspace(used.workspace_id)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with scope as tx:
            await tx.execute_raw(change)


async def test_not_even_the_owner_may_rewrite_the_journal(database_url: str, used: Wallet) -> None:
    owner = await asyncpg.connect(database_url)
    try:
        for change in (
            "UPDATE credit_journal SET amount = amount + 1",
            "UPDATE credit_journal SET user_id = gen_random_uuid()",
            "DELETE FROM credit_journal",
            "TRUNCATE credit_journal",
        ):
            with pytest.raises(asyncpg.RestrictViolationError, match="append-only"):
                await owner.execute(change)
    finally:
        await owner.close()


async def test_a_person_can_be_forgotten(db: Database, used: Wallet) -> None:
    async with db.elevated("test: anonymise") as tx:
        user_id = used.owner.user_id
        assert await tx.execute_raw("UPDATE credit_journal SET user_id = NULL WHERE user_id = $1", user_id) == 3
    totals = await _totals(used)
    assert [member.user_id for member in totals.members] == [None]
    assert totals.units["credit"].spent == MICRO


async def _totals(wallet: Wallet) -> Any:
    async with wallet.db.workspace(wallet.workspace_id) as tx:
        return await service.totals(tx)


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        *(
            (f"UPDATE credit_balance SET {account} = -1", "not_negative")
            for account in ("available", "held", "spent", "expired", "issued", "debt")
        ),
        ("UPDATE credit_balance SET available = available + 1", "zero_sum"),
        ("UPDATE credit_lot SET remaining = amount + 1", "figures"),
        ("UPDATE credit_lot SET held = remaining + 1", "figures"),
        ("UPDATE credit_lot SET reclaim = held + 1", "figures"),
        ("UPDATE credit_lot SET reclaim = -1", "figures"),
        ("UPDATE credit_lot SET refunded = amount + 1", "figures"),
        ("UPDATE credit_lot SET refunded = -1", "figures"),
        ("UPDATE credit_lot SET amount = 1000000000000001", "figures"),
        ("UPDATE credit_lot SET closed_at = now()", "closed_at"),
        ("UPDATE credit_hold SET state = 'closed'", "closed_at"),
        ("UPDATE credit_hold_part SET state = 'sold'", "state"),
        ("UPDATE credit_hold_part SET amount = -amount", "amount"),
    ],
)
async def test_impossible_figures_are_refused(used: Wallet, change: str, constraint: str) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match=constraint):
        async with used.db.workspace(used.workspace_id) as tx:
            await tx.execute_raw(change)


@pytest.mark.parametrize(
    ("kind", "debit", "credit", "amount"),
    [("grant", "issued", "spent", 1), ("capture", "available", "spent", 1), ("gift", "issued", "available", 1),
     ("expire", "available", "expired", 0), ("expire", "available", "expired", -1)],
)  # fmt: skip
async def test_the_journal_takes_only_the_movements_there_are(
    used: Wallet, kind: str, debit: str, credit: str, amount: int
) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        async with used.db.workspace(used.workspace_id) as tx:
            await tx.execute_raw(
                "INSERT INTO credit_journal (workspace_id, unit, kind, debit_account, credit_account, amount, lot_id,"
                " created_at) VALUES ($1, 'credit', $2, $3, $4, $5, $6, now())",
                used.workspace_id, kind, debit, credit, amount, new_id(),
            )  # fmt: skip


@pytest.mark.parametrize(
    ("tamper", "account"),
    [
        ("UPDATE credit_balance SET available = available + 1, issued = issued + 1", "credit/available"),
        ("UPDATE credit_balance SET available = available - 1, spent = spent + 1", "credit/spent"),
        ("UPDATE credit_lot SET remaining = remaining - 1", "remaining"),
        ("UPDATE credit_lot SET held = held - 1", "held by holds"),
        ("UPDATE credit_lot SET refunded = 1", "refunded"),
        ("UPDATE credit_hold_part SET amount = amount + 1 WHERE state = 'held'", "held"),
        ("UPDATE credit_hold_part SET state = 'released' WHERE state = 'held'", "released"),
        ("UPDATE credit_hold_part SET state = 'captured' WHERE state = 'held'", "output 1"),
        ("UPDATE credit_hold SET state = 'closed', closed_at = now()", "is open"),
        ("INSERT INTO credit_journal (workspace_id, unit, kind, debit_account, credit_account, amount, lot_id, "
         "created_at) SELECT workspace_id, unit, 'expire', 'available', 'expired', 1, id, now() FROM credit_lot",
         "credit/expired"),
    ],
)  # fmt: skip
async def test_verify_finds_what_was_tampered_with(fresh_db: Database, tamper: str, account: str) -> None:
    wallet = Wallet(fresh_db, await make_user(fresh_db, "Ada"))
    await wallet.grant(5)
    await wallet.capture(await wallet.hold(credits(1), credits(1)), 0)
    async with fresh_db.elevated("test: tamper") as tx:
        assert await service.verify(tx) == ()
        assert await tx.execute_raw(tamper) == 1
        found = await service.verify(tx)
    assert {mismatch.workspace_id for mismatch in found} == {wallet.workspace_id}
    assert any(mismatch.account.endswith(account) or f" {account} " in mismatch.account for mismatch in found)
    with capture_logs() as lines:
        await verify_ledger(fresh_db)
    assert [line["account"] for line in lines if line["log_level"] == "error"] == [one.account for one in found]


async def test_a_damaged_wallet_does_not_keep_the_others_from_being_swept(fresh_db: Database) -> None:
    damaged, sound = [Wallet(fresh_db, await make_user(fresh_db, name)) for name in ("Ada", "Ben")]
    for wallet in (damaged, sound):
        await wallet.grant(5)
        await wallet.hold(credits(2))
    async with fresh_db.elevated("test: damage") as tx:
        await tx.execute_raw(
            "UPDATE credit_balance SET held = 0, available = available + held WHERE workspace_id = $1",
            damaged.workspace_id,
        )
        swept = await service.expire_due(tx, sound.now + HOUR)
    assert (swept.workspaces, swept.holds, swept.failed) == (1, 1, (damaged.workspace_id,))
    assert await sound.credits() == (5, 0)
