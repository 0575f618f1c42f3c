"""The public start page: what the product does, with its own prompt box first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlencode

from fastapi import Request, Response

from gesso.web.render import page, redirect


class PlanCard(Protocol):
    """A plan that can be had now. `price` and `period` as words: "$0", "for good". `ticks`: what it gives (True) and
    what it lacks. `action`: the words on its button, `href` where that leads."""

    @property
    def name(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def price(self) -> str: ...
    @property
    def period(self) -> str: ...
    @property
    def ticks(self) -> Sequence[tuple[str, bool]]: ...
    @property
    def action(self) -> str: ...
    @property
    def href(self) -> str: ...
    @property
    def best(self) -> bool: ...


class Picture(Protocol):
    """One picture of the demo grid, of static/pictures; `ratio` is width ÷ height."""

    @property
    def name(self) -> str: ...
    @property
    def alt(self) -> str: ...
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def ratio(self) -> float: ...


class ModelLine(Protocol):
    """A model as the price list names it: `facts` are its price and usual time ("1 credit · 9 s")."""

    @property
    def name(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def facts(self) -> str: ...
    @property
    def sample(self) -> str: ...


class Feature(Protocol):
    """Something the product can do, with a Lucide icon."""

    @property
    def icon(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def text(self) -> str: ...


@dataclass(frozen=True, slots=True)
class StartPage:
    """The edition's own words and pictures. `rows` of demo pictures; `idea`: a prompt such as people write here.

    `offer`: what a new account gets, in words; `total`: what three pictures of the first model cost.
    """

    headline: str
    lead: str
    placeholder: str
    rows: Sequence[Sequence[Picture]]
    features: Sequence[Feature]
    idea: str
    offer: str
    total: str = ""

    @property
    def samples(self) -> Sequence[Picture]:
        """Three pictures for the little demonstrations."""
        return [picture for row in self.rows for picture in row][:3]


async def landing(
    request: Request, start: StartPage, plans: Sequence[PlanCard], models: Sequence[ModelLine] = ()
) -> Response:
    """Draw `/`. `plans`: those that can be had; `models`: the price list."""
    return await page(request, "landing/index.html", start=start, plans=plans, models=models)


async def start(request: Request) -> Response:
    """Where the prompt box leads: to Create when signed in, else to sign-up, with the prompt kept."""
    prompt = request.query_params.get("prompt", "").strip()
    create = f"/create?{urlencode({'prompt': prompt})}" if prompt else "/create"
    if await request.app.state.shell(request):
        return redirect(request, create)
    return redirect(request, f"/signup?{urlencode({'next': create})}")
