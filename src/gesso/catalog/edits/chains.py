"""Changing chains: which models are asked in turn for text, to look at pictures, or to judge."""

from collections.abc import Mapping, Sequence
from contextlib import suppress

from gesso.catalog.edits.removed import remove, wanted_again
from gesso.catalog.items import CHAINS, ChainKey, ChainLink, Model
from gesso.catalog.registry import CHANNEL
from gesso.core.errors import InvalidInput, NotFound
from gesso.core.ids import new_id
from gesso.db import ElevatedSession

SECONDS_MOST = 600


async def set_chain(
    tx: ElevatedSession, key: ChainKey, links: Sequence[ChainLink], total_seconds: int, models: Mapping[str, Model]
) -> None:
    """Ask these, in this order. Raises InvalidInput naming what cannot be."""
    wrong = problems(key, links, total_seconds, models)
    if wrong:
        raise InvalidInput(" ".join(wrong.values()), fields=wrong)
    await tx.execute_raw(
        "INSERT INTO chain (id, key, total_seconds, links, origin, edited_at)"
        " VALUES ($1, $2, $3, $4, 'operator', now())"
        " ON CONFLICT (key) DO UPDATE SET total_seconds = excluded.total_seconds, links = excluded.links,"
        " edited_at = now(), updated_at = now()",
        new_id(), key, total_seconds, [link.to_json() for link in links],
    )  # fmt: skip
    await wanted_again(tx, "chain", key)
    tx.notify_after_commit(CHANNEL, {})


async def forget_chain(tx: ElevatedSession, key: ChainKey) -> None:
    """Ask the models that are on by their own order again."""
    with suppress(NotFound):
        await remove(tx, "chain", key, "It is not set.")


def problems(
    key: ChainKey, links: Sequence[ChainLink], total_seconds: int, models: Mapping[str, Model]
) -> dict[str, str]:
    """Field → what is wrong; nothing when the chain can be. Pure."""
    wrong = {}
    if key not in CHAINS:
        wrong["key"] = f"There are the chains {', '.join(CHAINS)}."
    if not 1 <= total_seconds <= SECONDS_MOST:
        wrong["total_seconds"] = f"Give a number from 1 to {SECONDS_MOST}."
    if not links:
        wrong["links"] = "Choose at least one model."
    seen: set[str] = set()
    for link in links:
        model = models.get(link.model)
        if model is None:
            wrong["links"] = f"There is no model “{link.model}”."
        elif not model.serves(key):
            wrong["links"] = f"{model.name} cannot be part of this chain: it is of kind {model.kind}."
        elif link.model in seen:
            wrong["links"] = f"{model.name} stands twice in it."
        elif not 1 <= link.seconds <= total_seconds:
            wrong["links"] = f"{model.name} may take from 1 to {total_seconds} seconds, as the whole chain does."
        seen.add(link.model)
    return wrong
