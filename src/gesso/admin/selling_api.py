"""`/api/admin/plans` and `/api/admin/packs`: for programs of the operator what the panel's pages do."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, Field

from gesso.accounts.access import CurrentOperator
from gesso.admin import selling
from gesso.admin.frame import deed_of
from gesso.admin.plans_form import KEY, Wrong, granted, limits_of
from gesso.admin.selling import Offer
from gesso.admin.shapes import Order
from gesso.catalog.edits.packs import PackFacts
from gesso.catalog.edits.plans import PlanFacts
from gesso.catalog.items import Pack, Plan
from gesso.core.money import format_credits, parse_credits
from gesso.credits.types import format_amount
from gesso.web.errors import ANY_BODY, problems

plans = APIRouter(prefix="/api/admin/plans", tags=["operator"])
packs = APIRouter(prefix="/api/admin/packs", tags=["operator"])

Key = Annotated[str, Path(max_length=63, description="Its short name.")]
NewKey = Annotated[str, Field(pattern=KEY, description="Its short name; it stays.")]
Grants = dict[str, Annotated[str, Field(max_length=30)]]


class PlanChange(BaseModel):
    """A whole plan."""

    name: Annotated[str, Field(max_length=80)]
    description: Annotated[str, Field(max_length=400)] = ""
    signup_grants: Grants = Field(
        default={},
        description="Unit → amount: credits as a decimal string; image, video, chat, prompt as whole uses.",
    )
    monthly_grants: Grants = {}
    parallel: int = 1
    queue_priority: int = 0
    max_count: int = 4
    limits: dict[str, int | list[str] | Literal[False]] = Field(
        default={}, description="Setting → highest number, choices allowed, or false for its default only."
    )
    month_cents: int | None = Field(default=None, description="Null: not sold by the month.")
    year_cents: int | None = Field(default=None, description="Null: not sold by the year.")
    currency: str = "usd"
    models: list[str] = Field(default=[], description="Those it may use; none: all.")
    watermark: bool = False
    retention_days: int | None = Field(default=None, description="Null: pictures are kept for good.")
    advanced: bool = True
    characters: int | None = Field(default=None, description="Null: as many as one likes.")
    own_keys: bool = False

    def facts(self) -> PlanFacts:
        """As the service takes it. Raises InvalidInput naming every wrong field."""
        wrong = Wrong()
        grants = {
            name: {
                unit: wrong.read(name, granted, unit, amount) for unit, amount in getattr(self, name).items()
            }
            for name in ("signup_grants", "monthly_grants")
        }  # fmt: skip
        wrong.done()
        found: dict[str, Any] = self.model_dump(include=set(PlanFacts.__dataclass_fields__))
        return PlanFacts(**found | grants | {"limits": limits_of(self.limits), "models": tuple(self.models)})


class PlanPut(PlanChange):
    """A plan as it is to be."""

    confirmed: bool = Field(default=False, description="That people on it are to feel the change.")


class NewPlan(PlanChange):
    """A plan to be added."""

    key: NewKey


class PlanItem(PlanChange):
    """A plan as the operator sees it."""

    key: str
    hidden: bool = Field(description="Nobody is offered it; who is on it stays.")
    workspaces: int = Field(description="How many are on it.")
    edited: list[str] = Field(description="What an operator changed, and an edition leaves alone.")

    @classmethod
    def of(cls, plan: Plan, offer: Offer, edited: dict[str, Any]) -> "PlanItem":
        plain = PlanFacts.of(plan).columns()
        for name in ("signup_grants", "monthly_grants"):
            plain[name] = {unit: format_amount(unit, amount) for unit, amount in plain[name].items()}
        return cls(
            **plain, key=plan.key, hidden=plan.hidden, workspaces=offer.on_plan.get(plan.key, 0),
            edited=sorted(edited),
        )  # fmt: skip


class PlansAnswer(BaseModel):
    """All plans in their order."""

    items: list[PlanItem]


class PackChange(BaseModel):
    """A whole pack."""

    name: Annotated[str, Field(max_length=80)]
    credits: Annotated[str, Field(max_length=30, description="As a decimal string.")]
    price_cents: int
    currency: str = "usd"

    def facts(self) -> PackFacts:
        """As the service takes it. Raises InvalidInput."""
        return PackFacts(self.name, parse_credits(self.credits), self.price_cents, self.currency)


class NewPack(PackChange):
    """A pack to be added."""

    key: NewKey


class PackItem(PackChange):
    """A pack as the operator sees it."""

    key: str
    hidden: bool

    @classmethod
    def of(cls, pack: Pack) -> "PackItem":
        return cls(
            key=pack.key, name=pack.name, credits=format_credits(pack.credits), price_cents=pack.price_cents,
            currency=pack.currency, hidden=pack.hidden,
        )  # fmt: skip


class PacksAnswer(BaseModel):
    """All packs in their order."""

    items: list[PackItem]


class HiddenPut(BaseModel):
    """Whether it is offered no more."""

    hidden: bool


async def _plans(request: Request) -> PlansAnswer:
    async with request.app.state.db.elevated("operator: plans") as tx:
        offer = await selling.read(tx)
        edited = await selling.differing_all(tx, "plan")
    return PlansAnswer(items=[PlanItem.of(plan, offer, edited[plan.key]) for plan in offer.plans])


async def _plan(request: Request, key: str) -> PlanItem:
    async with request.app.state.db.elevated("operator: a plan") as tx:
        offer = await selling.read(tx)
        return PlanItem.of(offer.plan(key), offer, (await selling.differing_all(tx, "plan")).get(key, {}))


async def _packs(request: Request) -> PacksAnswer:
    async with request.app.state.db.elevated("operator: packs") as tx:
        return PacksAnswer(items=[PackItem.of(pack) for pack in (await selling.read(tx)).packs])


async def _pack(request: Request, key: str) -> PackItem:
    async with request.app.state.db.elevated("operator: a pack") as tx:
        return PackItem.of((await selling.read(tx)).pack(key))


@plans.get("", responses=problems(401, 404))
async def list_plans(request: Request, actor: CurrentOperator) -> PlansAnswer:
    """All plans in their order, hidden ones among them."""
    return await _plans(request)


@plans.post("", status_code=201, responses=problems(*ANY_BODY, 401, 404, 409, 422))
async def create_plan(request: Request, actor: CurrentOperator, body: NewPlan) -> PlanItem:
    """Add a plan behind all others."""
    async with request.app.state.db.elevated("operator: add a plan") as tx:
        await selling.save_plan(tx, deed_of(request, actor), body.key, body.facts(), new=True)
    return await _plan(request, body.key)


@plans.put("/order", responses=problems(*ANY_BODY, 401, 404, 422))
async def put_plans_in_order(request: Request, actor: CurrentOperator, body: Order) -> PlansAnswer:
    """Put these first, in this order."""
    async with request.app.state.db.elevated("operator: order plans") as tx:
        await selling.order(tx, deed_of(request, actor), body.keys, table="plan")
    return await _plans(request)


@plans.get("/{key}", responses=problems(401, 404, 422))
async def read_plan(request: Request, actor: CurrentOperator, key: Key) -> PlanItem:
    """One plan."""
    return await _plan(request, key)


@plans.put("/{key}", responses=problems(*ANY_BODY, 401, 404, 422))
async def update_plan(request: Request, actor: CurrentOperator, key: Key, body: PlanPut) -> PlanItem:
    """Change it; live in every process within a second. Refused until `confirmed` while people would feel it."""
    async with request.app.state.db.elevated("operator: change a plan") as tx:
        await selling.save_plan(tx, deed_of(request, actor), key, body.facts(), new=False, confirmed=body.confirmed)
    return await _plan(request, key)


@plans.put("/{key}/hidden", responses=problems(*ANY_BODY, 401, 404, 422))
async def hide_plan(request: Request, actor: CurrentOperator, key: Key, body: HiddenPut) -> PlanItem:
    """Offer it no more, or again."""
    async with request.app.state.db.elevated("operator: hide a plan") as tx:
        await selling.hide(tx, deed_of(request, actor), "plan", key, body.hidden)
    return await _plan(request, key)


@plans.delete("/{key}", status_code=204, responses=problems(401, 403, 404, 409, 422))
async def remove_one_plan(request: Request, actor: CurrentOperator, key: Key) -> Response:
    """Remove it for good. Refused while workspaces are on it."""
    async with request.app.state.db.elevated("operator: remove a plan") as tx:
        await selling.remove_plan(tx, deed_of(request, actor), key)
    return Response(status_code=204)


@packs.get("", responses=problems(401, 404))
async def list_packs(request: Request, actor: CurrentOperator) -> PacksAnswer:
    """All packs in their order, hidden ones among them."""
    return await _packs(request)


@packs.post("", status_code=201, responses=problems(*ANY_BODY, 401, 404, 409, 422))
async def create_pack(request: Request, actor: CurrentOperator, body: NewPack) -> PackItem:
    """Add a pack behind all others."""
    async with request.app.state.db.elevated("operator: add a pack") as tx:
        await selling.save_pack(tx, deed_of(request, actor), body.key, body.facts(), new=True)
    return await _pack(request, body.key)


@packs.put("/order", responses=problems(*ANY_BODY, 401, 404, 422))
async def put_packs_in_order(request: Request, actor: CurrentOperator, body: Order) -> PacksAnswer:
    """Put these first, in this order."""
    async with request.app.state.db.elevated("operator: order packs") as tx:
        await selling.order(tx, deed_of(request, actor), body.keys, table="pack")
    return await _packs(request)


@packs.put("/{key}", responses=problems(*ANY_BODY, 401, 404, 422))
async def update_pack(request: Request, actor: CurrentOperator, key: Key, body: PackChange) -> PackItem:
    """Change it; what was bought stays as it was bought."""
    async with request.app.state.db.elevated("operator: change a pack") as tx:
        await selling.save_pack(tx, deed_of(request, actor), key, body.facts(), new=False)
    return await _pack(request, key)


@packs.put("/{key}/hidden", responses=problems(*ANY_BODY, 401, 404, 422))
async def hide_pack(request: Request, actor: CurrentOperator, key: Key, body: HiddenPut) -> PackItem:
    """Sell it no more, or again."""
    async with request.app.state.db.elevated("operator: hide a pack") as tx:
        await selling.hide(tx, deed_of(request, actor), "pack", key, body.hidden)
    return await _pack(request, key)


@packs.delete("/{key}", status_code=204, responses=problems(401, 403, 404, 422))
async def remove_one_pack(request: Request, actor: CurrentOperator, key: Key) -> Response:
    """Remove it for good."""
    async with request.app.state.db.elevated("operator: remove a pack") as tx:
        await selling.remove_pack(tx, deed_of(request, actor), key)
    return Response(status_code=204)
