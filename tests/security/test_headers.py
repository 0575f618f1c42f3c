"""What every answer carries: each route, on a plain and on a secure site, and every kind of error."""

from collections.abc import AsyncIterator
from http.cookies import SimpleCookie
from uuid import UUID

import httpx2
import pytest

from gesso.accounts.access import COOKIE, SECURE_COOKIE
from gesso.core.ids import new_id
from gesso.web.security import CONTENT_SECURITY_POLICY, FILE_POLICY
from tests.cast import PASSWORD, make_user, session_token
from tests.media.pictures import keep
from tests.security.rules import PICTURE, RULES, filled
from tests.security.site import Cast, Site, parts_of

PUBLIC = ("/static/", "/brand.css", "/brand.svg", "/manifest.webmanifest", "/.well-known/security.txt")
"""May be kept by anybody: the same for all."""


def check(answer: httpx2.Response, *, secure: bool) -> None:
    """All that must be on an answer, whatever it is."""
    headers, where = answer.headers, f"{answer.request.method} {answer.request.url.path} → {answer.status_code}"
    of_a_file = answer.request.url.path.startswith("/media/") and answer.status_code in (200, 206, 304, 416)
    assert headers["content-security-policy"] == (FILE_POLICY if of_a_file else CONTENT_SECURITY_POLICY), where
    assert headers["x-content-type-options"] == "nosniff", where
    assert headers["referrer-policy"] in ("same-origin", "no-referrer"), where
    assert headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin", where
    assert "camera=()" in headers["permissions-policy"], where
    assert UUID(headers["x-request-id"]), where
    assert ("strict-transport-security" in headers) == secure, where
    assert "server" not in headers and "x-powered-by" not in headers, where
    assert "access-control-allow-origin" not in headers, where
    kept = headers["cache-control"]
    if answer.status_code < 400 and answer.request.url.path.startswith(PUBLIC):
        assert kept.startswith("public"), where
    elif of_a_file:
        assert kept.startswith("private"), where
    else:
        assert "no-store" in kept and "public" not in kept, where
    for name in ("content-security-policy", "x-content-type-options", "cache-control", "x-request-id"):
        assert len(headers.get_list(name)) == 1, (where, name)
    for cookie in headers.get_list("set-cookie"):
        check_cookie(cookie, secure=secure)


def check_cookie(header: str, *, secure: bool) -> None:
    """The flags of one cookie. What scripts of ours read (the height of the gallery's rows) is no secret."""
    (name, cookie), *rest = SimpleCookie(header).items()
    assert not rest and bool(cookie["secure"]) == secure, header
    assert cookie["path"] == "/" and not cookie["domain"] and cookie["samesite"].lower() == "lax", header
    assert cookie["httponly"] or name == "gesso_rows", header
    assert name.startswith("__Host-") == (secure and "session" in name), header


@pytest.fixture(params=["plain", "secure"])
async def here(request: pytest.FixtureRequest, site: Site, secure_site: Site) -> Site:
    return site if request.param == "plain" else secure_site


@pytest.fixture
async def asset(here: Site, cast: Cast) -> str:
    async with here.db.workspace(cast.ada.workspace_id, cast.ada.user_id) as tx:
        return str((await keep(tx, here.app.state.storage, PICTURE)).id)


async def test_every_route(here: Site, cast: Cast, asset: str) -> None:
    secure = here.settings.site.secure_cookies
    async with here.visitor() as nobody, here.visitor(cast.ada) as ada:
        for name, rule in RULES.items():
            method, _, path = name.partition(" ")
            url, sent = filled(rule, path, asset)
            for visitor in (nobody, ada):
                async with visitor.stream(method, url, **sent) as answer:
                    check(answer, secure=secure)
            if "logout" in path:
                ada.headers["Cookie"] = f"{here.cookie}={await session_token(here.db, cast.ada)}"


async def test_every_kind_of_error(here: Site, cast: Cast, asset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    secure = here.settings.site.secure_cookies
    async with here.visitor(cast.ada) as ada:
        elsewhere = {"Origin": "https://elsewhere.example"}
        for status, method, url, headers, content in (
            (404, "GET", "/nothing", {}, b""),
            (404, "GET", "/api/nothing", {}, b""),
            (404, "GET", "/static/nothing.js", {}, b""),
            (404, "GET", "/static/", {}, b""),
            (307, "GET", "/gallery/", {}, b""),
            (405, "PUT", "/create", {}, b""),
            (405, "TRACE", "/", {}, b""),
            (405, "OPTIONS", "/api/credits", {"Origin": "https://elsewhere.example"}, b""),
            (413, "POST", "/api/generate/image", {"Content-Type": "application/json"}, b" " * (2**20 + 1)),
            (421, "GET", "/", {"Host": "elsewhere.example"}, b""),
            (403, "POST", "/api/auth/logout", elsewhere, b""),
            (422, "POST", "/api/generate/image", {"Content-Type": "application/json"}, b"{}"),
            (400, "POST", "/login", {"Content-Type": "multipart/form-data"}, b"x"),
            (416, "GET", f"/media/{asset}/original", {"Range": "bytes=999999-"}, b""),
            (204, "GET", "/start", {"HX-Request": "true"}, b""),
            (200, "HEAD", f"/media/{asset}/320", {}, b""),
        ):
            answer = await ada.request(method, url, headers=headers, content=content)
            assert answer.status_code == status, (method, url, answer.text[:200])
            check(answer, secure=secure)
        whole = await ada.get(f"/media/{asset}/original")
        known = await ada.get(f"/media/{asset}/original", headers={"If-None-Match": whole.headers["etag"]})
        part = await ada.get(f"/media/{asset}/original", headers={"Range": "bytes=0-9"})
        assert (known.status_code, part.status_code) == (304, 206)
        check(known, secure=secure)
        check(part, secure=secure)

        async def fail(_: object) -> None:
            raise RuntimeError("something nobody expected")

        monkeypatch.setitem(here.app.state._state, "shell", fail)
        for url in ("/shell/credits", "/create"):
            answer = await ada.get(url)
            assert answer.status_code == 500 and "nobody expected" not in answer.text
            check(answer, secure=secure)


async def test_a_file_opens_in_a_sandbox_as_what_it_is(here: Site, cast: Cast, asset: str) -> None:
    async with here.visitor(cast.ada) as ada:
        for variant, kind in (("original", "image/png"), ("320", "image/webp"), ("1280", "image/webp")):
            answer = await ada.get(f"/media/{asset}/{variant}")
            assert answer.headers["content-type"] == kind
            assert answer.headers["content-disposition"].startswith("inline; filename=")
            assert "sandbox" in answer.headers["content-security-policy"]
            assert "script-src" not in answer.headers["content-security-policy"]
        answer = await ada.get(f"/media/{asset}/original", params={"download": "1"})
        assert answer.headers["content-disposition"].startswith("attachment; filename=")


@pytest.fixture
async def newcomer(here: Site) -> AsyncIterator[httpx2.AsyncClient]:
    """Somebody without an account, at a network address of their own."""
    address = f"2001:db8:{new_id().hex[-4:]}:{new_id().hex[-8:-4]}::1"
    async with here.visitor(**{"X-Forwarded-For": address}) as browser:
        yield browser


async def test_cookies_have_their_flags_from_sign_up_to_log_out(here: Site, newcomer: httpx2.AsyncClient) -> None:
    secure = here.settings.site.secure_cookies
    form = {"name": "Zoe", "email": f"zoe.{new_id().hex}@example.test", "password": PASSWORD}
    entered = await newcomer.post("/signup", data=form)
    assert entered.status_code == 303, entered.text
    name = SECURE_COOKIE if secure else COOKIE
    token = SimpleCookie(entered.headers["set-cookie"])[name].value
    newcomer.cookies.clear()
    newcomer.headers["Cookie"] = f"{name}={token}"
    renamed = await newcomer.post("/settings/name", data={"name": "Zoë"})
    rows = await newcomer.get("/gallery", params={"rows": "l"})
    left = await newcomer.post("/logout")
    for answer, cookie in ((entered, name), (renamed, "gesso_flash"), (rows, "gesso_rows"), (left, name)):
        assert cookie in "".join(answer.headers.get_list("set-cookie")), answer.headers
        check(answer, secure=secure)
    assert left.headers["clear-site-data"] == '"cache"'
    assert (await newcomer.get("/api/auth/me")).status_code == 401


async def test_a_secure_site_takes_no_session_from_a_cookie_that_others_could_set(secure_site: Site) -> None:
    """A sibling host may set `gesso_session` for the whole domain, never `__Host-…`."""
    ada = await make_user(secure_site.db)
    token = await session_token(secure_site.db, ada)
    async with secure_site.visitor() as browser:
        planted = await browser.get("/api/auth/me", headers={"Cookie": f"{COOKIE}={token}"})
        own = await browser.get("/api/auth/me", headers={"Cookie": f"{SECURE_COOKIE}={token}"})
    assert (planted.status_code, own.status_code) == (401, 200)


async def test_the_reference_names_the_cookie_of_a_secure_site(secure_site: Site) -> None:
    async with secure_site.visitor() as browser:
        scheme = (await browser.get("/api/openapi.json")).json()["components"]["securitySchemes"]["session"]
    assert SECURE_COOKIE in scheme["description"]


async def test_security_txt_is_there_once_there_is_a_contact(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async with site.visitor() as browser:
        assert (await browser.get("/.well-known/security.txt")).status_code == 404
        named = site.settings.site.model_copy(update={"security_contact": "mailto:security@art.example.com"})
        monkeypatch.setitem(site.app.state._state, "settings", type(site.settings)(site=named))
        answer = await browser.get("/.well-known/security.txt")
    assert answer.headers["content-type"].startswith("text/plain")
    fields = dict(line.split(": ", 1) for line in answer.text.splitlines())
    assert fields["Contact"] == "mailto:security@art.example.com" and fields["Expires"].endswith("+00:00")
    check(answer, secure=False)


async def test_a_parser_that_gives_up_tells_nothing(site: Site) -> None:
    status, headers = parts_of(await site.ask(b"GET / HTTP/1.1\r\nHost: a b\x00c\r\n\r\n"))
    assert status == 400 and headers["connection"] == "close" and "server" not in headers
