"""The first steps of newcomers, as the edition names them: what is done already and what comes next.

They stand above the results of Create until all are done, somebody hides them, or knows their way about anyhow.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from fastapi import APIRouter, Request, Response

from gesso.accounts.access import Actor, CurrentActor
from gesso.catalog.registry import Catalog
from gesso.catalog.shown import shown_catalog
from gesso.db import WorkspaceSession
from gesso.generation.rooms import CREATE
from gesso.prompts.models import CHAIN_OF, KINDS
from gesso.web.render import fragment, is_htmx, redirect

router = APIRouter(include_in_schema=False)

COOKIE: Final = "gesso_steps"
_YEAR_SECONDS: Final = 31_536_000
_PLACES: Final = {"video": "/video", "favourite": "/gallery", "age": "/settings/age?next=/create"}
"""Where a step is done, when not on Create."""
_ENOUGH: Final = 50
"""Who has asked for so many things needs no first steps; no more than these are looked at."""
_DONE: Final = """
    SELECT asked >= $3 AS enough, image > 0 AS image, image > 1 AS again, video > 0 AS video,
        reference > 0 AS reference,
        EXISTS (SELECT FROM asset WHERE workspace_id = $1 AND favourite) AS favourite,
        coalesce(written.improve, false) AS improve, coalesce(written.describe, false) AS describe
    FROM (
        SELECT count(*) AS asked, count(*) FILTER (WHERE ok AND kind = 'image') AS image,
            count(*) FILTER (WHERE ok AND kind = 'video') AS video,
            count(*) FILTER (WHERE ok AND cardinality(inputs) > 0) AS reference
        FROM (
            SELECT kind, inputs, state = 'succeeded' AS ok FROM generation
            WHERE workspace_id = $1 AND user_id = $2 ORDER BY id DESC LIMIT $3
        ) newest
    ) made, (
        SELECT bool_or(kind = 'improve') AS improve, bool_or(kind = 'describe') AS describe
        FROM (
            SELECT kind FROM prompt_record
            WHERE workspace_id = $1 AND user_id = $2 AND state = 'done' ORDER BY id DESC LIMIT $3
        ) texts
    ) written"""


@dataclass(frozen=True, slots=True)
class FirstStep:
    """A step as it stands. `next`: the first that is not done."""

    title: str
    text: str
    href: str
    done: bool
    next: bool


@dataclass(frozen=True, slots=True)
class FirstSteps:
    """All of them."""

    all: tuple[FirstStep, ...]

    @property
    def done(self) -> int:
        """How many are."""
        return sum(step.done for step in self.all)


async def first_steps(request: Request, tx: WorkspaceSession, actor: Actor) -> FirstSteps | None:
    """The steps of whoever is signed in; None when there is nothing to lead to any more."""
    catalog: Catalog = await shown_catalog(request)
    wanted = [step for step in catalog.edition.welcome.steps if _possible(step.do, catalog)]
    if not wanted or request.cookies.get(COOKIE) == "off":
        return None
    row = await tx.fetchrow(_DONE, tx.workspace_id, actor.user_id, _ENOUGH)
    assert row is not None
    done: Mapping[str, bool] = {**row, "age": bool(getattr(request.state, "of_age", False))}
    if row["enough"] or all(done[step.do] for step in wanted):
        return None
    following = next(step for step in wanted if not done[step.do])
    return FirstSteps(
        tuple(
            FirstStep(step.title, step.text, _PLACES.get(step.do, CREATE.path), done[step.do], step is following)
            for step in wanted
        )
    )


def _possible(do: str, catalog: Catalog) -> bool:
    """Whether this site, as it is now, has what a step leads to."""
    if do == "age":
        return catalog.edition.policy.adult
    if do == "video":
        return "video" in catalog.edition.modules and bool(catalog.models("video"))
    if do == "favourite":
        return "gallery" in catalog.edition.modules
    if do == "reference":
        return any("references" in model.settings for model in catalog.models("image"))
    for kind in KINDS:
        if do == kind:
            return bool(catalog.chain(CHAIN_OF[kind])[0])
    return True


@router.get("/create/steps")
async def steps_fragment(request: Request, actor: CurrentActor) -> Response:
    """The steps as they stand now; nothing once they are all done."""
    await shown_catalog(request)
    async with request.app.state.db.workspace(actor.workspace_id, actor.user_id) as tx:
        steps = await first_steps(request, tx, actor)
    return fragment(request, "generation/_steps.html", steps=steps)


@router.post("/create/steps/hide")
async def hide_steps(request: Request, actor: CurrentActor) -> Response:
    """Show them no more in this browser."""
    response = Response() if is_htmx(request) else redirect(request, CREATE.path)
    secure = request.app.state.settings.site.secure_cookies
    response.set_cookie(COOKIE, "off", max_age=_YEAR_SECONDS, httponly=True, samesite="lax", secure=secure)
    return response
