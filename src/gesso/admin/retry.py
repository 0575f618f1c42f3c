"""Asking again, in its owner's name, for what failed: for the operator who has mended what was wrong."""

from uuid import UUID

from fastapi import FastAPI

from gesso.accounts.access import Actor
from gesso.admin import jobs
from gesso.admin.frame import Deed
from gesso.core.errors import Conflict
from gesso.generation import service
from gesso.generation.moderating import heard_again
from gesso.web.idempotency import Once

_NO_SESSION = UUID(int=0)
_OWNER = """
SELECT u.id AS user_id, u.email::text AS email, u.name, w.id AS workspace_id, w.name AS workspace_name, m.role,
    false AS is_operator, u.email_verified_at IS NOT NULL AS email_verified, w.plan_key
FROM generation g JOIN app_user u ON u.id = g.user_id AND u.disabled_at IS NULL
    JOIN membership m ON m.user_id = u.id AND m.workspace_id = g.workspace_id JOIN workspace w ON w.id = m.workspace_id
WHERE g.workspace_id = $1 AND g.id = $2
"""
_ASKED_AGAIN = "SELECT EXISTS (SELECT FROM generation WHERE workspace_id = $1 AND id > $2 AND rerun_of = $2)"


async def retry(app: FastAPI, deed: Deed, generation_id: UUID) -> UUID:
    """Ask for the same again, seed included; returns the new generation's id. It is paid for when it arrives, and for
    no more than the price its owner agreed to.

    Raises NotFound; Conflict when it did not fail, was asked for again already, its owner has left, or it costs more
    now; and what `service.submit` and the judge of prompts raise, OutOfCredits among it.
    """
    state = app.state
    async with state.db.elevated("operator: whose a generation is") as tx:
        job = await jobs.find(tx, generation_id)
        row = await tx.fetchrow(_OWNER, job.workspace_id, job.id)
    if job.state != "failed":
        raise Conflict("Only what failed can be asked for again.")
    if row is None:
        raise Conflict("Whoever asked for it has left the workspace.")
    owner = Actor(**row, session_id=_NO_SESSION)
    async with (
        heard_again(state, owner, job.id, state.catalog, Once.of("retry", None, {})) as prompt,
        state.db.workspace(job.workspace_id, owner.user_id) as work,
    ):
        # two operators who press at once wait for each other
        await work.fetchval(
            "SELECT 1 FROM generation WHERE workspace_id = $1 AND id = $2 FOR UPDATE", work.workspace_id, job.id
        )
        if await work.fetchval(_ASKED_AGAIN, work.workspace_id, job.id):
            raise Conflict("It was asked for again already.")
        made = await service.rerun(
            work, owner, job.id, state.catalog, new_seed=False, source="page", now=deed.at,
            waiting_limit=state.settings.limits.waiting_generations,
        )  # fmt: skip
        await prompt.keep(work, made.id)
        if made.price.credits > job.price.credits:
            raise Conflict("It costs more now than its owner agreed to. Only they can ask for it at the new price.")
    async with state.db.elevated("operator: note the retry") as tx:
        await deed.note(tx, "generation.retried", generation=str(job.id), as_generation=str(made.id))
    return made.id
