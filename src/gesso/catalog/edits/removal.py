"""Removing a model for good, and its name from what else says it. What was made with it keeps its name."""

from dataclasses import dataclass

from gesso.catalog import rows
from gesso.catalog.edits.chains import forget_chain
from gesso.catalog.edits.removed import remove
from gesso.catalog.items import ChainKey, Model
from gesso.db import ElevatedSession


@dataclass(frozen=True, slots=True)
class Touched:
    """What else names a model: models it stands in for, chains it is part of, and of those the ones left empty."""

    stands_in_for: tuple[Model, ...]
    chains: tuple[ChainKey, ...]
    emptied: tuple[ChainKey, ...]


async def touched(tx: ElevatedSession, key: str) -> Touched:
    """What removing this model touches."""
    models = rows.read_items(await rows.fetch(tx, "model"), rows.model_of)
    chains = rows.read_items(await rows.fetch(tx, "chain"), rows.chain_of)
    naming = [chain for chain in chains if any(link.model == key for link in chain.links)]
    return Touched(
        tuple(model for model in models if key in model.fallbacks),
        tuple(chain.key for chain in naming),
        tuple(chain.key for chain in naming if all(link.model == key for link in chain.links)),
    )


async def remove_model(tx: ElevatedSession, key: str) -> Touched:
    """Remove a model, and its name from fallbacks and chains. A chain left empty asks by the models' own order again.

    Whether anything is under way with it is the caller's to know. Raises NotFound.
    """
    found = await touched(tx, key)
    await tx.execute_raw(
        "UPDATE model SET fallbacks = array_remove(fallbacks, $1), edited_at = now(), updated_at = now()"
        " WHERE $1 = ANY(fallbacks)",
        key,
    )
    for chain in rows.read_items(await rows.fetch(tx, "chain"), rows.chain_of):
        if chain.key in found.emptied:
            await forget_chain(tx, chain.key)
        elif chain.key in found.chains:
            await tx.execute_raw(
                "UPDATE chain SET links = $2, edited_at = now(), updated_at = now() WHERE key = $1",
                chain.key, [link.to_json() for link in chain.links if link.model != key],
            )  # fmt: skip
    await remove(tx, "model", key, "There is no such model.")
    return found
