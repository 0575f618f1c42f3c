"""Changing packs: credits sold once. What was bought stays as it was bought."""

import re
from dataclasses import asdict, dataclass
from typing import Any

from gesso.catalog import rows
from gesso.catalog.edits.selling import CENTS_MOST, CURRENCY, insert, update
from gesso.catalog.items import Pack
from gesso.core.errors import InvalidInput, NotFound
from gesso.core.money import MICRO
from gesso.db import ElevatedSession

MISSING = "There is no such pack."
_CREDITS_MOST = 1_000_000_000 * MICRO


@dataclass(frozen=True, slots=True)
class PackFacts:
    """What an operator says of a pack: `credits` in microcredits, `price_cents` in the currency's hundredths."""

    name: str
    credits: int
    price_cents: int
    currency: str = "usd"


def problems(facts: PackFacts) -> dict[str, str]:
    """Field → what is wrong. Pure."""
    wrong = {}
    if not 1 <= len(facts.name) <= 80:
        wrong["name"] = "Give it a name of at most 80 characters."
    if not 1 <= facts.credits <= _CREDITS_MOST:
        wrong["credits"] = "Give an amount above 0, at most a thousand million."
    if not 1 <= facts.price_cents <= CENTS_MOST:
        wrong["price_cents"] = f"Give a price from 0.01 to {CENTS_MOST // 100:,}."
    if not re.fullmatch(CURRENCY, facts.currency):
        wrong["currency"] = "Give a currency's three letters, such as usd."
    return wrong


async def get_pack(tx: ElevatedSession, key: str) -> Pack:
    """The stored pack. Raises NotFound."""
    for pack in rows.read_items(await rows.fetch(tx, "pack"), rows.pack_of):
        if pack.key == key:
            return pack
    raise NotFound(MISSING)


async def save_pack(tx: ElevatedSession, key: str, facts: PackFacts, *, new: bool) -> dict[str, tuple[Any, Any]]:
    """Add a pack behind all others, or change one; returns column → (before, after) of what changed.

    Raises InvalidInput naming every wrong field, NotFound, Conflict for a key that is taken.
    """
    if wrong := problems(facts):
        raise InvalidInput(" ".join(wrong.values()), fields=wrong)
    columns = asdict(facts)
    if new:
        await insert(tx, "pack", key, columns)
        return {name: (None, value) for name, value in columns.items()}
    before = await get_pack(tx, key)
    found = {name: (getattr(before, name), value) for name, value in columns.items() if getattr(before, name) != value}
    await update(tx, "pack", key, {name: after for name, (_, after) in found.items()})
    return found
