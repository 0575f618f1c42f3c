"""One sandbox for the tests of a module that play whole flows."""

from collections.abc import AsyncIterator

import pytest

from tests.sandbox.server import running_sandbox


@pytest.fixture(scope="module")
async def origin() -> AsyncIterator[str]:
    """Where it answers."""
    async with running_sandbox() as address:
        yield address
