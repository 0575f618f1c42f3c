"""The same faults through the product: users pay for what they were given, and the books know every call."""

import asyncio
from collections.abc import Iterable
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from gesso.providers.registry import ADAPTERS
from tests.battery.adapters import ENTRIES, Entry
from tests.battery.faults import FAULTS, FINE, MEDIA, Capability, Fault, Words
from tests.battery.money import Offer, Stall
from tests.generation.house import House, Person
from tests.media.pictures import picture

CREDITS = Decimal(100)
UNFINISHED = "SELECT id FROM generation WHERE workspace_id = $1 AND finished_at IS NULL LIMIT 1"
LIMITED = Fault("limited", "429 with Retry-After", Words("429=1"), MEDIA, {"media": "busy"})
_MEDIA = ("lost", "key", "credit", "safety", "failed", "gone", "wrong-bytes", "nothing")
MEDIA_FAULTS = (LIMITED, *(FAULTS[name] for name in _MEDIA))
TEXT_FAULTS = tuple(FAULTS[name] for name in ("lost", "key", "credit", "limited", "safety", "cut", "empty", "nothing"))
NOT_TAKEN = ("busy", "unavailable", "misconfigured_key", "misconfigured_credit")


def expected(outcome: str) -> tuple[str, str | None, list[str], str | None]:
    """How a generation ends, its code, the states of its calls, and the error of the last."""
    if outcome == FINE:
        return "succeeded", None, ["succeeded"], None
    if outcome in ("result_gone", "bad_file"):
        return "failed", outcome, ["succeeded"], None
    if outcome == "outcome_unknown":
        return "failed", "uncertain", ["uncertain"], outcome
    if outcome in ("busy", "unavailable"):
        return "failed", outcome, ["failed"] * 3, outcome
    return "failed", outcome, ["failed"], outcome


def able(capabilities: Iterable[Capability]) -> list[Entry]:
    """Who can. Not those for adults: this house's policy keeps them out (see generation/test_promptchan)."""
    able = [entry for entry in ENTRIES.values() if set(capabilities) & set(entry.asks)]
    return [entry for entry in able if not ADAPTERS[entry.adapter].adult]


async def generated(ada: Person, offers: Iterable[Offer]) -> dict[Offer, dict[str, Any]]:
    """How each ended, asked for all at once. A worker that has not heard of a model yet says that it is gone: again."""
    ended: dict[Offer, dict[str, Any]] = {}
    async with asyncio.timeout(90):
        while rest := [offer for offer in offers if offer not in ended]:
            ids = [(offer, await asked(ada, offer)) for offer in rest]
            while await ada.house.rows(UNFINISHED, ada.actor.workspace_id):
                await asyncio.sleep(0.1)
            for offer, generation_id in ids:
                status = await ada.status(generation_id)
                if (status["error"] or {}).get("code") != "model_gone":
                    ended[offer] = status
    return ended


async def asked(ada: Person, offer: Offer) -> UUID:
    answer = await ada.http.post("/api/generate/image", json={"model": offer.key, "prompt": offer.words})
    assert answer.status_code == 202, answer.text
    return UUID(answer.json()["id"])


async def check_wallet(ada: Person, spent: Decimal) -> None:
    """What was delivered is paid, something was, and nothing stays held."""
    balance, held = map(Decimal, await ada.wallet())
    assert spent > 0 and balance == CREDITS - spent and held == Decimal(0)


async def check_books(stall: Stall, offer: Offer, states: list[str], error: str | None) -> None:
    """Every call is recorded with its end and its cost, and the provider's bill knows of none that we do not."""
    attempts, lines = await stall.attempts(offer), await stall.billed(offer)
    assert [attempt["state"] for attempt in attempts] == states
    assert attempts[-1]["error_kind"] == error
    assert len(lines) <= len(attempts), "the provider was asked more often than the books know"
    noted = [attempt["provider_cost_micro_usd"] for attempt in attempts]
    billed = sum(line["cost_micro_usd"] for line in lines)
    if error in NOT_TAKEN:
        assert noted == [0] * len(attempts) and billed == 0
    elif [attempt["cost_state"] for attempt in attempts] == ["actual"]:
        assert noted == [billed]
    else:
        assert all(noted), "what may be billed stays in the books"


@pytest.mark.parametrize("entry", able(["image"]), ids=lambda entry: entry.adapter)
async def test_pictures_are_paid_when_they_arrive_and_every_call_is_in_the_books(
    entry: Entry, house: House, stall: Stall
) -> None:
    ada = await house.person(credits_=int(CREDITS))
    asked = {fault: outcome for fault in MEDIA_FAULTS if (outcome := entry.outcome(fault, "image"))}
    offers = {fault: await stall.offer(entry, "image", fault) for fault in asked}
    await stall.known(list(offers.values()), ada)
    ended, spent = await generated(ada, offers.values()), Decimal(0)
    for fault, offer in offers.items():
        status = ended[offer]
        state, code, states, error = expected(asked[fault])
        assert (status["status"], (status["error"] or {}).get("code")) == (state, code), fault.told
        charged = Decimal(status["charged"]["credits"])
        assert charged == (offer.price if state == "succeeded" else 0) and len(status["assets"]) == bool(charged)
        assert entry.adapter not in str(status["error"]) and "127.0.0.1" not in str(status)
        await check_books(stall, offer, states, error)
        spent += charged
    await check_wallet(ada, spent)
    assert await house.wrong() == ()


@pytest.mark.parametrize("entry", able(["chat"]), ids=lambda entry: entry.adapter)
async def test_texts_are_paid_when_they_are_there(entry: Entry, house: House, stall: Stall) -> None:
    ada, spent = await house.person(credits_=int(CREDITS)), Decimal(0)
    for fault in TEXT_FAULTS:
        outcome = entry.outcome(fault, "chat")
        if outcome is None:
            continue
        offer = await stall.offer(entry, "chat", fault)
        await stall.chain(offer, ada)
        answer = await ada.http.post("/api/prompts/improve", json={"prompt": offer.words})
        if outcome == FINE:
            assert answer.status_code == 200, answer.text
            assert answer.json()["text"] and Decimal(answer.json()["charged"]["credits"]) == offer.price
            spent += offer.price
        else:
            assert answer.status_code == (422 if outcome == "rejected_safety" else 503), fault.told
        state = {FINE: "succeeded", "outcome_unknown": "uncertain"}.get(outcome, "failed")
        await check_books(stall, offer, [state], None if outcome == FINE else outcome)
    await check_wallet(ada, spent)
    assert await house.wrong() == ()


@pytest.mark.parametrize("entry", able(["vision"]), ids=lambda entry: entry.adapter)
async def test_a_picture_is_looked_at_for_its_price(entry: Entry, house: House, stall: Stall) -> None:
    ada = await house.person(credits_=int(CREDITS))
    uploaded = await ada.http.post("/api/media/uploads", files={"file": ("a.png", picture(), "image/png")})
    offer = await stall.offer(entry, "vision", FAULTS["nothing"])
    await stall.chain(offer, ada)
    answer = await ada.http.post("/api/prompts/describe", json={"asset_id": uploaded.json()["id"]})
    assert answer.status_code == 200, answer.text
    await check_books(stall, offer, ["succeeded"], None)
    await check_wallet(ada, offer.price)
