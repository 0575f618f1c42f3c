"""JSON: what can be asked for."""

from fastapi import APIRouter, Request

from gesso.accounts.access import CurrentActor
from gesso.catalog.shown import shown_catalog
from gesso.catalog.views import ModelItem, ModelsAnswer
from gesso.web.errors import problems

router = APIRouter(prefix="/api/models", tags=["models"])


@router.get("", responses=problems(401), response_model_exclude_unset=True)
async def read_models(request: Request, actor: CurrentActor) -> ModelsAnswer:
    """The models one may choose from, with what they accept and cost."""
    catalog = await shown_catalog(request)
    return ModelsAnswer(items=[ModelItem.of(model, catalog.style_presets()) for model in catalog.offered()])
