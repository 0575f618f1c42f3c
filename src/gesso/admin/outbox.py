"""The development outbox: mail that would have been sent, were SMTP set up."""

from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter, Request
from fastapi.responses import Response

from gesso.accounts.access import CurrentOperator
from gesso.core.errors import NotFound
from gesso.web.render import page

router = APIRouter(prefix="/admin", include_in_schema=False)

SHOWN = 100


@dataclass(frozen=True)
class MailView:
    """One kept mail."""

    recipient: str
    subject: str
    body_text: str
    created_at: datetime


@router.get("/outbox")
async def outbox_page(request: Request, actor: CurrentOperator) -> Response:
    """The newest mails, for operators, while there is no mail server. Raises NotFound otherwise."""
    if not request.app.state.mailer.has_outbox:
        raise NotFound("Mail is sent from this site, so nothing is kept here.")
    async with request.app.state.db.elevated("operator reads the development outbox") as tx:
        rows = await tx.fetch(
            "SELECT recipient, subject, body_text, created_at FROM outbox_mail"
            " ORDER BY created_at DESC, id DESC LIMIT $1",
            SHOWN,
        )
    return await page(request, "admin/outbox.html", mails=[MailView(**row) for row in rows], shown=SHOWN)
