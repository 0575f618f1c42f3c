"""The public start page: what the product does, with its own prompt box first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlencode

from fastapi import Request, Response

from gesso.web.render import page, redirect


@dataclass(frozen=True, slots=True)
class PlanCard:
    """A plan that can be had now. `price` and `period` as words: "$0", "for good"."""

    name: str
    text: str
    price: str
    period: str
    ticks: Sequence[str]
    action: str = "Start free"
    href: str = "/signup"
    best: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of the demo grid; `ratio` is width ÷ height."""

    name: str
    alt: str
    width: int
    height: int

    @property
    def ratio(self) -> float:
        return round(self.width / self.height, 4)


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


# Painted by the sandbox's painter; shown in two rows, in this order.
DEMO: tuple[tuple[Picture, ...], ...] = (
    (
        Picture("still-noir", "Dark bottle with a gold ring on a violet plinth", 480, 640),
        Picture("dunes-dawn", "Dunes at dawn under a pale sun", 640, 400),
        Picture("glass-lagoon", "Stained glass in blue and turquoise", 420, 560),
        Picture("paper-cave", "Layers of cut paper around a bright opening", 640, 640),
        Picture("paper-night", "Paper pines and hills by night", 480, 640),
    ),
    (
        Picture("aurora-fjord", "Green aurora mirrored in a fjord", 640, 400),
        Picture("ink-gorge", "Ink-wash mountains with a red sun", 480, 640),
        Picture("still-serum", "Rose serum bottles between soft shapes", 640, 400),
        Picture("bauhaus-primary", "Quarter circles and bars in primary colours", 640, 640),
    ),
)


async def landing(
    request: Request, plans: Sequence[PlanCard], offer: str, models: Sequence[ModelLine] = ()
) -> Response:
    """Draw `/`. `offer`: what a new account gets, in words ("25 credits at sign-up"); `models`: the price list."""
    return await page(request, "landing/index.html", plans=plans, models=models, demo=DEMO, offer=offer)


async def start(request: Request) -> Response:
    """Where the prompt box leads: to Create when signed in, else to sign-up, with the prompt kept."""
    prompt = request.query_params.get("prompt", "").strip()
    create = f"/create?{urlencode({'prompt': prompt})}" if prompt else "/create"
    if await request.app.state.shell(request):
        return redirect(request, create)
    return redirect(request, f"/signup?{urlencode({'next': create})}")
