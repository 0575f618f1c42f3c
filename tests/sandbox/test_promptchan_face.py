"""The face by itself, as the vendor's document describes the wire: what it takes, what it refuses, what it outlives."""

import base64
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gesso.sandbox.app import create_app
from gesso.sandbox.pace import Pace
from tests.sandbox.server import running_sandbox, serving


class Account:
    """Somebody with a key of their own."""

    def __init__(self, http: httpx2.AsyncClient, origin: str) -> None:
        self.http, self.base = http, f"{origin}/promptchan/api/external"
        self.auth = {"x-api-key": f"{uuid.uuid4().hex}:good"}

    async def post(self, path: str, **body: Any) -> httpx2.Response:
        return await self.http.post(f"{self.base}/{path}", json=body, headers=self.auth)

    async def get(self, path: str) -> httpx2.Response:
        return await self.http.get(f"{self.base}/{path}", headers=self.auth)


@pytest.fixture(scope="module")
async def origin() -> AsyncIterator[str]:
    async with running_sandbox() as address:
        yield address


@pytest.fixture
def account(http: httpx2.AsyncClient, origin: str) -> Account:
    return Account(http, origin)


async def test_a_picture_in_plain_base64_and_the_balance_left(account: Account) -> None:
    answer = await account.post(
        "create", prompt="a harbour", age_slider=25, quality="Extreme", restore_faces=True, unknown_key="ignored"
    )
    told = answer.json()
    assert base64.b64decode(told["image"], validate=True).startswith(b"\x89PNG")
    assert told["gems"] == 1000 - 3
    assert (await account.get("status")).json()["gems"] == 997
    fraction = await account.post("create", prompt="a harbour sandbox:gems-fraction", age_slider=25)
    assert fraction.json()["gems"] == 995.75
    assert "gems" not in (await account.post("create", prompt="x sandbox:gems-untold", age_slider=25)).json()


@pytest.mark.parametrize("age", [{}, {"age_slider": 17}, {"ageSlider": 25}, {"age_slider": "25"}, {"age_slider": True}])
async def test_what_must_never_arrive_is_refused_and_counted(
    account: Account, http: httpx2.AsyncClient, origin: str, age: dict[str, Any]
) -> None:
    async def breaches() -> int:
        return int((await http.get(f"{origin}/promptchan/_breaches")).json()["breaches"])

    before = await breaches()
    assert (await account.post("create", prompt="a harbour", **age)).status_code == 400
    assert (await account.post("video_v2/submit", prompt="a boat", **age)).status_code == 400
    character = {"name": "Ada", **{name.removesuffix("_slider"): value for name, value in age.items()}}
    assert (await account.post("chat", message="Hi", characterData=character)).status_code == 400
    assert await breaches() == before + 3


@pytest.mark.parametrize(
    "more",
    [
        {"prompt": ""}, {"style": "Nonsense"}, {"quality": "ultra"}, {"image_size": "1024x1024"}, {"detail": 3},
        {"seed": "7"}, {"weight_slider": 2}, {"restore_faces": 1}, {"age_slider": 25.5},
    ],
)  # fmt: skip
async def test_values_outside_the_document_are_refused(account: Account, more: dict[str, Any]) -> None:
    answer = await account.post("create", **{"prompt": "a harbour", "age_slider": 25, **more})
    assert answer.status_code == 400
    assert "Invalid value" in answer.json()["message"]


async def test_errors_in_both_shapes(account: Account, http: httpx2.AsyncClient) -> None:
    async def create(words: str) -> httpx2.Response:
        return await account.post("create", prompt=f"a pier sandbox:{words}", age_slider=25)

    poor = await create("no-credit")
    assert (poor.status_code, poor.json()) == (402, {"error": "Not enough gems"})
    assert "gems" in (await create("no-credit=400")).json()["message"]
    inside = await create("error-inside")
    assert (inside.status_code, "error" in inside.json()) == (200, True)
    limited = await create("429")
    assert limited.status_code == 429 and "retry-after" not in limited.headers
    page = await create("502")
    assert "text/html" in page.headers["content-type"]
    for headers in ({}, {"x-api-key": "wrong"}, {"Authorization": "Bearer x"}):
        answer = await http.post(f"{account.base}/create", json={"prompt": "x", "age_slider": 25}, headers=headers)
        assert (answer.status_code, answer.json()) == (401, {"error": "Invalid API key"})
    assert (await account.get("nothing")).status_code == 404
    assert (await http.post(f"{account.base}/create", content=b"{", headers=account.auth)).status_code == 400
    assert "Unknown sandbox fault" in (await create("nonsense")).json()["message"]


async def test_a_video_belongs_to_whoever_made_it(account: Account, http: httpx2.AsyncClient, origin: str) -> None:
    made = (await account.post("video_v2/submit", prompt="a boat sandbox:slow=60", age_slider=30, aspect="Wide")).json()
    status = (await account.get(f"video_v2/status/{made['request_id']}")).json()
    assert status == {"status": "Processing", "details": None}
    progress = (await account.get(f"video_v2/status_with_logs/{made['request_id']}")).json()["progress"]
    assert 0 <= progress < 1
    assert (await account.get(f"video_v2/result/{made['request_id']}")).status_code == 400
    stranger = Account(http, origin)
    assert (await stranger.get(f"video_v2/status/{made['request_id']}")).status_code == 400
    wide = await account.post("video_v3.1/submit", prompt="a boat", age_slider=30, aspect="Wide")
    assert wide.status_code == 400


async def test_a_video_outlives_the_sandbox_and_is_paid_for_once(tmp_path: Path, http: httpx2.AsyncClient) -> None:
    async with serving(create_app(pace=Pace.instant(), workers=0, folder=tmp_path)) as origin:
        first = Account(http, origin)
        made = (await first.post("video_v2/submit", prompt="a boat", age_slider=30)).json()["request_id"]
    async with serving(create_app(pace=Pace.instant(), workers=0, folder=tmp_path)) as origin:
        second = Account(http, origin)
        second.auth = first.auth
        for _ in range(3):
            assert (await second.get(f"video_v2/status/{made}")).json()["status"] == "Completed"
        told = (await second.get(f"video_v2/result/{made}")).json()
        assert told["status"] == "success"
        assert (await http.get(told["video"][0])).content[4:8] == b"ftyp"
        assert (await second.get("status")).json()["gems"] == 990
        (line,) = (await http.get(f"{origin}/_bill")).json()["jobs"]
    assert (line["request_id"], line["status"], line["units"]) == (made, "done", 10)


async def test_a_chat_keeps_nothing_and_answers_whole(account: Account) -> None:
    body = {"message": "Good morning", "userName": "Sam", "characterData": {"name": "Ada", "age": 30}}
    told = (await account.post("chat", **body)).json()
    assert told["message"] == told["chatHistory"][0]["content"]
    assert (told["audio"], told["selfie"]) == (None, None)
    assert told == told | {"message": (await account.post("chat", **body)).json()["message"]}
