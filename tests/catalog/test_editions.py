"""Edition files are refused with the line and the reason; the ones that ship are sound."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gesso.catalog.editions import EditionError, edition_names, load_edition, parse_edition
from gesso.catalog.editions.positions import line_of, lines_of
from gesso.catalog.pricing import usual_price

GOOD = """\
modules = ["image", "gallery"]

[brand]
name = "Test"
title = "Test"

[colours]
background = "#0a0a0f"
surface = "#1a1a24"
primary = "#8b5cf6"
primary_hover = "#7c3aed"
secondary = "#ec4899"
text = "#ffffff"
muted = "#9ca3af"
border = "#2d2d3d"

[defaults]
plan = "free"
model = "painter"

[[plans]]
key = "free"
name = "Free"
signup_grants = { credit = "2.5", image = 3 }
parallel = 2
max_count = 4

[[connections]]
key = "fal"
adapter = "fal"
name = "fal"

[shared.prompt]
type = "string"
minLength = 1
maxLength = 500

[[models]]
key = "painter"
kind = "image"
connection = "fal"
upstream = "someone/painter"
name = "Painter"
description = "Paints."
price = { credits = "1" }
typical_seconds = 3

[models.settings]
prompt = { "$ref" = "#/shared/prompt" }
count = { type = "integer", minimum = 1, maximum = 4, default = 1 }
size = { type = "string", default = "1024x1024", enum = ["1024x1024", "512x512"] }
"""
END = 'enum = ["1024x1024", "512x512"] }\n'
SECOND_MODEL = GOOD[GOOD.index("[[models]]") :].replace('"painter"', '"drawer"')


def problems_of(text: str) -> list[tuple[int, str]]:
    """(line, reason) of everything wrong with a file."""
    with pytest.raises(EditionError) as caught:
        parse_edition(text.encode(), "test.toml")
    assert str(caught.value).startswith("test.toml:")
    return [(problem.line, problem.reason) for problem in caught.value.problems]


def line_in(text: str, piece: str) -> int:
    """The line a piece of text stands on."""
    return text[: text.index(piece)].count("\n") + 1


def test_studio_is_complete() -> None:
    studio = load_edition("studio")
    assert (studio.name, studio.face.brand.title) == ("studio", "gesso")
    assert studio.face.colours["primary"] == "#8b5cf6"
    free = next(plan for plan in studio.plans if plan.key == "free")
    assert (free.signup_grants, free.monthly_grants) == ({"credit": 25_000_000}, {"credit": 10_000_000})
    assert {model.upstream for model in studio.models} >= {
        "rundiffusion-fal/rundiffusion-photo-flux", "fal-ai/flux-pro/v1.1-ultra", "fal-ai/flux/schnell",
        "rundiffusion-fal/juggernaut-flux/pro", "rundiffusion-fal/juggernaut-flux/lightning",
    }  # fmt: skip
    for model in studio.models:
        assert (model.price is None) == (model.kind == "moderation")  # nobody chooses one that judges
        assert model.cost is not None or model.kind in ("chat", "vision")
        if model.wire.get("negative") == "append":
            assert "avoid:" in model.settings["negative_prompt"]["description"]


def test_fallbacks_take_the_same_settings_at_the_same_price() -> None:
    models = {model.key: model for model in load_edition("studio").models}
    for model in models.values():
        for fallback in (models[key] for key in model.fallbacks):
            essential = {"prompt", "negative_prompt", "size", "aspect_ratio", "references"}
            assert essential & set(model.settings) <= set(fallback.settings)
            assert usual_price(fallback).credits <= usual_price(model).credits


def test_every_edition_that_ships_loads() -> None:
    assert "studio" in edition_names()
    for name in edition_names():
        assert load_edition(name).name == name


def test_a_good_file_is_read_exactly() -> None:
    edition = parse_edition(GOOD.encode(), "test.toml")
    assert edition.face.modules == ("image", "gallery")
    assert edition.plans[0].signup_grants == {"credit": 2_500_000, "image": 3}
    assert edition.models[0].settings["prompt"] == {"type": "string", "minLength": 1, "maxLength": 500}
    assert edition.models[0].connection_id == edition.connections[0].id
    assert parse_edition(GOOD.replace("\n", "\r\n").encode(), "test.toml").models[0].name == "Painter"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('credits = "1"', 'credits = "-1"', "price: “credits” is negative"),
        ('credits = "1"', "credits = -0.5", "price: “credits” is negative"),
        ('credits = "1"', "credits = nan", "price: “credits” is not a finite number"),
        ('credits = "1"', "credits = inf", "price: “credits” is not a finite number"),
        ('credits = "1"', 'credits = "1", per = ["furlong"]', "price: unknown unit in “per”"),
        ('credits = "1"', 'credits = "1", size = { "9x9" = "2" }', "price: “9x9” is not among the model's choices"),
        ('credits = "1"', 'credit = "1"', "price: unknown member “credit”"),
        ("image = 3", "gems = 3", "unknown unit “gems”; known: credit, image, video, chat, prompt"),
        ("image = 3", "image = 2.5", "whole uses only"),
        ("image = 3", "image = 0", "must be above 0"),
        ('credit = "2.5"', 'credit = "2.5000001"', "at most 6 decimals"),
        ('credit = "2.5"', 'credit = "nan"', "must be above 0 and finite"),
        ('"gallery"]', '"galery"]', "unknown module “galery”; did you mean “gallery”?"),
        ('"gallery"]', '"image"]', "“image” stands twice in modules"),
        ('primary = "#8b5cf6"', 'primary = "violet"', "“violet” is not a colour; write it as #rrggbb"),
        ('primary_hover = "#7c3aed"', 'primary_hover = "#c4b5fd"', "too pale for white text"),
        ('secondary = "#ec4899"', 'secondary = "#fbcfe8"', "too pale for white text"),
        ('border = "#2d2d3d"', 'boarder = "#2d2d3d"', "unknown key “boarder” in [colours]; did you mean “border”?"),
        ("parallel = 2", "paralel = 2", "unknown key “paralel” in [plans]; did you mean “parallel”?"),
        ("parallel = 2", "parallel = 0", "“parallel” is 0; it must be from 1 to 1000"),
        ("parallel = 2", 'parallel = "two"', "“parallel” must be a whole number"),
        ("parallel = 2", "parallel = true", "“parallel” must be a whole number"),
        ('kind = "image"', 'kind = "imago"', "unknown kind “imago”; did you mean “image”?"),
        ('connection = "fal"', 'connection = "fall"', "unknown connection “fall”; did you mean “fal”?"),
        ('key = "painter"', 'key = "The Painter"', "“The Painter” cannot be used as key"),
        ('model = "painter"', 'model = "drawer"', "there is no model “drawer”"),
        ('plan = "free"', 'plan = "pro"', "there is no plan “pro”"),
        ('"#/shared/prompt"', '"#/shared/promt"', "there is no [shared.promt]"),
        ("maximum = 4", "maximum = 4, multipleOf = 0", "settings: is not valid JSON Schema"),
        ("maximum = 4", "maximun = 4", "settings: unknown keyword “maximun”; did you mean “maximum”?"),
        ("minimum = 1", "minimum = 0", "settings: count needs minimum = 1"),
        ('default = "1024x1024"', 'default = "9x9"', "settings: the default of “size” does not fit"),
        ("typical_seconds = 3", 'typical_seconds = 3\nfallbacks = ["oil"]', "there is no model “oil”"),
        ("typical_seconds = 3", 'typical_seconds = 3\nfallbacks = ["painter"]', "a model cannot be its own fallback"),
        ("typical_seconds = 3", 'typical_seconds = 3\ncost = { usd = "inf" }', "cost: “usd” is not a finite number"),
        ("typical_seconds = 3", "typical_seconds = 3\nwire = { since = 2026-01-01 }", "“since” must be text"),
        ('title = "Test"', 'title = " "', "“title” must have 1 to 80 characters"),
        ("[defaults]", "[default]", "unknown key “default”; did you mean “defaults”?"),
        ("parallel = 2", "parallel = 2\nmonth_cents = -1", "“month_cents” is -1; it must be from 1 to 100000000"),
        ("parallel = 2", "parallel = 2\nmonth_cents = nan", "“month_cents” must be a whole number"),
        ("parallel = 2", "parallel = 2\nyear_cents = inf", "“year_cents” must be a whole number"),
        ("parallel = 2", 'parallel = 2\ncurrency = "dollars"', "“dollars” is not a currency code such as usd"),
        ("parallel = 2", 'parallel = 2\nmodels = ["oil"]', "there is no model “oil”"),
        ("parallel = 2", "parallel = 2\nlimits = { steps = [true] }", "“steps” must be a highest number"),
        ("parallel = 2", 'parallel = 2\nwatermark = "no"', "“watermark” must be true or false"),
        (END, END + '[words]\ngem = "gem"', "unknown key “gem” in [words]"),
        (END, END + '[words]\ngalery = "Wall"', "unknown key “galery” in [words]; did you mean “gallery”?"),
        (END, END + '[words]\ncredits = ""', "“credits” must have 1 to 40 characters"),
        (END, END + '[landing]\nheadlin = "x"', "unknown key “headlin” in [landing]"),
        (END, END + '[welcome]\nimage = ["a", "b"]', "“image” must have 3 prompts, or be left out"),
        ('"image", "gallery"', '"gallery"', "“modules” must name “image”"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line(old: str, new: str, reason: str) -> None:
    bad = GOOD.replace(old, new, 1)
    # the mistake stands in the last line of what was put in
    line = line_in(bad, new) + new.count("\n")
    found = problems_of(bad)
    assert any(at == line and reason in text for at, text in found), found


def test_a_model_without_a_price_cannot_be_enabled() -> None:
    bad = GOOD.replace('price = { credits = "1" }\n', "")
    assert problems_of(bad) == [
        (line_in(bad, "[[models]]"), "a model without a price cannot be enabled; add price, or enabled = false")
    ]
    second = SECOND_MODEL.replace('price = { credits = "1" }\n', "enabled = false\n")
    assert parse_edition((GOOD + second).encode(), "test.toml").models[1].price is None


PACK = '[[packs]]\nkey = "small"\nname = "Small"\ncredits = 50\nprice_cents = 499\n'
PICTURE = '[[landing.pictures]]\nname = "dunes-dawn"\nalt = "Dunes"\nwidth = 640\nheight = 400\n'
FEATURE = '[[landing.features]]\nicon = "layers"\ntitle = "One"\ntext = "Two"\n'


@pytest.mark.parametrize(
    ("piece", "old", "new", "reason"),
    [
        (PACK, "price_cents = 499\n", "", "“price_cents” is missing"),
        (PACK, "499", "-499", "“price_cents” is -499; it must be from 0 to 100000000"),
        (PACK, "credits = 50\n", "", "“credits” is missing"),
        (PACK, "credits = 50", "credits = inf", "“credits” is Infinity; it must be above 0 and finite"),
        (PACK, PACK, PACK + PACK, "two packs have the key “small”"),
        (PICTURE, "dunes-dawn", "dunes-down", "there is no picture “dunes-down”"),
        (PICTURE, "width = 640", "width = 0", "“width” is 0; it must be from 1 to 4096"),
        (FEATURE, '"layers"', '"layer"', "unknown icon “layer”; did you mean “layers”?"),
        (FEATURE, 'text = "Two"', 'text = "Two"\nmodule = "chatt"', "unknown module “chatt”; did you mean “chat”?"),
    ],
)
def test_a_mistake_in_what_is_sold_or_shown_is_named_with_its_line(piece: str, old: str, new: str, reason: str) -> None:
    assert parse_edition((GOOD + piece).encode(), "test.toml")
    first = (GOOD + piece)[: len(GOOD) + piece.index(old)].count("\n") + 1
    last = first + max(new.count("\n"), old.count("\n"))
    found = problems_of(GOOD + piece.replace(old, new))
    assert any((first if new else last - 6) <= at <= last and reason in text for at, text in found), found


def test_a_part_that_no_release_has_yet_is_taken_as_a_wish() -> None:
    face = parse_edition(GOOD.replace('"gallery"]', '"chat", "gallery"]').encode(), "test.toml").face
    assert (face.wanted, face.modules, face.missing) == (("image", "chat", "gallery"), ("image", "gallery"), ("chat",))


def test_the_default_model_must_be_on() -> None:
    bad = GOOD.replace("typical_seconds = 3", "typical_seconds = 3\nenabled = false")
    assert problems_of(bad) == [(line_in(bad, 'model = "painter"'), "the default model “painter” is not enabled")]


def test_two_plans_with_one_key_are_refused_with_both_lines() -> None:
    again = GOOD[GOOD.index("[[plans]]") : GOOD.index("[[connections]]")]
    bad = GOOD + "\n" + again
    first, second = line_in(bad, "[[plans]]"), bad[: bad.rindex('key = "free"')].count("\n") + 1
    assert problems_of(bad) == [(second, f"two plans have the key “free”; the first is on line {first}")]


def test_a_fallback_must_make_the_same_kind() -> None:
    video = SECOND_MODEL.replace('kind = "image"', 'kind = "video"')
    bad = GOOD.replace("typical_seconds = 3", 'typical_seconds = 3\nfallbacks = [\n  "drawer",\n]') + video
    assert problems_of(bad) == [(line_in(bad, '  "drawer"'), "“drawer” makes video, not image")]


def test_all_mistakes_are_told_at_once_in_order() -> None:
    bad = GOOD.replace('"gallery"]', '"galery"]').replace("parallel = 2", "parallel = 0").replace('"1" }', '"-1" }')
    assert [line for line, _ in problems_of(bad)] == [
        1, line_in(bad, "parallel = 0"), line_in(bad, 'price = { credits = "-1" }'),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (GOOD.replace("parallel = 2", "parallel = = 2").encode(), line_in(GOOD, "parallel = 2")),
        (GOOD.replace("parallel = 2", 'name = "again"').encode(), line_in(GOOD, "parallel = 2")),
        (GOOD.encode().replace(b"Paints.", b"Paints \xff."), line_in(GOOD, "Paints.")),
        (b"[brand", 1),
    ],
)
def test_text_that_is_no_toml_is_refused_with_its_line(data: bytes, line: int) -> None:
    with pytest.raises(EditionError) as caught:
        parse_edition(data, "test.toml")
    assert [problem.line for problem in caught.value.problems] == [line]


def test_a_missing_file_and_an_unknown_name_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(EditionError, match=r"no such edition; known: .*studio"):
        load_edition("atelier")
    with pytest.raises(EditionError, match=r"own\.toml:1: cannot be read"):
        load_edition(str(tmp_path / "own.toml"))
    (tmp_path / "own.toml").write_text(GOOD)
    assert load_edition(str(tmp_path / "own.toml")).name == "own"


# ── positions ────────────────────────────────────────────────────────────────────────────────────

TRICKY = '''\
# [not.a.table]
top = "a # no comment" # a comment
"quoted key" = 'literal \\'
text = """
[[models]]
key = "not a key" \\""" still text"""
raw = \'\'\'
= [ ] { }\'\'\'\'
when = 1979-05-27 07:32:00 # a date with a blank
dotted.inner."the end" = { a = 1, b = [ 2,
  3, # three
  { deep = "]}" } ] }

[[models]]
key = "first"
[models.price]
credits = "1"
[[models.parts]]
n = 1
[[models.parts]]
n = 2
[[models]]
key = "second"
settings.steps = { maximum = 12 }
[a . "b.c" . d]
x = 1
'''


def test_positions_of_everything_toml_can_do() -> None:
    assert tomllib.loads(TRICKY)
    lines = lines_of(TRICKY)
    numbers = {path: number for path, number in lines.items() if len(path) <= 4}
    assert numbers[("top",)] == 2
    assert numbers[("quoted key",)] == 3
    assert numbers[("text",)] == 4
    assert numbers[("raw",)] == 7
    assert numbers[("when",)] == 9
    assert numbers[("dotted", "inner", "the end", "a")] == 10
    assert lines[("dotted", "inner", "the end", "b", 1)] == 11
    assert lines[("dotted", "inner", "the end", "b", 2, "deep")] == 12
    assert numbers[("models", 0, "key")] == 15
    assert numbers[("models", 0, "price", "credits")] == 17
    assert lines[("models", 0, "parts", 1, "n")] == 21
    assert numbers[("models", 1, "key")] == 23
    assert lines[("models", 1, "settings", "steps", "maximum")] == 24
    assert numbers[("a", "b.c", "d", "x")] == 26
    assert line_of(lines, ("models", 1, "missing")) == 22
    assert line_of(lines, ("nowhere",)) == 1


keys = st.from_regex(r"[a-z]{1,5}", fullmatch=True)
strings = st.text(st.sampled_from("ab[]{}#='\\ \n\""), max_size=12)


def toml_string(text: str, style: int) -> str:
    """A text as a TOML string in one of its spellings."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    if style == 0 and not set(text) & {"'", "\n"}:
        return f"'{text}'"
    if style == 1:
        return f'"""\n{escaped}"""'
    return '"' + escaped.replace("\n", "\\n") + '"'


@given(
    st.lists(
        st.tuples(
            keys,
            st.lists(st.tuples(strings, st.integers(0, 2)), min_size=1, max_size=4),
            st.integers(0, 3),
            st.booleans(),
        ),
        max_size=8,
        unique_by=lambda entry: entry[0],
    )
)
def test_positions_of_any_values(entries: list[tuple[str, list[tuple[str, int]], int, bool]]) -> None:
    """Values full of brackets, quotes and newlines; every key and every array element is where it was written."""
    text = ""
    expected: dict[tuple[str | int, ...], int] = {}
    # plain keys first: after a table's header they would belong to it
    for key, values, blanks, as_table in sorted(entries, key=lambda entry: entry[3]):
        text += "\n" * blanks + "# comment [x] = \"'\n"
        expected[(key,)] = text.count("\n") + 1
        text += f"[{key}]\nlist = [" if as_table else f"{key} = ["
        path = (key, "list") if as_table else (key,)
        for index, (value, style) in enumerate(values):
            text += "\n" * (index % 2)
            expected[(*path, index)] = text.count("\n") + 1
            text += toml_string(value, style) + " , "
        text += "] # end\n"
    assert isinstance(tomllib.loads(text), dict)
    lines = lines_of(text)
    assert {path: lines[path] for path in expected} == expected
