"""The painter: same wish, same picture; every recipe at every size; words are heard."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gesso.sandbox.painter import FORMATS, RECIPES, encode, paint
from gesso.sandbox.painter.palettes import PALETTES, palette_from
from gesso.sandbox.painter.references import compose, mean_colours
from gesso.sandbox.painter.words import RECIPE_NAMES, choose_palette, choose_recipe


@pytest.mark.parametrize("recipe", sorted(RECIPES))
@pytest.mark.parametrize(("width", "height"), [(64, 64), (333, 77), (70, 411), (512, 64)])
def test_every_recipe_paints_any_shape(recipe: str, width: int, height: int) -> None:
    picture = paint("something", seed=3, width=width, height=height, recipe=recipe)
    assert picture.size == (width, height)
    assert picture.mode == "RGB"
    assert np.asarray(picture).std() > 8, "a flat picture is no picture"


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_equal_seeds_paint_equal_pixels_and_others_do_not(recipe: str) -> None:
    first, again, other = (
        paint("a quiet thing", seed=seed, width=160, height=120, recipe=recipe).tobytes() for seed in (5, 5, 6)
    )
    assert first == again
    assert first != other


def test_different_prompts_paint_different_pictures() -> None:
    one, two = (paint(p, seed=1, width=96, height=96, recipe="dunes").tobytes() for p in ("a", "b"))
    assert one != two


def test_large_pictures_have_the_size_asked_for() -> None:
    assert paint("peaks", seed=1, width=2048, height=1200).size == (2048, 1200)


@pytest.mark.parametrize(("width", "height"), [(15, 64), (64, 8193), (0, 0)])
def test_impossible_sizes_are_refused(width: int, height: int) -> None:
    with pytest.raises(ValueError, match="sides must be"):
        paint("x", seed=1, width=width, height=height)


@pytest.mark.parametrize(
    ("prompt", "recipe"),
    [
        ("Amber serum bottle on a plinth, studio light", "still"),
        ("ceramic vases, still life", "still"),
        ("misty mountains at dawn", "peaks"),
        ("a stained glass window", "glass"),
        ("crane over bamboo, sumi ink", "ink"),
        ("Northern lights above a fjord", "aurora"),
        ("sand dunes of the Sahara", "dunes"),
        ("bauhaus poster for a jazz night", "bauhaus"),
        ("a fox in the forest, paper cut", "paper"),
        ("an oil painting of a storm, impasto", "flow"),
        ("a paperback about sandals", choose_recipe("a paperback about sandals")),
    ],
)
def test_words_choose_the_recipe(prompt: str, recipe: str) -> None:
    assert choose_recipe(prompt) == recipe


def test_parts_of_words_are_not_words() -> None:
    found = {choose_recipe(f"thinking {i}") for i in range(60)}
    assert len(found) > 3, "'thinking' holds 'ink' but must not ask for it"


@pytest.mark.parametrize(
    ("prompt", "palette"),
    [("an amber bottle", "amber"), ("Teal vases", "teal"), ("noir", "noir"), ("a mint jar", "mint")],
)
def test_words_choose_the_palette(prompt: str, palette: str) -> None:
    assert choose_palette(prompt, choose_recipe(prompt), 1) == palette


def test_seeds_vary_the_palette_when_no_word_names_one() -> None:
    for recipe in RECIPE_NAMES:
        found = {choose_palette("a thing", recipe, seed) for seed in range(40)}
        assert len(found) > 1
        assert found <= set(PALETTES)


def test_every_recipe_words_can_choose_is_there() -> None:
    assert set(RECIPE_NAMES) == set(RECIPES)


@pytest.mark.parametrize("file_format", FORMATS)
def test_pictures_become_files_that_open_again(file_format: str, tmp_path: Path) -> None:
    picture = paint("dunes", seed=1, width=80, height=60)
    path = tmp_path / "picture"
    path.write_bytes(encode(picture, file_format))  # type: ignore[arg-type]
    with Image.open(path) as opened:
        assert (opened.format, opened.size) == (file_format.upper(), (80, 60))


def test_the_label_is_set_into_the_corner() -> None:
    plain = paint("x", seed=1, width=400, height=400, recipe="bauhaus")
    corner = np.asarray(plain.crop((320, 375, 400, 400)).convert("L"), np.int16)
    assert np.ptp(corner) > 40, "letters stand out from their ground"


def test_reference_colours_rule_the_picture() -> None:
    green = [(20, 90, 40), (60, 160, 80), (150, 220, 160)]
    mean = np.asarray(paint("dunes", seed=1, width=128, height=128, reference_colours=green)).mean(axis=(0, 1))
    assert mean[1] > mean[0] + 15
    assert mean[1] > mean[2] + 15
    assert palette_from([(10, 10, 10)]).shades.shape == (6, 3)


def test_a_reference_shows_in_the_picture_made_from_it() -> None:
    reference = Image.new("RGB", (90, 60), (200, 30, 30))
    assert mean_colours([reference])[0] == (200, 30, 30)
    painting = paint("peaks teal", seed=1, width=256, height=256)
    shown = np.asarray(compose(painting, [reference], seed=1), np.float32)
    middle, corner = shown[108:148, 108:148].mean(axis=(0, 1)), shown[:24, :24].mean(axis=(0, 1))
    assert middle[0] > middle[2] + 60, "the middle is the reference's red"
    assert abs(corner - np.asarray(painting, np.float32)[:24, :24].mean(axis=(0, 1))).max() < 12


def test_the_command_writes_a_picture(tmp_path: Path) -> None:
    out = tmp_path / "sample.webp"
    command = [sys.executable, "-m", "gesso.sandbox.painter", "--prompt", "teal peaks", "--out", str(out)]
    subprocess.run([*command, "--width", "120", "--height", "80", "--seed", "4"], check=True, timeout=60)
    with Image.open(out) as picture:
        assert (picture.format, picture.size) == ("WEBP", (120, 80))
    wrong = subprocess.run([*command[:-1], str(tmp_path / "sample.gif")], capture_output=True, text=True, timeout=60)
    assert wrong.returncode == 2
    assert "must end in" in wrong.stderr
