"""Mail through a real SMTP server on the loopback, and what happens when there is none."""

import asyncio
import email
import email.policy
from collections.abc import AsyncIterator
from email.message import EmailMessage
from typing import Any

import pytest
import structlog
from aiosmtpd.smtp import SMTP
from pydantic import SecretStr

from gesso.accounts.mail import Mailer
from gesso.accounts.messages import reset_mail
from gesso.core.settings import MailSettings
from gesso.db import Database

TOKEN_URL = "http://gesso.test/reset/a-very-secret-token"


class Mailbox:
    """An SMTP server's handler. `refusals`: how many mails are turned away first, and with what."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.refusals: list[str] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.refusals:
            return self.refusals.pop(0)
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        message["X-Envelope-To"] = ",".join(envelope.rcpt_tos)
        self.mails.append(message)
        return "250 OK"


@pytest.fixture
async def mailbox() -> AsyncIterator[tuple[Mailbox, int]]:
    box = Mailbox()
    loop = asyncio.get_running_loop()
    async with await loop.create_server(lambda: SMTP(box, hostname="mail.test"), "127.0.0.1", 0) as server:
        yield box, server.sockets[0].getsockname()[1]


def mailer(db: Database, port: int, retries: tuple[float, ...] = ()) -> Mailer:
    settings = MailSettings(smtp_url=SecretStr(f"smtp://127.0.0.1:{port}"), from_address="Gesso <art@gesso.test>")
    return Mailer(settings, db, brand=lambda: "Gesso", outbox=True, retry_seconds=retries)


async def send(db: Database, sender: Mailer, to: str = "ada@example.test", name: str = "Ada") -> None:
    mail = reset_mail(brand="Gesso", recipient=to, name=name, url=TOKEN_URL, minutes=30)
    async with db.public() as tx:
        sender.send(tx, mail)
    await sender.drain()


async def test_a_mail_has_text_and_html(db: Database, mailbox: tuple[Mailbox, int]) -> None:
    box, port = mailbox
    await send(db, mailer(db, port), name="Ada <b>Keller</b>")
    [mail] = box.mails
    assert mail["X-Envelope-To"] == "ada@example.test"
    assert (mail["From"], mail["Subject"]) == ("Gesso <art@gesso.test>", "Choose a new password for Gesso")
    text, page = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None and page is not None
    assert TOKEN_URL in text.get_content() and "Ada <b>Keller</b>" in text.get_content()
    assert f'href="{TOKEN_URL}"' in page.get_content()
    assert "Ada &lt;b&gt;Keller&lt;/b&gt;" in page.get_content()


async def test_nothing_is_sent_when_the_transaction_fails(db: Database, mailbox: tuple[Mailbox, int]) -> None:
    box, port = mailbox
    sender = mailer(db, port)
    with pytest.raises(RuntimeError):
        async with db.public() as tx:
            sender.send(tx, reset_mail(brand="G", recipient="ada@example.test", name="Ada", url="x", minutes=30))
            raise RuntimeError
    await sender.drain()
    assert box.mails == []


async def test_a_busy_server_is_tried_again_and_a_refusing_one_is_not(
    db: Database, mailbox: tuple[Mailbox, int]
) -> None:
    box, port = mailbox
    box.refusals = ["451 try later"]
    await send(db, mailer(db, port, (0, 0)))
    assert len(box.mails) == 1
    box.refusals = ["554 go away", "250 never asked"]
    await send(db, mailer(db, port, (0, 0)))
    assert len(box.mails) == 1
    assert box.refusals == ["250 never asked"]


async def test_a_dead_server_breaks_nothing_and_the_log_names_nobody(db: Database) -> None:
    with structlog.testing.capture_logs() as logs:
        await send(db, mailer(db, port=1))
    assert [entry["event"] for entry in logs] == ["mail.failed"]
    assert "ada@example.test" not in str(logs) and "secret-token" not in str(logs)


async def test_a_slow_server_does_not_hold_up_the_transaction(db: Database) -> None:
    reached, release = asyncio.Event(), asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.set()
        await release.wait()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        sender = mailer(db, server.sockets[0].getsockname()[1])
        async with asyncio.timeout(5):
            async with db.public() as tx:
                sender.send(tx, reset_mail(brand="G", recipient="a@b.test", name="A", url="x", minutes=30))
            await reached.wait()
        release.set()
        await sender.drain()


async def test_in_production_without_smtp_nothing_is_kept(db: Database) -> None:
    sender = Mailer(MailSettings(), db, brand=lambda: "Gesso", outbox=False, retry_seconds=())
    with structlog.testing.capture_logs() as logs:
        await send(db, sender, to="kept.nowhere@example.test")
    assert [entry["event"] for entry in logs] == ["mail.not_set_up"]
    async with db.elevated("test") as tx:
        kept = await tx.fetchval("SELECT count(*) FROM outbox_mail WHERE recipient = 'kept.nowhere@example.test'")
    assert kept == 0
