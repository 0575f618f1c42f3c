"""What operators do with styles, for pages and API alike. Every change is written into the audit log."""

from collections.abc import Sequence

from gesso.admin import traces, underway
from gesso.admin.frame import Deed
from gesso.catalog import rows
from gesso.catalog.edits import styles as edits
from gesso.catalog.edits.ordering import moved, put_in_order
from gesso.catalog.edits.removed import remove as remove_row
from gesso.catalog.edits.styles import MISSING, StyleFacts
from gesso.catalog.items import Model, StylePreset
from gesso.catalog.styles import takes_styles
from gesso.core.errors import Conflict
from gesso.db import ElevatedSession


async def listing(tx: ElevatedSession) -> tuple[tuple[StylePreset, ...], tuple[Model, ...]]:
    """All styles in their order, and the models that can wear them."""
    found = rows.read_items(await rows.fetch(tx, "style_preset"), rows.style_preset_of)
    models = rows.read_items(await rows.fetch(tx, "model"), rows.model_of)
    return found, tuple(model for model in models if takes_styles(model))


async def save(tx: ElevatedSession, deed: Deed, key: str, facts: StyleFacts, *, new: bool) -> None:
    """Add or change one. Raises as `edits.save_style`."""
    before = await traces.values(tx, "style_preset", key)
    changed = await edits.save_style(tx, key, facts, new=new)
    if new:
        await deed.note(tx, "style.added", style=key)
    elif changed:
        told = traces.between(before, await traces.values(tx, "style_preset", key))
        await deed.note(tx, "style.changed", style=key, changed=list(changed), **told)


async def switch(tx: ElevatedSession, deed: Deed, key: str, enabled: bool) -> StylePreset:
    """Offer it, or not. Raises NotFound."""
    style = await edits.set_style_enabled(tx, key, enabled)
    await deed.note(tx, "style.enabled" if enabled else "style.disabled", style=key)
    return style


async def remove(tx: ElevatedSession, deed: Deed, key: str) -> StylePreset:
    """Remove it for good. Raises NotFound, Conflict while somebody waits for a picture in it."""
    style = await edits.get_style(tx, key)
    if count := await underway.with_style(tx, key):
        waiting = f"{count:,} generation{' is' if count == 1 else 's are'} under way in this style."
        raise Conflict(f"{waiting} Switch it off, and remove it when they have ended.")
    await remove_row(tx, "style_preset", key, MISSING)
    await deed.note(tx, "style.removed", style=key)
    return style


async def order(tx: ElevatedSession, deed: Deed, keys: Sequence[str]) -> None:
    """Put these first, in this order. Raises InvalidInput."""
    placed = await put_in_order(tx, "style_preset", keys)
    await deed.note(tx, "style.ordered", order=list(placed))


async def move(tx: ElevatedSession, deed: Deed, key: str, by: int) -> None:
    """One place up (−1) or down (+1). Raises InvalidInput."""
    standing = [row["key"] for row in await rows.fetch(tx, "style_preset")]
    await order(tx, deed, moved(standing, key, by))
