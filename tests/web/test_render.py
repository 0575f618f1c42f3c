"""Pages and fragments: what a template sees, what an answer carries."""

import json
import re
from datetime import timedelta
from html.parser import HTMLParser

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from jinja2 import UndefinedError

from gesso.web import render
from gesso.web.shell import NavItem
from tests.web.conftest import NOW


@pytest.fixture
def client(site: FastAPI) -> TestClient:
    return TestClient(site, follow_redirects=False)


HTMX = {"HX-Request": "true"}
PAGES = ("/", "/?stranger", "/styles", "/gone", "/gone?stranger")


class _Inline(HTMLParser):
    """Collects what the Content-Security-Policy would refuse, and identifiers used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.forbidden: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.forbidden += [f"<{tag} {name}>" for name in given if name == "style" or name.startswith(("on", "hx-on"))]
        if tag == "style" or (tag == "script" and "src" not in given):
            self.forbidden.append(f"<{tag}>")
        self.forbidden += [
            f"{value}"
            for value in given.values()
            if value
            and value.startswith(("http:", "//", "js:"))
            and not (tag == "meta" and value.startswith("http://testserver/"))
        ]  # for who shares it
        if given.get("id"):
            self.ids.append(str(given["id"]))


@pytest.mark.parametrize("path", PAGES)
def test_pages_keep_to_the_content_security_policy(client: TestClient, path: str) -> None:
    found = _Inline()
    found.feed(client.get(path).text)
    assert found.forbidden == []
    assert len(found.ids) == len(set(found.ids)), "each id once"


def test_the_frame_says_who_and_what(client: TestClient) -> None:
    text = client.get("/styles").text
    assert "Ada &lt;i&gt;" in text
    assert "<i>" not in text.replace("<i></i>", "")
    assert 'aria-label="1,284 credits, open dashboard"' in text
    assert re.search(r'href="/gallery"(?![^>]*aria-current)', text)


def test_a_page_is_private(client: TestClient) -> None:
    headers = client.get("/styles").headers
    assert headers["cache-control"] == "private, no-store"
    assert "Cookie" in headers["vary"]


@pytest.mark.parametrize(("cookie", "attribute"), [("light", ' data-theme="light"'), ("dark", ' data-theme="dark"')])
def test_the_theme_is_drawn_by_the_server(client: TestClient, cookie: str, attribute: str) -> None:
    client.cookies.set("gesso_theme", cookie)
    assert f'<html lang="en"{attribute}>' in client.get("/styles").text


def test_a_forged_theme_is_no_theme(client: TestClient) -> None:
    client.cookies.set("gesso_theme", "x")
    assert '<html lang="en">' in client.get("/styles").text


def test_a_name_nobody_gave_is_an_error(site: FastAPI) -> None:
    with pytest.raises(UndefinedError):
        TestClient(site).get("/page")


def test_the_credit_pill_is_a_fragment_that_follows_the_balance(site: FastAPI, client: TestClient) -> None:
    site.state.balance = 200_000
    answer = client.get("/shell/credits", headers=HTMX)
    assert answer.text.startswith('<a id="credits"')
    assert "0.2 credits, running low" in answer.text
    assert "data-low" in answer.text
    assert client.get("/shell/credits?stranger", headers={"accept": "application/json"}).status_code == 401


def test_redirects_are_told_to_htmx_in_its_own_way(client: TestClient) -> None:
    plain = client.get("/leave")
    assert (plain.status_code, plain.headers["location"]) == (303, "/styles")
    asked = client.get("/leave", headers=HTMX)
    assert (asked.status_code, asked.headers["hx-redirect"], asked.content) == (204, "/styles", b"")


def test_a_toast_waits_for_the_page_after_a_redirect_and_shows_once(client: TestClient) -> None:
    client.get("/leave")
    text = client.get("/styles").text
    assert "Saved “näme”" in text
    assert "Seen everywhere." in text
    assert "Saved “näme”" not in client.get("/styles").text


def test_a_toast_travels_with_a_fragment(client: TestClient) -> None:
    trigger = client.get("/part", headers=HTMX).headers["hx-trigger"]
    assert json.loads(trigger) == {"gesso:toast": {"text": "Näh", "kind": "bad", "detail": "", "undo": "/again"}}


@pytest.mark.parametrize("cookie", ["nonsense", "%7B%7D", "%5B1%5D", "%22x%22"])
def test_a_forged_flash_is_ignored(client: TestClient, cookie: str) -> None:
    client.cookies.set("gesso_flash", cookie)
    assert client.get("/styles").status_code == 200


def test_a_forged_flash_cannot_point_its_undo_elsewhere(client: TestClient) -> None:
    forged = {"text": "Hi", "kind": "ok", "detail": "", "undo": "https://evil.example/"}
    client.cookies.set("gesso_flash", render.quote(json.dumps(forged)))
    assert "evil.example" not in client.get("/styles").text


def test_errors_help_people_and_leave_htmx_pages_as_they_are(client: TestClient) -> None:
    text = client.get("/gone").text
    assert "This picture was deleted." in text
    assert 'href="/gallery"' in text
    answer = client.get("/gone", headers=HTMX)
    assert (answer.status_code, answer.headers["hx-reswap"], answer.text) == (404, "none", "")
    assert json.loads(answer.headers["hx-trigger"])["gesso:toast"]["detail"] == "This picture was deleted."


def test_an_error_page_appears_when_even_the_frame_fails(site: FastAPI) -> None:
    async def fails(request: object) -> None:
        raise ConnectionRefusedError

    site.state.shell = fails
    answer = TestClient(site).get("/gone")
    assert answer.status_code == 404
    assert "This picture was deleted." in answer.text


def test_the_prompt_box_leads_on_and_keeps_the_prompt(client: TestClient) -> None:
    assert client.get("/start?prompt=a+red+%26+door").headers["location"] == "/create?prompt=a+red+%26+door"
    stranger = client.get("/start?stranger&prompt=a+red+%26+door").headers["location"]
    assert stranger == "/signup?next=%2Fcreate%3Fprompt%3Da%2Bred%2B%2526%2Bdoor"


def test_the_landing_page_sells_only_what_there_is(client: TestClient) -> None:
    text = client.get("/?stranger").text
    assert "25 credits at sign-up" in text
    assert text.count('class="plan"') == 1
    for absent in ("video", "chat", "character", "coming soon", "team"):
        assert absent not in text.lower(), absent


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("/gallery?q=a#b", True),
        ("/", True),
        ("//evil.example", False),
        ("/\\evil.example", False),
        ("https://evil.example", False),
        ("javascript:alert(1)", False),
        ("/a\nb", False),
        ("", False),
        (None, False),
    ],
)
def test_only_our_own_paths_are_followed(url: str | None, kept: bool) -> None:
    assert render.local_path(url, "/create") == (url if kept else "/create")


@pytest.mark.parametrize(
    ("micro", "text", "words"),
    [
        (4_000_000, "4", "4 credits"),
        (1_000_000, "1", "1 credit"),
        (200_000, "0.2", "0.2 credits"),
        (1_284_500_000, "1,284.5", "1,284.5 credits"),
        (-1_284_000_000, "-1,284", "-1,284 credits"),
        (-200_000, "-0.2", "-0.2 credits"),
        (0, "0", "0 credits"),
    ],
)
def test_credits_in_words(micro: int, text: str, words: str) -> None:
    assert render.credits_text(micro) == text
    assert render.credits_words(micro) == words


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (412_345, "412 kB"), (999_900, "1.0 MB"), (3_240_000_000, "3.2 GB")],
)
def test_bytes_in_words(size: int, text: str) -> None:
    assert render.bytes_text(size) == text


@pytest.mark.parametrize(
    ("back", "words"),
    [
        (timedelta(seconds=44), "just now"),
        (timedelta(seconds=46), "1 min ago"),
        (timedelta(minutes=59), "59 min ago"),
        (timedelta(hours=5), "5 h ago"),
        (timedelta(hours=30), "yesterday"),
        (timedelta(days=3, hours=5), "3 days ago"),
        (timedelta(days=40), "2 Apr"),
        (timedelta(days=400), "7 Apr 2025"),
        (timedelta(seconds=-3), "just now"),
        (timedelta(minutes=-20), "in 20 min"),
        (timedelta(hours=-23), "in 23 h"),
        (timedelta(hours=-25), "in 1 day"),
        (timedelta(days=-6), "in 6 days"),
        (timedelta(days=-30), "11 Jun"),
        (timedelta(days=-300), "8 Mar 2027"),
    ],
)
def test_times_are_relative(back: timedelta, words: str) -> None:
    token = render._now.set(NOW)
    try:
        assert render.ago(NOW - back) == words
        assert render.when(NOW - back) == (
            f'<time datetime="{(NOW - back).isoformat()}" title="{render.exact(NOW - back)}" data-ago>{words}</time>'
        )
    finally:
        render._now.reset(token)


def test_exact_times_name_their_zone() -> None:
    assert render.exact(NOW) == "12 May 2026, 10:42 UTC"


def test_the_current_page_is_marked_by_its_path() -> None:
    item = NavItem("Gallery", "/gallery", "image")
    assert item.current("/gallery")
    assert item.current("/gallery/1")
    assert not item.current("/gallery-of-others")


@pytest.mark.parametrize(("name", "letters"), [("Ada Kovač", "AK"), ("ada", "A"), ("Ada B. Lovelace", "AL"), ("", "")])
def test_initials(name: str, letters: str) -> None:
    assert render.initials(name) == letters
