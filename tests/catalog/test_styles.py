"""Styles: whose list a `style` is, what a style adds, and what it may set."""

from dataclasses import replace
from typing import Any

import pytest

from gesso.catalog import styles
from gesso.catalog.editions import load_edition
from gesso.catalog.items import Model, Plan, StylePreset
from gesso.catalog.views import ModelItem
from gesso.core.errors import InvalidInput
from gesso.core.ids import new_id

STUDIO = load_edition("studio")
MODEL = next(model for model in STUDIO.models if model.key == "photo-flux")
PLAN = replace(STUDIO.plans[0], limits={}, advanced=True)
NOIR = StylePreset(new_id(), "noir", "Noir", "black and white", "colour", {"guidance": 7.5, "size": "1280x720"})
OFF = replace(NOIR, key="off", enabled=False)


def model(**settings: Any) -> Model:
    properties = {**{name: prop for name, prop in MODEL.settings.items() if name != "style"}, **settings}
    return replace(MODEL, capabilities={**MODEL.capabilities, "properties": properties})


def test_a_style_with_choices_is_the_providers() -> None:
    own = model(style={"type": "string", "oneOf": [{"const": "anime"}]})
    assert styles.takes_styles(MODEL) and not styles.takes_styles(own) and not styles.takes_styles(model())
    assert styles.chosen(own, {"style": "anime"}, [NOIR]) is None
    assert styles.offered(own, [NOIR]) == () and styles.offered(MODEL, [NOIR, OFF]) == (NOIR,)


@pytest.mark.parametrize("wanted", ["off", "nonsense"])
def test_what_is_not_offered_cannot_be_chosen(wanted: str) -> None:
    with pytest.raises(InvalidInput) as told:
        styles.chosen(MODEL, {"style": wanted}, [NOIR, OFF])
    assert "Choose one of: noir" in told.value.fields["style"]


def test_settings_fill_in_what_was_not_given_and_what_model_and_plan_allow() -> None:
    wide = replace(NOIR, settings={"guidance": 7.5, "size": "9x9", "motion": 3, "steps": 900})
    assert styles.filled(MODEL, {"guidance": 2.0, "style": "noir", "seed": None}, NOIR, PLAN) == {
        "guidance": 2.0, "size": "1280x720", "style": "noir",
    }  # fmt: skip
    assert styles.fitting(MODEL, wide, PLAN) == {"guidance": 7.5}
    narrow: Plan = replace(PLAN, limits={"guidance": 5})
    assert styles.fitting(MODEL, NOIR, narrow) == {"size": "1280x720"}


def test_words_come_after_a_persons_own() -> None:
    assert styles.styled("a cat, ", "dogs", NOIR) == ("a cat, black and white", "dogs, colour")
    assert styles.styled("", None, NOIR) == ("black and white", "colour")
    assert styles.styled("a cat", None, None) == ("a cat", None)


def test_what_a_style_cannot_set() -> None:
    wrong = dict(styles.setting_problems({"prompt": "x", "Size": 1, "steps": [1], "guidance": 3, "raw": True}))
    assert set(wrong) == {"prompt", "Size", "steps"}


def test_the_api_names_the_styles_as_choices() -> None:
    told = ModelItem.of(MODEL, [NOIR, OFF]).capabilities["properties"]
    assert told["style"]["oneOf"] == [{"const": "noir", "title": "Noir"}]
    assert "style" not in ModelItem.of(MODEL, [OFF]).capabilities["properties"]
