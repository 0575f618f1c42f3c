"""Sending mail: by SMTP where it is set up, else into the outbox that operators can read.

Mail leaves after the transaction that asked for it has committed, beside the request: a slow or dead mail
server neither holds up nor breaks an answer, and an answer's delay does not tell whether mail was sent.
"""

import asyncio
from collections.abc import Callable, Sequence
from email.message import EmailMessage
from email.utils import make_msgid, parseaddr
from urllib.parse import unquote, urlsplit

import aiosmtplib
import structlog
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from gesso.accounts.messages import Mail
from gesso.core.ids import new_id
from gesso.core.settings import MailSettings
from gesso.core.telemetry import metrics
from gesso.db import Database
from gesso.db.session import Session

log = structlog.get_logger()

TIMEOUT_SECONDS = 20
_templates = Environment(
    loader=PackageLoader("gesso.accounts"),
    autoescape=select_autoescape(("html",)),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def _permanent(error: Exception) -> bool:
    """Whether the mail server's answer would be the same again (RFC 5321: codes from 500)."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return all(refused.code >= 500 for refused in error.recipients)
    return isinstance(error, aiosmtplib.SMTPResponseException) and error.code >= 500


class Mailer:
    """Sends the product's mail. Held as `app.state.mailer`."""

    def __init__(
        self,
        settings: MailSettings,
        db: Database,
        *,
        brand: Callable[[], str],
        outbox: bool,
        retry_seconds: Sequence[float] = (2, 10, 60),
    ) -> None:
        """`brand` gives the product's name as it is now. `outbox`: without SMTP, mail is kept for operators
        (in development; elsewhere a page full of password links would be a way into every account).
        `retry_seconds` are the pauses after failures.
        """
        self._settings = settings
        self._outbox = outbox
        self._db = db
        self._brand = brand
        self._retry_seconds = retry_seconds
        self._under_way: set[asyncio.Task[bool]] = set()

    @property
    def has_outbox(self) -> bool:
        """Whether mail is kept for operators instead of being sent."""
        return self._outbox and self._settings.smtp_url is None

    @property
    def brand(self) -> str:
        """The product's name, for subjects."""
        return self._brand()

    def send(self, tx: Session, mail: Mail) -> None:
        """Send `mail` once `tx` has committed."""
        tx.after_commit(lambda: self._start(mail))

    async def deliver(self, mail: Mail) -> bool:
        """Send `mail` now, for a job that no transaction waits for. False: it did not leave, and may another time.

        True also where it never will: the server refused it for good, or no mail is set up.
        """
        return await self._deliver(mail)

    async def drain(self, patience_seconds: float = 5) -> None:
        """Wait until all mail under way has left or was given up: for a graceful stop.

        What is not gone in time is given up: the person asks again, and a stop takes seconds.
        """
        if not self._under_way:
            return
        _, late = await asyncio.wait(self._under_way, timeout=patience_seconds)
        for task in late:
            task.cancel()
        if late:
            log.warning("mail.given_up", mails=len(late))

    async def _start(self, mail: Mail) -> None:
        task = asyncio.create_task(self._deliver(mail), name="mail")
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _deliver(self, mail: Mail) -> bool:
        for pause in (*self._retry_seconds, None):
            try:
                await (self._keep(mail) if self._settings.smtp_url is None else self._transmit(mail))
                return True
            except Exception as error:  # noqa: BLE001 - nothing about mail may break what asked for it
                # Whatever it was, its text may quote the recipient: only its kind is logged.
                final = _permanent(error)
                again = pause is not None and not final
                metrics.MAILS.labels("retried" if again else "given_up").inc()
                log.warning("mail.failed", error=type(error).__name__, subject=mail.subject, again=again)
            if pause is None or not again:
                return final
            await asyncio.sleep(pause)
        return False

    async def _keep(self, mail: Mail) -> None:
        if not self._outbox:
            metrics.MAILS.labels("not_set_up").inc()
            log.warning("mail.not_set_up", subject=mail.subject, setting="GESSO_MAIL_SMTP_URL")
            return
        async with self._db.public() as tx:
            await tx.execute_raw(
                "INSERT INTO outbox_mail (id, recipient, subject, body_text) VALUES ($1, $2, $3, $4)",
                new_id(), mail.recipient, mail.subject, self._render("mail.txt", mail),
            )  # fmt: skip

    async def _transmit(self, mail: Mail) -> None:
        assert self._settings.smtp_url is not None
        server = urlsplit(self._settings.smtp_url.get_secret_value())
        implicit_tls = server.scheme == "smtps"
        await aiosmtplib.send(
            self._compose(mail),
            hostname=server.hostname,
            port=server.port or (465 if implicit_tls else 587),
            username=unquote(server.username) if server.username else None,
            password=unquote(server.password) if server.password else None,
            use_tls=implicit_tls,
            timeout=TIMEOUT_SECONDS,
        )
        metrics.MAILS.labels("sent").inc()

    def _compose(self, mail: Mail) -> EmailMessage:
        message = EmailMessage()
        message["From"] = self._settings.from_address
        message["To"] = mail.recipient
        message["Subject"] = mail.subject
        sender = parseaddr(self._settings.from_address)[1]
        message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2] or None)
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(self._render("mail.txt", mail))
        message.add_alternative(self._render("mail.html", mail), subtype="html")
        return message

    def _render(self, name: str, mail: Mail) -> str:
        return _templates.get_template(f"accounts/{name}").render(mail=mail, brand=self.brand)
