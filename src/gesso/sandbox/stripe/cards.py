"""The test cards and bank accounts, and what happens to each. Fact sheet, section 6."""

from dataclasses import dataclass
from typing import Literal

from gesso.sandbox.stripe.desk import Desk
from gesso.sandbox.stripe.store import Obj, new_id

WORDS = {
    "card_declined": "Your card was declined.",
    "insufficient_funds": "Your card has insufficient funds.",
    "lost_card": "Your card was declined.",
    "stolen_card": "Your card was declined.",
    "expired_card": "Your card has expired.",
    "incorrect_cvc": "Your card's security code is incorrect.",
    "processing_error": "An error occurred while processing your card. Try again in a little bit.",
    "authentication_required": "Your card was declined. This transaction requires authentication.",
}


@dataclass(frozen=True)
class Card:
    """`code` and `decline_code`: how every charge fails; `later`: charges without the customer fail; `secure`: when
    the bank wants to see its customer; `disputed`: the charge succeeds and is disputed as fraudulent."""

    number: str
    alias: str
    effect: str
    brand: str = "visa"
    code: str | None = None
    decline_code: str | None = None
    later: bool = False
    secure: Literal["setup", "always"] | None = None
    disputed: bool = False


CARDS = (
    Card("4242424242424242", "pm_card_visa", "success"),
    Card("5555555555554444", "pm_card_mastercard", "success (Mastercard)", brand="mastercard"),
    Card("4000000000000002", "pm_card_chargeDeclined", "declined", code="card_declined",
         decline_code="generic_decline"),
    Card("4000000000009995", "pm_card_chargeDeclinedInsufficientFunds", "insufficient funds", code="card_declined",
         decline_code="insufficient_funds"),
    Card("4000000000009987", "pm_card_visa_chargeDeclinedLostCard", "lost", code="card_declined",
         decline_code="lost_card"),
    Card("4000000000009979", "pm_card_visa_chargeDeclinedStolenCard", "stolen", code="card_declined",
         decline_code="stolen_card"),
    Card("4000000000000069", "pm_card_chargeDeclinedExpiredCard", "expired", code="expired_card"),
    Card("4000000000000127", "pm_card_chargeDeclinedIncorrectCvc", "wrong CVC", code="incorrect_cvc"),
    Card("4000000000000119", "pm_card_chargeDeclinedProcessingError", "processing error", code="processing_error"),
    Card("4000000000000341", "pm_card_chargeCustomerFail", "the first payment succeeds, renewals are declined",
         later=True),
    Card("4000002500003155", "pm_card_authenticationRequiredOnSetup", "3-D Secure once; renewals succeed",
         secure="setup"),
    Card("4000002760003184", "pm_card_authenticationRequired", "3-D Secure always; renewals fail", secure="always"),
    Card("4000000000000259", "pm_card_createDispute", "success, then disputed as fraudulent", disputed=True),
)  # fmt: skip
BY_NUMBER = {card.number: card for card in CARDS}
BY_ALIAS = {card.alias: card for card in CARDS}
BANKS = {"AT611904300234573201": "settles after a while", "AT861904300235473202": "fails after a while"}
"""IBANs for a bank debit."""
BANK_FAILS = "AT861904300235473202"


def card_of(method: Obj) -> Card:
    return BY_NUMBER[method["_number"]]


def new_card(desk: Desk, card: Card, expires: tuple[int, int], billing: Obj, clock: str | None = None) -> Obj:
    """A payment method for a card, not yet anybody's. `expires`: month, year."""
    return desk.save(_method(desk, "card", billing, clock) | {
        "_number": card.number,
        "card": {
            "brand": card.brand, "checks": {"address_line1_check": None, "address_postal_code_check": None,
                                            "cvc_check": "pass"},
            "country": "US", "display_brand": card.brand, "exp_month": expires[0], "exp_year": expires[1],
            "fingerprint": f"fp{card.number[-8:]}", "funding": "credit", "generated_from": None,
            "last4": card.number[-4:], "networks": {"available": [card.brand], "preferred": None},
            "regulated_status": "unregulated", "three_d_secure_usage": {"supported": True}, "wallet": None,
        },
    })  # fmt: skip


def new_bank(desk: Desk, iban: str, billing: Obj) -> Obj:
    """A payment method for a bank debit."""
    return desk.save(_method(desk, "sepa_debit", billing, None) | {
        "_number": iban,
        "sepa_debit": {"bank_code": "19043", "branch_code": "", "country": iban[:2], "fingerprint": f"fp{iban[-8:]}",
                       "generated_from": {"charge": None, "setup_attempt": None}, "last4": iban[-4:]},
    })  # fmt: skip


def _method(desk: Desk, kind: str, billing: Obj, clock: str | None) -> Obj:
    blank = {"address": None, "email": None, "name": None, "phone": None, "tax_id": None}
    return {
        "id": new_id("pm"), "object": "payment_method", "allow_redisplay": "unspecified",
        "billing_details": blank | billing, "created": desk.now(clock), "customer": None, "livemode": False,
        "metadata": {}, "type": kind, "_authenticated": False,
    }  # fmt: skip
