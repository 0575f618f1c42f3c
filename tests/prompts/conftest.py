import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gesso.db.embedded import EmbeddedPostgres
from gesso.sandbox.app import create_app as create_sandbox
from gesso.sandbox.pace import Pace
from tests.conftest import create_database
from tests.generation.house import House, Person, opened, served, settings_for


@pytest.fixture(scope="module")
async def house(
    postgres: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    """The product with a sandbox that writes at once, on a database of its own; no worker, for none is needed."""
    url = await create_database(postgres, f"gesso_prompts_{uuid.uuid4().hex[:12]}", template)
    async with served(create_sandbox(pace=Pace.instant(), workers=1)) as sandbox:
        async with opened(settings_for(url, Path(tmp_path_factory.mktemp("house")), sandbox), worker=False) as found:
            await found.rows("UPDATE connection SET sandbox = true, enabled = true RETURNING id")
            async with found.db.elevated("test: all connections on") as tx:
                tx.notify_after_commit("gesso_catalog", {})
            yield found


@pytest.fixture
async def ada(house: House) -> Person:
    await house.rows("DELETE FROM connection_health")
    return await house.person()
