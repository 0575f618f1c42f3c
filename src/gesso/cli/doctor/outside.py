"""Whoever we depend on: the file store, the mail server, those we tell, and providers."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

import aiosmtplib

from gesso.calls.gate import OPEN_AFTER
from gesso.catalog import service
from gesso.catalog.items import Connection
from gesso.catalog.registry import Catalog
from gesso.cli.doctor.findings import Finding, ago, graded, ill, look, well
from gesso.core.errors import GessoError
from gesso.core.settings import Settings, SettingsError
from gesso.db import Database
from gesso.media.storage import Storage

REACH_SECONDS = 5.0
SLOW_STORE_SECONDS = 1.0

_PAUSES = {
    "busy": "It answered that it is busy; it goes on by itself.",
    "unavailable": "It keeps failing; a probe is sent now and then, and the first success lets all go on.",
    "key": "It refuses our key: gesso connection key {key}",
    "credit": "Our account there is empty: top it up, then gesso connection test {key}",
}


async def examine(settings: Settings) -> list[Finding]:
    """File store, mail, and the hosts that are told something."""
    return [await _storage(settings), await _mail(settings), *await _told(settings)]


async def _storage(settings: Settings) -> Finding:
    begun = time.perf_counter()
    try:
        store = Storage.from_url(settings.storage_url, settings.storage)
        await store.check()
    except (GessoError, SettingsError, ValueError) as error:
        return ill("file store", str(error), "Look at GESSO_STORAGE_URL, the store's rights and its free space.")
    took = time.perf_counter() - begun
    return graded(
        "file store", f"{store.name}: wrote and read in {took * 1000:.0f} ms",
        "It is slow from here: put it nearer, or look at the network.", ill_if=False, look_if=took > SLOW_STORE_SECONDS,
    )  # fmt: skip


async def _mail(settings: Settings) -> Finding:
    if settings.mail.smtp_url is None:
        return graded(
            "mail", "kept on /admin/outbox" if settings.site.development else "not set up: nobody can reset a password",
            "Set GESSO_MAIL_SMTP_URL and GESSO_MAIL_FROM_ADDRESS.", ill_if=not settings.site.development,
        )  # fmt: skip
    server = urlsplit(settings.mail.smtp_url.get_secret_value())
    tls = server.scheme == "smtps"
    client = aiosmtplib.SMTP(
        hostname=server.hostname, port=server.port or (465 if tls else 587), use_tls=tls, timeout=REACH_SECONDS,
        username=unquote(server.username) if server.username else None,
        password=unquote(server.password) if server.password else None,
    )  # fmt: skip
    try:
        await client.connect()  # says hello, turns TLS on where offered, logs in
        await client.quit()
    except (aiosmtplib.SMTPException, OSError) as error:
        found = f"{server.hostname} does not let us in ({type(error).__name__})"
        return ill("mail", found, "Look at GESSO_MAIL_SMTP_URL: host, port, user and password.")
    if "localhost" in settings.mail.from_address:
        return look("mail", f"sent from {settings.mail.from_address}", "Set GESSO_MAIL_FROM_ADDRESS.")
    return well("mail", f"{server.hostname} lets us in")


async def _told(settings: Settings) -> list[Finding]:
    told = settings.telemetry
    places = {
        "traces": told.otlp_endpoint,
        "error reports": told.sentry_dsn.get_secret_value() if told.sentry_dsn else None,
        "product events": told.posthog_host if told.posthog_api_key else None,
    }
    return [await _reachable(part, urlsplit(url)) for part, url in places.items() if url]


async def _reachable(part: str, place: Any) -> Finding:
    port = place.port or (443 if place.scheme == "https" else 80)
    try:
        async with asyncio.timeout(REACH_SECONDS):
            _, writer = await asyncio.open_connection(place.hostname, port)
        writer.close()
    except (OSError, TimeoutError, ValueError) as error:
        found = f"{place.hostname}:{port} does not answer ({type(error).__name__})"
        return look(part, found, "Nothing else suffers, but what it should be told is lost.")
    return well(part, f"{place.hostname}:{port} answers")


async def connections(db: Database, settings: Settings) -> list[Finding]:
    """Usable models, and each connection that is on: its pauses, its breaker, a real call."""
    async with db.elevated("doctor: connections and their health") as tx:
        found = [one for one in await service.list_connections(tx) if one.enabled]
        rows = await tx.fetch(
            """SELECT connection_id, reason, failures, extract(epoch FROM paused_until - now())::float8 AS pause,
                      extract(epoch FROM now() - last_success_at)::float8 AS success FROM connection_health"""
        )
    health = {row["connection_id"]: row for row in rows}
    return [
        await _models(db),
        *[await _connection(one, health.get(one.id), settings) for one in found],
    ]


async def _models(db: Database) -> Finding:
    try:
        models = len((await Catalog.load(db)).models())
    except GessoError as error:  # no edition was applied yet
        return ill("models", error.detail, "Run: gesso migrate")
    return graded(
        "models", f"{models} can be used" if models else "None is on",
        "Look at: gesso connection list, gesso model list", ill_if=not models,
    )  # fmt: skip


async def _connection(one: Connection, health: Mapping[str, Any] | None, settings: Settings) -> Finding:
    part = f"connection {one.key}"
    try:
        report = await service.test_connection(one, settings.sealer, settings.site.sandbox_url)
    except GessoError as error:
        return ill(part, error.detail, f"gesso connection key {one.key}, or gesso connection disable {one.key}")
    said = " ".join(report.sentences)
    if not report.ok:
        return ill(part, said, f"Mend it, or: gesso connection disable {one.key}")
    if health is not None and (health["pause"] or 0) > 0:
        return look(
            part, f"{said} Paused for {ago(health['pause'])} more ({health['reason']}).",
            _PAUSES.get(health["reason"], "").format(key=one.key),
        )  # fmt: skip
    if health is not None and health["failures"] >= OPEN_AFTER:
        return look(
            part, f"{said} {health['failures']} calls in a row failed, so one at a time is tried.",
            "The first success lets all go on; if it stays so, look at the provider's status page.",
        )  # fmt: skip
    return well(part, said)
