"""The build: named by content, complete, light, and quick when nothing changed."""

import gzip
import json
import re
from pathlib import Path

import hatch_build
import pytest
from PIL import Image

from gesso.catalog.editions import edition_names, load_edition
from gesso.web import render

ROOT = Path(hatch_build.__file__).parent
DIST = render.STATIC / "dist"


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    """The front end as the sources are now."""
    hatch_build.build()


def test_a_second_build_does_nothing() -> None:
    assert hatch_build.build() is False


def test_a_lost_file_is_built_again() -> None:
    path = DIST / Path(render.asset("icons.svg")).name
    content = path.read_bytes()
    path.unlink()
    assert hatch_build.build() is True
    assert path.read_bytes() == content, "the same sources give the same file"


def test_every_name_has_its_file_and_nothing_else_lies_around() -> None:
    manifest = json.loads((DIST / "manifest.json").read_text())
    assert {path.name for path in DIST.iterdir()} == {"manifest.json", *manifest["assets"].values()}
    assert {"app.css", "app.js", "icons.svg"} <= set(manifest["assets"])
    for name in manifest["assets"].values():
        assert re.search(r"-[A-Z0-9]{8}\.\w+$", name), name


def test_what_is_unknown_is_refused_by_name() -> None:
    with pytest.raises(render.AssetMissing, match=r"nope\.js"):
        render.asset("nope.js")
    with pytest.raises(render.AssetMissing, match="no-such-icon"):
        render.icon("no-such-icon")
    with pytest.raises(render.AssetMissing, match=r"nope\.webp"):
        render.static("pictures/nope.webp")


def test_icons_are_drawn_from_the_sprite() -> None:
    sprite = (DIST / Path(render.asset("icons.svg")).name).read_text()
    assert 'id="sparkle"' in sprite
    assert "stroke" not in sprite, "strokes are the stylesheet's"
    assert render.icon("sparkle", "big") == (
        f'<svg class="icon big" aria-hidden="true"><use href="{render.asset("icons.svg")}#sparkle"/></svg>'
    )


def test_a_page_stays_under_120_kilobytes_without_its_pictures() -> None:
    names = ("app.css", "app.js", "icons.svg", "inter-latin-wght-normal.woff2")
    addresses = [*map(render.asset, names), *render.imports("app.js")]
    files = [DIST / Path(address).name for address in addresses]
    weight = sum(len(gzip.compress(file.read_bytes(), 6)) for file in files)
    assert weight < 100_000, "20 kB are left for the page itself and its own script"


def test_the_stylesheet_keeps_its_layers_and_names_no_other_host() -> None:
    css = (DIST / Path(render.asset("app.css")).name).read_text()
    assert css.startswith("@layer reset,tokens,base,components,utilities;")
    assert set(re.findall(r"url\([\"']?(/static/dist/|data:|[^)]*)", css)) == {"/static/dist/", "data:"}


def test_every_class_of_the_components_is_styled() -> None:
    css = (DIST / Path(render.asset("app.css")).name).read_text()
    styled = set(re.findall(r"\.([a-z][\w-]*)", css))
    used: set[str] = set()
    for path in (render.PACKAGE / "web/templates").rglob("*.html"):
        for classes in re.findall(r'class="([^"{}]+)"', path.read_text()):
            used.update(classes.split())
    assert used - styled - {"rail__list", "when-busy"} == set()


def test_pictures_are_small_and_their_size_is_known() -> None:
    for path in (render.STATIC / "pictures").iterdir():
        assert path.stat().st_size <= 40_000, path.name
    for picture in (picture for name in edition_names() for picture in load_edition(name).face.landing.pictures):
        with Image.open(render.STATIC / f"pictures/{picture.name}.webp") as image:
            assert image.size == (picture.width, picture.height), picture.name


def test_the_lock_says_what_but_not_where_from() -> None:
    text = (ROOT / "package-lock.json").read_text()
    assert "://" not in text
    packages = json.loads(text)["packages"]
    assert all("integrity" in facts for name, facts in packages.items() if name)
