"""Workflows with values in their places, and wire data that cannot be used."""

import copy
import io
from typing import Any

import pytest
from PIL import Image

from gesso.providers.base import InputFile, MediaRequest
from gesso.providers.comfyui import payload
from gesso.providers.comfyui.options import shape_of
from gesso.providers.errors import Misconfigured, Rejected
from gesso.providers.registry import wire_problem
from tests.providers.comfyui_workflows import PICTURE_WIRE, PLACES, SDXL, WAN_WIRE, WIRE


def picture() -> InputFile:
    data = io.BytesIO()
    Image.new("RGB", (8, 8)).save(data, "PNG")
    return InputFile("image/png", data.getvalue())


def built(wire: dict[str, Any] = WIRE, images: tuple[str, ...] = (), **asked: Any) -> payload.Payload:
    request = MediaRequest(**{"kind": "image", "model": "m", "prompt": "a fox", **asked})
    shape = shape_of("m", "image", wire)
    return payload.build(request, shape, name="call", seed=request.seed or 99, images=images)


def at(made: payload.Payload, place: str) -> Any:
    node, _, name = place.partition(".")
    return made.workflow[node]["inputs"][name]  # type: ignore[index,call-overload]


def test_every_value_goes_to_its_place_and_nothing_else_changes() -> None:
    before = copy.deepcopy(WIRE)
    made = built(
        negative_prompt="fog", width=640, height=480, count=3, seed=7, options={"steps": 12, "guidance": 5.5, "x": None}
    )
    values = {"6.text": "a fox", "7.text": "fog", "5.width": 640, "5.height": 480, "5.batch_size": 3, "3.seed": 7,
              "3.steps": 12, "3.cfg": 5.5, "9.filename_prefix": "gesso/call"}  # fmt: skip
    wanted = copy.deepcopy(SDXL)
    for place, value in values.items():
        wanted[place.partition(".")[0]]["inputs"][place.partition(".")[2]] = value
    assert (made.workflow, made.count, made.warnings) == (wanted, 3, ())
    assert before == WIRE, "the catalogue's own workflow must stay as it is"


def test_what_is_not_asked_for_stays_as_the_workflow_has_it() -> None:
    made = built()
    assert (at(made, "7.text"), at(made, "5.width"), at(made, "3.steps"), at(made, "3.seed")) == (
        "blurry",
        1024,
        20,
        99,
    )


def test_what_a_workflow_has_no_place_for_is_said() -> None:
    wire = {"workflow": SDXL, "places": {"prompt": "6.text"}}
    made = built(wire, negative_prompt="fog", width=64, height=64, count=2, seed=1, quality="high", options={"sky": 1})
    assert at(made, "6.text") == "a fox\navoid: fog" and made.count == 1
    said = " ".join(made.warnings)
    for words in ("negative prompt", "chooses the size", "one at a time", "no seed", "no quality “high”", "“sky”"):
        assert words in said
    assert "negative" in " ".join(built(wire | {"negative": "none"}, negative_prompt="fog").warnings)
    unprompted = built({"workflow": SDXL, "places": {"seed": "3.seed"}})
    assert at(unprompted, "6.text") == "a lighthouse" and "prompt was not used" in unprompted.warnings[0]


@pytest.mark.parametrize(
    ("asked", "size", "warned"),
    [
        ({"width": 640, "height": 480}, (640, 480), False),
        ({"width": 645, "height": 483}, (648, 480), True),
        ({"width": 8192, "height": 4096}, (4096, 2048), True),
        ({"aspect_ratio": "1:1"}, (1024, 1024), False),
        ({"aspect_ratio": "16:9"}, (1368, 768), False),
        ({"aspect_ratio": "auto"}, (1024, 1024), False),
    ],
)
def test_sizes(asked: dict[str, Any], size: tuple[int, int], warned: bool) -> None:
    made = built(**asked)
    assert (at(made, "5.width"), at(made, "5.height")) == size and bool(made.warnings) is warned


def test_numbers_are_changed_as_the_place_says() -> None:
    made = built(WAN_WIRE, ("x.png",), options={"duration": 5})
    assert at(made, "50.length") == 81 and at(made, "52.image") == "x.png"
    assert at(built(WAN_WIRE, ("x.png",), options={"duration": "2.5"}), "50.length") == 41


def test_one_value_for_several_places_and_choices_of_several() -> None:
    wire = WIRE | {
        "places": PLACES | {"prompt": ["6.text", "7.text"], "guidance": "3.cfg"},
        "choices": {"quality": {"high": {"3.steps": 40, "3.sampler_name": "heun"}}, "look": {"soft": {"3.cfg": 3}}},
    }
    del wire["places"]["negative"]
    made = built(wire, quality="high", options={"look": "soft"})
    assert at(made, "6.text") == at(made, "7.text") == "a fox"
    assert (at(made, "3.steps"), at(made, "3.sampler_name"), at(made, "3.cfg")) == (40, "heun", 3)
    with pytest.raises(Rejected) as caught:
        built(wire, options={"look": "hard"})
    assert caught.value.field == "look"


@pytest.mark.parametrize("value", ["many", True, "nan", ["4"], {"a": 1}])
def test_a_value_that_fits_no_number(value: Any) -> None:
    with pytest.raises(Rejected) as caught:
        built(options={"steps": value})
    assert caught.value.field == "steps"


def test_pictures_must_be_as_many_as_are_loaded() -> None:
    two = PICTURE_WIRE | {"workflow": {**PICTURE_WIRE["workflow"], "12": PICTURE_WIRE["workflow"]["10"]},
                          "images": ["10.image", "12.image"]}  # fmt: skip
    for wire, given, said in (
        (WIRE, 1, "does not take reference pictures"),
        (PICTURE_WIRE, 0, "needs a picture to start from"),
        (PICTURE_WIRE, 2, "at most one picture"),
        (two, 1, "needs 2 pictures"),
    ):
        request = MediaRequest("image", "m", "a fox", inputs=(picture(),) * given)
        with pytest.raises(Rejected, match=said):
            payload.check_inputs(request, shape_of("m", "image", wire))
    payload.check_inputs(MediaRequest("image", "m", "", inputs=(picture(),) * 2), shape_of("m", "image", two))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"workflow": None}, "workflow is missing"),
        ({"workflow": {"nodes": [], "links": []}}, "Export (API)"),
        ({"workflow": {"3": {"inputs": {}}}}, "node 3 needs a class_type"),
        (
            {"workflow": {"3": {"class_type": "KSampler", "inputs": {"model": ["4", 0]}}}, "places": {}},
            "linked to node 4",
        ),
        ({"places": {"prompt": "66.text"}}, "no place 66.text"),
        ({"places": {"prompt": "6.words"}}, "no place 6.words"),
        ({"places": {"prompt": "6.clip"}}, "6.clip holds no text"),
        ({"places": {"prompt": "3.seed"}}, "3.seed holds no text"),
        ({"places": {"seed": "6.text"}}, "6.text holds no whole number"),
        ({"places": {"steps": "3.model"}}, "3.model holds no plain value"),
        ({"places": {"width": "5.width"}}, "both width and height"),
        ({"places": {"steps": []}}, "names no place"),
        ({"places": {"steps": 3}}, "text or a list of texts"),
        ({"places": {"steps": {"at": "3.steps", "times": "2"}}}, "must be numbers"),
        ({"places": {"steps": {"at": "3.steps", "by": 2}}}, "may hold at, times and plus"),
        ({"places": ["6.text"]}, "places must be a table"),
        ({"outputs": ["99"]}, "no node 99"),
        ({"images": "6.clip"}, "6.clip holds no text"),
        ({"negative": "7.text"}, "append or none"),
        ({"choices": {"look": {"soft": 3}}}, "choices.look"),
        ({"choices": {"look": {"soft": {"3.clg": 3}}}}, "no place 3.clg"),
        ({"step": 0}, "step must be a whole number"),
        ({"micro_usd_per_second": -1}, "at least 0"),
        ({"prompt": "6.text"}, "knows no “prompt”"),
    ],
)
def test_wire_data_that_cannot_be_used(change: dict[str, Any], said: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        shape_of("m", "image", WIRE | change)
    assert caught.value.kind == "model" and said in (caught.value.note or "")
    assert said in (wire_problem("comfyui", "image", "m", WIRE | change) or "")


def test_what_the_catalogue_finds_nothing_wrong_with() -> None:
    for wire in (WIRE, PICTURE_WIRE, WAN_WIRE):
        assert wire_problem("comfyui", "video", "m", wire) is None
    assert wire_problem("fal", "image", "m", {}) is wire_problem("no such", "image", "m", {}) is None
