"""`/api/provider-keys`: one's own provider keys for programs. What goes in never comes out again."""

from datetime import datetime
from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, SecretStr, StrictBool

from gesso.accounts.access import Actor, CurrentActor
from gesso.accounts.visit import visit_of
from gesso.catalog.own_keys import repository, service
from gesso.catalog.own_keys.pages import Shown
from gesso.catalog.own_keys.service import Tried
from gesso.catalog.own_keys.views import KeysView, ProviderView, view
from gesso.catalog.registry import Catalog
from gesso.web.errors import ANY_BODY, problems

router = APIRouter(prefix="/api/provider-keys", tags=["provider keys"])


class PutKey(BaseModel):
    """A provider's key."""

    model_config = ConfigDict(extra="forbid")

    api_key: SecretStr = Field(description="As the provider gave it to you.")


class UseKeys(BaseModel):
    """Whether your keys are to be used."""

    model_config = ConfigDict(extra="forbid")

    use: StrictBool = Field(description="When your allowances and credits do not cover a request.")


class KeyJson(BaseModel):
    """A key that is kept. It is never told again."""

    tail: str | None = Field(description="Its last four characters; null for a short one.")
    since: datetime
    refused: Literal["key", "credit"] | None = Field(
        description="Why it rests: its provider refused it, or its account there is empty. Replace or test it."
    )


class ProviderKeyJson(BaseModel):
    """A provider, and your key for it."""

    provider: str
    name: str
    models: list[str] = Field(description="Names of the models that a key for it opens.")
    key: KeyJson | None

    @classmethod
    def of(cls, one: ProviderView) -> "ProviderKeyJson":
        mine = one.mine
        key = KeyJson(tail=mine.tail or None, since=mine.since, refused=mine.refused) if mine else None
        return cls(provider=one.key, name=one.name, models=list(one.models), key=key)


class ProviderKeysAnswer(BaseModel):
    """Your own keys."""

    plan_has_them: bool
    opened_by: str | None = Field(description="Key of the plan that has own keys, where yours has not.")
    use: bool = Field(description="Whether they are used when allowances and credits do not cover a request.")
    items: list[ProviderKeyJson]

    @classmethod
    def of(cls, keys: KeysView) -> "ProviderKeysAnswer":
        return cls(
            plan_has_them=not keys.locked, opened_by=keys.opened_by.key if keys.opened_by else None,
            use=keys.switched_on, items=[ProviderKeyJson.of(one) for one in keys.providers],
        )  # fmt: skip


class TriedAnswer(BaseModel):
    """What the provider said of a key."""

    ok: bool
    reached: bool = Field(description="False: the provider could not be asked now.")
    refused: Literal["key", "credit"] | None
    detail: str

    @classmethod
    def of(cls, tried: Tried) -> "TriedAnswer":
        return cls(ok=tried.ok, reached=tried.reached, refused=tried.refusal, detail=tried.words)


@router.get("", responses=problems(401, 404))
async def read_provider_keys(request: Request, actor: CurrentActor, catalog: Shown) -> ProviderKeysAnswer:
    """Providers that you may bring a key for, and your keys."""
    return await _mine(request, actor, catalog)


@router.put("", responses=problems(*ANY_BODY, 401, 403, 404, 422))
async def use_provider_keys(
    request: Request, actor: CurrentActor, catalog: Shown, body: UseKeys
) -> ProviderKeysAnswer:  # fmt: skip
    """Have your keys used when allowances and credits do not cover a request, or not. Off unless you say so."""
    async with request.app.state.db.workspace(actor.workspace_id, actor.user_id) as tx:
        await service.switch(tx, actor, catalog, body.use, visit=visit_of(request))
    return await _mine(request, actor, catalog)


@router.put("/{provider}", responses=problems(*ANY_BODY, 401, 403, 404, 409, 422, 429))
async def put_provider_key(
    request: Request, actor: CurrentActor, catalog: Shown, provider: str, body: PutKey
) -> TriedAnswer:  # fmt: skip
    """Add your key for a provider, or replace it. It is tried at once, and not kept if the provider refuses it."""
    state = request.app.state
    return TriedAnswer.of(
        await service.put(
            state.db, actor, catalog, service.find(catalog, provider), body.api_key, sealer=state.settings.sealer,
            sandbox_url=state.settings.site.sandbox_url, visit=visit_of(request),
        )
    )  # fmt: skip


@router.post("/{provider}/test", responses=problems(401, 403, 404, 422, 429))
async def test_provider_key(request: Request, actor: CurrentActor, catalog: Shown, provider: str) -> TriedAnswer:
    """Ask the provider about your key, by its cheapest call. A key that rested is used again when it is accepted."""
    state = request.app.state
    return TriedAnswer.of(
        await service.test(
            state.db, actor, service.find(catalog, provider), sealer=state.settings.sealer,
            sandbox_url=state.settings.site.sandbox_url,
        )
    )  # fmt: skip


@router.delete("/{provider}", status_code=204, responses=problems(401, 403, 404, 422))
async def remove_provider_key(request: Request, actor: CurrentActor, catalog: Shown, provider: str) -> Response:
    """Forget your key at once. What runs on it ends without it."""
    found = service.find(catalog, provider)
    async with request.app.state.db.workspace(actor.workspace_id, actor.user_id) as tx:
        key = (await repository.mine(tx)).key_for(found.connection)
        await service.remove(tx, key, visit=visit_of(request))
    return Response(status_code=204)


async def _mine(request: Request, actor: Actor, catalog: Catalog) -> ProviderKeysAnswer:
    async with request.app.state.db.workspace(actor.workspace_id, actor.user_id) as tx:
        keys = await repository.mine(tx)
    return ProviderKeysAnswer.of(view(catalog, catalog.plan(actor.plan_key), keys, buys=actor.role == "admin"))
