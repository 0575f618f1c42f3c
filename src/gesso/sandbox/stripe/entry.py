"""What a customer types into a hosted form, and the payment method it makes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from gesso.sandbox.stripe.cards import BANKS, BY_NUMBER, CARDS, new_bank, new_card
from gesso.sandbox.stripe.desk import Desk
from gesso.sandbox.stripe.store import Obj

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_EXPIRY = re.compile(r"(\d{1,2})\s*/\s*(?:20)?(\d\d)")


class Refused(Exception):
    """Something typed is no good; `field` says what."""

    def __init__(self, words: str, field: str) -> None:
        super().__init__(words)
        self.field = field


@dataclass(frozen=True)
class Entry:
    """The fields as typed."""

    email: str = ""
    name: str = ""
    number: str = ""
    expiry: str = ""
    cvc: str = ""
    way: str = "card"
    iban: str = ""

    @classmethod
    def of(cls, sent: Mapping[str, str], email: str | None = None) -> "Entry":
        """From a form; a known `email` cannot be changed there."""
        known = {name: sent.get(name, "").strip()[:200] for name in cls.__dataclass_fields__}
        known["way"] = "bank" if known["way"] == "bank" else "card"
        return cls(**known | ({"email": email} if email else {}))

    def details(self) -> Obj:
        return {"email": self.email, "name": self.name or None}


def read_method(desk: Desk, entry: Entry) -> Obj:
    """The payment method. Raises Refused for a number that is none, or a date that is past."""
    if not _EMAIL.fullmatch(entry.email):
        raise Refused("Your email is incomplete.", "email")
    billing = entry.details()
    if entry.way == "bank":
        iban = re.sub(r"\s", "", entry.iban).upper()
        if iban not in BANKS:
            raise Refused("This IBAN is not one of the test accounts.", "iban")
        return new_bank(desk, iban, billing)
    digits = re.sub(r"[\s-]", "", entry.number)
    if not _luhn(digits):
        raise Refused("Your card number is invalid.", "number")
    if digits not in BY_NUMBER:
        raise Refused("Your card was declined. Your request was in test mode, but used a non test card.", "number")
    match = _EXPIRY.fullmatch(entry.expiry)
    if match is None or not 1 <= int(match[1]) <= 12:
        raise Refused("Your card's expiration date is incomplete.", "expiry")
    month, year = int(match[1]), 2000 + int(match[2])
    today = datetime.now(UTC)
    if (year, month) < (today.year, today.month):
        raise Refused("Your card's expiration date is in the past.", "expiry")
    if not re.fullmatch(r"\d{3,4}", entry.cvc):
        raise Refused("Your card's security code is incomplete.", "cvc")
    return new_card(desk, BY_NUMBER[digits], (month, year), billing)


def _luhn(digits: str) -> bool:
    if not re.fullmatch(r"\d{12,19}", digits):
        return False
    odd, even = digits[-1::-2], digits[-2::-2]
    return (sum(map(int, odd)) + sum(sum(divmod(int(d) * 2, 10)) for d in even)) % 10 == 0


def test_cards() -> list[tuple[str, str]]:
    """Numbers as they are printed on cards, and what each does."""
    return [(" ".join(re.findall("....", card.number)), card.effect) for card in CARDS]
