import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gesso.db.embedded import EmbeddedPostgres
from gesso.generation import policy
from gesso.sandbox.app import create_app as create_sandbox
from gesso.sandbox.pace import Pace
from tests.conftest import create_database
from tests.generation.house import House, opened, served, settings_for


@pytest.fixture(scope="session")
async def sandbox() -> AsyncIterator[str]:
    """A sandbox that takes no longer than it must."""
    async with served(create_sandbox(pace=Pace.instant(), workers=1)) as url:
        yield url


@pytest.fixture(scope="session")
async def house(
    postgres: EmbeddedPostgres, template: str, sandbox: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    """One house for the flows, on a database of its own, so that the whole ledger can be verified."""
    url = await create_database(postgres, f"gesso_flows_{uuid.uuid4().hex[:12]}", template)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(policy, "BACKOFF_SECONDS", (0.1, 0.3))  # nobody here needs to recover
        async with opened(settings_for(url, Path(tmp_path_factory.mktemp("house")), sandbox)) as found:
            yield found


@pytest.fixture(scope="session")
async def idle(
    postgres: EmbeddedPostgres, template: str, sandbox: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    """A house without a worker: what is queued stays queued until a test starts one."""
    url = await create_database(postgres, f"gesso_idle_{uuid.uuid4().hex[:12]}", template)
    async with opened(settings_for(url, Path(tmp_path_factory.mktemp("idle")), sandbox), worker=False) as found:
        yield found


@pytest.fixture(autouse=True)
async def healthy(request: pytest.FixtureRequest) -> None:
    """What one test did to the connection, or left in the idle house's queue, is no matter of the next."""
    for name in {"house", "idle"} & set(request.fixturenames):
        house: House = request.getfixturevalue(name)
        await house.rows("DELETE FROM connection_health")
        if name == "idle":
            await house.rows("DELETE FROM generation WHERE finished_at IS NULL")
