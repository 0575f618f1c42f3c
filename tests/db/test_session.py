"""Transactions at the edge: scope, commit, what is told afterwards."""

import asyncio
from typing import Any

import pytest

from gesso.core.errors import Unavailable
from gesso.core.ids import new_id
from gesso.db import Database, Listener


async def test_scope_is_set_and_ends_with_the_transaction(db: Database) -> None:
    workspace, user = new_id(), new_id()
    async with db.workspace(workspace, user) as tx:
        row = await tx.fetchrow("SELECT gesso_workspace(), gesso_user(), current_user::text")
        assert row is not None
        assert (row[0], row[1], row[2]) == (workspace, user, "gesso_app")
    async with db.public() as tx:
        assert await tx.fetchval("SELECT gesso_workspace()") is None
    async with db.elevated("test") as elevated:
        assert await elevated.fetchval("SELECT current_user::text") == "gesso_elevated"


async def test_an_exception_rolls_back_and_tells_nobody(db: Database) -> None:
    done: list[str] = []

    async def act() -> None:
        done.append("after")

    with pytest.raises(RuntimeError, match="stop"):
        async with db.public() as tx:
            await tx.execute_raw(
                "INSERT INTO rate_window (key, window_start, count, expires_at) VALUES ('rolled', now(), 1, now())"
            )
            tx.after_commit(act)
            raise RuntimeError("stop")
    async with db.public() as tx:
        assert await tx.fetchval("SELECT count(*) FROM rate_window WHERE key = 'rolled'") == 0
        tx.after_commit(act)
    assert done == ["after"]


async def test_notifications_are_coalesced_and_sent_after_the_commit(db: Database) -> None:
    got: list[dict[str, Any]] = []
    arrived = asyncio.Event()

    async def receive(payload: dict[str, Any]) -> None:
        got.append(payload)
        arrived.set()

    listener = Listener(db)
    listener.on("test_channel", receive)
    await listener.start()
    try:
        async with db.public() as tx:
            for _ in range(3):
                tx.notify_after_commit("test_channel", {"id": 1})
            await asyncio.sleep(0.1)
            assert got == []
        await asyncio.wait_for(arrived.wait(), 60)
        await asyncio.sleep(0.1)
        assert got == [{"id": 1}]
    finally:
        await listener.close()


async def test_the_listener_comes_back_after_its_connection_was_cut(db: Database, database_url: str) -> None:
    import asyncpg

    arrived, back = asyncio.Event(), asyncio.Event()

    async def receive(_: dict[str, Any]) -> None:
        arrived.set()

    async def fails() -> None:
        raise Unavailable("The site is very busy right now.")

    async def reconnected() -> None:
        back.set()

    listener = Listener(db)
    listener.on("cut_channel", receive)
    listener.on_reconnect(fails)
    listener.on_reconnect(reconnected)
    await listener.start()
    try:
        owner = await asyncpg.connect(database_url)
        await owner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE query LIKE '%cut_channel%' AND pid <> pg_backend_pid()"
        )
        await owner.close()
        await asyncio.wait_for(back.wait(), 60)
        async with db.public() as tx:
            tx.notify_after_commit("cut_channel", {})
        await asyncio.wait_for(arrived.wait(), 60)
    finally:
        await listener.close()


async def test_json_goes_in_and_out_as_values(db: Database) -> None:
    async with db.public() as tx:
        assert await tx.fetchval("SELECT $1::jsonb", {"a": [1, "zwei"]}) == {"a": [1, "zwei"]}
