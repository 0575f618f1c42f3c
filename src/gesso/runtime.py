"""What web and worker both open when they start, and close when they end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gesso.accounts.hooks import AccountHooks
from gesso.accounts.mail import Mailer
from gesso.billing.port import Payments
from gesso.billing.renewal import sign_up_grants
from gesso.billing.till import open_till
from gesso.catalog.registry import Catalog
from gesso.catalog.rows import samples_named
from gesso.core.clock import Clock
from gesso.core.settings import Settings
from gesso.db import Database, Listener
from gesso.db.limits import Limits as DatabaseLimits
from gesso.generation.repository import assets_in_use, expected_assets
from gesso.media.ingest import Limits
from gesso.media.service import Ingest
from gesso.media.storage import Storage
from gesso.media.tasks import Others
from gesso.media.telling import LongerOf
from gesso.media.terms import Terms, TermsOf
from gesso.media.video import VideoLimits


@dataclass(frozen=True, slots=True)
class Runtime:
    """The parts every process of the product has."""

    settings: Settings
    clock: Clock
    db: Database
    listener: Listener
    catalog: Catalog
    storage: Storage
    ingest: Ingest
    mailer: Mailer
    hooks: AccountHooks
    payments: Payments


def others_of(catalog: Catalog) -> Others:
    """What other rooms tell the one that keeps pictures, for its clean-up."""
    return Others(expected_assets, assets_in_use, samples_named, terms_of(catalog), longer_of(catalog))


def longer_of(catalog: Catalog) -> LongerOf:
    """Which plan one can move to so that pictures are kept longer."""

    def longer(plan_key: str) -> str | None:
        days = catalog.plan(plan_key).retention_days
        if days is None or catalog.shop is None:
            return None
        keeps = (plan for plan in catalog.plans() if not plan.free and (plan.retention_days or days + 1) > days)
        return next((plan.name for plan in keeps), None)

    return longer


def terms_of(catalog: Catalog) -> TermsOf:
    """What plans say of pictures, for the room that keeps them."""

    def terms(plan_key: str) -> Terms:
        plan = catalog.plan(plan_key)
        return Terms(plan.watermark, plan.retention_days)

    return terms


def open_database(settings: Settings) -> Database:
    """The connection pools for these settings, which must hold the database's address."""
    pooled, direct = settings.database.owner_urls
    return Database(
        pooled,
        secret=settings.secret_key,
        role_prefix=settings.database.role_prefix,
        pool_size=settings.database.pool_size,
        elevated_pool_size=settings.database.elevated_pool_size,
        direct_url=direct,
        prepared_statements=settings.database.prepared_statements,
        limits=database_limits(settings),
        other_secrets=settings.other_secrets,
    )


def database_limits(settings: Settings) -> DatabaseLimits:
    """How long one session may keep others waiting."""
    database = settings.database
    return DatabaseLimits(database.statement_seconds, database.lock_seconds, database.idle_transaction_seconds)


@asynccontextmanager
async def open_runtime(settings: Settings, clock: Clock) -> AsyncIterator[Runtime]:
    """Open all parts. The listener is not started yet: register on it first, then `listener.start()`."""
    db = open_database(settings)
    listener = Listener(db)
    catalog = await Catalog.load(db)
    catalog.follow(listener)
    ingest = Ingest(
        settings.worker.ingest_threads,
        outputs=Limits(max_bytes=settings.storage.max_output_bytes),
        uploads=Limits(max_bytes=settings.storage.max_upload_bytes),
        films=VideoLimits(max_bytes=settings.storage.max_video_bytes),
    )
    mailer = Mailer(
        settings.mail, db, brand=lambda: catalog.edition.brand.name, outbox=settings.site.development
    )  # fmt: skip
    hooks = AccountHooks(default_plan=lambda: catalog.default_plan.key)
    hooks.on_sign_up.append(sign_up_grants(catalog, clock))
    storage = Storage.from_url(settings.storage_url, settings.storage)
    try:
        payments = open_till(settings, db, catalog, clock, mailer)
        yield Runtime(settings, clock, db, listener, catalog, storage, ingest, mailer, hooks, payments)
    finally:
        await mailer.drain()
        await catalog.close()
        await listener.close()
        ingest.close()
        await db.close()
