"""Guessing, enumerating, fixing and outliving sessions: what tests/accounts does not show already."""

import asyncio
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from http.cookies import SimpleCookie

import httpx2
import pytest

from gesso.accounts import passwords, repository, sessions
from gesso.accounts.access import Actor
from gesso.accounts.passwords import password_problem
from gesso.core.errors import Unavailable
from gesso.core.ids import new_id
from gesso.core.sealed import hash_token
from gesso.core.settings import LimitSettings
from gesso.web.networks import network_of, plain_address
from tests.cast import PASSWORD, make_user, visit_now
from tests.security.site import HTTPS, Site

LOGIN, SIGN_UP, RESET = "/api/auth/login", "/api/auth/signup", "/api/auth/reset-password"
WRONG = "not the password at all"


def an_address() -> str:
    """A network of its own for each test, so that none counts for another."""
    return f"2001:db8:{new_id().hex[-4:]}:{new_id().hex[-8:-4]}::1"


@pytest.fixture
async def few(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """The site with small limits, and a window whose border no test meets."""
    limits = LimitSettings(
        login_attempts_per_address=3, signups_per_hour=2, login_attempts=2, login_window_seconds=10**6
    )
    monkeypatch.setitem(site.app.state._state, "settings", replace(site.settings, limits=limits))
    return site


async def log_in(browser: httpx2.AsyncClient, email: str, password: str, **headers: str) -> int:
    return (await browser.post(LOGIN, json={"email": email, "password": password}, headers=headers)).status_code


# --- who is counted ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seen", "counted"),
    [
        ("198.51.100.7", "198.51.100.7"), ("::ffff:198.51.100.7", "198.51.100.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"), ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"), ("garbage", "unknown"), ("", "unknown"), ("127.1", "unknown"),
    ],
)  # fmt: skip
def test_a_limit_counts_networks(seen: str, counted: str) -> None:
    assert network_of(plain_address(seen)) == counted


async def test_many_guesses_at_once_get_no_further_than_in_a_row(few: Site) -> None:
    """Each at another account, all at once, from the many addresses of one subscriber."""
    network = an_address().removesuffix("::1")
    async with few.visitor() as browser:
        answers = await asyncio.gather(
            *(
                log_in(browser, f"{new_id().hex}@example.test", WRONG, **{"X-Forwarded-For": f"{network}::{number}"})
                for number in range(1, 10)
            )
        )
    assert sorted(answers) == [401] * 3 + [429] * 6


async def test_right_passwords_do_not_use_the_network_up(few: Site) -> None:
    """An office behind one address may sign in all day."""
    people = [await make_user(few.db) for _ in range(4)]
    async with few.visitor(**{"X-Forwarded-For": an_address()}) as browser:
        assert [await log_in(browser, person.email, PASSWORD) for person in people] == [200] * 4


async def test_an_address_that_cannot_be_read_lifts_no_limit(few: Site) -> None:
    async with few.visitor() as browser:
        answers = [
            await log_in(browser, f"{new_id().hex}@example.test", WRONG, **{"X-Forwarded-For": f"_hidden{number}"})
            for number in range(5)
        ]
    assert answers[3:] == [429, 429]


async def test_what_a_stranger_says_of_its_address_is_not_believed(few: Site) -> None:
    """The proxy's word counts, and only the last one; whoever is no proxy is not heard."""
    url = f"http://127.0.0.1:{few.port}"
    own = f"127.0.{new_id().int % 250}.{2 + new_id().int % 250}"
    async with httpx2.AsyncClient(
        transport=httpx2.AsyncHTTPTransport(local_address=own), base_url=url, timeout=30
    ) as direct:
        answers = [
            await log_in(direct, f"{new_id().hex}@example.test", WRONG, **{"X-Forwarded-For": an_address()})
            for _ in range(4)
        ]
    assert answers == [401, 401, 401, 429]
    async with few.visitor() as proxied:
        true = an_address()
        answers = [
            await log_in(
                proxied, f"{new_id().hex}@example.test", WRONG, **{"X-Forwarded-For": f"{an_address()}, {true}"}
            )
            for _ in range(4)
        ]
    assert answers == [401, 401, 401, 429]


async def test_accounts_are_made_few_at_a_time(few: Site) -> None:
    async with few.visitor(**{"X-Forwarded-For": an_address()}) as browser:
        answers = [
            (await browser.post(SIGN_UP, json={"email": "x", "name": "x", "password": "x"})).status_code
            for _ in range(4)
        ]
    assert answers == [422, 422, 429, 429]


@pytest.mark.parametrize(
    "spell",
    [
        str.upper,
        lambda email: f" {email}\n",
        lambda email: email.replace("k", "\u212a"),
        lambda e: e.replace("e\u0301", "é"),
    ],
    ids=["case", "spaces", "a Kelvin sign", "composed"],
)
async def test_one_account_has_one_count_however_it_is_spelt(few: Site, spell: Callable[[str], str]) -> None:
    email = f"k.e\u0301.{new_id().hex}@example.test"
    async with few.visitor() as browser:
        answers = [
            await log_in(browser, spelt, WRONG, **{"X-Forwarded-For": an_address()})
            for spelt in (email, spell(email), email)
        ]
    assert answers == [401, 401, 429]


# --- hashing -------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("dear_passwords")
async def test_a_flood_of_log_ins_is_turned_away_and_the_rest_goes_on(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "WAITING", 4)
    stored = await passwords.hash_password(PASSWORD)
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.001)
            ticks += 1

    ticking = asyncio.create_task(tick())
    found = await asyncio.gather(
        *(passwords.verify_password(PASSWORD, stored) for _ in range(30)), return_exceptions=True
    )
    ticking.cancel()
    assert [one for one in found if not isinstance(one, Unavailable)] == [(True, None)] * 4
    assert ticks > 10  # the event loop went on meanwhile
    assert (await passwords.verify_password(PASSWORD, stored))[0]

    monkeypatch.setattr(passwords, "WAITING", 0)
    async with site.visitor(**{"X-Forwarded-For": an_address()}) as browser:
        assert await log_in(browser, "ada@example.test", WRONG) == 503
        assert (await browser.get("/login")).status_code == 200


def test_hashing_takes_bounded_memory() -> None:
    """Six at once need no more than two: 64 MiB each."""
    program = (
        "import asyncio, resource, gesso.accounts.passwords as p\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "async def main(): await asyncio.gather(*(p.verify_password('x', None) for _ in range(6)))\n"
        "asyncio.run(main())\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert int(done.stdout) < (passwords.AT_ONCE * 64 + 48) * 1024


# --- who exists ----------------------------------------------------------------------------------------


async def test_known_and_unknown_take_the_same_work_and_give_the_same_page(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []
    real = passwords._hasher

    class Counting:
        def verify_and_update(self, password: str, stored: str) -> object:
            hashed.append(stored.split("$")[3])
            return real.verify_and_update(password, stored)

    known = [await signed_up(site) for _ in range(2)]
    monkeypatch.setattr(passwords, "_hasher", Counting())
    texts: dict[bool, set[str]] = {True: set(), False: set()}
    async with site.visitor(**{"X-Forwarded-For": an_address()}) as browser:
        for actor in known:
            for email in (actor, f"{new_id().hex}@example.test"):
                answer = await browser.post("/login", data={"email": email, "password": WRONG})
                assert answer.status_code == 401
                texts[email == actor].add(answer.text.replace(email, "…"))
    assert len(hashed) == 4 and len(set(hashed)) == 1  # each hashed once, at the same cost
    assert texts[True] == texts[False] and len(texts[True]) == 1


async def signed_up(site: Site) -> str:
    """A person with a hash of the product's own cost; their e-mail address."""
    email = f"ada.{new_id().hex}@example.test"
    async with site.visitor(**{"X-Forwarded-For": an_address()}) as browser:
        answer = await browser.post(SIGN_UP, json={"email": email, "name": "Ada", "password": PASSWORD})
        assert answer.status_code == 201, answer.text
    return email


async def test_asking_for_a_reset_looks_the_same_for_everybody(site: Site) -> None:
    ada = await make_user(site.db)
    texts = set()
    async with site.visitor(**{"X-Forwarded-For": an_address()}) as browser:
        for email in (ada.email, f"{new_id().hex}@example.test"):
            page = await browser.post("/reset", data={"email": email})
            api = await browser.post(RESET, json={"email": email})
            texts.add((page.status_code, page.text.replace(email, "…"), api.status_code, api.text))
    assert len(texts) == 1


async def test_changing_one_s_address_finds_out_little_about_others(site: Site) -> None:
    ada, ben = await make_user(site.db), await make_user(site.db, "Ben")
    async with site.visitor(ada) as browser:
        sent = {"email": ben.email, "current_password": PASSWORD}
        answers = [(await browser.post("/settings/email", data=sent)).status_code for _ in range(11)]
    assert answers == [409] * 10 + [429]


# --- sessions ------------------------------------------------------------------------------------------


async def alive(site: Site, token: str, ahead: timedelta) -> bool:
    return await repository.find_session(site.db, hash_token(token), visit_now().at + ahead) is not None


async def opened(site: Site, actor: Actor, *, lasting: bool) -> str:
    async with site.db.workspace(actor.workspace_id, actor.user_id) as tx:
        return (await sessions.open_session(tx, lasting=lasting, visit=visit_now())).token


async def test_a_session_ends_when_it_is_not_used_and_when_it_is_old(site: Site) -> None:
    ada = await make_user(site.db)
    token = await opened(site, ada, lasting=True)
    assert not await alive(site, token, timedelta(days=14, minutes=1))
    for day in (13, 26, 29.9):  # each use counts
        assert await alive(site, token, timedelta(days=day))
    assert not await alive(site, token, timedelta(days=30, minutes=1))
    brief = await opened(site, ada, lasting=False)
    assert not await alive(site, brief, timedelta(days=1, minutes=1))


@pytest.mark.parametrize("lasting", [True, False])
async def test_a_new_password_gives_a_new_session_as_lasting_as_the_old(site: Site, lasting: bool) -> None:
    ada = await make_user(site.db)
    token = await opened(site, ada, lasting=lasting)
    async with site.visitor(Cookie=f"{site.cookie}={token}") as browser:
        answer = await browser.post(
            "/settings/password", data={"current_password": PASSWORD, "password": "a quite different password"}
        )
    assert answer.status_code == 303, answer.text
    (header,) = (one for one in answer.headers.get_list("set-cookie") if one.startswith(site.cookie))
    cookie = SimpleCookie(header)[site.cookie]
    assert cookie.value != token and bool(cookie["max-age"]) == lasting
    assert not await alive(site, token, timedelta(0)) and await alive(site, cookie.value, timedelta(0))


async def test_a_token_planted_before_sign_up_is_not_taken_up(site: Site) -> None:
    """And a session that was open in the browser is over."""
    planted = await opened(site, await make_user(site.db, "Cleo"), lasting=True)
    form = {"name": "Ada", "email": f"ada.{new_id().hex}@example.test", "password": PASSWORD}
    async with site.visitor(Cookie=f"{site.cookie}={planted}", **{"X-Forwarded-For": an_address()}) as browser:
        answer = await browser.post("/signup", data=form)
    assert SimpleCookie(answer.headers["set-cookie"])[site.cookie].value != planted
    assert not await alive(site, planted, timedelta(0))


# --- links and ways out --------------------------------------------------------------------------------


async def test_a_mailed_link_leads_to_the_site_whatever_the_request_called_it(secure_site: Site) -> None:
    ada = await make_user(secure_site.db)
    claims = {"X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example", "X-Forwarded-Proto": "http"}
    async with secure_site.visitor(**claims) as browser:
        assert (await browser.post(RESET, json={"email": ada.email})).status_code == 202
        refused = await browser.post(RESET, json={"email": ada.email}, headers={"Host": "evil.example"})
        assert refused.status_code == 421
        await secure_site.app.state.mailer.drain()
        async with secure_site.db.elevated("test: read the outbox") as tx:
            mails = await tx.fetch("SELECT body_text FROM outbox_mail WHERE recipient = $1", ada.email)
        (link,) = re.findall(r"https?://\S+", mails[0]["body_text"])
        assert len(mails) == 1 and link.startswith(f"{HTTPS}/reset/")
        for path in (link.removeprefix(HTTPS), "/reset/" + "x" * 43, "/confirm-email/" + "x" * 43):
            page = await browser.get(path)
            assert page.headers["referrer-policy"] == "no-referrer" and "no-store" in page.headers["cache-control"]


@pytest.mark.parametrize(
    "wanted",
    [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "/\t/evil.example",
        "javascript:alert(1)",
        "/€/ü",
        "\\/x",
    ],
)
async def test_every_way_on_stays_on_the_site(site: Site, wanted: str) -> None:
    ada = await make_user(site.db)
    async with site.visitor(ada) as browser:
        for headers in ({}, {"HX-Request": "true"}):
            answers = [
                await browser.get("/login", params={"next": wanted}, headers=headers),
                await browser.get("/signup", params={"next": wanted}, headers=headers),
                await browser.post(
                    "/gallery/selection/favourite", data={"pick": str(new_id()), "back": wanted}, headers=headers
                ),
            ]
            for answer in answers:
                assert answer.status_code in (204, 303)
                target = answer.headers.get("location") or answer.headers.get("hx-redirect") or "/"
                assert re.match(r"/(?![/\\])", target) and "evil" not in target


# --- passwords -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "password",
    [
        "butterfly-2026!", "P@ssw0rd2026", "password1password", "sunshine sunshine", "12345678901234", "0987654321098",
        "zyxwvutsrqpon", "abcabcabcabc", "qwertyuiop[]", "mypassword99!", "1q2w3e4r5t6y", "!!!!!!monkey!!!!!!",
    ],
)  # fmt: skip
def test_what_everybody_tries_is_no_password(password: str) -> None:
    assert "anybody would try" in (password_problem(password) or "")


@pytest.mark.parametrize(
    "password",
    ["Northlight2026", "ada-keller-99", "keller.northlight", "lumen-studio-1", "art.example.com", "lumenmonkey"],
)
def test_names_of_the_person_and_the_site_are_no_password(password: str) -> None:
    known = ("Ada Keller", "Lumen Studio", "art.example.com")
    assert "too easy" in (password_problem(password, email="ada@northlight.studio", known=known) or "")


@pytest.mark.parametrize(
    "password", ["keller and seven rivers", "correct horse battery", "Tr0ub4dor&3xyz", "жёлтая лодка"]
)
def test_what_nobody_would_think_of_is_one(password: str) -> None:
    assert password_problem(password, email="ada@northlight.studio", known=("Ada Keller", "Lumen")) is None


async def test_the_site_s_name_is_refused_wherever_a_password_is_chosen(site: Site) -> None:
    brand = re.sub(r"\W", "", site.app.state.mailer.brand).lower()
    ada = await make_user(site.db)
    async with site.visitor(ada, **{"X-Forwarded-For": an_address()}) as browser:
        weak = f"{brand}-{brand}-2026"
        account = {"email": f"{new_id().hex}@example.test", "name": "Zoe", "password": weak}
        refused = await browser.post(SIGN_UP, json=account)
        assert refused.status_code == 422 and refused.json()["errors"][0]["field"] == "password"
        page = await browser.post("/settings/password", data={"current_password": PASSWORD, "password": weak})
        assert page.status_code == 422
