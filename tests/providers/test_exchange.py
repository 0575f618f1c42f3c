"""What is kept of an exchange with a provider: enough to explain a failure, nothing secret, nobody's words."""

import contextlib
import json

import pytest
from pydantic import SecretStr

from gesso.providers import exchange
from gesso.providers.exchange import Exchange, outline
from gesso.providers.http import HttpClient, NoAnswer
from tests.providers.loopback import DROP, loopback, told

KEY = "fkey-0123456789abcdef"
WORDS = "a quiet harbour"


async def exchanges(handler, **request) -> list[Exchange]:  # type: ignore[no-untyped-def]
    async with loopback(handler) as server:
        client = HttpClient(SecretStr(KEY), lambda key: {"Authorization": f"Bearer {key}"}, [server.url])
        try:
            with exchange.recording() as records:
                with contextlib.suppress(NoAnswer):
                    await client.call("POST", f"{server.url}/jobs?token={KEY}", **request)
            assert not exchange.is_recording()
        finally:
            await client.aclose()
    return records


async def test_a_failure_can_be_explained_from_the_record() -> None:
    answer = told(422, {"detail": "num_images: must be at most 4", "echo": WORDS * 20})
    (record,) = await exchanges(lambda _: answer, body={"prompt": WORDS, "num_images": 9, "steps": 28})
    assert (record.method, record.status) == ("POST", 422)
    assert record.request is not None and record.response is not None
    assert json.loads(record.request) == {"prompt": "‹15 characters›", "num_images": 9, "steps": 28}
    assert json.loads(record.response) == {"detail": "num_images: must be at most 4", "echo": "‹300 characters›"}
    assert record.took_ms >= 0


async def test_neither_key_nor_words_are_kept() -> None:
    answer = told(401, {"detail": f"the key {KEY} is not known"})
    (record,) = await exchanges(lambda _: answer, body={"prompt": WORDS, "negative_prompt": "rain"})
    everything = repr(record)
    assert KEY not in everything and WORDS not in everything and "rain" not in everything
    assert record.url.endswith("/jobs")


async def test_no_answer_is_a_record_too() -> None:
    (record,) = await exchanges(lambda _: DROP, data=b"\0" * 1000)
    assert record.status is None
    assert record.response is not None and record.response.startswith("no answer: ")
    assert record.request == "‹1000 bytes›"


async def test_files_are_told_by_their_size() -> None:
    sent = [("image", ("a.png", b"\x89PNG" + b"\0" * 96, "image/png"))]
    (record,) = await exchanges(lambda _: told(200, {"b64_json": "QUJD" * 100}), form={"n": "1"}, files=sent)
    assert record.request is not None and json.loads(record.request) == {"n": "1", "image": "‹image/png, 100 bytes›"}
    assert record.response is not None and json.loads(record.response) == {"b64_json": "‹file of about 300 bytes›"}


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ({"image_url": "https://host.example/a.png?token=abc"}, {"image_url": "https://host.example/a.png"}),
        ({"parts": [{"role": "user", "content": "hi"}]}, {"parts": [{"role": "user", "content": "‹2 characters›"}]}),
        ({"list": list(range(25))}, {"list": [*range(20), "‹5 more›"]}),
        ({"url": "data:image/png;base64,AAAA"}, {"url": "‹file of about 19 bytes›"}),
        ({"error": {"message": "no such model", "code": 404}}, {"error": {"message": "no such model", "code": 404}}),
    ],
)  # fmt: skip
def test_structure_stays(value: object, kept: object) -> None:
    assert outline(value) == kept
