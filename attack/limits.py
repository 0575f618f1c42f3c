"""More than the plan gives: other models, more at once, hidden settings, and the file behind the mark."""

import asyncio
import hashlib
import io
import zipfile
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx2
import numpy as np
from PIL import Image

from attack.score import Attack, Force
from attack.site import Broken, Json, Person, Site
from gesso.media.storage import Storage

LARGE = "384x256"
BEYOND: tuple[Json, ...] = (
    {"model": "plate"}, {"model": "PLATE"}, {"model": " plate"}, {"count": 3}, {"count": 4}, {"count": 10**9},
    {"count": -1}, {"count": 0}, {"count": "2"}, {"count": 2.5}, {"count": [4]}, {"count": True}, {"steps": 7},
    {"steps": 12}, {"steps": -5}, {"steps": "12"}, {"steps": None, "x-steps": 12, "num_inference_steps": 12, "seed": 1},
    {"seed": 1}, {"seed": 0}, {"seed": 4294967296}, {"size": "4096x4096"}, {"size": "96x64 "},
    {"width": 4096, "seed": 1},
    {"watermark": False, "count": 3}, {"plan": "pro", "count": 4}, {"model": "plate", "plan_key": "pro"},
    {"model": "sketch", "fallbacks": ["plate"], "steps": 8}, {"kind": "video", "model": "plate"},
)  # fmt: skip
"""None of it is in the free plan."""


async def attacks(site: Site, force: Force) -> list[Attack]:
    """All of them."""
    return [
        await _api(site, force),
        await _forms(site, force),
        await _again(site),
        await _side_by_side(site, force),
        await _mark(site, force),
    ]


async def _beyond(site: Site, person: Person, which: str = "true") -> int:
    """How many of somebody's requests are for more than the free plan has."""
    rows = await site.rows(
        f"SELECT count(*) AS n FROM generation WHERE workspace_id = $1 AND {which} AND (model_key <> 'sketch'"
        " OR (params->>'count')::int > 2 OR (params->>'steps')::int > 6 OR params ? 'seed' OR NOT watermark)",
        person.workspace,
    )
    return int(rows[0]["n"])


async def _api(site: Site, force: Force) -> Attack:
    attack = Attack("more than the plan has, by the API")
    ada = await site.person("greedy")
    for body in force.of(BEYOND):
        attack.saw(await ada.ask(**body), what=str(body))
        key = {**body, "model": body.get("model", "sketch"), "prompt": "dunes"}
        answer = await ada.http.post("/api/generate/video", json=key)
        attack.saw(answer, won=answer.status_code == 202, what=f"video {body}")
        answer = await ada.http.post("/api/generate/image", params={"plan": "pro"}, json=key, headers={"x-plan": "pro"})
        attack.saw(answer, what=str(body))
    attack.must(await _beyond(site, ada) == 0, f"{await _beyond(site, ada)} requests go beyond the plan")
    attack.must(await ada.settled() >= 0, "below nothing")
    attack.found = f"of all, {8 - await ada.balance():.0f} credits' worth within the plan was accepted"
    return attack


async def _forms(site: Site, force: Force) -> Attack:
    attack = Attack("more than the plan has, by the forms")
    ada = await site.person("former")
    for body in force.of(BEYOND):
        form = {"model": "sketch", "prompt": "dunes", **{name: str(value) for name, value in body.items()}}
        for path in ("/create/controls", "/create/estimate", "/create", "/create?plan=pro"):
            answer = await ada.http.post(path, data=form)
            attack.saw(answer, won=answer.status_code >= 500, what=f"{path} {body}")
    attack.must(await _beyond(site, ada) == 0, f"{await _beyond(site, ada)} requests go beyond the plan")
    return attack


async def _again(site: Site) -> Attack:
    """What was made on a better plan, once more on the free one."""
    attack = Attack("a re-run of what only a better plan has")
    olga, ada = await site.operator(), await site.person("nostalgic")
    await _on(olga, ada, "starter")
    wanted: list[Json] = [{"model": "plate"}, {"count": 4}, {"steps": 12}, {"seed": 7}]
    made = [await ada.made(**one) for one in wanted]
    await _on(olga, ada, "free")
    for one, body in zip(made, wanted, strict=True):
        for sent in ({}, {"new_seed": True}):
            answer = await ada.http.post(f"/api/generate/{one['id']}/rerun", json=sent)
            attack.saw(answer, won=answer.status_code == 202 and "seed" not in body, what=f"{body} {sent}")
            attack.saw(await ada.http.post(f"/generations/{one['id']}/rerun", data=dict.fromkeys(sent, "true")))
    beyond = await _beyond(site, ada, "rerun_of IS NOT NULL")
    attack.must(beyond == 0, f"{beyond} re-runs go beyond the plan")
    attack.found = "refused; a seed is drawn anew"
    await ada.settled()
    return attack


async def _on(olga: Person, person: Person, plan: str) -> None:
    answer = await olga.http.put(f"/api/admin/workspaces/{person.workspace}/plan", json={"plan": plan})
    answer.raise_for_status()


async def _side_by_side(site: Site, force: Force) -> Attack:
    """Two at once, says the plan."""
    attack = Attack("more side by side than the plan has")
    ada, most = await site.person("crowder"), 0
    answers = await asyncio.gather(*(ada.ask(f"dunes {number} sandbox:slow=0.3") for number in range(8)))
    for answer in answers:
        attack.saw(answer)
    async with asyncio.timeout(120):
        while (await ada.wallet())[1]:
            (row,) = await site.rows(
                "SELECT count(*) AS n FROM generation WHERE workspace_id = $1 AND started_at IS NOT NULL"
                " AND finished_at IS NULL", ada.workspace,
            )  # fmt: skip
            most = max(most, row["n"])
            await asyncio.sleep(0.02)
    attack.must(most <= 2, f"{most} were under way at once")
    attack.found = f"at most {most} under way"
    return attack


# --- the mark -------------------------------------------------------------------------------------------


async def _mark(site: Site, force: Force) -> Attack:
    """Every way to a picture's file: none may lead to the one without the mark."""
    attack = Attack("the clean file behind a mark")
    ada = await site.person("cleaner")
    made = await ada.made("a quiet harbour", size=LARGE)
    asset = made["assets"][0]["id"]
    (row,) = await site.rows("SELECT clean, storage_key FROM asset WHERE id = $1", UUID(asset))
    settings = site.product.settings
    storage = Storage.from_url(settings.storage_url, settings.storage)
    clean = await storage.get(row["clean"]["key"])
    marked = await storage.get(row["storage_key"])
    if _without(marked, clean, marked) or not _without(clean, clean, marked):
        raise Broken("the clean file cannot be told from the marked one")
    for path, headers in force.of(_ways(asset, row)):
        answer = await ada.http.get(path, headers=headers, follow_redirects=True)
        attack.saw(answer, won=_is_clean(answer, clean, marked), what=path)
    for data in ({"pick": asset}, {"pick": [asset, asset]}, {"pick": asset, "variant": "clean"}):
        answer = await ada.http.post("/gallery/selection/download", data=data, follow_redirects=True)
        attack.saw(answer, won=_is_clean(answer, clean, marked), what="download of a selection")
    for path in ("/api/media", "/api/generate", f"/api/media/{asset}", "/gallery", f"/gallery/{asset}", "/dashboard"):
        answer = await ada.http.get(path)
        attack.saw(answer, won=row["clean"]["key"] in answer.text, what=f"the clean file's name in {path}")
    return attack


def _ways(asset: str, row: Json) -> Iterator[tuple[str, dict[str, str]]]:
    names = ("original", "320", "640", "1280", "clean", "0", "unmarked", "Original", "original.png", "..", "clean.png")
    asks = ("", "?download=1", "?clean=1", "?watermark=false", "?plan=pro", "?variant=clean", "?key=clean")
    for name in names:
        for ask in asks:
            yield f"/media/{asset}/{name}{ask}", {}
    for headers in ({"range": "bytes=0-"}, {"accept": "image/avif"}, {"x-plan": "pro"}, {"if-none-match": "*"},
                    {"cache-control": "no-cache"}, {"range": "bytes=0-9,20-"}):  # fmt: skip
        yield f"/media/{asset}/original", headers
    key = row["clean"]["key"]
    for base in ("/media/", "/static/", "/samples/", "/files/", "/", "/api/media/", f"/media/{asset}/"):
        for name in (key, quote(key, safe=""), f"../{key}", f"..%2f{quote(key, safe='')}", key.rpartition("/")[2]):
            yield f"{base}{name}", {}


def _is_clean(answer: httpx2.Response, clean: bytes, marked: bytes) -> bool:
    """Whether an answer is, or holds, a picture nearer to the one without the mark."""
    if answer.status_code not in (200, 206):
        return False
    files = [answer.content]
    if answer.content[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            files = [archive.read(name) for name in archive.namelist()]
    return any(_without(one, clean, marked) for one in files)


def _without(data: bytes, clean: bytes, marked: bytes) -> bool:
    if hashlib.sha256(data).digest() == hashlib.sha256(clean).digest() or clean in data:
        return True
    try:
        with Image.open(io.BytesIO(data)) as opened:
            size = opened.size
            found = np.asarray(opened.convert("RGB"), dtype=float)
    except OSError:
        return False
    return bool(_apart(found, clean, size) < _apart(found, marked, size))


def _apart(found: Any, data: bytes, size: tuple[int, int]) -> float:
    with Image.open(io.BytesIO(data)) as opened:
        other = np.asarray(opened.convert("RGB").resize(size), dtype=float)
    return float(np.abs(found - other).mean())
