"""The product around the battery: an account and a model for each case, and a chain that holds just the one."""

import asyncio
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pydantic import SecretStr

from gesso.catalog.registry import CHANNEL
from gesso.catalog.service import add_connection
from gesso.core.ids import new_id
from gesso.core.sealed import Sealer
from tests.battery.adapters import Entry
from tests.battery.faults import Capability, Fault, WrongKey
from tests.battery.play import ACCOUNT, SECRET
from tests.conftest import SECRET as SITE_SECRET
from tests.generation.house import House, Person

KINDS: dict[Capability, str] = {"image": "image", "video": "video", "chat": "chat", "vision": "vision"}
COST_USD = "0.01"
_PROMPT = {"type": "string", "minLength": 1, "maxLength": 2000}
_COUNT = {"type": "integer", "minimum": 1, "maximum": 1, "default": 1}


@dataclass(frozen=True)
class Offer:
    """A model on offer through an account of its own. `price` in credits; no two are the same."""

    key: str
    capability: Capability
    price: Decimal
    words: str
    hint: str
    """How the sandbox's bill knows its account."""


class Stall:
    """Puts models on offer in a house."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._made = 0

    async def offer(self, entry: Entry, capability: Capability, fault: Fault) -> Offer:
        """A model of `entry` that meets `fault`."""
        self._made += 1
        key = f"battery-{self._made}-{entry.adapter}"
        secret = "wrong" if isinstance(fault.way, WrongKey) else f"{SECRET}{self._made:04x}"
        word = entry.word_for(fault, capability)
        words = f"a lighthouse, number {self._made}" + (f" sandbox:{word}" if word else "")
        made = Offer(key, capability, 1 + Decimal(self._made) / 1000, words, secret[-4:])
        async with self._house.db.elevated("test: put on offer") as tx:
            connection = await add_connection(
                tx, Sealer(SITE_SECRET), key=key, adapter=entry.adapter, options=dict(entry.options),
                api_key=SecretStr(entry.key(ACCOUNT, secret)), base_url=f"{self._house.sandbox_url}/{entry.adapter}",
            )  # fmt: skip
            await tx.execute_raw(
                """INSERT INTO model (id, key, kind, connection_id, upstream, name, capabilities, price, cost, wire,
                       tags, typical_seconds, enabled, origin)
                   VALUES ($1, $2, $3, $4, $5, $2, $6, $7, $8, $9, '{vision}', 5, true, 'operator')""",
                new_id(), key, KINDS[capability], connection.id, entry.asks[capability].model,
                _abilities(entry, capability), {"credits": str(made.price)}, {"usd": COST_USD},
                dict(entry.asks[capability].wire),
            )  # fmt: skip
            tx.notify_after_commit(CHANNEL, {})
        return made

    async def known(self, offers: list[Offer], ada: Person) -> None:
        """Wait until the web process knows them all."""
        last = offers[-1]
        async with asyncio.timeout(25):
            body = {"kind": last.capability, "model": last.key, "prompt": "a lighthouse"}
            while (await ada.http.post("/api/generate/estimate", json=body)).status_code != 200:
                await asyncio.sleep(0.05)

    async def chain(self, offer: Offer, ada: Person) -> None:
        """Make `offer` the only link of its chain, and wait until the web process knows."""
        key, tool = ("vision", "describe") if offer.capability == "vision" else ("text", "improve")
        async with self._house.db.elevated("test: a chain of one") as tx:
            await tx.execute_raw(
                """INSERT INTO chain (id, key, total_seconds, links, origin) VALUES ($1, $2, 5, $3, 'operator')
                   ON CONFLICT (key) DO UPDATE SET links = excluded.links, total_seconds = 5""",
                new_id(), key, [{"model": offer.key, "seconds": 4}],
            )  # fmt: skip
            tx.notify_after_commit(CHANNEL, {})
        async with asyncio.timeout(25):
            while True:
                found = (await ada.http.get("/api/prompts/prices")).json()[tool]
                if found is not None and Decimal(found["credits"]) == offer.price:
                    return
                await asyncio.sleep(0.02)

    async def attempts(self, offer: Offer) -> list[dict[str, Any]]:
        """Its calls in the books."""
        return await self._house.rows("SELECT * FROM attempt WHERE model_key = $1 ORDER BY id", offer.key)

    async def billed(self, offer: Offer) -> list[dict[str, Any]]:
        """The sandbox's lines for its account."""
        return [line for line in (await self._house.bill()).values() if line["key_hint"] == offer.hint]


def _abilities(entry: Entry, capability: Capability) -> dict[str, Any]:
    fields = entry.asks[capability].fields
    properties: dict[str, Any] = {"prompt": _PROMPT, "count": _COUNT}
    if "width" in fields:
        properties["size"] = {"type": "string", "default": f"{fields['width']}x{fields['height']}"}
    return {"type": "object", "properties": properties, "required": ["prompt"], "additionalProperties": False}
