"""Composes the web application: parts, rooms, the frame around pages, errors, security."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import structlog
from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import PlainTextResponse
from starlette.middleware.gzip import GZipMiddleware
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

import gesso.accounts.pages
import gesso.accounts.routes
import gesso.accounts.settings_pages
import gesso.admin.bills
import gesso.admin.chains
import gesso.admin.connections_api
import gesso.admin.connections_pages
import gesso.admin.jobs_api
import gesso.admin.jobs_pages
import gesso.admin.models_api
import gesso.admin.models_pages
import gesso.admin.moderation_api
import gesso.admin.moderation_pages
import gesso.admin.outbox
import gesso.admin.overview
import gesso.admin.rooms
import gesso.admin.styles_api
import gesso.admin.styles_pages
import gesso.analytics.pages
import gesso.billing.pages
import gesso.billing.routes
import gesso.catalog.own_keys.pages
import gesso.catalog.own_keys.routes
import gesso.catalog.routes
import gesso.credits.routes
import gesso.generation.events
import gesso.generation.pages
import gesso.generation.routes
import gesso.generation.webhooks
import gesso.media.files
import gesso.media.pages
import gesso.media.routes
import gesso.media.samples
import gesso.prompts.routes
import gesso.web.shell
import gesso.web.stylepage
import gesso.web.wellknown
from gesso import __version__
from gesso.api import docs, health
from gesso.api.metrics import Exposition, listening
from gesso.api.metrics import router as metrics_router
from gesso.billing.till import WEBHOOK_PATH
from gesso.calls.chain import Chains
from gesso.calls.judging import Judges
from gesso.calls.pool import ProviderPool
from gesso.catalog.items import Shop
from gesso.catalog.own_keys import service as own_keys
from gesso.catalog.registry import Catalog
from gesso.core.clock import Clock, SystemClock
from gesso.core.logs import access_writer
from gesso.core.settings import Settings
from gesso.core.telemetry.process import telling
from gesso.home import home
from gesso.media.storage import redirect_origin
from gesso.prompts.writing import Studio
from gesso.runtime import Runtime, open_runtime, terms_of
from gesso.safety.moderation import Moderation
from gesso.shell import shell_of
from gesso.web import errors
from gesso.web.brand import Brand, brand_css, corrections
from gesso.web.events import EventHub, StreamsMiddleware
from gesso.web.hosts import host_rule
from gesso.web.modules import part_of
from gesso.web.observe import ObserveMiddleware
from gesso.web.render import STATIC, problem_page
from gesso.web.security import SecurityMiddleware
from gesso.web.wording import Speaking

log = structlog.get_logger()

WEBHOOK_PREFIX = "/api/webhooks/"
LAST_WORDS_SECONDS = 5.0
"""What texts that are being written may take once the server stops; what takes longer is given back."""
_IMMUTABLE = "public, max-age=31536000, immutable"


def create_app(settings: Settings, clock: Clock | None = None) -> FastAPI:
    """The web application. `settings` must hold the address of a migrated database."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_runtime(settings, clock or SystemClock()) as runtime:
            _fill_state(app, runtime)
            _warn_of_colours(runtime.catalog)
            await runtime.listener.start()
            await app.state.events.start()
            try:
                with telling(settings, role="web"):
                    async with listening(settings, app.state.metrics, role="web"):
                        yield
            finally:
                await app.state.events.close()
                await app.state.prompts.drain(LAST_WORDS_SECONDS)
                await app.state.pool.aclose()

    app = FastAPI(
        title="gesso",
        version=__version__,
        summary="Make pictures, know what they cost.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        generate_unique_id_function=lambda route: route.name,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # ObserveMiddleware does it, without addresses
    )
    app.state.settings = settings
    app.state.draining = False
    _include_rooms(app, settings)
    errors.install(app, problem_page)
    app.mount("/static", _Static(directory=STATIC), name="static")
    app.add_middleware(Speaking, words=lambda: app.state.catalog.edition.words)
    app.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=5)
    app.add_middleware(
        SecurityMiddleware,
        origin=settings.site.url,
        secure=settings.site.secure_cookies,
        max_body_bytes=settings.storage.max_upload_bytes + 2**20,
        exempt=(WEBHOOK_PREFIX, WEBHOOK_PATH),
        files_origin=redirect_origin(settings),
        host_rule=host_rule(settings.site),
    )
    app.add_middleware(ObserveMiddleware, write=access_writer(settings.log))
    app.add_middleware(StreamsMiddleware)
    return app


def _fill_state(app: FastAPI, runtime: Runtime) -> None:
    state = app.state
    state.db, state.clock, state.catalog = runtime.db, runtime.clock, runtime.catalog
    state.storage, state.ingest = runtime.storage, runtime.ingest
    state.mailer, state.account_hooks = runtime.mailer, runtime.hooks
    state.payments = runtime.payments
    runtime.catalog.open_shop(Shop() if runtime.payments.sells else None)
    state.listener = runtime.listener
    state.events = EventHub(runtime.listener)
    state.pool = ProviderPool(runtime.settings.sealer, runtime.settings.site.sandbox_url)
    state.chains = Chains(runtime.db, runtime.catalog, state.pool, runtime.clock)
    state.moderation = Moderation(
        runtime.db, Judges(runtime.db, runtime.catalog, state.pool), runtime.settings.safety, runtime.clock
    )
    state.prompts = Studio(runtime.db, runtime.storage, state.chains, runtime.clock)
    state.metrics = Exposition(runtime.settings, runtime.db, role="web", streams=state.events.count)
    state.shell = shell_of
    state.brand = lambda: _brand(runtime.catalog)
    state.modules = lambda: runtime.catalog.edition.modules
    state.credited = lambda: runtime.catalog.credited
    state.welcome = lambda: runtime.catalog.edition.welcome
    state.terms = terms_of(runtime.catalog)
    state.own_keys = lambda: own_keys.offered(runtime.catalog)
    state.adult = lambda: runtime.catalog.edition.policy.adult


def _include_rooms(app: FastAPI, settings: Settings) -> None:
    for router in (
        health.router,
        metrics_router,
        gesso.accounts.routes.router,
        gesso.catalog.routes.router,
        gesso.catalog.own_keys.routes.router,
        gesso.generation.routes.router,
        gesso.generation.events.router,
        gesso.generation.webhooks.router,
        gesso.media.routes.router,
        gesso.prompts.routes.router,
        gesso.credits.routes.router,
        gesso.billing.routes.router,
        gesso.billing.pages.router,
        gesso.admin.connections_api.router,
        gesso.admin.models_api.router,
        gesso.admin.styles_api.router,
        gesso.admin.chains.api,
        gesso.admin.jobs_api.router,
        gesso.admin.moderation_api.router,
        docs.router,
        gesso.web.shell.router,
        gesso.accounts.pages.router,
        gesso.accounts.settings_pages.router,
        gesso.catalog.own_keys.pages.router,
        gesso.generation.pages.router,
        gesso.media.files.router,
        gesso.media.samples.router,
        gesso.admin.overview.router,
        gesso.admin.bills.router,
        gesso.admin.connections_pages.router,
        gesso.admin.models_pages.router,
        gesso.admin.styles_pages.router,
        gesso.admin.chains.pages,
        gesso.admin.jobs_pages.router,
        gesso.admin.moderation_pages.router,
        gesso.admin.outbox.router,
        *gesso.admin.rooms.ROUTERS,
        gesso.web.wellknown.router,
        home,
    ):
        app.include_router(router)
    for module, router in (("gallery", gesso.media.pages.router), ("dashboard", gesso.analytics.pages.router)):
        app.include_router(router, dependencies=[Depends(part_of(module))])
    if settings.site.development:
        app.include_router(gesso.web.stylepage.router)

    @app.get("/brand.css", include_in_schema=False)
    async def brand(request: Request) -> Response:
        """The edition's colours."""
        css = brand_css(request.app.state.catalog.edition.colours)
        return PlainTextResponse(css, media_type="text/css", headers={"Cache-Control": _IMMUTABLE})


def _warn_of_colours(catalog: Catalog) -> None:
    for sentence in corrections(catalog.edition.colours):
        log.warning("edition.colour_corrected", detail=sentence)


def _brand(catalog: Catalog) -> Brand:
    edition = catalog.edition
    return Brand(name=edition.brand.title, tagline=edition.brand.tagline, colours=edition.colours)


class _Static(StaticFiles):
    """Files named by their content may be kept for good."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        scope: Scope = args[2] if len(args) > 2 else kwargs["scope"]
        named_by_content = "/dist/" in scope["path"] or b"v=" in scope["query_string"]
        response.headers["Cache-Control"] = _IMMUTABLE if named_by_content else "public, max-age=3600"
        return response
