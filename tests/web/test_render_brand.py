"""An edition's colours: validated, readable, and mixed as browsers mix them."""

import pytest

from gesso.catalog.editions.colours import COLOURS
from gesso.core.errors import InvalidInput
from gesso.web.brand import DEFAULTS, Brand, brand_css, contrast, corrections


def test_good_colours_are_served_as_given() -> None:
    css = brand_css({"primary": "#0EA5E9", "primary_hover": "#0369a1", "secondary": "#a21caf", "radius": "4px"})
    assert css == (":root{--e-primary:#0ea5e9;--e-primary-hover:#0369a1;--e-secondary:#a21caf;--e-radius:4px;}\n")


def test_the_stylesheets_own_colours_need_no_correction() -> None:
    assert corrections(DEFAULTS) == ()


def test_every_colour_an_edition_has_is_known() -> None:
    css = brand_css(dict.fromkeys(COLOURS, "#123456"))
    assert css.count("--e-") == len(COLOURS) and "--e-bg:#123456;" in css


def test_no_colours_change_nothing() -> None:
    assert brand_css({}) == ":root{}\n"


def test_colours_under_white_words_are_darkened_and_said_so() -> None:
    css = brand_css({"primary-hover": "#facc15", "secondary": "#fde68a"})
    notes = corrections({"primary-hover": "#facc15", "secondary": "#fde68a"})
    assert len(notes) == 2
    assert all(note in css for note in notes)
    hover = css.split("--e-primary-hover:")[1].split(";")[0]
    white, dark = (1.0, 1.0, 1.0), tuple(int(hover[at : at + 2], 16) / 255 for at in (1, 3, 5))
    assert 4.5 <= contrast(white, dark) < 4.8, "dark enough, and no darker than needed"
    assert f"primary-hover #facc15 became {hover}" in notes[0]


def test_muted_words_are_lightened_against_the_card() -> None:
    notes = corrections({"muted": "#444455"})
    assert notes[0].startswith("muted #444455 became #")


def test_contrast_is_wcags() -> None:
    assert contrast((1, 1, 1), (0, 0, 0)) == pytest.approx(21)
    # #767676 on white is the textbook case of just passing
    assert contrast((0x76 / 255,) * 3, (1, 1, 1)) == pytest.approx(4.54, abs=0.005)


@pytest.mark.parametrize(
    ("colours", "field"),
    [
        ({"primary": "red"}, "primary"),
        ({"primary": "#12"}, "primary"),
        ({"primary": "#123456;}body{display:none"}, "primary"),
        ({"radius": "25px"}, "radius"),
        ({"radius": "1em"}, "radius"),
        ({"shadow": "#000000"}, "shadow"),
    ],
)
def test_anything_else_is_refused_by_name(colours: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        brand_css(colours)
    assert list(caught.value.fields) == [field]


def test_the_address_changes_with_the_colours() -> None:
    assert Brand().version != Brand(colours={"primary": "#000000"}).version
