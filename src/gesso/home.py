"""`/`: the public start page, with the plans that can be had."""

from fastapi import APIRouter, Request, Response

from gesso.catalog.items import Model, Plan
from gesso.catalog.registry import Catalog
from gesso.credits.types import CREDIT
from gesso.generation.composer import model_cards
from gesso.web import landing
from gesso.web.landing import PlanCard
from gesso.web.render import credits_words

home = APIRouter(include_in_schema=False)


@home.get("/")
async def index(request: Request) -> Response:
    """The landing page."""
    catalog: Catalog = request.app.state.catalog
    plan = catalog.default_plan
    models = _makers(catalog)
    prices = model_cards(models, models[0]) if models else ()
    return await landing.landing(request, [_card(plan, catalog)], _offer(plan), prices)


@home.get("/start")
async def start(request: Request) -> Response:
    """Where the prompt box of the landing page leads."""
    return await landing.start(request)


def _makers(catalog: Catalog) -> tuple[Model, ...]:
    """The models that make pictures and films; those that write only help with it."""
    return (*catalog.models("image"), *catalog.models("video"))


def _offer(plan: Plan) -> str:
    given = plan.signup_grants.get(CREDIT, 0)
    return f"{credits_words(given)} free. No card." if given else "Free to start. No card."


def _card(plan: Plan, catalog: Catalog) -> PlanCard:
    ticks = [
        f"{credits_words(plan.signup_grants[CREDIT])} at sign-up" if plan.signup_grants.get(CREDIT) else "",
        f"{credits_words(plan.monthly_grants[CREDIT])} more every month" if plan.monthly_grants.get(CREDIT) else "",
        f"All {len(_makers(catalog))} models",
        f"Up to {plan.max_count} pictures at once",
        "Failed pictures cost nothing",
    ]
    return PlanCard(
        name=plan.name, text=plan.description, price="$0", period="for good", ticks=[tick for tick in ticks if tick]
    )
