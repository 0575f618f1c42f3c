"""What is asked for becomes the body OpenAI's wire wants. Pure."""

import json
from decimal import Decimal
from typing import Any

import pytest

from gesso.providers.base import ConnectionConfig, InputFile, MediaRequest
from gesso.providers.errors import Misconfigured, Rejected
from gesso.providers.openai import chat, payload, pricing, wire
from gesso.providers.openai.client import OpenAIClient, base_of
from gesso.providers.openai.options import TABLE, shape_of
from gesso.providers.text import TextMessage, TextRequest

PNG = InputFile("image/png", b"\x89PNG picture")
ASK = TextRequest("gpt-5.4-mini", (TextMessage("system", "Be brief."), TextMessage("user", "Hello")))
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"all": {"type": "array", "items": {"$ref": "#/$defs/one"}}},
    "$defs": {"one": {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}},
    "required": ["all"],
}  # fmt: skip


def chat_body(request: TextRequest, *, is_openai: bool = True) -> dict[str, Any]:
    return dict(chat.body_of(request, chat.manner_of(request.wire, is_openai=is_openai)))


def image(model: str = "gpt-image-2", **asked: Any) -> payload.Payload:
    request = MediaRequest(**{"kind": "image", "model": model, "prompt": "a boat", **asked})
    return payload.build(request, shape_of(request.model, request.kind, request.wire))


# -- where it is ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "base"),
    [
        (None, "https://api.openai.com/v1"),
        ("https://api.openai.com", "https://api.openai.com/v1"),
        ("http://localhost:11434/", "http://localhost:11434/v1"),
        ("http://localhost:11434/v1/", "http://localhost:11434/v1"),
        ("https://api.groq.com/openai/v1", "https://api.groq.com/openai/v1"),
        ("https://generativelanguage.googleapis.com/v1beta/openai/", "https://generativelanguage.googleapis.com/v1beta/openai"),
        ("http://127.0.0.1:8790/openai", "http://127.0.0.1:8790/openai/v1"),
        ("https://openrouter.ai/api/v1/chat/completions", "https://openrouter.ai/api/v1"),
    ],
)  # fmt: skip
def test_a_base_url_with_or_without_a_version(given: str | None, base: str) -> None:
    assert base_of(given) == base


@pytest.mark.parametrize("bad", ["localhost:11434", "ftp://x/v1", "https://key@host/v1", "https://host/v1?key=1"])
def test_an_address_that_is_none_is_refused(bad: str) -> None:
    with pytest.raises(Misconfigured):
        base_of(bad)


async def test_a_key_is_a_must_at_openai_only() -> None:
    for base_url in (None, "https://api.openai.com/v1", "https://eu.api.openai.com"):
        with pytest.raises(Misconfigured) as caught:
            OpenAIClient(ConnectionConfig(base_url=base_url))
        assert caught.value.kind == "key"
    client = OpenAIClient(ConnectionConfig(base_url="http://localhost:11434"))
    assert (client.has_key, client.is_openai) == (False, False)
    await client.aclose()


# -- text -------------------------------------------------------------------------------------------------------


def test_a_chat_is_streamed_with_usage_and_a_limit() -> None:
    assert chat_body(ASK) == {
        "model": "gpt-5.4-mini",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}],
        "max_completion_tokens": 1024, "stream": True, "stream_options": {"include_usage": True},
    }  # fmt: skip


def test_other_servers_get_the_older_limit_unless_the_catalogue_says_else() -> None:
    assert chat_body(ASK, is_openai=False)["max_tokens"] == 1024
    asked = TextRequest(ASK.model, ASK.messages, wire={"limit": "none", "stream": False, "defaults": {"store": False}})
    body = chat_body(asked, is_openai=False)
    assert not {"max_tokens", "max_completion_tokens", "stream", "stream_options"} & set(body)
    assert body["store"] is False


def test_pictures_go_inside_the_users_turn() -> None:
    asked = TextRequest(ASK.model, (TextMessage("user", "What is it?", (PNG, PNG)),), wire={"detail": "low"})
    (turn,) = chat_body(asked)["messages"]
    assert [part["type"] for part in turn["content"]] == ["text", "image_url", "image_url"]
    assert turn["content"][1]["image_url"] == {"url": "data:image/png;base64,iVBORyBwaWN0dXJl", "detail": "low"}
    with pytest.raises(Rejected):
        chat_body(TextRequest(ASK.model, (TextMessage("user", "?", (InputFile("image/tiff", b"x"),)),)))


def test_a_schema_that_requires_all_is_strict_and_closed() -> None:
    said = chat_body(TextRequest(ASK.model, ASK.messages, schema=SCHEMA))["response_format"]["json_schema"]
    assert said["strict"] is True
    assert said["schema"]["additionalProperties"] is False
    assert said["schema"]["$defs"]["one"]["additionalProperties"] is False
    assert "additionalProperties" not in json.dumps(SCHEMA), "the caller's schema was changed"


@pytest.mark.parametrize("change", [{"required": []}, {"additionalProperties": {"type": "string"}}])
def test_a_looser_schema_is_not_called_strict(change: dict[str, Any]) -> None:
    loose = {**SCHEMA, **change}
    said = chat_body(TextRequest(ASK.model, ASK.messages, schema=loose))["response_format"]["json_schema"]
    assert (said["strict"], said["schema"]) == (False, loose)


@pytest.mark.parametrize(("manner", "format_"), [("json_object", {"type": "json_object"}), ("instruction", None)])
def test_a_server_without_schemas_is_told_in_words(manner: str, format_: Any) -> None:
    body = chat_body(TextRequest(ASK.model, ASK.messages, schema=SCHEMA, wire={"schema": manner}))
    assert body.get("response_format") == format_
    assert [message["role"] for message in body["messages"]] == ["system", "system", "user"]
    assert json.dumps(SCHEMA) in body["messages"][1]["content"]


def test_only_settings_the_model_has_are_passed_on() -> None:
    asked = TextRequest(
        ASK.model, ASK.messages, options={"temperature": 0.5, "persona": "pirate", "thinking": "low"},
        wire={"options": {"thinking": "reasoning_effort"}},
    )  # fmt: skip
    body = chat_body(asked)
    assert (body["temperature"], body["reasoning_effort"], "persona" in body) == (0.5, "low", False)


@pytest.mark.parametrize(
    "bad",
    [
        {"limit": "length"}, {"stream": "yes"}, {"options": {"a": 1}}, {"options": ["Bad Name"]}, {"seconds": 0},
        {"usd_per_million": {"input": "much"}}, {"usd_per_million": {"inputs": "1"}}, {"nonsense": 1}, {"defaults": []},
    ],
)  # fmt: skip
def test_a_slip_in_the_catalogue_is_told(bad: dict[str, Any]) -> None:
    with pytest.raises(Misconfigured):
        chat.manner_of(bad, is_openai=True)


# -- pictures ---------------------------------------------------------------------------------------------------


def test_a_picture_from_words() -> None:
    built = image(width=1024, height=1536, count=3, quality="high", options={"output_format": "webp"})
    assert built.body == {
        "model": "gpt-image-2", "prompt": "a boat", "size": "1024x1536", "quality": "high", "output_format": "webp",
        "n": 3,
    }  # fmt: skip
    assert (built.files, built.count, built.warnings) == ((), 3, ())


def test_one_reference_is_image_and_several_are_a_list() -> None:
    assert [name for name, _ in image(inputs=(PNG,)).files] == ["image"]
    built = image(inputs=(PNG, InputFile("image/webp", b"x")), count=2, options={"background": "opaque"})
    assert [(name, file[0], file[2]) for name, file in built.files] == [
        ("image[]", "image-1.png", "image/png"), ("image[]", "image-2.webp", "image/webp"),
    ]  # fmt: skip
    assert built.form == {"model": "gpt-image-2", "prompt": "a boat", "background": "opaque", "n": "2"}


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"inputs": (PNG,) * 17}, "images"),
        ({"inputs": (PNG,), "wire": {"images": False}}, "images"),
        ({"wire": {"images_required": True}}, "images"),
        ({"inputs": (InputFile("image/gif", b"GIF"),)}, "images"),
        ({"prompt": "x" * 32_001}, "prompt"),
        ({"width": 0, "height": 5}, "size"),
        ({"aspect_ratio": "wide"}, "aspect_ratio"),
        ({"kind": "video", "model": "sora-2", "options": {"duration": 5}}, "duration"),
    ],
)
def test_what_would_be_paid_for_in_vain_is_refused(asked: dict[str, Any], field: str) -> None:
    with pytest.raises(Rejected) as caught:
        image(**asked)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("model", "asked", "size", "warned"),
    [
        ("gpt-image-2", {"width": 1024, "height": 1024}, "1024x1024", False),
        ("gpt-image-2", {"width": 1010, "height": 1010}, "1008x1008", True),
        ("gpt-image-2", {"width": 4000, "height": 4000}, "2880x2880", True),
        ("gpt-image-2", {"width": 4000, "height": 400}, None, True),
        ("gpt-image-2", {"aspect_ratio": "16:9"}, "1360x768", False),
        ("gpt-image-2-2026-04-21", {"width": 1010, "height": 1010}, "1008x1008", True),
        ("gpt-image-2", {}, "none", False),
        ("gpt-image-1.5", {"width": 1280, "height": 720}, "1536x1024", True),
        ("gpt-image-1.5", {"aspect_ratio": "2:3"}, "1024x1536", False),
        ("somebodys-model", {"width": 777, "height": 333}, "777x333", False),
    ],
)
def test_sizes_become_ones_the_model_takes(model: str, asked: dict[str, Any], size: str | None, warned: bool) -> None:
    built = image(model, **asked)
    said = built.body.get("size", "none")
    assert bool(built.warnings) == warned
    if size is not None:
        assert said == size
    elif (found := wire.pixels(said)) is not None:
        assert 1 / 3 <= found[0] / found[1] <= 3
        assert found[0] % 16 == found[1] % 16 == 0


def test_every_free_size_lies_within_the_limits() -> None:
    for width in (1, 16, 100, 1500, 3840, 9999):
        for height in (1, 17, 640, 2160, 2161, 9999):
            found = wire.pixels(image(width=width, height=height).body["size"])
            assert found is not None
            wide, high = found
            assert wide % 16 == high % 16 == 0
            assert max(wide, high) <= 3840
            assert wide * high <= 3840 * 2160
            assert 1 / 3 <= wide / high <= 3


def test_what_the_model_has_not_is_a_warning() -> None:
    built = image(negative_prompt="fog", seed=4, quality="ultra", options={"steps": 3}, count=11)
    assert built.body["prompt"] == "a boat\navoid: fog"
    assert len(built.warnings) == 5
    assert built.body["n"] == 10
    own = image("local", negative_prompt="fog", seed=4, wire={"negative": "negative_prompt", "seed": "seed"})
    assert (own.body["negative_prompt"], own.body["seed"], own.warnings) == ("fog", 4, ())


def test_a_video_is_a_form_of_texts() -> None:
    built = image("sora-2", kind="video", width=1280, height=720, options={"duration": 8}, inputs=(PNG,))
    assert built.form == {"model": "sora-2", "prompt": "a boat", "size": "1280x720", "seconds": "8"}
    assert [name for name, _ in built.files] == ["input_reference"]


@pytest.mark.parametrize(
    "bad",
    [
        {"size": "any"}, {"size": "listed"}, {"sizes": ["big"]}, {"count_max": 0}, {"images_max": True},
        {"durations": ["4"]}, {"qualities": ["Very High"]}, {"seconds": "9"}, {"nonsense": True}, {"defaults": 3},
    ],
)  # fmt: skip
def test_a_slip_in_a_picture_models_wire_is_told(bad: dict[str, Any]) -> None:
    with pytest.raises(Misconfigured):
        shape_of("somebodys-model", "image", bad)


def test_tables_hold_together() -> None:
    for name, shape in TABLE.items():
        assert shape.size != "listed" or shape.sizes, name
        assert shape_of(name, "image", {}) == shape


# -- money ------------------------------------------------------------------------------------------------------


def test_cost_is_exact_and_rounded_up() -> None:
    price = pricing.prices({"text_input": "5", "image_input": 8, "output": "30"})
    used = wire.tokens({"input_tokens": 50, "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
                        "output_tokens": 4160, "total_tokens": 4210})  # fmt: skip
    assert pricing.cost_micro_usd(used, price) == 10 * 5 + 40 * 8 + 4160 * 30
    chat_price = pricing.prices({"input": "0.25", "cached_input": "0.025", "output": "2"})
    used = wire.tokens({"prompt_tokens": 7, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 4}})
    assert pricing.cost_micro_usd(used, chat_price) == 3  # 3 × 0.25 + 4 × 0.025 + 2 = 2.85
    assert chat_price["cached_input"] == Decimal("0.025")


def test_without_tokens_or_prices_there_is_no_cost() -> None:
    price = pricing.prices({"input": 1, "output": 1})
    assert pricing.cost_micro_usd(None, price) is None
    assert pricing.cost_micro_usd(wire.tokens({"prompt_tokens": 3}), price) is None
    assert pricing.cost_micro_usd(wire.Tokens(1, 1), {}) is None
    assert pricing.cost_micro_usd(wire.Tokens(1, 1), {"output": Decimal(1)}) is None


@pytest.mark.parametrize("odd", [None, [], "x", 3, {"choices": 4}, {"data": 4}, {"results": {}}, {"error": [1]}])
def test_odd_answers_raise_nothing(odd: Any) -> None:
    wire.turn(odd, "delta")
    wire.pictures(odd)
    wire.video(odd)
    wire.error_body(odd)
    assert wire.verdicts(odd) == ()
    wire.model_names(odd)
