"""The style picker of the composer. Pure: see catalog.styles for what a style does."""

from collections.abc import Sequence
from dataclasses import dataclass

from gesso.catalog import styles
from gesso.catalog.items import Model, Plan, StylePreset
from gesso.catalog.views import sample_url
from gesso.generation.typed import Typed, form_text, text_of

STYLED = "styled"
"""The form's hidden field that says which style its settings were taken from."""


@dataclass(frozen=True, slots=True)
class StyleCard:
    """A style to choose; the first, without a key, is none."""

    key: str
    name: str
    sample: str
    checked: bool


def style_cards(model: Model, typed: Typed, known: Sequence[StylePreset]) -> tuple[StyleCard, ...]:
    """The styles this model can wear, "none" before them; empty when there are none."""
    offered = styles.offered(model, known)
    if not offered:
        return ()
    wanted = text_of(typed, styles.SETTING)
    cards = [StyleCard(style.key, style.name, sample_url(style) or "", style.key == wanted) for style in offered]
    return (StyleCard("", "None", "", not any(card.checked for card in cards)), *cards)


def restyled(typed: Typed, model: Model, known: Sequence[StylePreset], plan: Plan) -> dict[str, str | list[str]]:
    """What was typed, after another style was chosen: its settings stand in the form, for all to see and change.

    What the style before had set goes back to the model's default, unless it was changed by hand since.
    """
    now, before = text_of(typed, styles.SETTING), text_of(typed, STYLED)
    changed = dict(typed)
    if now == before:
        return changed
    by_key = {style.key: style for style in styles.offered(model, known)}
    if before in by_key:
        for name, value in styles.fitting(model, by_key[before], plan).items():
            if text_of(changed, name) == form_text(value):
                del changed[name]
    if now in by_key:
        changed |= {name: form_text(value) for name, value in styles.fitting(model, by_key[now], plan).items()}
    return changed
