import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gesso.db.embedded import EmbeddedPostgres
from gesso.generation import policy
from gesso.sandbox.app import create_app
from gesso.sandbox.pace import Pace
from tests.battery.line import Line, line_to
from tests.battery.money import Stall
from tests.conftest import create_database
from tests.generation.house import House, opened, settings_for
from tests.sandbox.server import serving


@pytest.fixture(scope="session")
async def battery_sandbox() -> AsyncIterator[str]:
    """A sandbox without waiting times."""
    async with serving(create_app(pace=Pace.instant(), workers=1)) as origin:
        yield origin


@pytest.fixture(scope="session")
async def line(battery_sandbox: str) -> AsyncIterator[Line]:
    """The line to it that the tests spoil, one after the other."""
    async with line_to(battery_sandbox) as made:
        yield made


@pytest.fixture(scope="session")
async def house(
    postgres: EmbeddedPostgres, template: str, battery_sandbox: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    """The product with its worker, on a database of its own, so that the whole ledger can be verified."""
    url = await create_database(postgres, f"gesso_battery_{uuid.uuid4().hex[:12]}", template)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(policy, "BACKOFF_SECONDS", (0.1, 0.2))  # nobody here needs to recover
        settings = settings_for(url, Path(tmp_path_factory.mktemp("battery")), battery_sandbox)
        async with opened(settings) as found:
            yield found


@pytest.fixture(scope="session")
def stall(house: House) -> Stall:
    return Stall(house)
