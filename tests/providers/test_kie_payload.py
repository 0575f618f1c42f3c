"""Our request in kie.ai's words: pure, model by model."""

from typing import Any

import pytest

from gesso.providers.base import JSON, InputFile, MediaRequest
from gesso.providers.errors import Misconfigured, Rejected
from gesso.providers.kie.options import TABLE, check, door_of, shape_of
from gesso.providers.kie.payload import Payload, body_of, build, check_inputs

PNG = InputFile("image/png", b"png")


def built(model: str, wire: dict[str, JSON] | None = None, urls: list[str] | None = None, **asked: Any) -> Payload:
    request = MediaRequest("image", model, asked.pop("prompt", "a fox"), wire=wire or {}, **asked)
    _, shape = shape_of(model, request.wire, with_pictures=bool(urls))
    return build(request, shape, urls or [])


@pytest.mark.parametrize(
    ("model", "asked", "fields"),
    [
        ("seedream/4.5-text-to-image", {}, {"aspect_ratio": "1:1", "quality": "basic"}),
        ("seedream/4.5-text-to-image", {"quality": "4K", "aspect_ratio": "21:9"},
         {"aspect_ratio": "21:9", "quality": "high"}),
        ("seedream/5-pro-text-to-image", {"quality": "2K", "options": {"output_format": "jpeg"}},
         {"aspect_ratio": "1:1", "quality": "high", "output_format": "jpeg"}),
        ("bytedance/seedream", {"aspect_ratio": "3:4", "seed": 5, "options": {"guidance": 3}},
         {"image_size": "portrait_4_3", "seed": 5, "guidance_scale": 3}),
        ("bytedance/seedream-v4-text-to-image", {"aspect_ratio": "21:9", "quality": "2K"},
         {"image_size": "landscape_21_9", "image_resolution": "2K", "max_images": 1}),
        ("nano-banana-pro", {"aspect_ratio": "auto", "quality": "4K", "options": {"output_format": "jpeg"}},
         {"aspect_ratio": "auto", "resolution": "4K", "output_format": "jpg"}),
        ("google/nano-banana", {"options": {"output_format": "jpeg"}}, {"output_format": "jpeg"}),
        ("flux-2/pro-text-to-image", {"aspect_ratio": "auto"}, {"aspect_ratio": "1:1", "resolution": "1K"}),
        ("flux-kontext-max", {"aspect_ratio": "16:9", "options": {"enhance_prompt": True, "output_format": "png"}},
         {"aspectRatio": "16:9", "promptUpsampling": True, "outputFormat": "png"}),
    ],
)  # fmt: skip
def test_each_model_is_asked_in_its_own_words(model: str, asked: dict[str, Any], fields: dict[str, Any]) -> None:
    payload = built(model, **asked)
    assert (payload.fields, payload.warnings, payload.count) == ({**fields, "prompt": "a fox"}, (), 1)


@pytest.mark.parametrize(
    ("model", "sibling", "fields"),
    [
        ("seedream/4.5-text-to-image", "seedream/4.5-edit", {"image_urls": ["u1", "u2"]}),
        ("flux-2/flex-text-to-image", "flux-2/flex-image-to-image", {"input_urls": ["u1", "u2"]}),
        ("nano-banana-pro", "nano-banana-pro", {"image_input": ["u1", "u2"]}),
        ("flux-kontext-pro", "flux-kontext-pro", {"inputImage": "u1"}),
        ("topaz/image-upscale", "topaz/image-upscale", {"image_url": "u1", "upscale_factor": "2"}),
    ],
)
def test_reference_pictures_go_to_the_model_that_takes_them(model: str, sibling: str, fields: dict[str, Any]) -> None:
    asked, shape = shape_of(model, {}, with_pictures=True)
    assert asked == sibling
    payload = build(MediaRequest("image", model, "a fox"), shape, ["u1", "u2"])
    assert fields.items() <= payload.fields.items()
    assert ("prompt" in payload.fields) == (not model.startswith("topaz"))
    assert shape_of(model, {}, with_pictures=False)[0] == model


def test_what_a_model_cannot_do_is_said() -> None:
    payload = built("nano-banana-pro", seed=4, count=3, width=1280, height=700, quality="ultra", negative_prompt="fog",
                    options={"steps": 9})  # fmt: skip
    assert payload.fields == {"prompt": "a fox\navoid: fog", "aspect_ratio": "16:9"}
    assert [" ".join(text.split()[:3]) for text in payload.warnings] == [
        "This model makes", "This model has", "This model chooses", "This model has", "This model has",
        "This model takes",
    ]  # fmt: skip
    near = built("flux-2/pro-text-to-image", aspect_ratio="21:9")
    assert near.fields["aspect_ratio"] == "16:9" and "the nearest, 16:9" in near.warnings[0]


def test_several_pictures_are_asked_for_in_words_too() -> None:
    payload = built("bytedance/seedream-v4-text-to-image", count=9)
    assert (payload.count, payload.fields["max_images"]) == (6, 6)
    assert payload.fields["prompt"] == "a fox\nMake 6 pictures." and len(payload.warnings) == 1


@pytest.mark.parametrize(
    ("model", "asked", "field"),
    [
        ("seedream/4.5-text-to-image", {"prompt": "x" * 3001}, "prompt"),
        ("nano-banana-pro", {"options": {"output_format": "webp"}}, "output_format"),
        ("nano-banana-pro", {"aspect_ratio": "wide"}, "aspect_ratio"),
        ("nano-banana-pro", {"width": 10}, "size"),
    ],
)
def test_what_would_be_a_wrong_picture_is_refused(model: str, asked: dict[str, Any], field: str) -> None:
    with pytest.raises(Rejected) as caught:
        built(model, **asked)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("model", "files"),
    [
        ("z-image", [PNG]), ("nano-banana-pro", [PNG] * 9), ("recraft/remove-background", []),
        ("nano-banana-pro", [InputFile("image/gif", b"gif")]),
        ("recraft/remove-background", [InputFile("image/png", bytes(5_000_001))]),
    ],
)  # fmt: skip
def test_reference_pictures_that_do_not_fit_are_refused(model: str, files: list[InputFile]) -> None:
    with pytest.raises(Rejected) as caught:
        check_inputs(files, shape_of(model, {}, with_pictures=bool(files))[1])
    assert caught.value.field == "images"


def test_the_body_around_the_fields() -> None:
    payload = built("z-image")
    assert body_of("jobs", "z-image", payload, "https://here/hook") == {
        "model": "z-image", "callBackUrl": "https://here/hook", "input": {"prompt": "a fox", "aspect_ratio": "1:1"},
    }  # fmt: skip
    kontext = body_of("kontext", "flux-kontext-pro", built("flux-kontext-pro"), None)
    assert kontext == {"prompt": "a fox", "model": "flux-kontext-pro"}
    assert (door_of("flux-kontext-max"), door_of("flux-2/pro-text-to-image")) == ("kontext", "jobs")


def test_a_model_nobody_knows_works_by_its_wire() -> None:
    wire: dict[str, JSON] = {
        "size": "ratio", "ratios": {"1:1": "square", "16:9": "wide"}, "seed": "seed", "options": ["style"],
        "choices": {"quality": {"fine": {"tier": 2}}}, "images": "refs", "images_max": 3, "images_model": "new/edit",
    }  # fmt: skip
    payload = built("new/text", wire, aspect_ratio="16:9", seed=3, quality="fine", options={"style": "ink"})
    assert payload.fields == {"prompt": "a fox", "ratio": "wide", "seed": 3, "tier": 2, "style": "ink"}
    asked, shape = shape_of("new/text", wire, with_pictures=True)
    assert (asked, shape.images, shape.images_max) == ("new/edit", "refs", 3)
    assert built("mine/flux", {"like": "flux-2/pro-text-to-image"}).fields["resolution"] == "1K"
    assert built("qwen/text-to-image", width=300, height=100).fields["aspect_ratio"] == "3:1"


@pytest.mark.parametrize(
    "wire",
    [
        {"like": "no/such"}, {"seeds": "seed"}, {"images_max": 0}, {"images": "a-b"}, {"ratios": ["1:1", 2]},
        {"choices": {"quality": 3}}, {"safety": ["("]}, {"options": {"a": 1}}, {"images_required": "yes"},
    ],
)  # fmt: skip
def test_a_slip_in_the_wire_data_is_the_operators(wire: dict[str, JSON]) -> None:
    with pytest.raises(Misconfigured):
        check("z-image", "image", wire)


@pytest.mark.parametrize("model", ["", "../x", "a b", "a//b", "a/?x=1", "https://x"])
def test_a_name_that_is_none_is_the_operators(model: str) -> None:
    with pytest.raises(Misconfigured):
        check(model, "image", {})


def test_the_table_is_sound() -> None:
    for name, shape in TABLE.items():
        assert shape.images_model is None or shape.images_model in TABLE, name
        check(name, "image", {})
