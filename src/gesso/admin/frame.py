"""The frame of the operator's panel: its own rail around the product's own shell."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlencode

from fastapi import Request, Response
from pydantic import BaseModel, Field

from gesso.accounts import repository as accounts
from gesso.accounts.access import Actor
from gesso.accounts.visit import visit_of
from gesso.core.sealed import Sealer
from gesso.db import ElevatedSession
from gesso.web.forms import read
from gesso.web.render import page, redirect
from gesso.web.shell import NavItem, Shell

_SITE = (NavItem("Overview", "/admin", "gauge", exact=True),)
_AUDIT = NavItem("Audit log", "/admin/audit", "scroll-text", tab=False)
_OUTBOX = NavItem("Outbox", "/admin/outbox", "mail", tab=False)
_PEOPLE = (
    NavItem("Users", "/admin/users", "user-round", tab=False),
    NavItem("Workspaces", "/admin/workspaces", "users", tab=False),
    NavItem("Moderation", "/admin/moderation", "shield", tab=False),
)
_SELLING = (
    NavItem("Plans", "/admin/plans", "gift", tab=False),
    NavItem("Packs", "/admin/packs", "credit-card", tab=False),
    NavItem("Subscriptions", "/admin/subscriptions", "repeat", tab=False),
    NavItem("Webhooks", "/admin/webhooks", "webhook", tab=False),
)
_MAKING = (
    NavItem("Connections", "/admin/connections", "plug"),
    NavItem("Models", "/admin/models", "box"),
    NavItem("Styles", "/admin/styles", "palette", tab=False),
    NavItem("Chains", "/admin/chains", "link", tab=False),
    NavItem("Jobs", "/admin/jobs", "list"),
    NavItem("Bills", "/admin/bills", "coins", tab=False),
    NavItem("Deletions", "/admin/deletions", "trash-2", tab=False),
)
_LEAVE = (NavItem("Back to the site", "/create", "arrow-left", tab=False),)


@dataclass(frozen=True, slots=True)
class Group:
    """A part of the rail."""

    label: str
    items: Sequence[NavItem]


@dataclass(frozen=True, slots=True)
class Deed:
    """Who changes the site, when and from where: what every change is written down with."""

    actor: Actor
    at: datetime
    ip: str | None

    async def note(self, tx: ElevatedSession, action: str, **detail: Any) -> None:
        """Write it into the audit log, in the transaction that does it. `detail` never holds a secret."""
        await accounts.add_site_event(tx, self.actor.user_id, action, at=self.at, ip=self.ip, **detail)


def deed_of(request: Request, actor: Actor) -> Deed:
    """The circumstances of this request."""
    visit = visit_of(request)
    return Deed(actor, visit.at, visit.ip)


def sealer_of(request: Request) -> Sealer:
    """What seals providers' keys on this site."""
    sealer: Sealer = request.app.state.settings.sealer
    return sealer


def groups(*, has_outbox: bool) -> tuple[Group, ...]:
    """The panel's pages."""
    return (
        Group("Site", (*_SITE, _AUDIT, *((_OUTBOX,) if has_outbox else ()))),
        Group("People", _PEOPLE),
        Group("Selling", _SELLING),
        Group("Making", _MAKING),
        Group("Elsewhere", _LEAVE),
    )


class BackForm(BaseModel):
    """The list one came from, as the query of its address."""

    back: Annotated[str, Field(max_length=1000)] = ""


async def back_to(request: Request, home: str, otherwise: str) -> Response:
    """To the list at `home` as it was when one came from there, else to the page `otherwise`."""
    form = await read(request, BackForm)
    back = form.value.back if form.ok else ""
    return redirect(request, f"{home}?{urlencode(parse_qsl(back))}" if back else otherwise)


async def panel(request: Request, template: str, status: int = 200, **context: Any) -> Response:
    """A page of the panel. Its template extends admin/_frame.html."""
    shell: Shell | None = await request.app.state.shell(request)
    rail = groups(has_outbox=request.app.state.mailer.has_outbox)
    if shell is not None:
        shell = replace(shell, nav=[item for group in rail for item in group.items])
    return await page(request, template, status, shell=shell, rail_groups=rail, **context)
