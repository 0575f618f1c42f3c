"""The development outbox: mail that would have been sent, were SMTP set up."""

from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter, Request
from fastapi.responses import Response

from gesso.accounts.access import CurrentOperator
from gesso.admin.frame import panel
from gesso.core.errors import NotFound

router = APIRouter(prefix="/admin", include_in_schema=False)

SHOWN = 100


@dataclass(frozen=True)
class MailView:
    """One kept mail. `paragraphs` are pairs of text and whether it is a link."""

    recipient: str
    subject: str
    paragraphs: tuple[tuple[str, bool], ...]
    created_at: datetime


def paragraphs_of(body_text: str) -> tuple[tuple[str, bool], ...]:
    """The lines of a mail without its signature; a line that is nothing but an address is a link."""
    lines = body_text.partition("\n-- \n")[0].split("\n")
    return tuple((line, line.startswith(("http://", "https://"))) for line in lines if line.strip())


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
    mails = [
        MailView(row["recipient"], row["subject"], paragraphs_of(row["body_text"]), row["created_at"]) for row in rows
    ]
    return await panel(request, "admin/outbox.html", mails=mails, shown=SHOWN)
