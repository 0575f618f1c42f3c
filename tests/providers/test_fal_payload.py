"""Requests in our words to bodies in each model's: pure, no network."""

from typing import Any

import pytest

from gesso.providers.base import InputFile, MediaRequest
from gesso.providers.errors import Misconfigured, Rejected
from gesso.providers.fal import payload
from gesso.providers.fal.options import TABLE, shape_of
from gesso.providers.fal.payload import Payload, app_path
from gesso.providers.fal.sizes import fitted

ULTRA = "fal-ai/flux-pro/v1.1-ultra"
PHOTO = "rundiffusion-fal/rundiffusion-photo-flux"
LIGHTNING = "rundiffusion-fal/juggernaut-flux/lightning"
PRO = "rundiffusion-fal/juggernaut-flux/pro"
SCHNELL = "fal-ai/flux/schnell"
BANANA_EDIT = "fal-ai/nano-banana/edit"
SEEDREAM = "fal-ai/bytedance/seedream/v4/text-to-image"
SEEDREAM_45 = "fal-ai/bytedance/seedream/v4.5/text-to-image"
UNKNOWN = "some-lab/new-model"


def built(model: str, urls: tuple[str, ...] = (), **asked: Any) -> Payload:
    request = MediaRequest(**{"kind": "image", "model": model, "prompt": "a fox", **asked})
    return payload.build(request, shape_of(model, request.kind, request.wire), urls)


def body(model: str, **asked: Any) -> dict[str, Any]:
    return {name: value for name, value in built(model, **asked).body.items() if name not in ("prompt", "num_images")}


def test_only_what_was_asked_is_sent() -> None:
    for model, shape in TABLE.items():
        assert built(model).body == {"prompt": "a fox", **shape.defaults, **({"num_images": 1} if shape.count else {})}
        assert built(model).warnings == ()


@pytest.mark.parametrize(
    ("model", "asked", "expected"),
    [
        (PRO, {"width": 832, "height": 1216}, {"image_size": {"width": 832, "height": 1216}}),
        (PRO, {"aspect_ratio": "3:4"}, {"image_size": "portrait_4_3"}),
        (PRO, {"aspect_ratio": "2:2"}, {"image_size": "square_hd"}),
        (PRO, {"aspect_ratio": "3:2"}, {"image_size": {"width": 1248, "height": 832}}),
        (PRO, {"options": {"preset": "landscape_16_9"}}, {"image_size": "landscape_16_9"}),
        (PRO, {"aspect_ratio": "auto"}, {}),
        (ULTRA, {"aspect_ratio": "9:21"}, {"aspect_ratio": "9:21"}),
        (ULTRA, {"aspect_ratio": "7:5"}, {"aspect_ratio": "7:5"}),
        (BANANA_EDIT, {"aspect_ratio": "auto"}, {"aspect_ratio": "auto"}),
        (SEEDREAM, {"width": 2048, "height": 2048}, {"image_size": {"width": 2048, "height": 2048}}),
        (SEEDREAM, {"options": {"preset": "auto_2K"}}, {"image_size": "auto_2K"}),
        (SEEDREAM, {"aspect_ratio": "auto"}, {"image_size": "auto"}),
    ],
)
def test_sizes_each_model_can_make(model: str, asked: dict[str, Any], expected: dict[str, Any]) -> None:
    assert body(model, **asked) == expected
    assert built(model, **asked).warnings == ()


@pytest.mark.parametrize(
    ("model", "asked", "expected"),
    [
        (ULTRA, {"width": 1024, "height": 768}, {"aspect_ratio": "4:3"}),
        (ULTRA, {"width": 1366, "height": 768}, {"aspect_ratio": "16:9"}),
        (BANANA_EDIT, {"width": 1000, "height": 400}, {"aspect_ratio": "21:9"}),
        (BANANA_EDIT, {"aspect_ratio": "7:5"}, {"aspect_ratio": "4:3"}),
        (SEEDREAM, {"width": 512, "height": 512}, {"image_size": {"width": 960, "height": 960}}),
        (f"{PRO}/image-to-image", {"width": 512, "height": 512}, {}),
    ],
)
def test_sizes_a_model_cannot_make_become_the_nearest_with_a_warning(
    model: str, asked: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert body(model, **asked) == expected
    assert len(built(model, **asked).warnings) == 1


def test_a_ratio_on_a_model_with_a_least_area_reaches_it() -> None:
    size = body(SEEDREAM_45, aspect_ratio="16:9")["image_size"]
    assert size["width"] * size["height"] >= 2560 * 1440
    assert abs(size["width"] / size["height"] - 16 / 9) < 0.02


@pytest.mark.parametrize("pixels", [(1, 1), (14142, 14142), (64, 4000), (3000, 20)])
def test_fitted_areas_lie_within_the_limits(pixels: tuple[int, int]) -> None:
    width, height = fitted(pixels, 960**2, 4096**2)
    assert 960**2 <= width * height <= 4096**2
    assert width % 16 == height % 16 == 0


@pytest.mark.parametrize(
    "asked",
    [{"aspect_ratio": "wide"}, {"aspect_ratio": "0:1"}, {"aspect_ratio": "16:9:4"}, {"aspect_ratio": "１:1"},
     {"width": 512}, {"width": 0, "height": 5}, {"width": 99999, "height": 5}, {"options": {"preset": "gigantic"}}],
)  # fmt: skip
def test_senseless_sizes_are_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(Rejected) as caught:
        built(PRO, **asked)
    assert caught.value.kind == "input"


def test_settings_go_where_the_model_wants_them() -> None:
    sent = body(PHOTO, seed=9, options={"steps": 30, "guidance": 4.5, "output_format": "png", "photo_lora_scale": 0.5})
    assert sent == {"num_inference_steps": 30, "guidance_scale": 4.5, "output_format": "png",
                    "photo_lora_scale": 0.5, "seed": 9}  # fmt: skip
    assert body(ULTRA, options={"raw": True, "strength": 0.3}) == {"raw": True, "image_prompt_strength": 0.3}


def test_settings_a_model_lacks_are_left_out_with_a_warning() -> None:
    outcome = built(LIGHTNING, options={"guidance": 3, "style": "film"}, quality="max")
    assert outcome.body == {"prompt": "a fox", "num_images": 1}
    assert len(outcome.warnings) == 3
    assert built(ULTRA, options={"steps": 3}).warnings == ("This model has no setting “steps”; it was left out.",)


def test_a_negative_prompt_is_appended_where_there_is_none() -> None:
    outcome = built(PRO, negative_prompt=" fog ")
    assert outcome.body["prompt"] == "a fox\navoid: fog"
    assert len(outcome.warnings) == 1
    native = built(UNKNOWN, negative_prompt="fog", wire={"negative": "negative_prompt"})
    assert (native.body["prompt"], native.body["negative_prompt"], native.warnings) == ("a fox", "fog", ())
    dropped = built(UNKNOWN, negative_prompt="fog", wire={"negative": "none"})
    assert dropped.body["prompt"] == "a fox"
    assert len(dropped.warnings) == 1


def test_digits_that_are_strings() -> None:
    wire = {"defaults": {"safety_tolerance": 2, "enable_safety_checker": True}}
    assert body(ULTRA, wire=wire) == {"safety_tolerance": "2", "enable_safety_checker": True}


def test_quality_is_a_field_or_a_set_of_fields() -> None:
    assert body("fal-ai/nano-banana-2", quality="2K") == {"resolution": "2K"}
    tiers = {"quality": {"high": {"num_inference_steps": 40}}}
    assert body(PRO, quality="high", wire=tiers) == {"num_inference_steps": 40}
    assert body(UNKNOWN, quality="720p", wire={"quality": "resolution"}) == {"resolution": "720p"}


def test_an_unknown_model_is_described_by_wire_alone() -> None:
    wire = {"size": "aspect_ratio", "steps": "num_steps", "guidance": "cfg_scale", "images": "start_image_url",
            "count": "none", "seed": "none", "options": {"duration": "duration"}, "text": ["duration"],
            "defaults": {"generate_audio": False}}  # fmt: skip
    outcome = built(
        UNKNOWN, ("https://x/1",), kind="video", aspect_ratio="16:9", seed=1, wire=wire,
        options={"steps": 4, "guidance": 2, "duration": 5},
    )  # fmt: skip
    assert outcome.body == {
        "prompt": "a fox", "aspect_ratio": "16:9", "num_steps": 4, "cfg_scale": 2, "duration": "5",
        "start_image_url": "https://x/1", "generate_audio": False,
    }  # fmt: skip
    assert outcome.warnings == ("This model takes no seed; it was left out.",)


@pytest.mark.parametrize(
    "wire",
    [{"size": "huge"}, {"steps": "Not A Field"}, {"defaults": []}, {"unheard": 1}, {"images_max": -1}, {"text": [1]},
     {"options": {"a": "b c"}}, {"quality": 3}, {"unit_cost_micro_usd": 1.5}],
)  # fmt: skip
def test_a_slip_in_wire_is_the_operators_to_mend(wire: dict[str, Any]) -> None:
    with pytest.raises(Misconfigured) as caught:
        built(UNKNOWN, wire=wire)
    assert caught.value.note is not None
    assert next(iter(wire)) in caught.value.note


def test_reference_pictures_are_never_dropped_silently() -> None:
    def check(model: str, number: int, **wire: Any) -> None:
        inputs = tuple(InputFile("image/png", b"x") for _ in range(number))
        payload.check_inputs(MediaRequest("image", model, "x", inputs=inputs), shape_of(model, "image", wire))

    check(BANANA_EDIT, 10)
    check(ULTRA, 1)
    check(UNKNOWN, 3, images="image_urls")
    for model, number in ((BANANA_EDIT, 0), (BANANA_EDIT, 11), (ULTRA, 2), (SCHNELL, 1)):
        with pytest.raises(Rejected):
            check(model, number)


def test_pictures_go_as_one_url_or_as_a_list() -> None:
    assert built(ULTRA, ("https://x/1",)).body["image_url"] == "https://x/1"
    assert built(BANANA_EDIT, ("https://x/1",)).body["image_urls"] == ["https://x/1"]


def test_more_than_a_model_makes_at_once_is_said() -> None:
    outcome = built(PRO, count=9)
    assert (outcome.count, outcome.body["num_images"], len(outcome.warnings)) == (4, 4, 1)


def test_the_path_of_requests_drops_the_sub_path() -> None:
    assert app_path(ULTRA) == "fal-ai/flux-pro"
    assert app_path("workflows/me/mine/v2") == "workflows/me/mine"
