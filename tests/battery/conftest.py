from collections.abc import AsyncIterator

import pytest

from tests.battery.line import Line, line_to
from tests.sandbox.server import running_sandbox


@pytest.fixture(scope="session")
async def battery_sandbox() -> AsyncIterator[str]:
    """A sandbox without waiting times."""
    async with running_sandbox() as origin:
        yield origin


@pytest.fixture(scope="session")
async def line(battery_sandbox: str) -> AsyncIterator[Line]:
    """The line to it that the tests spoil, one after the other."""
    async with line_to(battery_sandbox) as made:
        yield made
