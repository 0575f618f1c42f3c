"""fal's film endpoints: from words, from a picture, what they refuse, what they cost."""

import base64
import io

import pytest
from PIL import Image

from gesso.media.video import prepare_video
from tests.sandbox.conftest import Customer

V3, V25 = "fal-ai/kling-video/v3/pro", "fal-ai/kling-video/v2.5-turbo/pro"


def _picture(width: int, height: int) -> str:
    file = io.BytesIO()
    image = Image.new("RGB", (width, height), "#4070c0")
    image.paste("#f0d080", (0, 0, width // 2, height // 2))
    image.save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


async def test_a_film_from_words_has_the_length_and_shape_that_were_asked(fal: Customer) -> None:
    body = {"prompt": "waves sandbox:small", "duration": "3", "aspect_ratio": "9:16", "generate_audio": False}
    submitted = await fal.submit("", f"{V3}/text-to-video", body=body)
    await fal.finish(submitted)
    result = await fal.result(submitted)
    output = result.json()
    assert set(output) == {"video"} and output["video"]["content_type"] == "video/mp4"
    assert result.headers["x-fal-billable-units"] == "3"
    file = (await fal.http.get(output["video"]["url"])).content
    film = prepare_video(file)
    assert (film.media_type, film.duration_ms, len(file)) == ("video/mp4", 3000, output["video"]["file_size"])
    assert film.height > film.width and abs(film.width / film.height - 9 / 16) < 0.03
    assert film.height < 300, "small, and the price of a large one"


async def test_a_film_from_a_picture_has_the_pictures_shape(fal: Customer) -> None:
    body = {"prompt": "zoom in", "duration": "3", "start_image_url": _picture(300, 300)}
    submitted = await fal.submit("", f"{V3}/image-to-video", body=body)
    await fal.finish(submitted)
    result = await fal.result(submitted)
    assert result.headers["x-fal-billable-units"] == "4.5", "sound is on unless told otherwise"
    film = prepare_video((await fal.http.get(result.json()["video"]["url"])).content)
    assert film.width == film.height


@pytest.mark.parametrize(
    ("endpoint", "body"),
    [
        (f"{V3}/text-to-video", {"prompt": "waves", "duration": 4}),
        (f"{V3}/text-to-video", {"prompt": "waves", "duration": "16"}),
        (f"{V3}/text-to-video", {"prompt": "waves", "seed": 3}),
        (f"{V3}/image-to-video", {"prompt": "waves", "image_url": "data:,"}),
        (f"{V3}/image-to-video", {"prompt": "waves", "start_image_url": "data:,", "aspect_ratio": "1:1"}),
        (f"{V25}/image-to-video", {"prompt": "waves", "image_url": "data:,", "duration": "4"}),
        (f"{V25}/image-to-video", {"prompt": "waves"}),
    ],
)
async def test_what_an_endpoint_lacks_is_refused(fal: Customer, endpoint: str, body: dict[str, object]) -> None:
    assert (await fal.submit("", endpoint, body=body)).status_code == 422
