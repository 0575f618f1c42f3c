"""Changing styles: their words, their settings and their order; and the sample pictures of styles and models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from gesso.catalog import rows
from gesso.catalog.edits.ordering import STEP
from gesso.catalog.edits.removed import wanted_again
from gesso.catalog.items import Model, StylePreset
from gesso.catalog.registry import CHANNEL
from gesso.catalog.styles import setting_problems
from gesso.core.errors import Conflict, InvalidInput, NotFound
from gesso.core.ids import new_id
from gesso.db import ElevatedSession

PROMPT_MOST, NEGATIVE_MOST = 1000, 500
MISSING = "There is no such style."
Shown = Literal["model", "style_preset"]


@dataclass(frozen=True, slots=True)
class StyleFacts:
    """What an operator says of a style (see items.StylePreset)."""

    name: str
    prompt: str
    negative_prompt: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    enabled: bool = True


def problems(facts: StyleFacts, models: Sequence[Model]) -> dict[str, str]:
    """Field → what is wrong. A setting that no model of the site knows is a slip. Pure."""
    wrong = {}
    if not 1 <= len(facts.name) <= 80:
        wrong["name"] = "Give it a name of at most 80 characters."
    if not facts.prompt.strip() and not facts.negative_prompt.strip() and not facts.settings:
        wrong["prompt"] = "Say what it adds: words, what is left out, or a setting."
    if len(facts.prompt) > PROMPT_MOST:
        wrong["prompt"] = f"Use at most {PROMPT_MOST:,} characters."
    if len(facts.negative_prompt) > NEGATIVE_MOST:
        wrong["negative_prompt"] = f"Use at most {NEGATIVE_MOST:,} characters."
    for name, reason in setting_problems(facts.settings):
        wrong["settings"] = f"“{name}” {reason}."
    known = {name for model in models for name in model.settings}
    if "settings" not in wrong and (odd := [name for name in facts.settings if name not in known]):
        wrong["settings"] = f"No model of this site has a setting “{odd[0]}”."
    return wrong


async def get_style(tx: ElevatedSession, key: str) -> StylePreset:
    """The stored style. Raises NotFound."""
    for style in rows.read_items(await rows.fetch(tx, "style_preset"), rows.style_preset_of):
        if style.key == key:
            return style
    raise NotFound(MISSING)


async def save_style(tx: ElevatedSession, key: str, facts: StyleFacts, *, new: bool) -> tuple[str, ...]:
    """Add a style behind all others, or change one; returns what changed.

    Raises InvalidInput naming every wrong field, NotFound, Conflict for a key that is taken.
    """
    if wrong := problems(facts, rows.read_items(await rows.fetch(tx, "model"), rows.model_of)):
        raise InvalidInput(" ".join(wrong.values()), fields=wrong)
    values = {
        "name": facts.name, "prompt": facts.prompt, "negative_prompt": facts.negative_prompt,
        "settings": dict(facts.settings), "enabled": facts.enabled,
    }  # fmt: skip
    if new:
        made = await tx.fetchval(
            "INSERT INTO style_preset (id, key, name, prompt, negative_prompt, settings, enabled, origin, edited_at,"
            " position) SELECT $1, $2, $3, $4, $5, $6, $7, 'operator', now(), coalesce(max(position), 0) + $8"
            " FROM style_preset ON CONFLICT DO NOTHING RETURNING id",
            new_id(), key, *values.values(), STEP,
        )  # fmt: skip
        if made is None:
            reason = f"There is a style “{key}” already."
            raise Conflict(reason, fields={"key": reason})
        await wanted_again(tx, "style_preset", key)
        changed = tuple(values)
    else:
        before = await get_style(tx, key)
        changed = tuple(name for name, value in values.items() if getattr(before, name) != value)
        await tx.execute_raw(
            "UPDATE style_preset SET name = $2, prompt = $3, negative_prompt = $4, settings = $5, enabled = $6,"
            " edited_at = now(), updated_at = now() WHERE id = $1",
            before.id, *values.values(),
        )  # fmt: skip
    tx.notify_after_commit(CHANNEL, {})
    return changed


async def set_style_enabled(tx: ElevatedSession, key: str, enabled: bool) -> StylePreset:
    """Offer it, or not. Raises NotFound."""
    style = await get_style(tx, key)
    await tx.execute_raw(
        "UPDATE style_preset SET enabled = $2, edited_at = now(), updated_at = now() WHERE id = $1", style.id, enabled
    )
    tx.notify_after_commit(CHANNEL, {})
    return style


async def set_sample(tx: ElevatedSession, table: Shown, key: str, sample: str | None, missing: str) -> None:
    """Give a model or a style another sample picture (media.samples), or none. Raises NotFound."""
    # the table's name is one of our own (Shown)
    changed = await tx.fetchval(
        f"UPDATE {table} SET sample = $2, edited_at = now(), updated_at = now() WHERE key = $1 RETURNING id",
        key, sample,
    )  # fmt: skip
    if changed is None:
        raise NotFound(missing)
    tx.notify_after_commit(CHANNEL, {})
