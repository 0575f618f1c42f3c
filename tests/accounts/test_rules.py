"""The pure parts: addresses, passwords, renewals."""

from datetime import UTC, datetime, timedelta

import pytest
from argon2 import PasswordHasher
from hypothesis import given
from hypothesis import strategies as st

from gesso.accounts.emails import normalise_email
from gesso.accounts.passwords import hash_password, password_problem, verify_password
from gesso.accounts.plans import renewal_after

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
moments = st.timedeltas(timedelta(0), timedelta(days=40 * 365)).map(lambda since: EPOCH + since)


@given(st.one_of(st.emails(), st.text(), st.from_regex(r"[\w.İß]+@[\w.İß-]+", fullmatch=True)))
def test_normalising_an_address_twice_changes_nothing(value: str) -> None:
    once = normalise_email(value)
    if once is not None:
        assert normalise_email(once) == once == once.lower()
        assert normalise_email(f"  {value.strip()}\n") == once
        assert once.isprintable() and "@" in once and not any(map(str.isspace, once))


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (" Ada@Northlight.Studio ", "ada@northlight.studio"),
        ("ada+art@example.com", "ada+art@example.com"),
        ("ada@intranet", "ada@intranet"),
        ("ada@box.test", "ada@box.test"),
        ("ada@printer.local", "ada@printer.local"),
        ("ada@EXÄMPLE.com", "ada@exämple.com"),
        ("ada@", None), ("@example.com", None), ("ada", None), ("", None), ("a b@example.com", None),
        ("ada@example.com,ben@example.com", None), ("Ada <ada@example.com>", None), ("ada@ex\u202eample.com", None),
        ("ada@example.com\nBcc: ben@example.com", None), (f"{'x' * 250}@example.com", None),
    ],
)  # fmt: skip
def test_addresses(typed: str, kept: str | None) -> None:
    assert normalise_email(typed) == kept


@pytest.mark.parametrize(
    "password", ["correct horse battery", "x1x1x1x1x1y", "ünïcödé ist fein", "  q j x d  ", "pq" * 99 + "rs"]
)
def test_length_is_enough(password: str) -> None:
    assert password_problem(password, email="ada@example.com") is None


@pytest.mark.parametrize(
    ("password", "word"),
    [
        ("short one", "at least 10"), ("x" * 201, "at most 200"), ("Password123", "first passwords"),
        ("password-123!", "first passwords"), ("1234567890", "first passwords"), ("zzzzzzzzzzzz", "first passwords"),
        ("abababababab", "first passwords"), ("ADA.LOVELACE@example.com", "too easy"), ("Ada.Lovelace", "too easy"),
        ("\ud800" * 3 + "abcdefghij", "cannot be typed"),
    ],
)  # fmt: skip
def test_bad_passwords_are_refused_with_a_reason(password: str, word: str) -> None:
    problem = password_problem(password, email="ada.lovelace@example.com")
    assert problem is not None and word in problem


@pytest.mark.usefixtures("dear_passwords")
async def test_hashing_and_verifying() -> None:
    stored = await hash_password("correct horse battery")
    assert stored.startswith("$argon2id$")
    assert await verify_password("correct horse battery", stored) == (True, None)
    assert await verify_password("correct horse batterY", stored) == (False, None)
    # the hash of nobody: right for no password, not even its own
    assert await verify_password("nobody has this password", None) == (False, None)
    assert await verify_password("x" * 1_000_000, stored) == (False, None)


@pytest.mark.usefixtures("dear_passwords")
async def test_an_old_hash_is_renewed_when_its_owner_signs_in() -> None:
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("correct horse battery")
    right, newer = await verify_password("correct horse battery", weak)
    assert right and newer is not None and "m=65536,t=3,p=4" in newer


@given(moments, moments)
def test_a_renewal_is_the_next_month_of_the_anchor(anchor: datetime, at: datetime) -> None:
    renewal = renewal_after(anchor, at)
    assert renewal > at and renewal > anchor
    assert renewal.time() == anchor.time()
    assert renewal.day == anchor.day or (renewal + timedelta(days=1)).month != renewal.month
    if at >= anchor:
        assert renewal - at <= timedelta(days=31)


def test_the_end_of_january_does_not_drift() -> None:
    anchor = at = datetime(2027, 1, 31, 12, tzinfo=UTC)
    days = []
    for _ in range(4):
        at = renewal_after(anchor, at)
        days.append((at.month, at.day))
    assert days == [(2, 28), (3, 31), (4, 30), (5, 31)]
