"""Films through the fal adapter: from words, from a picture, at the endpoint that takes it."""

import pytest

from gesso.core.fetch import SafeFetcher
from gesso.media.video import prepare_video
from gesso.providers.base import Done, InputFile, MediaRequest
from gesso.providers.errors import Misconfigured
from gesso.providers.fal import payload
from gesso.providers.fal.adapter import FalAdapter
from gesso.providers.fal.options import TABLE, shape_for
from tests.providers.test_fal_sandbox import PNG, adapter, finished, sandbox

__all__ = ["adapter", "sandbox"]
KLING = "fal-ai/kling-video/v3/pro/text-to-video"
FROM_PICTURE = "fal-ai/kling-video/v3/pro/image-to-video"


def asked(**more: object) -> MediaRequest:
    given = {"kind": "video", "model": KLING, "prompt": "slow waves", "options": {"duration": 3}, **more}
    return MediaRequest(**given)  # type: ignore[arg-type]


def test_words_go_to_one_endpoint_and_pictures_to_the_other() -> None:
    model, shape = shape_for(asked(aspect_ratio="9:16", negative_prompt="rain"))
    body = payload.build(asked(aspect_ratio="9:16", negative_prompt="rain"), shape, []).body
    assert model == KLING
    assert body == {
        "prompt": "slow waves", "duration": "3", "generate_audio": False, "aspect_ratio": "9:16",
        "negative_prompt": "rain",
    }  # fmt: skip
    request = asked(inputs=(InputFile("image/png", b"-"),), aspect_ratio="9:16")
    model, shape = shape_for(request)
    built = payload.build(request, shape, ["data:x"])
    assert model == FROM_PICTURE
    assert built.body == {
        "prompt": "slow waves", "duration": "3", "generate_audio": False, "start_image_url": "data:x",
    }  # fmt: skip
    assert any("size" in warning for warning in built.warnings)


def test_an_operators_own_pair_of_endpoints_works_through_wire() -> None:
    wire = {"images_model": "acme/film/from-image", "images": "first_frame", "size": "aspect_ratio"}
    request = asked(model="acme/film/from-text", wire=wire, inputs=(InputFile("image/png", b"-"),))
    model, shape = shape_for(request)
    assert (model, shape.images, shape.size) == ("acme/film/from-image", "first_frame", "none")
    with pytest.raises(Misconfigured):
        shape_for(asked(wire={"images_model": 7}))


def test_both_endpoints_of_a_pair_are_known() -> None:
    assert all(shape.images_model in TABLE for shape in TABLE.values() if shape.images_model)


async def test_a_film_of_a_picture_arrives_and_tells_its_cost(adapter: FalAdapter, sandbox: str) -> None:
    inputs = (InputFile("image/png", PNG),)
    operation = await adapter.submit(asked(inputs=inputs, options={"duration": 3, "guidance": 0.7}), "key")
    assert operation.data["model"] == FROM_PICTURE
    outcome = await finished(adapter, operation)
    assert isinstance(outcome, Done) and len(outcome.files) == 1 and outcome.files[0].url is not None
    assert outcome.cost_micro_usd == 3 * 112_000
    fetcher = SafeFetcher([sandbox])
    film = prepare_video((await fetcher.get(outcome.files[0].url, max_bytes=2**24, timeout_seconds=10)).data)
    await fetcher.aclose()
    assert film.duration_ms == 3000 and film.width == film.height
