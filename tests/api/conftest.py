import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from gesso.core.ids import new_id
from gesso.core.money import MICRO
from gesso.credits import service as credits
from gesso.db.embedded import EmbeddedPostgres
from gesso.sandbox.app import create_app as create_sandbox
from gesso.sandbox.pace import Pace
from tests.api.people import Person
from tests.cast import make_user, sign_in
from tests.conftest import create_database
from tests.product import Product, running, served, settings_for


@pytest.fixture(scope="session")
async def sandbox() -> AsyncIterator[str]:
    """A sandbox that takes no longer than it must."""
    async with served(create_sandbox(pace=Pace.instant(), workers=1)) as url:
        yield url


@pytest.fixture(scope="session")
async def product(
    postgres: EmbeddedPostgres, template: str, sandbox: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Product]:
    """The product on a database of its own, so that the whole ledger can be verified."""
    url = await create_database(postgres, f"gesso_api_{uuid.uuid4().hex[:12]}", template)
    async with running(settings_for(url, Path(tmp_path_factory.mktemp("api")), sandbox)) as found:
        yield found


@pytest.fixture
async def stranger(product: Product) -> AsyncIterator[httpx2.AsyncClient]:
    """Somebody without an account."""
    async with product.client() as client:
        yield client


@pytest.fixture
async def ada(product: Product) -> AsyncIterator[Person]:
    """Somebody signed in, with 100 credits."""
    async with product.client() as client:
        yield await person(product, client, "Ada")


@pytest.fixture
async def bea(product: Product) -> AsyncIterator[Person]:
    """Somebody else, with a workspace of their own."""
    async with product.client() as client:
        yield await person(product, client, "Bea")


async def person(product: Product, client: httpx2.AsyncClient, name: str) -> Person:
    actor = await make_user(product.db, name)
    async with product.db.workspace(actor.workspace_id, actor.user_id) as tx:
        await credits.grant(
            tx, actor.workspace_id, unit="credit", amount=100 * MICRO, source="operator",
            key=f"test:{new_id()}", reason="for the test",
        )  # fmt: skip
    await sign_in(client, product.db, actor)
    return Person(product, actor, client)
