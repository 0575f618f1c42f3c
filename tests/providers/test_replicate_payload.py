"""What is sent to each model, and what each answer's parts mean. Pure."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from gesso.providers.base import JSON, InputFile, MediaRequest
from gesso.providers.errors import Misconfigured, Rejected
from gesso.providers.replicate import payload, wire
from gesso.providers.replicate.options import shape_of
from gesso.providers.replicate.outputs import places
from gesso.providers.replicate.payload import Payload
from gesso.providers.replicate.wire import File

SDXL = "stability-ai/sdxl"
SCHNELL = "black-forest-labs/flux-schnell"
PRO = "black-forest-labs/flux-1.1-pro"
SVD = "stability-ai/stable-video-diffusion"
MULTI = "lucataco/flux-dev-multi-lora"
CONTROLNET = "fofr/sdxl-multi-controlnet-lora"
PICTURE = InputFile("image/png", b"x")


def built(model: str, *urls: str, **asked: Any) -> Payload:
    request = MediaRequest(asked.pop("kind", "image"), model, asked.pop("prompt", "a fox"), **asked)
    return payload.build(request, shape_of(model, request.kind, request.wire), urls)


def test_sdxl_with_everything() -> None:
    made = built(
        SDXL, "https://a/1", negative_prompt="fog", count=3, seed=7, width=1024, height=768,
        options={"steps": 30, "guidance": 7, "strength": 0.5, "watermark": False},
    )  # fmt: skip
    assert made.input == {
        "prompt": "a fox", "negative_prompt": "fog", "num_outputs": 3, "seed": 7, "width": 1024, "height": 768,
        "num_inference_steps": 30, "guidance_scale": 7, "prompt_strength": 0.5, "apply_watermark": False,
        "image": "https://a/1",
    }  # fmt: skip
    assert (made.count, made.warnings) == (3, ())


@pytest.mark.parametrize(
    ("asked", "size", "warned"),
    [({"width": 1023, "height": 770}, (1024, 768), True), ({"aspect_ratio": "16:9"}, (1344, 768), False),
     ({"aspect_ratio": "9:16"}, (768, 1344), False), ({"width": 8000, "height": 4000}, (4096, 2048), True),
     ({"width": 1000, "height": 1000}, (1000, 1000), False)],
)  # fmt: skip
def test_sides_are_divisible_by_eight(asked: dict[str, Any], size: tuple[int, int], warned: bool) -> None:
    made = built(SDXL, **asked)
    assert (made.input["width"], made.input["height"]) == size
    assert bool(made.warnings) == warned


def test_flux_takes_ratios_and_words_of_its_own() -> None:
    made = built(SCHNELL, aspect_ratio="21:9", options={"output_format": "jpeg", "megapixels": 0.25, "steps": 4})
    assert made.input == {
        "prompt": "a fox", "aspect_ratio": "21:9", "output_format": "jpg", "megapixels": "0.25", "num_outputs": 1,
        "num_inference_steps": 4,
    }  # fmt: skip
    assert built(SCHNELL, options={"output_format": "png"}).input["output_format"] == "png"
    nearest = built(SCHNELL, aspect_ratio="2:1")
    assert (nearest.input["aspect_ratio"], len(nearest.warnings)) == ("16:9", 1)
    assert "1:1 was asked for" in built(SCHNELL, width=512, height=512).warnings[0]
    assert built(SCHNELL, negative_prompt="fog").input["prompt"] == "a fox\navoid: fog"
    assert len(built(SCHNELL, count=6, options={"guidance": 3}).warnings) == 2


def test_flux_pro_takes_pixels_as_custom() -> None:
    made = built(PRO, width=1000, height=500, count=2)
    assert made.input == {"prompt": "a fox", "width": 992, "height": 512, "aspect_ratio": "custom"}
    assert len(made.warnings) == 2 and made.count == 1
    assert built(PRO, width=100, height=200).input["width"] == 256
    assert built(PRO, aspect_ratio="3:2").input == {"prompt": "a fox", "aspect_ratio": "3:2"}


@pytest.mark.parametrize("ratio", ["16/9", "0:1", "1:100", "a:b", ""])
def test_a_ratio_that_is_none_is_refused(ratio: str) -> None:
    with pytest.raises(Rejected, match="must look like"):
        built(SCHNELL, aspect_ratio=ratio)


def test_a_film_comes_from_a_picture_alone() -> None:
    made = built(
        SVD, "https://a/1", kind="video", prompt="", seed=3,
        options={"duration": 2, "motion": 80, "noise": 0.1, "framing": "crop_to_16_9"},
    )  # fmt: skip
    assert made.input == {
        "video_length": "25_frames_with_svd_xt", "frames_per_second": 12, "motion_bucket_id": 80, "cond_aug": 0.1,
        "sizing_strategy": "crop_to_16_9", "input_image": "https://a/1", "seed": 3,
    }  # fmt: skip
    assert made.warnings == ()
    usual = built(SVD, "https://a/1", kind="video", prompt="ignored")
    assert usual.input == {
        "video_length": "25_frames_with_svd_xt", "frames_per_second": 6, "input_image": "https://a/1"
    }  # fmt: skip
    assert usual.warnings == ("This model works from the picture alone; the prompt was not used.",)
    with pytest.raises(Rejected, match=r"no duration “60”") as caught:
        built(SVD, "https://a/1", kind="video", options={"duration": 60})
    assert caught.value.field == "duration"


def test_loras_one_or_in_parallel_lists() -> None:
    one: list[JSON] = [{"url": "https://w/1.tar", "scale": 0.7}]
    assert built(SDXL, options={"loras": one}).input["replicate_weights"] == "https://w/1.tar"
    single = built(CONTROLNET, options={"loras": one, "controlnet_1": "edge_canny"}).input
    assert (single["lora_weights"], single["lora_scale"]) == ("https://w/1.tar", 0.7)
    assert single["controlnet_1"] == "edge_canny"
    two = built(MULTI, options={"loras": [*one, {"ref": "some/weights"}]}).input
    assert (two["hf_loras"], two["lora_scales"]) == (["https://w/1.tar", "some/weights"], [0.7, 0.8])
    assert "hf_loras" not in built(MULTI, options={"loras": []}).input
    assert built("a/b", wire={"loras": {"weights": "w", "scales": "s"}}, options={"loras": one}).input["w"]


@pytest.mark.parametrize(
    "loras",
    ["x", [{"url": "https://w/1"}, {"url": "https://w/2"}], [{}], [{"url": "http://w/1"}],
     [{"url": "https://w", "ref": "a"}], [{"ref": ""}],
     [{"ref": "a/b", "scale": 1.5}], [{"ref": "a/b", "scale": True}], [{"ref": "a/b", "size": 1}], [7]],
)  # fmt: skip
def test_lora_lists_that_would_make_a_wrong_picture(loras: JSON) -> None:
    with pytest.raises(Rejected) as caught:
        built(SDXL, options={"loras": loras})
    assert (caught.value.kind, caught.value.field) == ("input", "loras")
    with pytest.raises(Rejected):
        built(SCHNELL, options={"loras": [{"ref": "a/b"}]})


def test_pictures_must_fit() -> None:
    def check(model: str, count: int, **given: JSON) -> None:
        request = MediaRequest("image", model, "a", inputs=(PICTURE,) * count, wire=given)
        payload.check_inputs(request, shape_of(model, "image", given))

    check(SDXL, 2)
    check(SVD, 1)
    check("a/b", 3, images="input_images", images_max=4)
    for model, count in ((SCHNELL, 1), (SDXL, 3), (SVD, 0), (SVD, 2), ("a/b", 1)):
        with pytest.raises(Rejected):
            check(model, count)
    both = built("a/b", "https://1", "https://2", wire={"images": ["image", "mask"]}).input
    assert (both["image"], both["mask"]) == ("https://1", "https://2")
    assert built("a/b", "https://1", wire={"images": "pictures", "images_max": 4}).input["pictures"] == ["https://1"]


HEX = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("model", "given", "path", "version"),
    [(SCHNELL, {}, f"/models/{SCHNELL}/predictions", None),
     (SDXL, {}, "/predictions", "39ed52f2a78e934b3ba6e2a89f5b1c712de7dfea535525255b1aa35c5565e08b"),
     (f"{SDXL}:{HEX}", {}, "/predictions", HEX),
     ("me/mine", {"version": HEX, "like": SDXL}, "/predictions", HEX),
     ("me/mine", {"like": SDXL}, "/models/me/mine/predictions", None),
     ("deployments/me/mine", {"like": SDXL}, "/deployments/me/mine/predictions", None)],
)  # fmt: skip
def test_three_ways_to_ask(model: str, given: dict[str, JSON], path: str, version: str | None) -> None:
    target = payload.target(model, shape_of(model, "image", given))
    assert (target.path, target.version) == (path, version)


@pytest.mark.parametrize(
    "model", ["a", "a/../b", "a/b/c", "a/b?x=1", "a/b:latest", f"deployments/a/b:{HEX}", "/a/b", "a/b\n"]
)
def test_a_model_cannot_bend_the_url(model: str) -> None:
    with pytest.raises(Misconfigured):
        payload.target(model, shape_of(model, "image", {}))


@pytest.mark.parametrize(
    "given",
    [{"like": "no/such"}, {"version": "1"}, {"size": "big"}, {"steps": "A B"}, {"count_max": 0}, {"images": []},
     {"safety": ["("]}, {"options": {"a": "B C"}}, {"choices": {"a": 1}}, {"loras": {"weights": "w"}},
     {"loras": {"weights": "w", "scales": "s", "max": 3}}, {"colour": "red"}, {"micro_usd_per_second": 0.5}],
)  # fmt: skip
def test_a_slip_in_the_wire_data_is_found(given: dict[str, JSON]) -> None:
    with pytest.raises(Misconfigured):
        shape_of(SDXL, "image", given)


@pytest.mark.parametrize(("seconds", "text"), [(1, "5s"), (59.9, "59s"), (60, "1m"), (299, "4m"), (7200, "120m")])
def test_deadlines_are_durations_rounded_down(seconds: float, text: str) -> None:
    assert payload.duration_text(seconds) == text


def files(*numbers: int | None) -> tuple[File, ...]:
    return tuple(File(url=f"https://x/{index}", number=number) for index, number in enumerate(numbers))


@pytest.mark.parametrize(
    ("found", "held_back", "count", "urls", "flagged"),
    [
        (files(0, 2), (1,), 3, [0, None, 1], {1}),  # told by the names
        (files(2, 0), (1,), 3, [1, None, 0], {1}),  # also when they come in another order
        (files(None, None), (0,), 3, [None, 0, 1], {0}),  # told by the logs
        (files(None), (1, 3), 3, [None, 0, None], {0, 2}),  # whose numbers can only be from one
        (files(None), (0, 2), 3, [None, 0, None], {0, 2}),
        (files(0, 1), (), 3, [0, 1, None], set()),  # missing, and nobody says why
        (files(None, None), (0, 1), 3, [0, 1, None], {2}),  # two said, one missing: which one is not known
        ((None, *files(None)), (0,), 2, [None, 0], {0}),  # the empty place came with the answer
        (files(None, None, None), (), 2, [0, 1], set()),
    ],
)  # fmt: skip
def test_what_is_left_out_keeps_its_place(
    found: tuple[File | None, ...], held_back: tuple[int, ...], count: int, urls: list[int | None], flagged: set[int]
) -> None:
    placed, held = places(found, held_back, count)
    assert [file and file.url for file in placed] == [None if at is None else f"https://x/{at}" for at in urls]
    assert held == flagged


def test_outputs_of_every_shape() -> None:
    assert [f and f.url for f in wire.files("https://x/output.mp4")] == ["https://x/output.mp4"]
    assert [f and f.number for f in wire.files(["https://x/out-0.png", "https://x/out-2.webp?a=1"])] == [0, 2]
    assert [f and f.url for f in wire.files({"seed": 5, "images": ["https://x/a", None]})] == ["https://x/a", None]
    assert [f and f.url for f in wire.files([{"image": "https://x/a"}])] == ["https://x/a"]
    (inline,) = wire.files(["data:image/png;base64,QUJD"])
    assert inline is not None and (inline.data, inline.media_type, inline.url) == (b"ABC", "image/png", None)
    assert wire.files(["data:image/png;base64,***"]) == (None,)
    nothings: list[Any] = [None, 5, "words", [], {}, {"a": {"b": {"c": {"d": "https://x/a"}}}}]
    for nothing in nothings:
        assert wire.files(nothing) == ()


def test_logs_and_times() -> None:
    logs = "Using seed: 41\n 30%|███  | 15/50 [00:01<00:02]\r100%|█████| 50/50 [..]\n 20%|██  | 2/10 [00:00<00:01]\n\n"
    assert wire.progress(logs) == 0.2 and wire.seed(logs) == 41
    assert wire.progress("no bar") is None and wire.progress("0%|  | 0/0 [x]") is None
    assert wire.held_back("NSFW content detected in image 0\nNSFW content detected in image 2") == (0, 2)
    assert wire.moment("2026-11-02T10:00:00.123456789Z") == datetime(2026, 11, 2, 10, 0, 0, 123456, UTC)
    assert wire.moment("2026-11-02T10:00:00.5Z") == datetime(2026, 11, 2, 10, 0, 0, 500000, UTC)
    assert wire.moment("soon") is wire.moment(5) is wire.moment("2026-11-02") is None
    told = wire.prediction({"id": "a1", "metrics": {"predict_time": 1.25}, "error": {"odd": 1}, "output": 7})
    assert told is not None and told.predict_seconds == Decimal("1.25") and told.error == "{'odd': 1}"
    odds: list[Any] = [None, [], {}, {"id": 5}, {"id": "a/b"}, {"id": ""}]
    for odd in odds:
        assert wire.prediction(odd) is None
