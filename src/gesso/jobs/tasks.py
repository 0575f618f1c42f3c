"""What a worker can do: tasks by name, and schedules."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from gesso.core.clock import Clock
from gesso.db import Database

Task = Callable[[dict[str, Any]], Awaitable[None]]
Scheduled = Callable[[], Awaitable[None]]


class HandOver(Exception):
    """Raised by a task that stops early because the worker is stopping: another worker takes it up at once."""


class Later(Exception):
    """Raised by a task that can do nothing for a while: its place is for others, and the same job comes again.

    Attribute: after_seconds.
    """

    def __init__(self, after_seconds: float) -> None:
        super().__init__(f"nothing to do for {after_seconds:.1f} s")
        self.after_seconds = after_seconds


class WorkerContext(Protocol):
    """What every room's tasks may ask of the worker; rooms that need more extend it."""

    @property
    def db(self) -> Database: ...

    @property
    def clock(self) -> Clock: ...


@dataclass
class Tasks:
    """Registry filled by the rooms' `tasks.register`."""

    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the worker is asked to stop. A long task watches it and raises HandOver."""
    by_name: dict[str, Task] = field(default_factory=dict)
    schedules: dict[str, tuple[str, Scheduled]] = field(default_factory=dict)

    def add(self, name: str, task: Task) -> None:
        """Run `task(payload)` for jobs of this name."""
        if name in self.by_name:
            raise ValueError(f"task {name} is registered twice")
        self.by_name[name] = task

    def every(self, name: str, cron: str, task: Scheduled) -> None:
        """Run `task()` by a cron expression (five fields, or six with seconds last), on one worker at a time."""
        if name in self.schedules:
            raise ValueError(f"schedule {name} is registered twice")
        self.schedules[name] = (cron, task)
