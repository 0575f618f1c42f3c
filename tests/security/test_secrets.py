"""Secrets are planted and looked for: in what the server writes, in what it answers, and in what the database keeps."""

import contextlib
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import httpx2
import pytest
from pydantic import SecretStr

from gesso.core.ids import new_id
from gesso.core.settings import ProviderSettings
from gesso.db.embedded import EmbeddedPostgres
from tests.conftest import SECRET, create_database
from tests.product import seeded, settings_for
from tests.security.rules import API

PASSWORD, WRONG, CHANGED = "canary password planted", "canary password mistyped", "canary password chosen later"
PROVIDER_KEY = "canary-key-id:canary-key-secret-0123456789"


@dataclass
class Watched:
    """A server of its own, and all that was heard of it."""

    client: httpx2.AsyncClient
    owner: asyncpg.Connection
    database_password: str
    log: Path
    said: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    async def ask(self, method: str, url: str, **sent: object) -> httpx2.Response:
        """Ask; the answer is kept, but for the cookie that is its purpose."""
        answer = await self.client.request(method, url, **sent)  # type: ignore[arg-type]
        headers = [f"{name}: {value}" for name, value in answer.headers.multi_items() if name != "set-cookie"]
        self.said.append("\n".join([url, *headers, answer.text]))
        for cookie in self.client.cookies.jar:
            if cookie.name == "gesso_session" and cookie.value not in self.tokens:
                self.tokens.append(str(cookie.value))
        return answer


@pytest.fixture
async def watched(postgres: EmbeddedPostgres, template: str, tmp_path: Path) -> AsyncIterator[Watched]:
    url = await create_database(postgres, f"gesso_secrets_{uuid.uuid4().hex[:12]}", template)
    settings = settings_for(url, tmp_path, "http://127.0.0.1:9")
    await seeded(replace(settings, providers=ProviderSettings(fal_key=SecretStr(PROVIDER_KEY))))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("GESSO_")},
        "GESSO_ENV": "test", "GESSO_PORT": str(port), "DATABASE_URL": url, "GESSO_SECRET_KEY": SECRET,
        "GESSO_DATA_DIR": str(tmp_path), "GESSO_LOG_LEVEL": "debug", "GESSO_LOG_FORMAT": "json",
        "FAL_KEY": PROVIDER_KEY,
    }  # fmt: skip
    log = tmp_path / "log"
    with log.open("wb") as file:
        server = subprocess.Popen([sys.executable, "-m", "gesso", "serve"], env=environment, stdout=file, stderr=file)
    owner = await asyncpg.connect(url)
    try:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            deadline = time.monotonic() + 60
            while True:
                with contextlib.suppress(httpx2.HTTPError):
                    if (await client.get("/healthz")).status_code == 200:
                        break
                assert server.poll() is None and time.monotonic() < deadline, log.read_text()[-2000:]
            yield Watched(client, owner, urlsplit(url).password or "", log)
    finally:
        server.terminate()
        server.wait(30)
        await owner.close()


async def everything_in(owner: asyncpg.Connection) -> dict[str, str]:
    """The database, table by table, as text; bytes as hexadecimal and as the text they may be."""
    tables = await owner.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    found = {}
    for table in (row["tablename"] for row in tables):
        values = [value for row in await owner.fetch(f'SELECT * FROM "{table}"') for value in row.values()]
        found[table] = "\n".join(
            f"{value.hex()} {value.decode('latin-1')}" if isinstance(value, bytes) else str(value) for value in values
        )
    return found


async def live(watched: Watched) -> str:
    """Everything that a secret passes through, and what goes wrong on the way. Returns the mailed token."""
    ask, email = watched.ask, f"ada.{new_id().hex}@example.test"
    account = {"email": email, "name": "Ada", "password": PASSWORD}
    assert (await ask("POST", "/api/auth/signup", json=account)).status_code == 201
    assert (await ask("POST", "/api/auth/signup", json=account)).status_code == 409
    await ask("POST", "/signup", data={**account, "name": ""})
    await ask("POST", "/api/auth/login", json={"email": email, "password": WRONG})
    await ask("POST", "/login", data={"email": email, "password": WRONG})
    await ask("POST", "/api/auth/login", content=f'{{"email": "{email}", "password": "{PASSWORD}"'.encode())
    await ask("POST", "/api/auth/login", json={"email": email, "password": [PASSWORD], PASSWORD: PASSWORD})
    await ask("POST", "/settings/password", data={"current_password": WRONG, "password": CHANGED})
    await ask("POST", "/settings/password", data={"current_password": PASSWORD, "password": CHANGED})
    await ask("POST", "/api/generate/image", json=API)
    for url in ("/", "/settings", "/settings/sessions", "/create", "/dashboard", "/api/models", "/readyz", "/metrics",
                "/api/openapi.json", "/api/auth/me", "/nothing", "/api/nothing"):  # fmt: skip
        await ask("GET", url)
    await ask("POST", "/api/webhooks/fal", content=b"{}", headers={"Authorization": f"Key {PROVIDER_KEY}"})
    await ask("POST", "/api/auth/reset-password", json={"email": email})
    mail = None
    while mail is None:
        mail = await watched.owner.fetchval("SELECT body_text FROM outbox_mail WHERE body_text LIKE '%/reset/%'")
    token = str(mail).partition("/reset/")[2].split()[0]
    await ask("POST", "/api/auth/reset-password/confirm", json={"token": token, "password": "short"})
    watched.client.headers["X-Note"] = token  # a header that nobody expects
    await watched.owner.execute("REVOKE ALL ON credit_balance, asset, mail_token FROM gesso_app")
    for url in ("/gallery", "/create", "/api/credits", "/api/media"):
        assert (
            await ask("GET", f"{url}?token={token}", headers={"Authorization": f"Bearer {token}"})
        ).status_code == 500
    assert (await ask("POST", f"/reset/{token}", data={"password": CHANGED})).status_code in (500, 410)
    return token


async def test_no_secret_is_written_answered_or_kept(watched: Watched) -> None:
    token = await live(watched)
    secrets = {
        "the password": PASSWORD, "a wrong password": WRONG, "the new password": CHANGED,
        "the provider's key": PROVIDER_KEY, "half of it": PROVIDER_KEY.partition(":")[2], "the site's secret": SECRET,
        "the database's password": watched.database_password,
        **{f"session {number}": session for number, session in enumerate(watched.tokens)},
    }  # fmt: skip
    assert len(watched.tokens) >= 2 and watched.database_password
    log, answers, kept = watched.log.read_text(), "\n".join(watched.said), await everything_in(watched.owner)
    assert "request.failed" in log and len(log) > 2000
    for name, secret in {**secrets, "the mailed token": token}.items():
        assert secret not in log, f"{name} is in the log"
    for name, secret in secrets.items():
        assert secret not in answers, f"{name} is in an answer"
        where = [table for table, text in kept.items() if secret in text or secret.encode().hex() in text]
        assert where == [], f"{name} is in the database"
    # the development outbox is where mail goes instead of being sent; elsewhere only its hash is kept
    assert [table for table, text in kept.items() if token in text] == ["outbox_mail"]
    assert "Traceback" not in answers and "asyncpg" not in answers and "permission denied" not in answers
