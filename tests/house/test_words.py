"""Pages speak the edition's words: what it calls a picture, a credit and its pages, and nothing else.

One site of an edition with words that nobody else has; whatever it shows is read as people and screen readers do.
"""

import re
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

import gesso
from gesso.accounts.access import Actor
from gesso.app import create_app
from gesso.catalog.editions import edition_names, load_edition, parse_edition
from gesso.catalog.service import switch
from gesso.core.clock import SystemClock
from gesso.core.settings import Settings
from gesso.db import Database
from tests.cast import make_user, sign_in
from tests.catalog.test_editions import GOOD
from tests.conftest import create_database
from tests.house.test_query_counts import routes_of
from tests.media.pictures import keep, picture
from tests.product import seeded, settings_for

WORDS = """
[words]
credit = "ochre"
credits = "ochres"
picture = "etching"
pictures = "etchings"
create = "Bench"
video = "Reel"
gallery = "Portfolio"
dashboard = "Ledger"
billing = "Purse"
"""
REST = """
[shared.references]
type = "array"
title = "Etchings to work from"
items = { type = "string", format = "uuid" }
minItems = 0
maxItems = 4

[[packs]]
key = "ochres"
name = "20 ochres"
credits = 20
price_cents = 499

[[models]]
key = "projector"
kind = "video"
connection = "fal"
upstream = "someone/projector"
name = "Projector"
description = "Moves."
price = { credits = "5" }
typical_seconds = 30

[models.settings]
prompt = { "$ref" = "#/shared/prompt" }
count = { type = "integer", minimum = 1, maximum = 1, default = 1 }

[[models]]
key = "scribe"
kind = "chat"
connection = "fal"
upstream = "someone/scribe"
name = "Scribe"
description = "Writes."
price = { credits = "0.2" }
tags = ["vision"]
typical_seconds = 3

[models.settings]
prompt = { "$ref" = "#/shared/prompt" }
count = { type = "integer", minimum = 1, maximum = 1, default = 1 }
"""
ODD = (
    GOOD.replace('["image", "gallery"]', '["image", "video", "gallery", "dashboard", "billing"]')
    .replace('name = "Test"\ntitle = "Test"', 'name = "Umber"\ntitle = "Umber"\nsupport = "help@umber.test"')
    .replace("[defaults]", WORDS + '\n[policy]\ncontent = "adult"\n\n[defaults]')
    .replace("parallel = 2", "parallel = 2\nretention_days = 30\nmonthly_grants = { image = 5 }")
    .replace("default = 1 }\nsize", 'default = 1 }\nreferences = { "$ref" = "#/shared/references" }\nsize')
) + REST
ALLOWED = ODD.replace('{ credit = "2.5", image = 3 }', "{ image = 3 }").replace(
    ODD[ODD.index("[[packs]]") : ODD.index('[[models]]\nkey = "projector"')], ""
)
"""The same without any way to come by credits."""

FOREIGN = re.compile(r"\b(?i:pictures?|credits?|images?|gesso|studio|gallery|dashboard|billing)\b|\bCreate\b")
ELSEWHERE = (
    "/admin",
    "/api",
    "/styles",
    "/metrics",
    "/healthz",
    "/readyz",
    "/brand",
    "/manifest",
    "/samples",
    "/media/",
    "/.well",
)
"""The operator's panel, what programs read, and what is no page."""
TOLD = ("aria-label", "title", "placeholder", "alt", "content", "data-confirm", "data-confirm-detail", "data-things")


class Reader(HTMLParser):
    """What a page says: its texts, and the attributes that are told."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in ("script", "style")
        given = dict(attrs)
        if tag == "meta" and given.get("name") in ("htmx-config", "wording"):
            return
        self.said += [text for name, text in attrs if name in TOLD and text and not text.startswith(("/", "http"))]

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if not self._silent and data.strip():
            self.said.append(" ".join(data.split()))


def said_on(html: str) -> list[str]:
    reader = Reader()
    reader.feed(html)
    return reader.said


def foreign(html: str) -> list[str]:
    """What a page says with a word of another product in it."""
    return [text for text in said_on(html) if FOREIGN.search(text)]


@dataclass
class Site:
    """The product in this process."""

    app: FastAPI
    settings: Settings

    @property
    def db(self) -> Database:
        return self.app.state.db

    async def person(self) -> tuple[httpx2.AsyncClient, Actor]:
        """Somebody new, with what a sign-up gives."""
        who = await make_user(self.db, on_sign_up=self.app.state.account_hooks.on_sign_up)
        client = self.stranger()
        await sign_in(client, self.db, who)
        return client, who

    def stranger(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=self.app), base_url=self.settings.site.url)

    async def become(self, text: str) -> None:
        async with self.db.elevated("test: another edition") as tx:
            await switch(tx, self.settings, parse_edition(text.encode(), "umber.toml"))
        await self.app.state.catalog.refresh()


@pytest.fixture(scope="module")
async def site(postgres: Any, template: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    url = await create_database(postgres, f"gesso_words_{uuid.uuid4().hex}", template)
    folder = Path(tmp_path_factory.mktemp("words"))
    settings = settings_for(url, folder, "http://127.0.0.1:9", adult_content=True)
    await seeded(settings)
    app = create_app(settings, SystemClock())
    async with app.router.lifespan_context(app):
        yield Site(app, settings)


def addresses(app: FastAPI, asset: str = "") -> Iterator[str]:
    """Every page; those of one thing for this picture."""
    for route in sorted(set(routes_of(app))):
        if not route.startswith(ELSEWHERE):
            named = route.format_map({"asset_id": asset, "token": "x" * 43, "generation_id": asset})
            if "{" not in route or asset:
                yield named
    yield "/nothing-here"


async def wrong_on(client: httpx2.AsyncClient, paths: Iterator[str]) -> dict[str, list[str]]:
    """Address → what it says in foreign words."""
    found = {}
    for path in paths:
        answer = await client.get(path, follow_redirects=True)
        assert answer.status_code < 500, path
        if wrong := foreign(answer.text):
            found[path] = wrong
    return found


async def test_strangers_newcomers_and_makers_read_only_the_editions_words(site: Site) -> None:
    await site.become(ODD)
    async with site.stranger() as client:
        assert await wrong_on(client, addresses(site.app)) == {}
        assert "etching" in (await client.get("/signup")).text
    client, who = await site.person()
    async with client:
        assert await wrong_on(client, addresses(site.app)) == {}
        create = (await client.get("/create")).text
        assert "3 etchings" in create
        async with site.db.workspace(who.workspace_id, who.user_id) as tx:
            made = await keep(tx, site.app.state.storage, picture(), prompt="violet ridges", params={})
        assert await wrong_on(client, addresses(site.app, str(made.id))) == {}
        heads = (await client.get("/dashboard/history.csv")).text + (await client.get("/dashboard/usage.csv")).text
        assert "price_ochres" in heads and not FOREIGN.search(heads.replace("_", " "))


async def test_refusals_speak_the_editions_words(site: Site) -> None:
    await site.become(ODD)
    client, _ = await site.person()
    client.headers |= {"Origin": site.settings.site.url, "HX-Request": "true"}
    async with client:
        asks = [
            {"prompt": "a lighthouse"}, {"prompt": "a lighthouse", "references": str(uuid.uuid4())},
            {"prompt": "a lighthouse", "size": "9x9"}, {},
        ]  # fmt: skip
        for path in ("/create", "/video"):
            for ask in asks:
                model = "painter" if path == "/create" else "projector"
                answer = await client.post(path, data={"model": model, "count": "4", **ask})
                assert answer.status_code < 500 and foreign(answer.text) == [], ask
        files = {"file": ("notes.png", b"no such thing", "image/png")}
        wanted = {"model": "painter", "prompt": "a lighthouse", "count": 4}
        said = [
            await client.post("/api/media/uploads", files=files),
            await client.post("/api/generate/image", json=wanted),
            await client.post("/api/generate/video", json={"model": "projector", "prompt": "a lighthouse"}),
            await client.post("/api/prompts/describe", json={"asset_id": str(uuid.uuid4())}),
        ]
        for answer in said:
            problem = answer.json()
            assert answer.status_code >= 400 or answer.request.url.path.endswith("image"), problem
            told = [problem.get("title", ""), problem.get("detail", "")]
            assert not [text for text in told if FOREIGN.search(text)], told


async def test_where_nobody_has_credits_nothing_is_priced_in_them(site: Site) -> None:
    await site.become(ALLOWED)
    client, _ = await site.person()
    async with client, site.stranger() as stranger:
        for reader in (stranger, client):
            for path in (path for path in addresses(site.app) if not path.endswith(".csv")):
                answer = await reader.get(path, follow_redirects=True)
                assert not [text for text in said_on(answer.text) if "ochre" in text.lower()], path
        for _ in range(2):
            body = {"model": "painter", "prompt": "a lighthouse", "count": 4}
            answer = await client.post("/api/generate/image", json=body, headers={"Origin": site.settings.site.url})
        assert answer.status_code == 402
        assert answer.json()["detail"].startswith("This takes 4 etchings, and ")
        short = (await client.post("/create/estimate", data={"model": "painter", "prompt": "x", "count": "4"},
                                   headers={"Origin": site.settings.site.url})).text  # fmt: skip
        assert "ochre" not in short.lower() and "etchings left" in short


STEPS = """
[[welcome.steps]]
do = "favourite"
title = "Keep the best"
text = "Press the heart."

[[welcome.steps]]
do = "describe"
title = "Read one"
text = "Drop it in."
"""


async def test_first_steps_go_when_they_are_done_or_hidden(site: Site) -> None:
    """Nobody here can describe: no model looks at pictures, so that this step is not there at all."""
    await site.become(ODD.replace('tags = ["vision"]', "tags = []") + STEPS)
    client, who = await site.person()
    client.headers |= {"Origin": site.settings.site.url}
    async with client:
        create = (await client.get("/create")).text
        assert "Keep the best" in create and "0 of 1" in create and "Read one" not in create
        assert 'id="steps"' not in (await client.get("/video")).text
        async with site.db.workspace(who.workspace_id, who.user_id) as tx:
            made = await keep(tx, site.app.state.storage, picture(), prompt="violet ridges", params={})
        assert (await client.put(f"/api/media/{made.id}/favourite")).is_success
        assert (await client.get("/create/steps", headers={"HX-Request": "true"})).text.strip() == ""
        assert 'id="steps"' not in (await client.get("/create")).text
    other, _ = await site.person()
    async with other:
        assert 'id="steps"' in (await other.get("/create")).text
        hidden = await other.post("/create/steps/hide", headers={"Origin": site.settings.site.url})
        assert (hidden.status_code, hidden.headers["location"]) == (303, "/create")
        assert 'id="steps"' not in (await other.get("/create")).text


LITERAL = re.compile(r"""(["'`])((?:\\.|(?!\1).)*)\1""")
VALUE = re.compile(r"\$\{[^}]*\}")
SAID = re.compile(r"\b(pictures?|credits?)\b(?![\w-]*[:=])")


def test_scripts_have_no_words_of_their_own_for_them() -> None:
    folder = Path(gesso.__file__).parent / "web" / "scripts"
    found = {
        f"{path.name}: {text}"
        for path in folder.rglob("*.js")
        for line in path.read_text().splitlines()
        if not line.lstrip().startswith(("//", "*", "/**"))
        for _, text in LITERAL.findall(line)
        if SAID.search(VALUE.sub("", text)) and " " in text.strip()
    }
    assert found == set()


@pytest.mark.parametrize("name", edition_names())
def test_an_edition_that_ships_speaks_its_own_words(name: str) -> None:
    edition = load_edition(name)
    words = edition.face.words
    usual = [word for word in ("picture", "pictures", "credit", "credits") if words[word] != word]
    said = [
        *told_in(
            {key: part for key, part in edition.face.document().items() if key in ("brand", "landing", "welcome")}
        ),
        *(text for plan in edition.plans for text in (plan.name, plan.description)),
        *(text for model in edition.models for text in (model.name, model.description, *told_in(model.capabilities))),
    ]
    wrong = re.compile(rf"(?<!, )\b(?:{'|'.join(usual) or 'gesso gesso'})\b(?! them)", re.IGNORECASE)
    assert [text for text in said if wrong.search(text) and " " in text] == []


def told_in(part: Any) -> Iterator[str]:
    """Every sentence in a document: texts with a blank in them."""
    if isinstance(part, str):
        yield part
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list | tuple) else ():
        yield from told_in(inner)
