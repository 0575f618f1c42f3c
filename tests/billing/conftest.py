from collections.abc import AsyncIterator

import pytest

from gesso.catalog.registry import Catalog
from gesso.core.clock import FixedClock, SystemClock
from gesso.db import Database
from gesso.sandbox.app import create_app as create_sandbox
from gesso.sandbox.pace import Pace
from tests.billing.shop import Shop
from tests.catalog.helpers import studio_catalog
from tests.product import served


@pytest.fixture(scope="module")
async def sandbox() -> AsyncIterator[str]:
    """A sandbox that takes no longer than it must."""
    async with served(create_sandbox(pace=Pace.instant(), workers=0)) as url:
        yield url


@pytest.fixture(scope="module")
async def studio(db: Database) -> Catalog:
    """Edition studio in this process's database."""
    return await studio_catalog(db)


@pytest.fixture
async def shop(db: Database, studio: Catalog, sandbox: str) -> AsyncIterator[Shop]:
    """A site with an account of its own at Stripe, at this moment."""
    found = Shop(db, studio, FixedClock(SystemClock().now().replace(microsecond=0)), sandbox)
    yield found
    await found.http.aclose()
