"""Reference pictures: inline when small, uploaded when large, by the second way when the first is closed."""

import base64
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr

from gesso.providers.base import ConnectionConfig, InputFile, MediaRequest
from gesso.providers.errors import Misconfigured, ProviderError, Rejected, Unavailable
from gesso.providers.fal.adapter import FalAdapter
from gesso.providers.fal.uploads import INLINE_MAX_BYTES, INPUT_MAX_BYTES
from tests.providers.loopback import DROP, NGINX, Loopback, Reply, Seen, loopback, told

EDIT = "fal-ai/nano-banana/edit"
SMALL = InputFile("image/png", b"s" * INLINE_MAX_BYTES)
LARGE = InputFile("image/jpeg", b"l" * (INLINE_MAX_BYTES + 1))
TOKEN = {"token": "tok", "token_type": "Bearer", "base_url": "http://elsewhere.example",
         "expires_at": "2999-01-01T00:00:00Z"}  # fmt: skip


async def submitted(
    answers: Callable[[Seen, Loopback], Reply | None], *inputs: InputFile, times: int = 1
) -> tuple[list[dict[str, Any]], Loopback]:
    """Bodies of the submits; `answers` may answer uploads, the rest is answered as fal does."""

    def answer(seen: Seen) -> Reply:
        given = answers(seen, server)
        return given or told(200, {"request_id": "r"})

    async with loopback(answer) as server:
        adapter = FalAdapter(ConnectionConfig(base_url=server.url, api_key=SecretStr("id:secret")))
        try:
            for _ in range(times):
                await adapter.submit(MediaRequest("image", EDIT, "x", inputs=inputs), "k")
        finally:
            await adapter.aclose()
    return [seen.json() for seen in server.seen if seen.path == f"/{EDIT}"], server


def store(seen: Seen, server: Loopback) -> Reply | None:
    if seen.path == "/storage/auth/token":
        assert seen.headers["authorization"] == "Key id:secret"
        assert seen.json() == {}
        return told(200, TOKEN)
    if seen.path == "/files/upload":
        assert seen.headers["authorization"] == "Bearer tok"
        assert seen.headers["content-type"] == "image/jpeg"
        assert seen.headers["x-fal-file-name"] == "reference.jpg"
        assert seen.body == LARGE.data
        return told(200, {"access_url": "https://v3.fal.media/files/r.jpg"})
    return None


async def test_small_pictures_travel_inside_the_request() -> None:
    (body,), server = await submitted(store, SMALL)
    assert body["image_urls"] == ["data:image/png;base64," + base64.b64encode(SMALL.data).decode()]
    assert len(server.seen) == 1


async def test_large_pictures_are_uploaded_with_one_token() -> None:
    bodies, server = await submitted(store, LARGE, SMALL, LARGE, times=2)
    for body in bodies:
        assert [url[:20] for url in body["image_urls"]] == [
            "https://v3.fal.media", "data:image/png;base6", "https://v3.fal.media"
        ]  # fmt: skip
    assert [seen.path for seen in server.seen].count("/storage/auth/token") == 1
    assert server.seen[0].target.endswith("?storage_type=fal-cdn-v3")


async def test_without_a_token_the_signed_way_is_taken() -> None:
    def signed(seen: Seen, server: Loopback) -> Reply | None:
        if seen.path == "/storage/auth/token":
            return told(404, {"detail": "Path not found"})
        if seen.path == "/storage/upload/initiate":
            assert seen.json() == {"file_name": "reference.jpg", "content_type": "image/jpeg"}
            return told(200, {"upload_url": f"{server.url}/put/1?sig=2", "file_url": "https://v3.fal.media/1.jpg"})
        if seen.path == "/put/1":
            assert seen.method == "PUT"
            assert "authorization" not in seen.headers
            assert (seen.headers["content-type"], seen.body) == ("image/jpeg", LARGE.data)
            return Reply(200)
        return None

    (body,), _ = await submitted(signed, LARGE)
    assert body["image_urls"] == ["https://v3.fal.media/1.jpg"]


async def failed(reply: Reply, path: str = "/storage/auth/token", upload_url: str = "") -> ProviderError:
    def answers(seen: Seen, server: Loopback) -> Reply | None:
        assert seen.path != f"/{EDIT}", "nothing may be submitted when an upload failed"
        if seen.path == path:
            return reply
        if upload_url and seen.path == "/storage/auth/token":
            return told(404, {})
        if upload_url and seen.path == "/storage/upload/initiate":
            return told(200, {"upload_url": upload_url, "file_url": "https://x/1"})
        return store(seen, server)

    with pytest.raises(ProviderError) as caught:
        await submitted(answers, LARGE)
    return caught.value


async def test_what_goes_wrong_with_an_upload() -> None:
    assert isinstance(await failed(DROP), Unavailable)
    assert isinstance(await failed(told(401, {"detail": "x"})), Misconfigured)
    locked = await failed(told(403, {"detail": "User is locked. Reason: TOP_UP"}))
    assert locked.code == "misconfigured_credit"
    assert isinstance(await failed(NGINX, "/files/upload"), Unavailable)
    assert isinstance(await failed(told(401, {}), "/files/upload"), Unavailable)
    assert isinstance(await failed(told(200, {}), "/files/upload"), Unavailable)
    assert isinstance(await failed(told(200, {"access_url": "file:///etc"}), "/files/upload"), Unavailable)


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1/x", "https://169.254.169.254/x", "http://example.com/", "https://[::1]/"]
)
async def test_an_upload_url_cannot_reach_inside(url: str) -> None:
    assert isinstance(await failed(DROP, "/nowhere", upload_url=url), Misconfigured)


async def test_a_picture_above_the_limit_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(Rejected):
        await submitted(store, InputFile("image/png", b"x" * (INPUT_MAX_BYTES + 1)))
