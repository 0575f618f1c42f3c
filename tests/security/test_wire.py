"""Requests no client of good will sends, byte by byte: smuggling, path tricks, false hosts, bombs in bodies."""

import io
import json
import time
import zlib

import pytest

from gesso.core.settings import SiteSettings
from gesso.web.hosts import host_rule
from tests.media.pictures import keep
from tests.security.rules import PICTURE
from tests.security.site import HTTPS, Cast, Site, parts_of

HOST = b"Host: 127.0.0.1\r\n"
INSIDE = b"GET /api/openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def statuses(said: bytes) -> list[int]:
    return [int(part[:3]) for part in said.split(b"HTTP/1.1 ")[1:]]


# --- smuggling -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        b"Content-Length: 0\r\nContent-Length: 5\r\n\r\nabcde",
        b"Content-Length: 5, 5\r\n\r\nabcde",
        b"Content-Length: +5\r\n\r\nabcde",
        b"Content-Length: -1\r\n\r\n",
        b"Content-Length: 0x5\r\n\r\nabcde",
        b"Content-Length: 99999999999999999999999999\r\n\r\n",
        b"Content-Length : 5\r\n\r\nabcde",
        b"Transfer-Encoding: xchunked\r\n\r\n",
        b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"X: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n5;\n\r\nabcde\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n-5\r\nabcde\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n0x5\r\nabcde\r\n0\r\n\r\n",
    ],
)
async def test_where_a_body_ends_is_never_a_matter_of_opinion(site: Site, framing: bytes) -> None:
    """Whoever could make a proxy and us disagree could put a request into somebody else's connection."""
    said = await site.ask(b"POST /api/auth/logout HTTP/1.1\r\n" + HOST + framing + INSIDE)
    assert b"openapi" not in said
    found = statuses(said)
    assert found[-1:] == [400] and len(found) <= 2, said[:200]


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET / HTTP/1.1\nHost: 127.0.0.1\n\n\x00",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
        b"X" * 5000 + b" / HTTP/1.1\r\n\r\n", b"GET / HTTP/9.9\r\n" + HOST + b"\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"X: \x00\r\n\r\n", b"GET / HTTP/1.1\r\n" + HOST + b": x\r\n\r\n",
    ],
)  # fmt: skip
async def test_what_is_not_http_is_refused(site: Site, raw: bytes) -> None:
    assert set(statuses(await site.ask(raw))) <= {400, 421}


async def test_a_websocket_is_not_opened(site: Site) -> None:
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: YWJj\r\n"
    for path in (b"/api/events", b"/", b"/nothing"):
        said = await site.ask(b"GET " + path + b" HTTP/1.1\r\n" + HOST + upgrade + b"Connection: close\r\n\r\n")
        assert statuses(said)[0] in (200, 401, 404)


# --- paths ---------------------------------------------------------------------------------------------

TRICKS = (
    "/../{}", "/..%2f{}", "/%2e%2e/{}", "/%2e%2e%2f{}", "/..%5c{}", "/..\\{}", "/%252e%252e%252f{}", "/....//{}",
    "/%c0%ae%c0%ae/{}", "/%c0%ae%c0%ae%c0%af{}", "/%e0%80%ae%e0%80%ae/{}", "/%uff0e%uff0e/{}", "//{}", "/%2f{}",
    "/./{}",
    "/{}%00", "/{}%00.png", "/app.css%00", "/..;/{}", "/%09/{}", "/{}%20", "/{}.", "/{}::$DATA", "/{}/", "/?/../{}",
)  # fmt: skip
TARGETS = ("../app.py", "../../secret_key", "../../../../../../etc/passwd", "C:/x")


@pytest.mark.parametrize("root", ["/static", "/static/dist", "/media/{asset}"])
async def test_no_path_leads_out(site: Site, cast: Cast, root: str) -> None:
    async with site.db.workspace(cast.ada.workspace_id, cast.ada.user_id) as tx:
        root = root.format(asset=(await keep(tx, site.app.state.storage, PICTURE)).id)
    async with site.visitor(cast.ada) as ada:
        cookie = f"Cookie: {ada.headers['Cookie']}\r\n".encode()
    tricks = [root + trick.format(target) for trick in TRICKS for target in TARGETS]
    requests = [f"GET {path} HTTP/1.1\r\n".encode() + HOST + cookie for path in tricks]
    wrong = {}
    for first in range(0, len(requests), 8):  # a few on each connection, as a proxy would send them
        for path, request in zip(tricks[first : first + 8], requests[first : first + 8], strict=True):
            said = await site.ask(request + b"Connection: close\r\n\r\n")
            found = statuses(said)
            if path.partition("?")[0].endswith("/") and found == [307]:  # the same without the slash, on this site
                assert parts_of(said)[1]["location"].startswith("http://127.0.0.1/media")
            elif found not in ([400], [404]):
                wrong[path] = found
            for secret in (b"create_app", b"root:", site.settings.secret_key.encode()):
                assert secret not in said, path
    assert wrong == {}


async def test_an_absolute_address_is_only_its_path(site: Site) -> None:
    for target in (
        b"http://127.0.0.1/static/../app.py",
        b"http://elsewhere.example/api/auth/me",
        b"*",
        b"elsewhere:443",
    ):
        said = await site.ask(b"GET " + target + b" HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
        assert statuses(said)[0] in (400, 401, 404)


# --- hosts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "ours"),
    [
        ("art.example.com", True), ("art.example.com:443", True), ("ART.example.com.", True),
        ("gallery.example.org", True), ("evil.example", False), ("art.example.com.evil.example", False),
        ("art.example.com@evil.example", False), ("evil.example:art.example.com", False), ("127.0.0.1", False),
        ("localhost", False), ("[::1]", False), ("", False), ("art.example.com:80:80", False),
        ("art.example.com/x", False), ("a rt.example.com", False),
    ],
)  # fmt: skip
def test_a_site_knows_its_names(header: str, ours: bool) -> None:
    rule = host_rule(SiteSettings(env="production", base_url=HTTPS, extra_hosts="gallery.example.org, "))
    assert rule(header) is ours


@pytest.mark.parametrize(
    ("header", "ours"),
    [
        ("localhost:8000", True), ("127.0.0.1:8000", True), ("[::1]:8000", True), ("192.168.1.7", True),
        ("gesso.localhost", True), ("rebound.evil.example", False), ("127.0.0.1.evil.example", False), ("", False),
        ("localhost.evil.example", False), ("[::1].evil.example", False), ("notlocalhost", False),
    ],
)  # fmt: skip
def test_in_development_addresses_count_and_foreign_names_do_not(header: str, ours: bool) -> None:
    assert host_rule(SiteSettings())(header) is ours


async def test_a_foreign_host_reaches_nothing_but_the_probes(secure_site: Site) -> None:
    for headers in (b"Host: evil.example\r\n", b"", b"Host: art.example.com\r\nHost: evil.example\r\n"):
        for path, expected in ((b"/", 421), (b"/login", 421), (b"/healthz", 200)):
            said = await secure_site.ask(b"GET " + path + b" HTTP/1.1\r\n" + headers + b"Connection: close\r\n\r\n")
            assert statuses(said) == [expected]
            assert b"evil.example" not in said
    forwarded = b"Host: art.example.com\r\nX-Forwarded-Host: evil.example\r\nForwarded: host=evil.example\r\n"
    for path in (b"/", b"/login", b"/gallery/", b"/create"):
        said = await secure_site.ask(b"GET " + path + b" HTTP/1.1\r\n" + forwarded + b"Connection: close\r\n\r\n")
        assert b"evil.example" not in said and statuses(said)[0] < 400


# --- another site's requests ---------------------------------------------------------------------------

OWN, OTHER = "OWN", "https://elsewhere.example"
MATRIX: tuple[tuple[dict[str, str], bool], ...] = (
    ({}, True),  # a program
    ({"Sec-Fetch-Site": "same-origin"}, True),
    ({"Sec-Fetch-Site": "none"}, True),  # typed, or a bookmark
    ({"Sec-Fetch-Site": "same-origin", "Origin": OWN}, True),
    ({"Origin": OWN}, True),
    ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, True),  # our own page with no-referrer, in some browsers
    ({"Sec-Fetch-Site": "cross-site"}, False),
    ({"Sec-Fetch-Site": "same-site"}, False),  # a sibling host is another site
    ({"Sec-Fetch-Site": "cross-site", "Origin": OWN}, False),
    ({"Sec-Fetch-Site": "Same-Origin"}, False),
    ({"Sec-Fetch-Site": ""}, False),
    ({"Origin": OTHER}, False),
    ({"Origin": "null"}, False),
    ({"Origin": ""}, False),
    ({"Origin": "file://"}, False),
    ({"Origin": "http://["}, False),
    ({"Origin": "OWN.elsewhere.example"}, False),
    ({"Origin": "https://elsewhere.example#OWN"}, False),
)


@pytest.mark.parametrize(("given", "allowed"), MATRIX, ids=lambda value: str(value))
async def test_only_our_own_pages_act(site: Site, secure_site: Site, given: dict[str, str], allowed: bool) -> None:
    for here, origin in ((site, f"http://127.0.0.1:{site.port}"), (secure_site, HTTPS)):
        headers = {name: value.replace(OWN, origin) for name, value in given.items()}
        async with here.visitor() as browser:
            for path in ("/logout", "/api/auth/logout"):
                answer = await browser.post(path, headers=headers)
                assert (answer.status_code != 403) == allowed, (path, headers)
            for other in ("PUT", "DELETE", "PATCH"):
                assert (
                    (await browser.request(other, "/api/auth/logout", headers=headers)).status_code == 405
                ) == allowed
            assert (await browser.get("/login", headers=headers)).status_code == 200


async def test_a_page_of_the_same_name_without_tls_is_another_site(secure_site: Site) -> None:
    async with secure_site.visitor() as browser:
        answer = await browser.post("/logout", headers={"Origin": HTTPS.replace("https", "http")})
    assert answer.status_code == 403


async def test_a_method_in_disguise_stays_what_it_is(site: Site, cast: Cast) -> None:
    async with site.visitor(cast.ada, **{"Sec-Fetch-Site": "cross-site"}) as ada:
        for header in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
            await ada.get("/logout", headers={header: "POST"})
            await ada.get("/api/auth/logout", headers={header: "POST"}, params={"_method": "POST"})
        assert (await ada.get("/api/auth/me")).status_code == 200


async def test_the_door_for_webhooks_leads_nowhere_else(site: Site, cast: Cast) -> None:
    async with site.visitor(cast.ada) as ada:
        cookie = f"Cookie: {ada.headers['Cookie']}\r\n".encode()
        for path in (
            "/api/webhooks/../auth/logout",
            "/api/webhooks/..%2fauth%2flogout",
            "/api/webhooks/%2e%2e/auth/logout",
        ):
            head = f"POST {path} HTTP/1.1\r\n".encode() + HOST + cookie + b"Origin: https://elsewhere.example\r\n"
            said = await site.ask(head + b"Content-Length: 0\r\nConnection: close\r\n\r\n")
            assert statuses(said)[0] in (403, 404)
        assert (await ada.get("/api/auth/me")).status_code == 200


# --- bodies that grow ----------------------------------------------------------------------------------


def many_parts(count: int, *, files: bool) -> tuple[bytes, str]:
    name = 'name="upload"; filename="a"' if files else 'name="a"'
    part = f"--b\r\nContent-Disposition: form-data; {name}\r\n\r\nx\r\n".encode()
    return part * count + b"--b--\r\n", "multipart/form-data; boundary=b"


READERS = {
    "application/json": ("/api/generate/image",),
    "application/x-www-form-urlencoded": ("/login", "/create"),
    "multipart/form-data": ("/create", "/api/media/uploads", "/gallery/selection/favourite"),
}
"""One route for each way in which a body is read."""
BOMBS: dict[str, tuple[bytes, str]] = {
    "many fields": many_parts(100_000, files=False),
    "many files": many_parts(100_000, files=True),
    "many pairs": (b"a=b&" * 250_000, "application/x-www-form-urlencoded"),
    "a part of headers": (
        b"--b\r\n" + b"X: y\r\n" * 100_000 + b"\r\nx\r\n--b--\r\n",
        "multipart/form-data; boundary=b",
    ),
    "a header without end": (b"--b\r\nX: " + b"y" * 2**20 + b"\r\n\r\n", "multipart/form-data; boundary=b"),
    "a field without end": (
        b'--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\n' + b"y" * (2 * 2**20),
        "multipart/form-data; boundary=b",
    ),
    "dashes": (b"--" * 500_000, "multipart/form-data; boundary=" + "-" * 60),
    "no boundary": (b"x" * 1000, "multipart/form-data"),
    "a strange charset": (many_parts(1, files=False)[0], "multipart/form-data; boundary=b; charset=utf-7"),
    "an idle codec": (many_parts(1, files=False)[0], "multipart/form-data; boundary=b; charset=zlib"),
    "percent signs": (b"prompt=" + b"%" * 1_000_000, "application/x-www-form-urlencoded"),
    "deep json": (b'{"a":' * 200_000, "application/json"),
    "wide json": (b'{"a":1,"a":1,' + b'"a":1,' * 150_000 + b'"a":1}', "application/json"),
    "long numbers": (b'{"seed":' + b"9" * 1_000_000 + b"}", "application/json"),
    "a long exponent": (b'{"seed":1e' + b"9" * 1000 + b"}", "application/json"),
    "many numbers": (b'{"references":[' + b"1," * 500_000 + b"1]}", "application/json"),
    "a long text": (json.dumps({"prompt": "y" * 1_000_000}).encode(), "application/json"),
    "compressed": (zlib.compress(b'{"prompt":"' + b"y" * 10_000_000 + b'"}'), "application/json"),
    "utf-16": ('{"prompt":"x"}'.encode("utf-16"), "application/json"),
}


@pytest.mark.parametrize("name", BOMBS)
async def test_a_body_made_to_be_expensive_is_refused_soon(site: Site, cast: Cast, name: str) -> None:
    body, kind = BOMBS[name]
    async with site.visitor(cast.cleo) as cleo, site.visitor(cast.ada) as other:
        for path in READERS[kind.partition(";")[0]]:
            began = time.process_time()
            answer = await cleo.post(path, content=body, headers={"Content-Type": kind})
            # the whole process's, so: asked and answered, and with the work of those who tested it
            assert time.process_time() - began < 5
            assert answer.status_code in (400, 401, 413, 422), (path, answer.status_code, answer.text[:200])
        assert (await other.get("/api/auth/me")).status_code == 200


@pytest.mark.parametrize(
    "query",
    ["a=b&" * 10_000, "cursor=" + "A" * 50_000, "q=" + "%00" * 3000, "q=" + "%F0%9F" * 3000, "limit=" + "9" * 5000],
)
async def test_a_query_made_to_be_expensive_is_answered(site: Site, cast: Cast, query: str) -> None:
    async with site.visitor(cast.cleo) as cleo:
        for path in ("/api/media", "/gallery", "/create", "/api/generate", "/dashboard"):
            answer = await cleo.get(f"{path}?{query}")
            assert answer.status_code in (200, 422), (path, answer.status_code)


async def test_a_filename_is_not_a_path(site: Site, cast: Cast) -> None:
    async with site.visitor(cast.cleo) as cleo:
        for name in ("../../../etc/cron.d/x", "C:\\x.png", "a\x00.png", 'a".png', "x" * 5000, "a\r\nX: y.png"):
            answer = await cleo.post("/api/media/uploads", files={"file": (name, io.BytesIO(PICTURE), "image/png")})
            assert answer.status_code in (201, 400), answer.text
            if answer.status_code == 201:
                got = await cleo.get(answer.json()["url"], params={"download": "1"})
                assert got.status_code == 200 and "etc" not in got.headers["content-disposition"]
    assert parts_of(await site.ask(b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n"))[0] == 200
