"""A desk for those who run a site that sells: an office with a till of its own, at the sandbox's Stripe."""

import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gesso.accounts.access import Actor
from gesso.app import create_app
from gesso.billing.stripe.line import Access
from gesso.core.clock import FixedClock, SystemClock
from gesso.db.embedded import EmbeddedPostgres
from gesso.sandbox.app import create_app as create_sandbox
from gesso.sandbox.pace import Pace
from tests.admin.conftest import Office
from tests.billing.shop import SECRET, Shop
from tests.conftest import create_database
from tests.product import seeded, served, settings_for

EVENTS = "/api/admin/webhook-events"


@pytest.fixture(scope="module")
async def desk(
    postgres: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Office, str]]:
    """A site of its own, since time passes in it, and a sandbox that plays Stripe."""
    url = await create_database(postgres, f"gesso_desk_{uuid.uuid4().hex[:12]}", template)
    async with served(create_sandbox(pace=Pace.instant(), workers=0)) as sandbox, AsyncExitStack() as stack:
        settings = settings_for(url, Path(tmp_path_factory.mktemp("desk")), sandbox)
        await seeded(settings)
        app = create_app(settings, SystemClock())
        async with app.router.lifespan_context(app):
            yield Office(app, app.state.db, stack), sandbox


@pytest.fixture
def office(desk: tuple[Office, str]) -> Office:
    return desk[0]


@pytest.fixture
async def shop(desk: tuple[Office, str]) -> AsyncIterator[Shop]:
    """The site's till: an account of its own at the sandbox's Stripe, at this moment."""
    office, sandbox = desk
    now = SystemClock().now().replace(microsecond=0)
    found = Shop(office.db, office.app.state.catalog, FixedClock(now), sandbox)
    office.app.state.payments = found.payments
    yield found
    await found.http.aclose()


def unreachable(shop: Shop) -> Any:
    """Cut the line to Stripe; the good one, to be put back."""
    good = shop.payments._line
    shop.payments._line = type(good)(Access(shop.key, SECRET, "http://127.0.0.1:9"))
    return good


async def paid_for_but_failed(shop: Shop) -> tuple[Actor, dict[str, Any]]:
    """Somebody who paid for 50 credits, whose notice found Stripe out of reach."""
    ada = await shop.person()
    await shop.buy(ada, "credits-50")
    event = next(one for one in await shop.news() if one["type"] == "checkout.session.completed")
    good = unreachable(shop)
    assert await shop.tell(event) == "failed"
    shop.payments._line = good
    return ada, event


async def one_event(http: httpx2.AsyncClient, ref: str) -> dict[str, Any]:
    (found,) = (await http.get(EVENTS, params={"q": ref})).json()["items"]
    return dict(found)


async def moved(shop: Shop, who: Actor) -> int:
    """How many movements of credits the workspace's journal has."""
    (row,) = await shop.rows("SELECT count(*) FROM credit_journal WHERE workspace_id = $1", who.workspace_id)
    return int(row["count"])
