"""Files made to harm: bounded in time and memory, and never served as something that runs."""

import asyncio
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.media.pictures import picture
from tests.security.bombs import BOMBS, HEAVY
from tests.security.site import Cast, Site

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def opened() -> dict[str, Any]:
    """What became of each, in a process of its own with hard limits."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.security.bombs"], cwd=ROOT, capture_output=True, text=True, timeout=180
    )
    assert done.returncode == 0, (done.returncode, done.stderr[-2000:])
    assert len(done.stderr) < 2000, "an odd file must not fill the log"
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_before_it_goes_off(opened: dict[str, Any], name: str) -> None:
    became, seconds = opened["found"][name]
    assert became == "refused" and seconds < 3


@pytest.mark.parametrize("name", HEAVY)
def test_what_is_odd_but_a_picture_is_taken_in_bounded_time(opened: dict[str, Any], name: str) -> None:
    became, seconds = opened["found"][name]
    assert became == "taken" and seconds < 20


def test_the_worst_of_them_takes_no_more_memory_than_is_said(opened: dict[str, Any]) -> None:
    assert opened["peak_mb"] < 1000


PAGE = b"<html><script>alert(document.domain)</script>"
POLYGLOTS: dict[str, tuple[bytes, int]] = {
    "gif and script": (b"GIF89a/*" + bytes(20) + b"*/=1;alert(1)//;", 422),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>', 422),
    "svg behind a byte order mark": (b'\xef\xbb\xbf<?xml version="1.0"?><svg onload="alert(1)"/>', 422),
    "pdf and jpeg": (b"%PDF-1.4\n" + picture(kind="JPEG"), 422),
    "png and zip": (picture() + b"PK\3\4" + bytes(40), 422),
    "png and page": (picture() + PAGE, 422),
    "jpeg with a page as its comment": (picture(kind="JPEG", comment=PAGE), 201),
    "jpeg with a page behind it": (picture(kind="JPEG") + PAGE, 201),
    "png with a page as its text": (picture(60, 40)[:33] + b"\0\0\0\x2etEXta\0" + PAGE[:44] + bytes(4), 422),
}


@pytest.mark.parametrize("name", POLYGLOTS)
async def test_two_files_in_one_come_out_as_one_or_not_at_all(site: Site, cast: Cast, name: str) -> None:
    data, expected = POLYGLOTS[name]
    async with site.visitor(cast.cleo) as cleo:
        for claimed in ("image/png", "image/jpeg"):
            files = {"file": ("a.html", io.BytesIO(data), claimed)}
            answer = await cleo.post("/api/media/uploads", files=files)
            assert answer.status_code == expected, answer.text
            if expected == 201:
                got = await cleo.get(answer.json()["url"])
                assert b"script" not in got.content and got.headers["content-type"] == "image/jpeg"
                assert ".jp" in got.headers["content-disposition"]


async def test_many_bombs_at_once_leave_the_site_answering(site: Site, cast: Cast) -> None:
    bombs = [BOMBS["a png of empty chunks"](), BOMBS["a jpeg of comments"](), BOMBS["a png that inflates"]()]
    async with site.visitor(cast.cleo) as cleo, site.visitor(cast.ada) as ada:
        sending = [
            asyncio.create_task(cleo.post("/api/media/uploads", files={"file": ("a.png", bomb, "image/png")}))
            for bomb in bombs
        ]
        assert (await ada.get("/api/auth/me")).status_code == 200
        assert {(await one).status_code for one in sending} == {422}
