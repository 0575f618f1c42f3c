import uuid
from collections.abc import AsyncIterator

import pytest

from gesso.core.settings import WebSettings
from gesso.db.embedded import EmbeddedPostgres
from tests.conftest import create_database
from tests.security.site import HTTPS, Cast, Site, open_site, people


@pytest.fixture(scope="session")
async def security_database(postgres: EmbeddedPostgres, template: str) -> str:
    """A database for both sites."""
    return await create_database(postgres, f"gesso_security_{uuid.uuid4().hex[:12]}", template)


@pytest.fixture(scope="session")
async def site(security_database: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """The product over plain HTTP, as in development."""
    async with open_site(security_database, tmp_path_factory.mktemp("site")) as found:
        yield found


@pytest.fixture(scope="session")
async def secure_site(security_database: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """The product as it stands behind a proxy that speaks https."""
    async with open_site(security_database, tmp_path_factory.mktemp("secure"), base_url=HTTPS) as found:
        yield found


@pytest.fixture(scope="session")
async def impatient_site(security_database: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """Waits for nobody, and takes few connections from one address."""
    web = WebSettings(head_seconds=0.5, stall_seconds=0.5, connections_per_address=20)
    async with open_site(security_database, tmp_path_factory.mktemp("impatient"), web=web) as found:
        yield found


@pytest.fixture(scope="session")
async def cast(site: Site) -> Cast:
    return await people(site.db)
