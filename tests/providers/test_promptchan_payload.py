"""From our words to their bodies: fixed fields, choices as data, prices in gems."""

from decimal import Decimal
from typing import Any

import pytest

from gesso.providers.base import InputFile, MediaRequest
from gesso.providers.errors import Misconfigured, Rejected
from gesso.providers.promptchan import chatting, payload
from gesso.providers.promptchan.options import check, shape_of
from gesso.providers.text import TextMessage, TextRequest

POSES = {"Anime": ["Standing", "Walking"], "Cinematic": ["Sitting"]}


def asked(**more: Any) -> MediaRequest:
    return MediaRequest(**{"kind": "image", "model": "m", "prompt": "a woman at a harbour", **more})


def body(wire: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return payload.picture(asked(wire=wire or {}, **more), shape_of(wire or {})).body


def test_the_body_of_a_picture_is_whole_and_nothing_else() -> None:
    assert body() == {
        "prompt": "a woman at a harbour", "style": "Cinematic", "poses": "Default", "filter": "Default",
        "emotion": "Default", "quality": "Ultra", "image_size": "512x512", "restore_faces": False, "age_slider": 25,
        "seed": -1,
    }  # fmt: skip


def test_every_knob_goes_under_their_name() -> None:
    wire: dict[str, Any] = {"poses": POSES, "sliders": {"height": "height_slider"}, "styles": ["House style"]}
    options = {
        "style": "anime", "pose": "Walking", "filter": "Watercolor", "emotion": "Smiling", "detail": 1.5,
        "creativity": 70, "restore_faces": True, "weight": -0.5, "height": 1, "age": 44,
    }  # fmt: skip
    made = payload.picture(
        asked(options=options, quality="extreme", seed=7, negative_prompt="crowds", width=700, height=1000),
        shape_of(wire),
    )
    assert made.body == {
        "prompt": "a woman at a harbour", "negative_prompt": "crowds", "style": "Anime", "poses": "Walking",
        "filter": "Watercolor", "emotion": "Smiling", "quality": "Extreme", "image_size": "512x768",
        "restore_faces": True, "age_slider": 44, "seed": 7, "detail": 1.5, "creativity": 70, "weight_slider": -0.5,
        "height_slider": 1,
    }  # fmt: skip
    assert made.gems == 3
    assert made.warnings == ("This model makes only certain sizes; 512×768 was the nearest.",)
    assert body(wire, options={"style": "House style"})["style"] == "House style"


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"style": "Nonsense"}, "style"), ({"style": 3}, "style"), ({"filter": "None"}, "filter"),
        ({"emotion": "Bored"}, "emotion"), ({"pose": "Sitting", "style": "Anime"}, "pose"), ({"pose": 1}, "pose"),
        ({"detail": 3}, "detail"), ({"weight": "heavy"}, "weight"), ({"creativity": True}, "creativity"),
        ({"restore_faces": "yes"}, "restore_faces"),
    ],
)  # fmt: skip
def test_what_might_be_paid_for_as_a_wrong_picture_is_refused(options: dict[str, Any], field: str) -> None:
    with pytest.raises(Rejected) as caught:
        body({"poses": POSES}, options=options)
    assert (caught.value.kind, caught.value.field) == ("input", field)


@pytest.mark.parametrize(
    ("more", "size", "warned"),
    [
        ({"width": 512, "height": 768}, "512x768", False), ({"aspect_ratio": "3:2"}, "768x512", False),
        ({"aspect_ratio": "16:9"}, "768x512", True), ({"width": 1024, "height": 1024}, "512x512", True),
        ({"aspect_ratio": "auto"}, "512x512", False), ({}, "512x512", False),
    ],
)  # fmt: skip
def test_sizes(more: dict[str, Any], size: str, warned: bool) -> None:
    made = payload.picture(asked(**more), shape_of({}))
    assert made.body["image_size"] == size
    assert bool(made.warnings) == warned


def test_quality_decides_the_price_so_it_is_always_said() -> None:
    prices = {quality: payload.picture(asked(quality=quality), shape_of({})).gems for quality in ("Ultra", "max")}
    assert prices == {"Ultra": 1, "max": 3}
    assert body({"defaults": {"quality": "Max"}})["quality"] == "Max"
    assert body({"defaults": {"quality": "Max"}}, quality="ultra")["quality"] == "Ultra"
    with pytest.raises(Rejected) as caught:
        body(quality="hd")
    assert caught.value.field == "quality"


def test_pictures_to_start_from_are_never_taken_whatever_the_catalogue_says() -> None:
    photo = InputFile("image/jpeg", b"a photograph")
    for kind, build in (("image", payload.picture), ("video", payload.video)):
        with pytest.raises(Rejected) as caught:
            build(asked(kind=kind, inputs=(photo,)), shape_of({}))
        assert caught.value.field == "images"
    with pytest.raises(Rejected):
        chatting.body(TextRequest("m", (TextMessage("user", "Look", (photo,)),)), shape_of({}))
    slips: tuple[dict[str, Any], ...] = ({"images": True}, {"image_field": "image"}, {"defaults": {"image": "x"}})
    for wire in slips:
        with pytest.raises(Misconfigured):
            shape_of(wire)


def test_several_at_once_and_unknown_settings_are_told() -> None:
    made = payload.picture(asked(count=4, options={"steps": 30}), shape_of({}))
    assert made.warnings == (
        "This model makes one at a time.",
        "This model has no setting “steps”; it was left out.",
    )


def test_the_body_of_a_video() -> None:
    wire: dict[str, Any] = {"gems": {"Standard": "10", "High": "20"}, "usd_per_gem": "0.0401"}
    made = payload.video(
        asked(quality="High", seed=3, aspect_ratio="16:9", options={"audio": True, "duration": 4}), shape_of(wire)
    )
    assert made.body == {
        "prompt": "a woman at a harbour", "age_slider": 25, "video_quality": "High", "audioEnabled": True,
        "aspect": "Wide", "seed": 3,
    }  # fmt: skip
    assert made.gems == 20
    assert payload.micro_usd(made.gems, shape_of(wire)) == 802_000
    assert made.warnings == ("This model chooses the length of its videos itself.",)
    newer = shape_of({"api": "v3.1", "style": "Anime"})
    assert payload.video(asked(aspect_ratio="9:16"), newer).body["aspect"] == "Portrait"
    assert payload.video(asked(), newer).body["aspect"] == "Square"
    assert payload.video(asked(), newer).body["style"] == "Anime"


def test_costs_are_rounded_up_and_unknown_without_a_price() -> None:
    assert payload.micro_usd(Decimal(1), shape_of({"usd_per_gem": "0.0000001"})) == 1
    assert payload.micro_usd(Decimal(1), shape_of({})) is None
    assert payload.micro_usd(None, shape_of({"usd_per_gem": "1"})) is None


@pytest.mark.parametrize(
    "wire",
    [
        {"api": "v4"}, {"seconds": 0}, {"seconds": True}, {"usd_per_gem": "-1"}, {"usd_per_gem": "NaN"}, {"gems": []},
        {"poses": "Standing"}, {"styles": [3]}, {"sliders": {"age": "height_slider"}}, {"sliders": {"x": "prompt"}},
        {"sliders": {"x": "seed"}}, {"sliders": {"x": 1}}, {"character": {"openness": 3}}, {"character": {"Name": "A"}},
        {"defaults": {"lens": 1}}, {"age": 17}, {"user_name": ""}, {"roleplay": "yes"}, {"anything": 1},
    ],
)  # fmt: skip
def test_a_slip_in_the_wire_data_is_found_before_it_is_paid_for(wire: dict[str, Any]) -> None:
    with pytest.raises(Misconfigured) as caught:
        check("m", "image", wire)
    assert caught.value.kind == "model"


def test_the_body_of_a_chat() -> None:
    messages = (
        TextMessage("system", "Answer in English."), TextMessage("user", "Hello"), TextMessage("assistant", "Hi."),
        TextMessage("user", "How is the sea today?"),
    )  # fmt: skip
    wire: dict[str, Any] = {
        "character": {"name": "Ada", "personality": "calm", "openness": 2, "tone": "warm"},
        "user_name": "Sam",
    }
    made: Any = chatting.body(TextRequest("m", messages, wire=wire, options={"scenario": "A pier."}), shape_of(wire))
    assert made == {
        "message": "How is the sea today?", "userName": "Sam", "isRoleplay": False, "redo": False,
        "characterData": {
            "name": "Ada", "personality": "calm", "scenario": "A pier.\n\nAnswer in English.", "openness": 2,
            "emotions": 1, "tone": "warm", "age": 25,
        },
        "chatHistory": [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi."}],
    }  # fmt: skip
    with pytest.raises(Rejected):
        chatting.body(TextRequest("m", (TextMessage("system", "Only this."),)), shape_of({}))
