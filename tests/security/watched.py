"""A product whose every secret is planted, what is heard of it, and a search that knows how they may be written."""

import asyncio
import base64
import contextlib
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import asyncpg
import httpx2
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import gesso
from gesso.core.settings import ProviderSettings
from gesso.db.address import Roles
from gesso.db.embedded import EmbeddedPostgres
from gesso.providers.registry import ADAPTERS
from gesso.sandbox.app import create_app as create_sandbox
from tests.bucket import SECRET as BUCKET_SECRET
from tests.bucket import Bucket, moto_server
from tests.conftest import SECRET, create_database
from tests.product import seeded, served, settings_for
from tests.telemetry.receiver import Receiver, receiving

OTHER_SECRET = "canary of the secret before this one, long enough"
METRICS_TOKEN = "canary-token-of-the-collector"
BUCKET_TOKEN = "canary-token-of-the-bucket/with+signs"
KEYS = {name: f"canary-id-{name}:canary-secret-{name}-0123456789" for name in ADAPTERS}
"""A provider key for each adapter there is."""
STUDIO = Path(gesso.__file__).parent / "editions" / "studio.toml"
ECHOED = "canary-id-echoed:canary-secret-echoed-0123456789"
"""The key of a connection whose provider answers with all that it was sent."""
OWN = "canary-id-own:canary-secret-own-0123456789"
"""A person's own key for fal."""


def spellings(secret: str) -> dict[str, str]:
    """How a secret may be written: plain, in addresses, in JSON, in hexadecimal, in base64 at any offset."""
    raw = secret.encode()
    found = {"plain": secret, "quoted": quote(secret, safe=""), "hexadecimal": raw.hex()}
    for offset in range(3):
        # the first and last characters of a group of three also depend on their neighbours
        text = base64.b64encode(b"\0" * offset + raw).decode()
        found[f"base64 at {offset}"] = text[0 if not offset else 4 : len(text) // 4 * 4 - 4]
        found[f"base64 for addresses at {offset}"] = found[f"base64 at {offset}"].translate(str.maketrans("+/", "-_"))
    return {spelling: text for spelling, text in found.items() if spelling == "plain" or text != secret}


def search(secrets: Mapping[str, str], places: Mapping[str, str]) -> list[str]:
    """Where a secret stands, as "name (spelling) in place"."""
    return [
        f"{name} ({spelling}) in {place}"
        for name, secret in secrets.items()
        for spelling, text in spellings(secret).items()
        for place, heard in places.items()
        if text in heard
    ]


@dataclass
class Watched:
    """A web process and a worker of their own, the sandbox, and all that was heard of them."""

    client: httpx2.AsyncClient
    owner: asyncpg.Connection
    database_url: str
    environment: dict[str, str]
    folder: Path
    receiver: Receiver
    sandbox: str
    echo: str
    said: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    async def ask(self, method: str, url: str, **sent: Any) -> httpx2.Response:
        """Ask; the answer is kept, but for the cookie that is its purpose."""
        answer = await self.client.request(method, url, **sent)
        headers = [f"{name}: {value}" for name, value in answer.headers.multi_items() if name != "set-cookie"]
        self.said.append("\n".join([url, *headers, answer.text]))
        for cookie in self.client.cookies.jar:
            if cookie.name == "gesso_session" and cookie.value not in self.tokens:
                self.tokens.append(str(cookie.value))
        return answer

    def log(self, role: str) -> str:
        """What a process has written."""
        return (self.folder / f"{role}.log").read_text()

    def told(self, path: str) -> str:
        """What the collectors were sent to addresses that hold `path`."""
        return "\n".join(body.decode("utf-8", "replace") for where, body in list(self.receiver.bodies) if path in where)

    @property
    def secrets(self) -> dict[str, str]:
        """Every secret of the site, by a name for it."""
        roles = Roles(self.database_url, "gesso", SECRET, self.database_url)
        halves = {f"half of {name}'s key": key.partition(":")[2] for name, key in KEYS.items()}
        return {
            "the site's secret": SECRET, "the secret before": OTHER_SECRET,
            "the owner's password": urlsplit(self.database_url).password or "",
            "a role's password": roles.password(roles.app), "another role's": roles.password(roles.elevated),
            "the bucket's secret": BUCKET_SECRET, "the bucket's token": BUCKET_TOKEN,
            "the collector's token": METRICS_TOKEN,
            "an echoed key": ECHOED, "half of it": ECHOED.partition(":")[2],
            "an own key": OWN, "half of an own key": OWN.partition(":")[2],
            **{f"{name}'s key": key for name, key in KEYS.items()}, **halves,
            **{f"session {number}": session for number, session in enumerate(self.tokens)},
        }  # fmt: skip

    async def places(self) -> dict[str, str]:
        """Everything that somebody else could come to read."""
        return {
            "the web's log": self.log("serve"), "the worker's log": self.log("work"),
            "the answers": "\n".join(self.said),
            "the traces": self.told("/v1/traces"), "the error reports": self.told("/envelope/"),
            "the product events": self.told("batch"),
            **{f"the table {name}": text for name, text in (await everything_in(self.owner)).items()},
        }  # fmt: skip


async def everything_in(owner: asyncpg.Connection) -> dict[str, str]:
    """The database, table by table, as text; bytes as hexadecimal and as the text they may be."""
    tables = await owner.fetch(
        "SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    )
    found = {}
    for schema, table in tables:
        values = [value for row in await owner.fetch(f'SELECT * FROM "{schema}"."{table}"') for value in row.values()]
        found[table] = "\n".join(
            f"{value.hex()} {value.decode('latin-1')}" if isinstance(value, bytes) else str(value) for value in values
        )
    return found


async def _echo(request: Request) -> Response:
    """A provider that refuses a key and says it, as some do."""
    told = {"headers": dict(request.headers), "body": (await request.body()).decode("utf-8", "replace")}
    message = f"Incorrect API key provided: {request.headers.get('authorization')}, in {told}"
    return JSONResponse({"detail": message, "error": {"message": message, "type": "x", "code": "x"}}, 401)


@contextlib.asynccontextmanager
async def watching(postgres: EmbeddedPostgres, template: str, folder: Path) -> AsyncIterator[Watched]:
    """The product as people start it, with all collectors, a bucket and every secret set."""
    url = await create_database(postgres, f"gesso_secrets_{uuid.uuid4().hex[:12]}", template)
    async with contextlib.AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(served(create_sandbox(workers=0)))
        methods = ["GET", "POST", "PUT", "DELETE"]
        echo = await stack.enter_async_context(served(Starlette(routes=[Route("/{_:path}", _echo, methods=methods)])))
        receiver = stack.enter_context(receiving())
        bucket = Bucket(stack.enter_context(moto_server())).make()
        ports = _free_ports(2)
        kept = {
            name: value for name, value in os.environ.items()
            if not name.startswith(("GESSO_", "OTEL_", "DATABASE_")) and not name.lower().endswith("_proxy")
        }  # fmt: skip
        environment = kept | bucket.environment() | {
            "GESSO_ENV": "test", "GESSO_PORT": str(ports[0]), "DATABASE_URL": url, "GESSO_SECRET_KEY": SECRET,
            "GESSO_SECRET_KEY_OTHERS": OTHER_SECRET, "GESSO_STORAGE_SESSION_TOKEN": BUCKET_TOKEN,
            "GESSO_DATA_DIR": str(folder), "GESSO_LOG_LEVEL": "debug", "GESSO_LOG_FORMAT": "json",
            "GESSO_SANDBOX_URL": sandbox, "FAL_KEY": KEYS["fal"], "FAL_BASE_URL": f"{sandbox}/fal",
            "OPENAI_API_KEY": KEYS["openai"], "OPENAI_BASE_URL": f"{sandbox}/openai",
            "GESSO_METRICS_PORT": str(ports[1]), "GESSO_METRICS_TOKEN": METRICS_TOKEN,
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "OTEL_BSP_SCHEDULE_DELAY": "300",
            "SENTRY_DSN": receiver.url.replace("://", "://publickey@") + "/1",
            "POSTHOG_API_KEY": "phc_project", "POSTHOG_HOST": receiver.url,
        }  # fmt: skip
        edition = folder / "adults.toml"  # else adapters for adults could not be given a key
        text = STUDIO.read_text().replace('content = "general"', 'content = "adult"')
        edition.write_text(text.replace("[[plans]]", "[[plans]]\nown_keys = true"))
        environment |= {"GESSO_EDITION": str(edition), "GESSO_ADULT_CONTENT": "true"}
        owner = await asyncpg.connect(url)
        stack.push_async_callback(owner.close)
        providers = ProviderSettings(
            fal_key=SecretStr(KEYS["fal"]), fal_base_url=environment["FAL_BASE_URL"],
            openai_api_key=SecretStr(KEYS["openai"]), openai_base_url=environment["OPENAI_BASE_URL"],
        )  # fmt: skip
        settings = settings_for(url, folder, sandbox, edition=str(edition), adult_content=True)
        await seeded(replace(settings, providers=providers))
        parts = [stack.enter_context(_process(role, environment, folder)) for role in ("serve", "work")]
        client = await stack.enter_async_context(
            httpx2.AsyncClient(base_url=f"http://127.0.0.1:{ports[0]}", timeout=30)
        )
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(httpx2.HTTPError):
                if (await client.get("/readyz")).json().get("workers"):
                    break
            ended = [part for part in parts if part.poll() is not None]
            assert not ended and time.monotonic() < deadline, (folder / "serve.log").read_text()[-2000:]
            await asyncio.sleep(0.1)
        yield Watched(client, owner, url, environment, folder, receiver, sandbox, echo)


@contextlib.contextmanager
def _process(role: str, environment: dict[str, str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / f"{role}.log").open("wb") as file:
        process = subprocess.Popen([sys.executable, "-m", "gesso", role], env=environment, stdout=file, stderr=file)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
