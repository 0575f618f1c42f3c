"""Secrets are planted and looked for: in what the product writes, answers, tells others, and keeps in the database."""

import asyncio
import base64
import json
import subprocess
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from gesso.core.ids import new_id
from gesso.db.embedded import EmbeddedPostgres
from gesso.providers.registry import ADAPTERS
from tests.cli.homes import GESSO, Home
from tests.security.rules import API, RULES, filled
from tests.security.watched import ECHOED, KEYS, METRICS_TOKEN, OWN, Watched, search, spellings, watching

PASSWORD, WRONG, CHANGED = "canary password planted", "canary password mistyped", "canary password chosen later"
ENDLESS = ("/api/events",)
PATIENCE = 60.0


@pytest.fixture(scope="module")
async def watched(
    postgres: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Watched]:
    async with watching(postgres, template, tmp_path_factory.mktemp("watched")) as found:
        yield found


async def become(watched: Watched) -> str:
    """Sign up, with all that goes wrong on the way, and take over the site. Returns the address."""
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
    await ask("POST", "/api/webhooks/fal", content=b"{}", headers={"Authorization": f"Key {KEYS['fal']}"})
    said = await gesso(watched, "user", "make-operator", email)
    assert "is an operator now" in said
    return email


async def gesso(watched: Watched, *command: str) -> str:
    """A command, as an operator types it; what it says is kept."""
    done = await asyncio.to_thread(Home(watched.folder).typed, *command, **watched.environment)
    watched.said.append(done.stdout + done.stderr)
    return watched.said[-1]


async def gesso_apart(watched: Watched, *command: str) -> None:
    """A command in a process of its own, so that what it logs is heard, too."""
    done = await asyncio.create_subprocess_exec(
        GESSO, *command, env=watched.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    watched.said.append((await done.communicate())[0].decode())


async def ended(watched: Watched, answer: httpx2.Response) -> dict[str, Any]:
    """The generation that was asked for, when it has come to its end."""
    assert answer.status_code == 202, answer.text
    async with asyncio.timeout(PATIENCE):
        while True:
            status: dict[str, Any] = (await watched.ask("GET", f"/api/generate/status/{answer.json()['id']}")).json()
            if status["finished_at"]:
                return status
            await asyncio.sleep(0.1)


async def connect_all(watched: Watched) -> None:
    """A connection of each adapter, by the panel's API and form: given a key, tested, refused, given another."""
    for name in ADAPTERS:
        for key, base_url in ((f"canary-{name}", f"{watched.sandbox}/{name}"), (f"echo-{name}", watched.echo)):
            secret = KEYS[name] if base_url != watched.echo else ECHOED
            body = {"key": key, "adapter": name, "name": key, "base_url": base_url, "api_key": secret}
            assert (await watched.ask("POST", "/api/admin/connections", json=body)).status_code == 201, name
            assert (await watched.ask("POST", "/api/admin/connections", json=body)).status_code == 409
            tested = await watched.ask("POST", f"/api/admin/connections/{key}/test")
            assert tested.status_code == 200 and not (base_url == watched.echo and tested.json()["ok"]), tested.text
            await watched.ask("POST", f"/admin/connections/{key}/test")
            await watched.ask("PUT", f"/api/admin/connections/{key}/key", json={"api_key": [secret]})
            await watched.ask("POST", f"/admin/connections/{key}", data={"name": "", "api_key": secret})
    wrong = {"key": "Not A Key", "adapter": "none", "base_url": "ftp://x", "api_key": KEYS["fal"]}
    assert (await watched.ask("POST", "/api/admin/connections", json=wrong)).status_code == 422
    await watched.ask("POST", "/admin/connections/new", data=wrong)


async def work(watched: Watched) -> tuple[str, str]:
    """Pictures and texts, made and failed; the last with a provider that says the key. Returns two generations."""
    made = await ended(watched, await watched.ask("POST", "/api/generate/image", json=API))
    assert made["status"] == "succeeded", made
    assert (await watched.ask("POST", "/api/prompts/improve", json={"prompt": "a lighthouse"})).status_code == 200
    for fault in ("fail", "malformed", "422"):
        await ended(
            watched, await watched.ask("POST", "/api/generate/image", json=API | {"prompt": f"rocks sandbox:{fault}"})
        )
    echoing = {"name": "fal", "base_url": watched.echo, "sandbox": False, "api_key": ECHOED}
    assert (await watched.ask("PUT", "/api/admin/connections/fal", json=echoing)).status_code == 200
    alone = API | {"model": "flux-ultra"}  # no other provider steps in for it
    refused = await ended(watched, await watched.ask("POST", "/api/generate/image", json=alone))
    assert refused["status"] == "failed", refused
    return made["id"], refused["id"]


async def own_key(watched: Watched) -> str:
    """A key of one's own: refused, given, used, tried, and echoed by a provider. Returns what ran on it."""
    ask, keys = watched.ask, "/api/provider-keys"
    for sent in ({"api_key": [OWN]}, {"api_key": OWN, "more": OWN}, {"api_key": f"{OWN}\n{OWN}"}):
        assert (await ask("PUT", f"{keys}/fal", json=sent)).status_code == 422
    assert (await ask("PUT", f"{keys}/none", json={"api_key": OWN})).status_code == 404
    assert (await ask("PUT", f"{keys}/fal", json={"api_key": OWN})).status_code == 200
    assert (await ask("POST", "/settings/provider-keys/fal", data={"api_key": OWN})).status_code == 303
    assert (await ask("PUT", keys, json={"use": True})).status_code == 200
    assert (await ask("POST", f"{keys}/fal/test")).json()["ok"]
    workspace = (await ask("GET", "/api/auth/me")).json()["workspace"]["id"]
    left = (await ask("GET", "/api/credits")).json()["balance"]
    taken = {"direction": "take", "unit": "credit", "amount": left, "reason": "so that only the key is left"}
    answer = await ask("POST", f"/api/admin/workspaces/{workspace}/credits", json=taken)
    assert answer.status_code in (200, 201), answer.text
    made = await ended(watched, await ask("POST", "/api/generate/image", json=API))
    assert made["status"] == "succeeded" and made["own_key"], made
    await ended(watched, await ask("POST", "/api/generate/image", json=API | {"prompt": "sandbox:malformed"}))
    given = taken | {"direction": "give", "reason": "for the rest"}
    assert (await ask("POST", f"/api/admin/workspaces/{workspace}/credits", json=given)).status_code in (200, 201)
    return str(made["id"])


async def look_at_everything(watched: Watched, generation: str) -> None:
    """Every page and every answer there is, as an operator."""
    for route, rule in RULES.items():
        method, path = route.split(" ")
        if method == "GET" and path not in ENDLESS:
            await watched.ask("GET", filled(rule, path, generation)[0])
    for name in ADAPTERS:
        for key in (f"canary-{name}", f"echo-{name}"):
            await watched.ask("GET", f"/admin/connections/{key}")
            await watched.ask("GET", f"/api/admin/connections/{key}")
    await gesso(watched, "connection", "list")
    await gesso(watched, "secrets", "list")
    for note in (watched.folder / "metrics").glob("*.json"):
        (target,) = json.loads(note.read_text())
        headers = {"Authorization": f"Bearer {METRICS_TOKEN}"}
        assert (await watched.ask("GET", f"http://{target['targets'][0]}/metrics", headers=headers)).status_code == 200
    for url in ("/nothing", "/api/nothing", "/metrics"):
        await watched.ask("GET", url)


async def lose(watched: Watched, email: str) -> str:
    """A forgotten password, and a database that fails while secrets pass. Returns the mailed token."""
    ask = watched.ask
    await ask("POST", "/api/auth/reset-password", json={"email": email})
    mail = None
    async with asyncio.timeout(PATIENCE):
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


async def test_no_secret_is_written_answered_told_or_kept(watched: Watched) -> None:
    email = await become(watched)
    await connect_all(watched)
    own = await own_key(watched)
    made, refused = await work(watched)
    # fal is somebody else by now, who says the key that it refuses
    assert (await watched.ask("PUT", "/api/provider-keys/fal", json={"api_key": OWN})).status_code == 422
    await watched.ask("POST", "/settings/provider-keys/fal", data={"api_key": OWN})
    await look_at_everything(watched, refused)
    for generation in (made, own):
        await watched.ask("GET", f"/admin/jobs/{generation}")
    await gesso_apart(watched, "doctor")
    await gesso(watched, "connection", "test", "echo-fal")
    token = await lose(watched, email)
    async with asyncio.timeout(PATIENCE):
        while "connection.misconfigured" not in watched.told("/envelope/") or refused not in watched.told("/v1/traces"):
            await asyncio.sleep(0.1)
    places, secrets = await watched.places(), watched.secrets
    # each place was reached, so that finding nothing in it means something
    for place, mark in (
        ("the web's log", "request.failed"), ("the worker's log", refused), ("the answers", refused),
        ("the answers", "gesso_provider_attempts_total"), ("the answers", "sealed keys"), ("the answers", "echo-fal"),
        ("the error reports", "connection.misconfigured"), ("the traces", refused),
        ("the product events", "generation ended"), ("the table attempt_exchange", "/juggernaut"),
        ("the table connection", "canary-fal"), ("the table attempt", refused), ("the traces", own),
        ("the table own_key", "6789"),
    ):  # fmt: skip
        assert mark in places[place], f"{place} does not hold {mark}"
    exchanges = "\n".join(said for said in watched.said if said.startswith(f"/admin/jobs/{refused}"))
    assert "401" in exchanges, "the record of what was said is not shown"
    assert len(watched.tokens) >= 2 and all(len(secret) > 12 for secret in secrets.values())
    passwords = {"the password": PASSWORD, "a wrong password": WRONG, "the new password": CHANGED}
    assert search(secrets | passwords, places) == []
    answers = places.pop("the answers")  # with the addresses asked for, in which the mailed token stands
    # the development outbox is where mail goes instead of being sent; elsewhere only its hash is kept
    assert search({"the token": token}, places) == ["the token (plain) in the table outbox_mail"]
    assert "Traceback" not in answers and "asyncpg" not in answers and "permission denied" not in answers


async def test_what_is_planted_is_found(watched: Watched) -> None:
    """The search finds each secret, in each spelling, where it was put: in tables, files and what was heard."""
    key = KEYS["openai"]
    await watched.owner.execute("UPDATE connection SET sealed_key = $1 WHERE key = 'canary-openai'", key.encode())
    await watched.owner.execute(
        "INSERT INTO site_fact (name, value, noted_at) VALUES ('planted', $1::jsonb, now())",
        json.dumps({"deep": [{"note": base64.b64encode(f"Bearer {ECHOED}!".encode()).decode()}]}),
    )
    with (watched.folder / "work.log").open("a") as log:
        log.write(f'{{"event": "planted", "url": "https://x.example/?k={spellings(KEYS["fal"])["quoted"]}"}}\n')
    watched.receiver.bodies.append(("/v1/traces", b"\x0a\x10" + METRICS_TOKEN.encode()))
    watched.said.append(f"Session: {watched.tokens[0]}")
    found = search(watched.secrets, await watched.places())
    for expected in (
        "openai's key (plain) in the table connection", "an echoed key (base64 at", "half of it (base64 at",
        "fal's key (quoted) in the worker's log", "the collector's token (plain) in the traces",
        "session 0 (plain) in the answers",
    ):  # fmt: skip
        assert any(line.startswith(expected) for line in found), (expected, found)
    for name, secret in watched.secrets.items():
        for before in ("", "x", "xy"):
            text = f"{before}{secret}tail"
            for written in (text, text.encode().hex(), base64.b64encode(text.encode()).decode()):
                assert search({name: secret}, {"here": written}), (name, written)
