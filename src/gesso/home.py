"""`/`: the public start page, with the plans that can be had."""

from fastapi import APIRouter, Request, Response

from gesso.billing.months import first_month
from gesso.billing.views import Looker, Offer, offers
from gesso.catalog.costs import usual_words
from gesso.catalog.items import Model, Plan
from gesso.catalog.registry import Catalog
from gesso.credits.types import CREDIT
from gesso.generation.composer import model_cards
from gesso.generation.rooms import CREATE
from gesso.web import landing
from gesso.web.landing import StartPage
from gesso.web.render import credits_words
from gesso.web.wording import unit_words, word

home = APIRouter(include_in_schema=False)


@home.get("/")
async def index(request: Request) -> Response:
    """The landing page."""
    catalog: Catalog = request.app.state.catalog
    models = _makers(catalog)
    prices = model_cards(models, models[0], by_plan=not catalog.credited) if models else ()
    return await landing.landing(request, _start_page(catalog), _plans(catalog), prices)


@home.get("/start")
async def start(request: Request) -> Response:
    """Where the prompt box of the landing page leads."""
    return await landing.start(request)


def _makers(catalog: Catalog) -> tuple[Model, ...]:
    """The models that make pictures and films; those that write only help with it."""
    return (*catalog.models("image"), *catalog.models("video"))


def _start_page(catalog: Catalog) -> StartPage:
    edition = catalog.edition
    own = edition.landing
    rows = [[picture for picture in own.pictures if picture.row == number] for number in (1, 2)]
    model = catalog.default_model
    return StartPage(
        headline=own.headline or f"From a thought to a finished {word('picture')}",
        lead=own.lead or edition.brand.description,
        placeholder=own.placeholder,
        rows=[row for row in rows if row],
        features=[one for one in own.features if one.module is None or one.module in edition.modules],
        idea=(edition.welcome.image or CREATE.ideas)[0],
        offer=_offer(catalog.default_plan),
        total=usual_words(model, by_plan=not catalog.credited, outputs=3) if model is not None else "",
    )


def _offer(plan: Plan) -> str:
    """What an account begins with, in a line: "3 images free. No card."."""
    given = {**plan.signup_grants, **first_month(plan)}
    words = [credits_words(amount) if unit == CREDIT else unit_words(unit, amount) for unit, amount in given.items()]
    return f"{' and '.join(words)} free. No card." if words else "Free to start. No card."


def _plans(catalog: Catalog) -> list[Offer]:
    """Every plan where plans are sold, as Pricing has them; else the one that everybody begins with."""
    sells = "billing" in catalog.edition.modules
    return [card for card in offers(catalog, "month", Looker()) if sells or card.key == catalog.default_plan.key]
