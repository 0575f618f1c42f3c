"""Models for adults through the whole product: who may see and ask them, what they never get, and a picture and a film
of Promptchan from the request to the stored file."""

import asyncio
import os
import sys
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from gesso.db.embedded import EmbeddedPostgres
from tests.conftest import SECRET, create_database
from tests.generation.house import House, Person, opened, settings_for
from tests.media.pictures import picture

EDITION = """
modules = ["image", "video", "gallery"]

[brand]
name = "Atelier"
title = "Atelier"

[colours]
background = "#0a0a0f"
surface = "#1a1a24"
primary = "#8b5cf6"
primary_hover = "#7c3aed"
secondary = "#ec4899"
text = "#ffffff"
muted = "#9ca3af"
border = "#2d2d3d"

[policy]
content = "adult"

[defaults]
plan = "free"
model = "plain"

[[plans]]
key = "free"
name = "Free"
parallel = 2
max_count = 4

[[connections]]
key = "fal"
adapter = "fal"
name = "fal"

[[connections]]
key = "promptchan"
adapter = "promptchan"
name = "Promptchan"
limits = { concurrency = 2 }

[[models]]
key = "plain"
kind = "image"
connection = "fal"
upstream = "fal-ai/flux/schnell"
name = "Plain"
description = "For everybody."
price = { credits = "1" }
typical_seconds = 2
fallbacks = ["grown-picture"]
[models.settings]
prompt = { type = "string", maxLength = 2000 }
count = { type = "integer", minimum = 1, maximum = 1, default = 1 }

[[models]]
key = "grown-picture"
kind = "image"
connection = "promptchan"
upstream = "picture"
name = "Grown picture"
description = "People, all of them adults."
price = { credits = "1", quality = { Extreme = "2", Max = "3" } }
cost = { usd = "0.05", quality = { Extreme = "2", Max = "3" } }
wire = { usd_per_gem = "0.05", defaults = { creativity = 50 } }
typical_seconds = 35
[models.settings]
prompt = { type = "string", maxLength = 2000 }
negative_prompt = { type = "string", maxLength = 500 }
size = { type = "string", default = "512x768", enum = ["512x512", "512x768", "768x512"] }
quality = { type = "string", default = "Ultra", enum = ["Ultra", "Extreme", "Max"] }
style = { type = "string", default = "Cinematic", enum = ["Cinematic", "Anime", "Photo XL+"] }
emotion = { type = "string", default = "Default", enum = ["Default", "Smiling", "Laughing"] }
age = { type = "integer", minimum = 18, maximum = 80, default = 30 }
restore_faces = { type = "boolean", default = false }
seed = { type = "integer", minimum = 0, maximum = 2147483647 }
references = { type = "array", maxItems = 1, items = { type = "string", format = "uuid" } }
count = { type = "integer", minimum = 1, maximum = 2, default = 1 }

[[models]]
key = "grown-film"
kind = "video"
connection = "promptchan"
upstream = "film"
name = "Grown film"
description = "A short film."
price = { credits = "10" }
cost = { usd = "0.5" }
wire = { usd_per_gem = "0.05", gems = { Standard = "10", High = "20", Max = "30" } }
typical_seconds = 90
[models.settings]
prompt = { type = "string", maxLength = 2000 }
aspect_ratio = { type = "string", default = "9:16", enum = ["9:16", "16:9"] }
count = { type = "integer", minimum = 1, maximum = 1, default = 1 }
"""
GROWN = "grown-picture"


@pytest.fixture(scope="module")
async def house(
    postgres: EmbeddedPostgres, template: str, sandbox: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    """A house of an edition for adults, on a database of its own."""
    url = await create_database(postgres, f"gesso_grown_{uuid.uuid4().hex[:12]}", template)
    folder = Path(tmp_path_factory.mktemp("grown"))
    (folder / "grown.toml").write_text(EDITION)
    settings = settings_for(url, folder, sandbox)
    site = settings.site.model_copy(update={"edition": str(folder / "grown.toml"), "adult_content": True})
    async with opened(replace(settings, site=site)) as found:
        yield found


async def grown(house: House) -> Person:
    """Somebody who confirmed their age."""
    ada = await house.person()
    answer = await ada.http.post("/settings/age", headers={"Origin": house.url})
    assert answer.status_code == 303, answer.text
    return ada


async def models_of(person: Person) -> set[str]:
    return {item["key"] for item in (await person.http.get("/api/models")).json()["items"]}


async def breaches(house: House) -> int:
    async with httpx2.AsyncClient() as client:
        return int((await client.get(f"{house.sandbox_url}/promptchan/_breaches")).json()["breaches"])


async def test_adult_models_are_hidden_until_somebody_confirms_their_age(house: House) -> None:
    ada = await house.person()
    assert await models_of(ada) == {"plain"}
    refused = await ada.submit("a woman at a harbour", model=GROWN)
    assert refused.status_code == 422 and "no model" in refused.json()["detail"]
    assert "Grown picture" not in refused.text
    estimate = await ada.http.post("/api/generate/estimate", json={"kind": "image", "model": GROWN, "prompt": "x"})
    assert estimate.status_code == 422
    for path in ("/", "/create", "/video"):
        assert "Grown" not in (await ada.http.get(path)).text
    assert "1 more model for adults." in (await ada.http.get("/create")).text
    assert 'href="/settings/age?next=/video"' in (await ada.http.get("/video")).text
    assert "I am 18 or older" in (await ada.http.get("/settings/age?next=/video")).text
    bob = await grown(house)
    assert await models_of(bob) == {"plain", GROWN, "grown-film"}
    create = (await bob.http.get("/create")).text
    assert "Grown picture" in create and "for adults." not in create
    assert await models_of(ada) == {"plain"}, "one person's word is nobody else's"
    await bob.http.post("/settings/age/withdraw", headers={"Origin": house.url})
    assert await models_of(bob) == {"plain"}
    acts = await house.rows("SELECT action FROM audit_event WHERE user_id = $1 ORDER BY id", bob.actor.user_id)
    assert [act["action"] for act in acts if act["action"].startswith("age.")] == ["age.confirmed", "age.withdrawn"]


async def test_people_confirm_their_age_and_take_it_back_by_the_api(house: House) -> None:
    ada = await house.person()
    assert (await ada.http.get("/api/auth/age")).json() == {"confirmed_at": None}
    for body in ({}, {"adult": False}, {"adult": True, "years": 20}):
        refused = await ada.http.put("/api/auth/age", json=body)
        assert refused.status_code == 422 and await models_of(ada) == {"plain"}, body
    said = await ada.http.put("/api/auth/age", json={"adult": True})
    assert said.status_code == 200 and await models_of(ada) == {"plain", GROWN, "grown-film"}
    again = await ada.http.put("/api/auth/age", json={"adult": True})
    assert again.json() == said.json() and said.json()["confirmed_at"] is not None
    assert (await ada.http.delete("/api/auth/age")).json() == {"confirmed_at": None}
    assert await models_of(ada) == {"plain"}
    async with httpx2.AsyncClient(base_url=house.url) as stranger:
        assert (await stranger.put("/api/auth/age", json={"adult": True})).status_code == 401


async def test_who_confirmed_goes_on_where_they_came_from_and_nowhere_else(house: House) -> None:
    ada = await house.person()
    for wanted, leads in (("/video", "/video"), ("https://elsewhere.test/", "/settings/age"), ("", "/settings/age")):
        answer = await ada.http.post("/settings/age", data={"next": wanted}, headers={"Origin": house.url})
        assert (answer.status_code, answer.headers["location"]) == (303, leads)


async def test_a_picture_from_the_request_to_the_stored_file(house: House) -> None:
    ada = await grown(house)
    done = await ada.made(
        "a woman of 45 reading in a library", model=GROWN, count=2, quality="Extreme", style="Anime", age=45, seed=9,
        restore_faces=True,
    )  # fmt: skip
    assert (done["status"], done["error"], done["charged"]["credits"]) == ("succeeded", None, "4")
    assert [(asset["width"], asset["height"]) for asset in done["assets"]] == [(512, 768)] * 2
    attempts = await house.attempts(done["id"])
    assert [(one["state"], one["provider_cost_micro_usd"], one["cost_state"]) for one in attempts] == [
        ("succeeded", 150_000, "actual")
    ] * 2  # two gems for the quality, one for the faces
    lines = [line for line in (await house.bill()).values() if line["provider"] == "promptchan"]
    assert [line["cost_micro_usd"] for line in lines[-2:]] == [150_000] * 2
    file = await ada.http.get(done["assets"][0]["url"], follow_redirects=True)
    assert file.content.startswith(b"\x89PNG")
    assert await ada.wallet() == ("96", "0") and await house.wrong() == () and await breaches(house) == 0


async def test_a_film_from_the_request_to_the_stored_file(house: House) -> None:
    ada = await grown(house)
    answer = await ada.http.post(
        "/api/generate/video", json={"model": "grown-film", "prompt": "a boat leaves sandbox:queue=2"}
    )
    assert answer.status_code == 202, answer.text
    done = await ada.ended(uuid.UUID(answer.json()["id"]))
    assert (done["status"], done["error"], done["charged"]["credits"]) == ("succeeded", None, "10")
    (asset,) = done["assets"]
    assert (asset["kind"], asset["width"], asset["height"]) == ("video", 360, 640)
    (attempt,) = await house.attempts(done["id"])
    line = (await house.bill())[attempt["operation"]["id"]]
    assert (line["status"], line["cost_micro_usd"], attempt["provider_cost_micro_usd"]) == ("done", 500_000, 500_000)
    assert await house.wrong() == () and await breaches(house) == 0


async def test_what_an_adult_model_never_gets(house: House) -> None:
    ada = await grown(house)
    for prompt in ("a child with a kite", "a young woman at a harbour", "a 16 year old violinist"):
        refused = await ada.submit(prompt, model=GROWN)
        assert (refused.status_code, refused.json()["rule"]) == (422, "minors"), prompt
    assert (await ada.submit("a child with a kite", model="plain")).status_code == 202, "ordinary models may"
    young = await ada.submit("a woman at a harbour", model=GROWN, age=17)
    assert young.status_code == 422 and young.json()["errors"][0]["field"] == "age"
    sent = await ada.http.post("/api/media/uploads", files={"file": ("me.png", picture(96, 96), "image/png")})
    assert sent.status_code == 201, sent.text
    photo = await ada.submit("the same at night", model=GROWN, references=[sent.json()["id"]])
    assert photo.status_code == 422 and "uploaded" in photo.json()["detail"]
    assert await breaches(house) == 0


async def test_an_ordinary_model_never_falls_back_to_an_adult_one(house: House) -> None:
    ada = await grown(house)
    done = await ada.made("dunes sandbox:fail", model="plain")
    assert done["status"] == "failed"
    assert {one["model_key"] for one in await house.attempts(done["id"])} == {"plain"}


async def test_the_command_line_tests_the_connection(house: House) -> None:
    environment = {
        **os.environ, "DATABASE_URL": house.settings.database.url.get_secret_value(),  # type: ignore[union-attr]
        "GESSO_SECRET_KEY": SECRET, "GESSO_ENV": "test", "GESSO_SANDBOX_URL": house.sandbox_url,
        "GESSO_DATA_DIR": str(house.settings.site.data_dir), "GESSO_EDITION": house.settings.site.edition,
        "GESSO_ADULT_CONTENT": "true",
    }  # fmt: skip
    command = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gesso", "connection", "test", "promptchan", env=environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    told, _ = await command.communicate()
    assert command.returncode == 0, told.decode()
    assert "The key is accepted." in told.decode() and "gems are left on the plan" in told.decode()
