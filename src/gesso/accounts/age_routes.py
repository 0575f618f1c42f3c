"""`/api/auth/age`: people's own word that they are adults, for programs. Only where adult models are offered."""

from datetime import datetime
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from gesso.accounts import age
from gesso.accounts.access import CurrentActor
from gesso.accounts.visit import visit_of
from gesso.core.errors import NotFound
from gesso.web.errors import ANY_BODY, problems

router = APIRouter(prefix="/age")


class AgeSaid(BaseModel):
    """What the person says."""

    model_config = ConfigDict(extra="forbid")

    adult: Literal[True] = Field(description="That they are 18 or older, and adult models are allowed where they live.")


class Age(BaseModel):
    """Whether adult models are shown to the person."""

    confirmed_at: datetime | None = Field(description="When they said that they are adults; null: adult models hide.")


def only_for_adults(request: Request) -> None:
    """Raises NotFound where no adult models are offered: there the question is never asked."""
    if not request.app.state.adult():
        raise NotFound("There is nothing here.")


@router.get("", responses=problems(401, 404), summary="Whether one has confirmed to be an adult")
async def age_of(request: Request, actor: CurrentActor) -> Age:
    """When you confirmed that you are 18 or older, if you did."""
    only_for_adults(request)
    return await _age(request, actor)


@router.put("", responses=problems(*ANY_BODY, 401, 404, 422), summary="Confirm to be an adult")
async def confirm(request: Request, actor: CurrentActor, body: AgeSaid) -> Age:
    """Say that you are 18 or older: adult models are shown to you from now on. Again: the first time counts."""
    only_for_adults(request)
    async with request.app.state.db.workspace(actor.workspace_id, actor.user_id) as tx:
        await age.confirm(tx, visit_of(request))
    return await _age(request, actor)


@router.delete("", responses=problems(401, 404), summary="Take it back")
async def withdraw(request: Request, actor: CurrentActor) -> Age:
    """Adult models are hidden from you again."""
    only_for_adults(request)
    async with request.app.state.db.workspace(actor.workspace_id, actor.user_id) as tx:
        await age.withdraw(tx, visit_of(request))
    return await _age(request, actor)


async def _age(request: Request, actor: CurrentActor) -> Age:
    async with request.app.state.db.workspace(actor.workspace_id, actor.user_id) as tx:
        return Age(confirmed_at=await age.confirmed_at(tx))
