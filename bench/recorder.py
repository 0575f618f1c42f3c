"""What a process really sends to its database: every statement of every pooled connection, with its parameters."""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import asyncpg


@dataclass(frozen=True, slots=True)
class Sent:
    """A statement as the driver sent it: one round trip. `role` is who sent it."""

    sql: str
    args: tuple[Any, ...]
    role: str


@contextlib.contextmanager
def recording() -> Iterator[list[Sent]]:
    """A list that every statement is added to which pools opened in the block send (BEGIN, SET and COMMIT, too).

    asyncpg reports a statement when the event loop turns next; `settled` waits for that.
    """
    sent: list[Sent] = []

    def note(query: Any) -> None:
        sent.append(Sent(query.query, tuple(query.args), query.conn_params.user))

    class Recording(asyncpg.Connection):  # type: ignore[misc]
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self.add_query_logger(note)

    create_pool = asyncpg.create_pool

    def recorded_pool(*args: Any, **options: Any) -> Any:
        return create_pool(*args, **{**options, "connection_class": Recording})

    asyncpg.create_pool = recorded_pool
    try:
        yield sent
    finally:
        asyncpg.create_pool = create_pool


async def settled() -> None:
    """Let reports that are due arrive."""
    for _ in range(3):
        await asyncio.sleep(0)
