"""What people and programs send by mistake or malice: a clear answer each, nothing stored, nothing charged."""

import asyncio
import io
import struct
import zlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import httpx2
import pytest
from PIL import Image

from gesso.accounts.access import COOKIE
from gesso.core.ids import new_id
from gesso.core.sealed import hash_token
from tests.api.people import MODEL, Person, picture, problem

UNKNOWN = "018f4f4e-0000-7000-8000-000000000000"
SUBMITS = ("/api/generate/image", "/api/generate/estimate")


# --- what is asked for ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        ({"prompt": ""}, "prompt", "Say what you would like to see"),
        ({"prompt": " \n\t "}, "prompt", "Say what you would like to see"),
        ({"prompt": "é" * 2_001}, "prompt", "at most 2,000 characters"),
        ({"prompt": "x" * 20_001}, "prompt", "At most 20000 characters"),
        ({"prompt": 7}, "prompt", "string"),
        ({"prompt": None}, "prompt", "string"),
        ({"prompt": {"text": "a cat"}}, "prompt", "string"),
        ({"prompt": "nul \x00 inside"}, "prompt", "cannot be stored"),
        ({"model": "midnight-9000"}, "model", f"Choose one of: {MODEL}"),
        ({"model": ["flux-schnell"]}, "model", "string"),
        ({"size": "640x480"}, "size", "must be one of 1024x1024"),
        ({"size": "99999x99999"}, "size", "must be one of 1024x1024"),
        ({"size": 1024}, "size", "string"),
        ({"count": 0}, "count", "between 1 and 4"),
        ({"count": 10_000}, "count", "between 1 and 4"),
        ({"count": -1}, "count", "between 1 and 4"),
        ({"count": "two"}, "count", "integer"),
        ({"count": 1.5}, "count", "integer"),
        ({"count": True}, "count", "integer"),
        ({"seed": 2**32}, "seed", "between 0 and 4,294,967,295"),
        ({"steps": 13}, "steps", "between 1 and 12"),
        ({"aspect_ratio": "16:9"}, "aspect_ratio", "takes size, not aspect_ratio"),
        ({"sise": "1024x1024"}, "sise", "Did you mean “size”?"),
        ({"nonsense": 1}, "nonsense", "It takes prompt"),
        ({"references": [UNKNOWN]}, "references", "It takes prompt"),
        ({"model": "seedream-edit"}, "references", "needs a picture to work from. Add one."),
        ({"model": "seedream-edit", "references": [UNKNOWN]}, "references", "is not here"),
        ({"model": "seedream-edit", "references": [UNKNOWN] * 2}, "references", "the same one is given twice"),
        ({"model": "seedream-edit", "references": ["mine"]}, "references.0", "UUID"),
        ({"model": "flux-ultra", "references": [UNKNOWN, str(new_id())]}, "references", "at most 1"),
    ],
)
async def test_a_request_that_cannot_be_made_is_explained(
    ada: Person, body: dict[str, Any], field: str, says: str
) -> None:
    async with ada.unchanged():
        document = problem(await ada.submit(**body), 422, "invalid_input")
    messages = {error["field"]: error["message"] for error in document["errors"]}
    assert field in messages, messages
    assert says.lower() in messages[field].lower()
    assert messages[field].rstrip(".") in document["detail"]


async def test_several_mistakes_are_told_at_once(ada: Person) -> None:
    async with ada.unchanged():
        document = problem(await ada.submit("", count=0, size="1x1", seed=-1), 422, "invalid_input")
    assert {error["field"] for error in document["errors"]} == {"prompt", "count", "size", "seed"}


async def test_what_is_forbidden_everywhere_is_refused_before_it_costs(ada: Person) -> None:
    async with ada.unchanged():
        document = problem(await ada.submit("a nude teenager"), 422, "content_policy")
    assert "charged" not in document or document["charged"] is None


async def test_out_of_credits_says_what_is_missing_and_when_there_is_more(ada: Person) -> None:
    for _ in range(8):  # two are queued at once, the others wait: all are held
        assert (await ada.submit(model="flux-ultra", count=4)).status_code == 202
    async with ada.product.db.elevated("test") as tx:
        assert await tx.fetchval("SELECT count(*) FROM generation WHERE workspace_id = $1", ada.actor.workspace_id) == 8
    document = problem(await ada.submit(model="flux-ultra", count=4), 402, "out_of_credits")
    assert (document["missing"], document["balance"], document["price"]["credits"]) == ("8", "4", "12")
    assert "8 more" in document["detail"]
    assert datetime.fromisoformat(document["next_grant_at"]) > datetime.now(UTC)
    for generation in (await ada.http.get("/api/generate")).json()["items"]:
        await ada.http.post(f"/api/generate/{generation['id']}/cancel")


@pytest.mark.parametrize("url", SUBMITS)
@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"", 422), (b"{", 422), (b"[]", 422), (b"null", 422), (b'"x"', 422), (b"\xff\xfe", 422),
        (b'{"m": "\xe9"}', 400), (b'{"model": "x", "prompt": NaN}', 422), (b"[" * 100_000, 400),
        (b'{"model": ' + b"9" * 10_000 + b"}", 400),
    ],
    ids=lambda value: repr(value)[:30],
)  # fmt: skip
async def test_a_body_that_is_no_request_is_refused(ada: Person, url: str, raw: bytes, status: int) -> None:
    async with ada.unchanged():
        answer = await ada.http.post(url, content=raw, headers={"Content-Type": "application/json"})
    document = problem(answer, status, "invalid_input" if status == 422 else "unreadable")
    assert not any(error["field"].isdigit() for error in document["errors"])


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
async def test_only_json_is_read_as_json(ada: Person, media_type: str) -> None:
    body = b'{"model": "juggernaut-lightning", "prompt": "a lighthouse"}'
    async with ada.unchanged():
        answer = await ada.http.post("/api/generate/image", content=body, headers={"Content-Type": media_type})
    document = problem(answer, 422, "invalid_input")
    assert "application/json" in document["detail"]


async def test_cursors_and_limits_are_ours_to_make(ada: Person) -> None:
    for url in ("/api/media", "/api/generate", "/api/credits/history"):
        for query in ({"cursor": "nonsense"}, {"cursor": "AAAA"}, {"limit": "0"}, {"limit": "10000"}, {"limit": "x"}):
            document = problem(await ada.http.get(url, params=query), 422, "invalid_input")
            assert document["errors"][0]["field"] == next(iter(query))


# --- whose it is ---------------------------------------------------------------------------------------


async def test_what_belongs_to_others_is_not_there(ada: Person, bea: Person) -> None:
    theirs = await bea.made()
    generation, asset = theirs["id"], theirs["assets"][0]["id"]
    async with ada.unchanged(), bea.unchanged():
        for target in (generation, UNKNOWN):
            for method, url in (
                ("GET", f"/api/generate/status/{target}"),
                ("POST", f"/api/generate/{target}/cancel"),
                ("POST", f"/api/generate/{target}/rerun"),
            ):
                problem(await ada.http.request(method, url), 404, "not_found")
        for target in (asset, UNKNOWN):
            for method, url in (
                ("GET", f"/api/media/{target}"),
                ("DELETE", f"/api/media/{target}"),
                ("POST", f"/api/media/{target}/restore"),
                ("PUT", f"/api/media/{target}/favourite"),
                ("DELETE", f"/api/media/{target}/favourite"),
            ):
                problem(await ada.http.request(method, url), 404, "not_found")
            for variant in ("original", "320"):
                assert (await ada.http.get(f"/media/{target}/{variant}")).status_code == 404
        refused = await ada.submit(model="seedream-edit", references=[asset])
        assert problem(refused, 422, "invalid_input")["errors"][0]["field"] == "references"
    assert (await bea.http.get(f"/api/media/{asset}")).json()["favourite"] is False
    assert (await bea.http.get(f"/media/{asset}/original")).status_code == 200
    assert (await ada.http.get("/api/media")).json()["items"] == []


@pytest.mark.parametrize("bad", ["1", "x" * 36, "%00", "018f4f4e-0000-7000-8000-00000000000g"])
async def test_an_id_that_is_none_is_refused(ada: Person, bad: str) -> None:
    for method, url in (
        ("GET", "/api/generate/status/{}"),
        ("POST", "/api/generate/{}/cancel"),
        ("DELETE", "/api/media/{}"),
    ):
        document = problem(await ada.http.request(method, url.format(bad)), 422, "invalid_input")
        assert document["errors"][0]["field"] in ("generation_id", "asset_id")


# --- who is asking -------------------------------------------------------------------------------------

PRIVATE = (
    ("GET", "/api/auth/me"), ("GET", "/api/models"), ("GET", "/api/credits"), ("GET", "/api/credits/history"),
    ("GET", "/api/media"), ("GET", f"/api/media/{UNKNOWN}"), ("GET", "/api/generate"), ("GET", "/api/events"),
    ("GET", f"/api/generate/status/{UNKNOWN}"), ("POST", f"/api/generate/{UNKNOWN}/cancel"),
    ("DELETE", f"/api/media/{UNKNOWN}"),
)  # fmt: skip


async def refused_everywhere(client: httpx2.AsyncClient) -> None:
    for method, url in PRIVATE:
        answer = await client.request(method, url)
        problem(answer, 401, "not_signed_in")
        assert "www-authenticate" in answer.headers
    answer = await client.post("/api/generate/image", json={"model": MODEL, "prompt": "a lighthouse"})
    problem(answer, 401, "not_signed_in")


@pytest.mark.parametrize(
    "cookie",
    ["", "x", "x" * 43, "N0gO7Kx9_9wfSwOp6SFtWKw-yM6mIfXj8OxK7e7Le8s", "A" * 5_000, "é", "../../etc/passwd"],
)
async def test_a_forged_cookie_opens_nothing(stranger: httpx2.AsyncClient, cookie: str) -> None:
    stranger.headers["Cookie"] = f"{COOKIE}={cookie}".encode().decode("latin-1")
    await refused_everywhere(stranger)


async def test_an_expired_session_opens_nothing(ada: Person) -> None:
    key = hash_token(ada.http.cookies[COOKIE])
    async with ada.unchanged():
        url = ada.product.settings.database.url
        owner = await asyncpg.connect(url.get_secret_value())
        now = datetime.now(UTC)
        await owner.execute("UPDATE login_session SET expires_at = $2 WHERE token_hash = $1", key, now)
        await owner.close()
        await refused_everywhere(ada.http)


async def test_after_signing_out_the_cookie_is_worthless(ada: Person, stranger: httpx2.AsyncClient) -> None:
    stolen = ada.http.cookies[COOKIE]
    assert (await ada.http.post("/api/auth/logout")).status_code == 204
    stranger.headers["Cookie"] = f"{COOKIE}={stolen}"
    await refused_everywhere(stranger)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1.elsewhere.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "SELF"},
    ],
)
async def test_another_site_cannot_act_for_somebody(ada: Person, headers: dict[str, str]) -> None:
    sent = {name: ada.product.url if value == "SELF" else value for name, value in headers.items()}
    body = {"model": MODEL, "prompt": "a lighthouse", "count": 1}
    async with ada.unchanged():
        problem(await ada.http.post("/api/generate/image", json=body, headers=sent), 403, "cross_site")
        problem(await ada.http.post("/api/auth/logout", headers=sent), 403, "cross_site")
        problem(await ada.http.delete(f"/api/media/{UNKNOWN}", headers=sent), 403, "cross_site")
        assert (await ada.http.get("/api/auth/me", headers=sent)).status_code == 200  # reading shows it nothing
    own = {"Origin": ada.product.url, "Sec-Fetch-Site": "same-origin"}
    assert (await ada.http.post("/api/generate/estimate", json=body, headers=own)).status_code == 200


# --- how much ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=b"])
async def test_a_body_over_the_limit_is_refused_named_or_not(ada: Person, kind: str) -> None:
    with_files = ada.product.settings.storage.max_upload_bytes + 2**20
    limit = 2**20 if kind == "application/json" else with_files

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(limit // 2**20 + 2):
            yield b" " * 2**20

    async with ada.unchanged():
        for body in (b" " * (limit + 1), endless()):
            answer = await ada.http.post("/api/generate/image", content=body, headers={"Content-Type": kind})
            document = problem(answer, 413, "too_large")
            assert f"{limit // 2**20} MB" in document["detail"]
    assert (await ada.http.get("/api/auth/me")).status_code == 200


# --- files ---------------------------------------------------------------------------------------------


def bomb() -> bytes:
    """A PNG of some hundred bytes that says it has 900 million pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(9_000))) + chunk(b"IEND", b"")
    )


def animation() -> bytes:
    buffer = io.BytesIO()
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("teal", "plum", "gold")]
    frames[0].save(buffer, "WEBP", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\n", "image/png"),
        (b"<html><script>alert(1)</script>", "image/png"),
        (b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>', "image/svg+xml"),
        (b"GIF89a" + bytes(64), "image/gif"),
        (b"%PDF-1.7" + bytes(64), "image/png"),
        (picture()[:200], "image/png"),
        (picture() + b"PK\x03\x04 a second file", "image/png"),
        (picture(), "text/html"),
        (animation(), "image/webp"),
        (bomb(), "image/png"),
    ],
    ids=["newline", "html", "svg", "gif", "pdf", "cut", "appended", "called html", "animated", "bomb"],
)  # fmt: skip
async def test_a_hostile_file_is_refused(ada: Person, data: bytes, kind: str) -> None:
    async with ada.unchanged():
        document = problem(await ada.upload(data, kind), 422, "bad_file")
    assert document["errors"][0]["field"] == "file"


async def test_a_file_over_the_limit_is_refused(ada: Person) -> None:
    limit = ada.product.settings.storage.max_upload_bytes
    async with ada.unchanged():
        document = problem(await ada.upload(picture() + bytes(limit)), 413, "too_large")
    assert f"{limit // 2**20} MB" in document["detail"]


async def test_an_upload_without_a_file_is_refused(ada: Person) -> None:
    async with ada.unchanged():
        for sent in ({"data": {"file": "just text"}}, {"files": {"other": ("a.png", picture(), "image/png")}}, {}):
            document = problem(await ada.http.post("/api/media/uploads", **sent), 422, "invalid_input")
            assert document["errors"][0]["field"] == "file"


@pytest.mark.parametrize("fault", ["private-redirect", "private-url"])
async def test_a_provider_that_points_inside_is_not_followed(ada: Person, fault: str) -> None:
    before = await ada.wallet()
    status = await ada.made(f"a lighthouse sandbox:{fault}")
    assert status["status"] == "failed" and status["assets"] == []
    assert status["error"]["code"] == "result_refused" and "169.254" not in str(status)
    assert status["charged"] == {"credits": "0", "allowances": {}, "outputs": []} or status["charged"]["credits"] == "0"
    assert await ada.wallet() == before
    async with ada.unchanged():
        assert (await ada.http.get("/api/credits/history")).status_code == 200


# --- the same again ------------------------------------------------------------------------------------


async def test_the_same_request_twice_is_done_once(ada: Person) -> None:
    answers = [await ada.submit("two boats", key="boats-1", count=2) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json() == answers[1].json()
    async with ada.unchanged():
        document = problem(await ada.submit("three boats", key="boats-1"), 422, "invalid_input")
        assert document["errors"][0]["field"] == "Idempotency-Key" and "new key" in document["detail"]
        assert (await ada.submit("two boats", key="boats-1", count=2)).json() == answers[0].json()
    await ada.until(answers[0].json()["id"], lambda status: status["status"] == "succeeded")


async def test_a_key_must_be_a_key_and_a_failure_is_not_kept(ada: Person) -> None:
    async with ada.unchanged():
        for key in ("", "k" * 256):
            document = problem(await ada.submit(key=key), 422, "invalid_input")
            assert document["errors"][0]["field"] == "Idempotency-Key" and "255" in document["detail"]
        problem(await ada.submit("", key="again"), 422, "invalid_input")
    answer = await ada.submit("a boat", key="again")
    assert answer.status_code == 202
    await ada.until(answer.json()["id"], lambda status: status["status"] == "succeeded")


async def test_many_at_once_with_one_key_make_one(ada: Person) -> None:
    answers = await asyncio.gather(*(ada.submit("one boat", key="race") for _ in range(12)))
    accepted = [answer.json() for answer in answers if answer.status_code == 202]
    assert accepted and all(body == accepted[0] for body in accepted)
    for answer in answers:
        if answer.status_code != 202:
            problem(answer, 409, "conflict")
    await ada.until(accepted[0]["id"], lambda status: status["status"] == "succeeded")
    assert await ada.wallet() == ("99", "0")


# --- nowhere -------------------------------------------------------------------------------------------


async def test_wrong_addresses_and_methods_say_so(ada: Person) -> None:
    problem(await ada.http.get("/api/nothing-here"), 404, "not_found")
    answer = await ada.http.put("/api/generate/image", json={})
    assert "POST" in problem(answer, 405, "method_not_allowed")["detail"] and answer.headers["allow"] == "POST"
    answer = await ada.http.patch(f"/api/media/{UNKNOWN}", json={})
    assert set(answer.headers["allow"].split(", ")) == {"GET", "DELETE"}
