"""From a stranger's form to an account with an open session, in one transaction."""

from gesso.accounts import recovery, repository, service
from gesso.accounts.access import Actor
from gesso.accounts.hooks import AccountHooks
from gesso.accounts.mail import Mailer
from gesso.accounts.sessions import OpenSession, open_session
from gesso.accounts.visit import Visit
from gesso.core.settings import Settings
from gesso.core.telemetry import product
from gesso.db import Database
from gesso.web import ratelimit

_HOUR_SECONDS = 3600


async def register(
    db: Database,
    *,
    email: str,
    name: str,
    password: str,
    lasting: bool,
    hooks: AccountHooks,
    mailer: Mailer,
    settings: Settings,
    visit: Visit,
    replaces: Actor | None = None,
) -> OpenSession:
    """Sign someone up and in. `replaces`: the session that was open in this browser.

    Raises InvalidInput naming every wrong field, EmailTaken, TooManyRequests.
    """
    await ratelimit.hit(
        db, f"signup:ip:{visit.network}", settings.signups_per_hour, _HOUR_SECONDS,
        "Too many accounts were made from your address.",
    )  # fmt: skip
    site = (mailer.brand, settings.site.host_name)
    applicant = await service.apply(email=email, name=name, password=password, site=site)
    async with db.workspace(applicant.workspace_id, applicant.user_id) as tx:
        await service.sign_up(tx, applicant, hooks=hooks, visit=visit)
        tx.record(product.track, "signed up", applicant.user_id)
        if settings.mail.verification:
            await recovery.send_verification(
                tx, email=applicant.email, name=applicant.name, site_url=settings.site.url,
                mailer=mailer, visit=visit,
            )  # fmt: skip
        opened = await open_session(tx, lasting=lasting, visit=visit)
    if replaces is not None:
        async with db.workspace(replaces.workspace_id, replaces.user_id) as tx:
            await repository.revoke_session(tx, replaces.session_id, visit.at)
    return opened
