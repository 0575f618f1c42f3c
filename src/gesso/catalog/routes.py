"""JSON: what can be asked for."""

from fastapi import APIRouter, Request

from gesso.accounts.access import CurrentActor
from gesso.catalog.allowed import model_opener, opens
from gesso.catalog.shown import shown_catalog
from gesso.catalog.views import ModelItem, ModelsAnswer
from gesso.web.errors import problems

router = APIRouter(prefix="/api/models", tags=["models"])


@router.get("", responses=problems(401), response_model_exclude_unset=True)
async def read_models(request: Request, actor: CurrentActor) -> ModelsAnswer:
    """The models one may choose from, with what they accept and cost. What no plan opens is not among them."""
    catalog = await shown_catalog(request)
    plan, plans, styles = catalog.plan(actor.plan_key), catalog.plans(), catalog.style_presets()
    return ModelsAnswer(
        items=[
            ModelItem.of(model, styles, plan, plans)
            for model in catalog.offered()
            if opens(plan, model) or model_opener(plans, model) is not None
        ]
    )
