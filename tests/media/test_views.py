"""Words on pages: titles, file names, costs, days."""

from datetime import date

import pytest

from gesso.core.ids import new_id
from gesso.media.models import Asset
from gesso.media.views import asset_json, cost_words, day_title, file_name, picture, tile, title_of
from tests.media.pictures import utc


def asset(**fields: object) -> Asset:
    values: dict[str, object] = {
        "id": new_id(), "user_id": None, "storage_key": "k", "sha256": bytes(32), "media_type": "image/jpeg",
        "size_bytes": 1, "width": 1024, "height": 512, "thumbhash": b"\1", "workspace_id": new_id(), "favourite": False,
        "created_at": utc(2026, 5, 1), "used_at": None, "deleted_at": None,
    }  # fmt: skip
    return Asset(**(values | fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("prompt", "title"),
    [
        ("Amber glass bottle, warm light", "Amber glass bottle"),
        ("a, b, and many more short things", "a, b, and many more short things"),
        ("Dunes. At dawn", "Dunes. At dawn"),
        ("  spaced \n out  words here ", "spaced out words here"),
        ("word " * 40, "word word word word word word word word word word word word…"),
        ("x" * 200, "x" * 60 + "…"),
        ("", "Picture without a prompt"),
    ],
)
def test_titles(prompt: str, title: str) -> None:
    assert title_of(asset(prompt=prompt)) == title


@pytest.mark.parametrize(
    ("prompt", "stem"),
    [
        ("Amber Bottle!", "amber-bottle"),
        ("../../etc/passwd", "etc-passwd"),
        ('a"b\r\nc;d', "a-b-c-d"),
        ("ночь 夜", "generated"),
        ("y" * 300, "y" * 48),
        ("a very long prompt that goes on and on and on for ever", "a-very-long-prompt-that-goes-on-and-on-and-on"),
    ],
)
def test_file_names_are_plain(prompt: str, stem: str) -> None:
    one = asset(prompt=prompt)
    assert file_name(one) == f"{stem}-{one.id.hex[-8:]}.jpg"


@pytest.mark.parametrize(
    ("charged", "words"),
    [
        ({"credits": "1"}, "1 credit"),
        ({"credits": "0.5"}, "0.5 credits"),
        ({"credits": "12"}, "12 credits"),
        ({"credits": "0", "allowances": {"image": 1}}, "1 picture of the plan"),
        ({"credits": "0"}, "Free"),
    ],
)
def test_costs(charged: dict[str, object], words: str) -> None:
    assert cost_words(charged) == words


def test_days() -> None:
    today = date(2026, 5, 12)
    assert day_title(today, today) == "Today"
    assert day_title(date(2026, 5, 11), today) == "Yesterday"
    assert day_title(date(2026, 5, 4), today) == "Monday, 4 May"
    assert day_title(date(2025, 12, 31), today) == "Wednesday, 31 December 2025"


def test_addresses_are_paths_or_under_a_base() -> None:
    one = asset()
    assert asset_json(one)["url"] == f"/media/{one.id}/original"
    shown = asset_json(one, "https://art.example")
    assert shown["thumbnails"]["640"] == f"https://art.example/media/{one.id}/640"


def test_srcset_says_the_true_widths() -> None:
    wide, tall, small = asset(width=2000, height=1000), asset(width=1000, height=2000), asset(width=500, height=400)
    assert [part.split()[1] for part in tile(wide, "").srcset.split(", ")] == ["320w", "640w", "1280w"]
    assert [part.split()[1] for part in tile(tall, "").srcset.split(", ")] == ["160w", "320w", "640w"]
    assert [part.split()[1] for part in tile(small, "").srcset.split(", ")] == ["320w", "500w"]
    assert picture(small).srcset.endswith("500w")
