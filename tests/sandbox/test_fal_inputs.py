"""What endpoints take, what they make of it, and how files get in."""

import base64
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gesso.sandbox.fal.endpoints import ENDPOINTS
from tests.sandbox.conftest import SCHNELL, Customer

ULTRA = "fal-ai/flux-pro/v1.1-ultra"
PHOTO = "rundiffusion-fal/rundiffusion-photo-flux"
PRO = "rundiffusion-fal/juggernaut-flux/pro"
LIGHTNING = "rundiffusion-fal/juggernaut-flux/lightning"
BANANA = "fal-ai/nano-banana"
SEEDREAM = "fal-ai/bytedance/seedream/v4/text-to-image"


def picture(colour: tuple[int, int, int] = (200, 40, 30), size: tuple[int, int] = (64, 48)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "PNG")
    return out.getvalue()


def data_uri(data: bytes, media_type: str = "image/png") -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


@pytest.mark.parametrize(
    ("endpoint", "wrong", "loc", "kind"),
    [
        (SCHNELL, {"num_images": "2"}, ["num_images"], "int_type"),
        (SCHNELL, {"num_images": True}, ["num_images"], "int_type"),
        (SCHNELL, {"num_images": 0}, ["num_images"], "greater_than_equal"),
        (SCHNELL, {"num_images": 5}, ["num_images"], "less_than_equal"),
        (SCHNELL, {"prompt": None}, ["prompt"], "string_type"),
        (SCHNELL, {"output_format": "webp"}, ["output_format"], "literal_error"),
        (SCHNELL, {"acceleration": "turbo"}, ["acceleration"], "literal_error"),
        (SCHNELL, {"num_inference_steps": 13}, ["num_inference_steps"], "less_than_equal"),
        (SCHNELL, {"image_size": {"width": 0, "height": 64}}, ["image_size", "ImageSize", "width"], "greater_than"),
        (SCHNELL, {"image_size": {"width": 14143}}, ["image_size", "ImageSize", "width"], "less_than_equal"),
        (SCHNELL, {"seed": "7"}, ["seed"], "int_type"),
        (SCHNELL, {"enable_safety_checker": "yes"}, ["enable_safety_checker"], "bool_type"),
        (SCHNELL, {"negative_prompt": "fog"}, ["negative_prompt"], "extra_forbidden"),
        (ULTRA, {"safety_tolerance": 2}, ["safety_tolerance"], "literal_error"),
        (ULTRA, {"safety_tolerance": "7"}, ["safety_tolerance"], "literal_error"),
        (ULTRA, {"aspect_ratio": "wide"}, ["aspect_ratio"], "string_pattern_mismatch"),
        (ULTRA, {"image_size": "square"}, ["image_size"], "extra_forbidden"),
        (ULTRA, {"image_prompt_strength": 1.5}, ["image_prompt_strength"], "less_than_equal"),
        (PHOTO, {"guidance_scale": 36}, ["guidance_scale"], "less_than_equal"),
        (PHOTO, {"loras": [{"scale": 1}]}, ["loras", 0, "path"], "missing"),
        (PRO, {"guidance_scale": 0.5}, ["guidance_scale"], "greater_than_equal"),
        (LIGHTNING, {"guidance_scale": 3.5}, ["guidance_scale"], "extra_forbidden"),
        (LIGHTNING, {"num_inference_steps": 13}, ["num_inference_steps"], "less_than_equal"),
        (BANANA, {"aspect_ratio": "7:5"}, ["aspect_ratio"], "literal_error"),
        (f"{BANANA}/edit", {}, ["image_urls"], "missing"),
        (SEEDREAM, {"num_images": 7}, ["num_images"], "less_than_equal"),
    ],
)
async def test_bodies_that_do_not_fit(
    fal: Customer, endpoint: str, wrong: dict[str, Any], loc: list[str | int], kind: str
) -> None:
    answer = await fal.submit("", endpoint, body={"prompt": "dunes", **wrong})
    assert answer.status_code == 422
    assert answer.headers["x-fal-billable-units"] == "0"
    entry = next(e for e in answer.json()["detail"] if e["loc"] == ["body", *loc])
    assert entry["type"] == kind
    assert entry["url"].endswith(f"#{kind}")
    assert entry["msg"]


async def test_all_faults_of_a_body_are_told_at_once(fal: Customer) -> None:
    answer = await fal.submit(body={"num_images": "2", "sync_mode": 1})
    assert {tuple(e["loc"]) for e in answer.json()["detail"]} == {
        ("body", "prompt"),
        ("body", "num_images"),
        ("body", "sync_mode"),
    }


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe", b""])
async def test_bodies_that_are_no_json_object(fal: Customer, content: bytes) -> None:
    headers = fal.auth | {"Content-Type": "application/json"}
    answer = await fal.http.post(f"{fal.base}/{SCHNELL}", content=content, headers=headers)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body"]


@pytest.mark.parametrize(
    ("endpoint", "body", "size", "media_type", "units"),
    [
        (SCHNELL, {}, (1024, 768), "image/jpeg", "0.786432"),
        (SCHNELL, {"image_size": "portrait_16_9", "output_format": "png"}, (576, 1024), "image/png", "0.589824"),
        (ULTRA, {"aspect_ratio": "1:1"}, (2048, 2048), "image/jpeg", "1"),
        (PHOTO, {"image_size": "square", "loras": []}, (512, 512), "image/jpeg", "0.262144"),
        (LIGHTNING, {"image_size": {"width": 200, "height": 100}}, (200, 100), "image/jpeg", "0.02"),
        (BANANA, {"aspect_ratio": "16:9", "output_format": "webp"}, (1376, 768), "image/webp", "1"),
        (SEEDREAM, {"image_size": {"width": 1000, "height": 1000}}, (1000, 1000), "image/png", "1"),
        (SEEDREAM, {"image_size": "square"}, (960, 960), "image/png", "1"),
    ],
)
async def test_sizes_formats_and_units(
    fal: Customer, endpoint: str, body: dict[str, Any], size: tuple[int, int], media_type: str, units: str
) -> None:
    answer = await fal.submit("", f"run/{endpoint}", body={"prompt": "dunes", "seed": 1, **body})
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-fal-billable-units"] == units
    (image,) = answer.json()["images"]
    assert (image["width"], image["height"], image["content_type"]) == (*size, media_type)
    file = await fal.http.get(image["url"])
    assert file.headers["content-type"] == media_type
    assert Image.open(io.BytesIO(file.content)).size == size


async def test_output_shapes_differ_between_families(fal: Customer) -> None:
    banana = (await fal.submit("", f"run/{BANANA}", body={"prompt": "dunes"})).json()
    assert set(banana) == {"images", "description"}
    body = {"prompt": "dunes", "seed": 4, "image_size": "square"}
    seedream = (await fal.submit("", f"run/{SEEDREAM}", body=body)).json()
    assert set(seedream) == {"images", "seed"}
    assert {"url", "content_type", "file_name", "file_size", "width", "height"} == set(seedream["images"][0])


async def test_the_same_seed_paints_the_same_file_and_a_batch_varies(fal: Customer) -> None:
    body = fal.body(num_images=2)
    files = []
    for _ in range(2):
        images = (await fal.submit("", f"run/{SCHNELL}", body=body)).json()["images"]
        files.append([(await fal.http.get(image["url"])).content for image in images])
    assert files[0] == files[1]
    assert files[0][0] != files[0][1]


async def test_a_seed_is_made_up_when_none_is_given(fal: Customer) -> None:
    body = {"prompt": "dunes", "image_size": {"width": 64, "height": 64}}
    seeds = [(await fal.submit("", f"run/{SCHNELL}", body=body)).json()["seed"] for _ in range(2)]
    assert seeds[0] != seeds[1]


async def test_an_edit_shows_its_reference(fal: Customer) -> None:
    body = {"prompt": "teal peaks", "image_urls": [data_uri(picture(size=(90, 160)))], "seed": 1}
    answer = await fal.submit("", f"run/{BANANA}/edit", body=body)
    assert answer.status_code == 200, answer.text
    (image,) = answer.json()["images"]
    assert image["height"] > 1.6 * image["width"], "auto takes the reference's ratio"
    pixels = np.asarray(Image.open(io.BytesIO((await fal.http.get(image["url"])).content)).convert("RGB"), np.float32)
    red, green, blue = pixels.mean(axis=(0, 1))
    assert red > green + 20
    assert red > blue + 20


async def test_uploading_with_a_token(fal: Customer) -> None:
    granted = await fal.http.post(f"{fal.base}/storage/auth/token?storage_type=fal-cdn-v3", json={}, headers=fal.auth)
    token = granted.json()
    assert {"token", "token_type", "base_url", "expires_at"} == set(token)
    headers = {
        "Authorization": f"{token['token_type']} {token['token']}",
        "Content-Type": "image/png",
        "X-Fal-File-Name": "../my photo.png",
    }
    uploaded = await fal.http.post(f"{token['base_url']}/files/upload", content=picture(), headers=headers)
    url = uploaded.json()["access_url"]
    assert url.endswith("/myphoto.png")
    file = await fal.http.get(url)
    assert (file.content, file.headers["content-type"]) == (picture(), "image/png")
    body = {"prompt": "dunes", "image_urls": [url]}
    assert (await fal.submit("", f"run/{BANANA}/edit", body=body)).status_code == 200
    stranger = {"Authorization": "Bearer guess", "Content-Type": "image/png"}
    assert (await fal.http.post(f"{fal.base}/files/upload", content=b"x", headers=stranger)).status_code == 401


async def test_uploading_to_an_initiated_url(fal: Customer) -> None:
    wish = {"file_name": "a.png", "content_type": "image/png"}
    url = f"{fal.base}/storage/upload/initiate?storage_type=fal-cdn-v3"
    places = (await fal.http.post(url, json=wish, headers=fal.auth)).json()
    headers = {"Content-Type": "image/png"}
    assert (await fal.http.put(places["upload_url"], content=picture(), headers=headers)).status_code == 200
    assert (await fal.http.get(places["file_url"])).content == picture()
    assert (await fal.http.put(places["upload_url"], content=b"again", headers=headers)).status_code == 403
    assert (await fal.http.post(url, json={"file_name": 1}, headers=fal.auth)).status_code == 422
    assert (await fal.http.post(url, json=wish)).status_code == 401


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("http://169.254.169.254/latest/meta-data/", "file_download_error"),
        ("https://example.com/fal/files/a/b.png", "file_download_error"),
        ("data:image/png;base64,@@@", "file_download_error"),
        ("http://[bad", "file_download_error"),
        (data_uri(b"this is no picture"), "image_load_error"),
    ],
)
async def test_inputs_that_cannot_be_had(fal: Customer, url: str, kind: str) -> None:
    body = {"prompt": "dunes", "image_urls": [data_uri(picture()), url]}
    submitted = await fal.submit("", f"{BANANA}/edit", body=body)
    status = (await fal.finish(submitted)).json()
    assert status["error_type"] == kind
    result = await fal.get(submitted.json()["response_url"])
    assert result.status_code == 422
    assert result.json()["detail"][0]["type"] == kind
    assert result.json()["detail"][0]["loc"] == ["body", "image_urls", 1]


async def test_too_many_pixels_are_refused(fal: Customer) -> None:
    body = {"prompt": "dunes", "image_size": {"width": 14142, "height": 14142}}
    result = await fal.submit("", f"run/{SCHNELL}", body=body)
    assert (result.status_code, result.json()["detail"][0]["type"]) == (422, "image_too_large")


async def test_input_pictures_are_not_kept_after_the_job(fal: Customer) -> None:
    large = data_uri(picture() + b"\0" * 100_000)
    submitted = await fal.submit("", f"{BANANA}/edit", body={"prompt": "dunes", "image_urls": [large]})
    await fal.finish(submitted)
    listed = await fal.get(f"{fal.base}/v1/models/requests/by-endpoint?endpoint_id={BANANA}/edit&expand=payloads")
    assert len(listed.content) < 20_000


def test_prices_are_those_of_the_fact_sheet() -> None:
    prices = {name: (e.price_micro_usd, e.unit) for name, e in ENDPOINTS.items()}
    assert prices[ULTRA] == (60_000, "image")
    assert prices[PHOTO] == (45_000, "megapixel")
    assert prices[PRO] == (55_000, "megapixel")
    assert prices[LIGHTNING] == (6_000, "megapixel")
    assert prices[SCHNELL] == (3_000, "megapixel")
    assert prices[SEEDREAM] == (30_000, "image")
