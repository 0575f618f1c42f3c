"""What is asked for becomes the body Gemini's wire wants, and what it answers is read leniently. Pure."""

import base64
from decimal import Decimal
from typing import Any

import pytest

from gesso.providers.base import ConnectionConfig, InputFile, MediaRequest
from gesso.providers.errors import Misconfigured, Rejected
from gesso.providers.gemini import chat, payload, schema, wire
from gesso.providers.gemini.client import GeminiClient, base_of
from gesso.providers.gemini.options import shape_of
from gesso.providers.gemini.pricing import cost_micro_usd
from gesso.providers.gemini.wire import Tokens
from gesso.providers.text import TextMessage, TextRequest

PNG = InputFile("image/png", b"\xfb\xff\xbf picture")
FLASH = "gemini-3.1-flash-image"
HI = (TextMessage("user", "Hello"),)


def written(*messages: TextMessage, **asked: Any) -> dict[str, Any]:
    request = TextRequest("gemini-3.8-flash", messages or HI, **asked)
    return dict(chat.body_of(request, shape_of(request.model, "text", request.wire)))


def painted(model: str = FLASH, **asked: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    request = MediaRequest(**{"kind": "image", "model": model, "prompt": "a boat", **asked})
    built = payload.build(request, shape_of(request.model, "image", request.wire))
    return dict(built.body), built.warnings


def image_config(model: str = FLASH, **asked: Any) -> tuple[dict[str, str], tuple[str, ...]]:
    body, warnings = painted(model, **asked)
    return body["generationConfig"].get("imageConfig", {}), warnings


# -- where it is --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "base"),
    [
        (None, "https://generativelanguage.googleapis.com/v1beta"),
        ("https://generativelanguage.googleapis.com/", "https://generativelanguage.googleapis.com/v1beta"),
        ("https://generativelanguage.googleapis.com/v1", "https://generativelanguage.googleapis.com/v1"),
        ("http://127.0.0.1:8790/gemini", "http://127.0.0.1:8790/gemini/v1beta"),
        ("https://gw.example/google/v1beta/", "https://gw.example/google/v1beta"),
    ],
)
def test_a_base_url_with_or_without_a_version(given: str | None, base: str) -> None:
    assert base_of(given) == base


@pytest.mark.parametrize(
    "bad", ["https://host/v1beta/openai", "https://host/v1beta/models", "https://host?key=secret", "host", "ftp://h"]
)
def test_an_address_that_leads_elsewhere_is_refused(bad: str) -> None:
    with pytest.raises(Misconfigured):
        base_of(bad)


async def test_a_key_is_a_must_and_a_model_has_a_plain_name() -> None:
    with pytest.raises(Misconfigured):
        GeminiClient(ConnectionConfig())
    client = GeminiClient(ConnectionConfig(base_url="http://127.0.0.1:9", sandbox=True))
    for name in ("gemini-3.8-flash", "models/gemini-3.8-flash"):
        assert client.call_of(name, "generateContent").endswith("/v1beta/models/gemini-3.8-flash:generateContent")
    for name in ("", "../files", "a/b", "m:generateContent?key=1", "m ö"):
        with pytest.raises(Misconfigured):
            client.call_of(name, "generateContent")
    await client.aclose()


# -- text ---------------------------------------------------------------------------------------------------------


def test_a_talk_has_two_roles_and_its_rules_apart() -> None:
    said = (
        TextMessage("system", "Be brief."), TextMessage("system", "Be kind."), TextMessage("user", "Hello"),
        TextMessage("assistant", "Hi!"), TextMessage("user", "What is this?", (PNG,)),
    )  # fmt: skip
    picture = {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(PNG.data).decode()}}
    assert "+" in picture["inlineData"]["data"] or "/" in picture["inlineData"]["data"], "the standard alphabet"
    assert written(*said, max_output_tokens=90) == {
        "systemInstruction": {"parts": [{"text": "Be brief."}, {"text": "Be kind."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "Hello"}]},
            {"role": "model", "parts": [{"text": "Hi!"}]},
            {"role": "user", "parts": [{"text": "What is this?"}, picture]},
        ],
        "generationConfig": {"maxOutputTokens": 90},
    }


def test_settings_go_where_they_belong_and_only_when_asked_for() -> None:
    wire_data = {"defaults": {"thinkingConfig": {"thinkingLevel": "LOW"}}, "thinking_room": 500}
    body = written(wire=wire_data, options={"temperature": 0.4, "stop": "END", "persona": "x", "top_p": None})
    assert body["generationConfig"] == {
        "thinkingConfig": {"thinkingLevel": "LOW"}, "maxOutputTokens": 1524, "temperature": 0.4,
        "stopSequences": ["END"],
    }  # fmt: skip
    again = written(wire=wire_data, options={"thinking": "HIGH"})["generationConfig"]
    assert again["thinkingConfig"] == {"thinkingLevel": "HIGH"}
    assert wire_data["defaults"] == {"thinkingConfig": {"thinkingLevel": "LOW"}}, "the catalogue's data stays as it is"
    safe = written(wire={"safety": {"sexually_explicit": "BLOCK_ONLY_HIGH"}})["safetySettings"]
    assert safe == [{"category": "HARM_CATEGORY_SEXUALLY_EXPLICIT", "threshold": "BLOCK_ONLY_HIGH"}]


def test_what_cannot_be_sent_is_refused() -> None:
    for messages in ((TextMessage("system", "Be brief."),), (TextMessage("user", "  "),)):
        with pytest.raises(Rejected):
            written(*messages)
    with pytest.raises(Rejected):
        written(TextMessage("user", "?", (InputFile("image/bmp", b"x"),)))
    heavy = TextMessage("user", "?", (InputFile("image/png", bytes(800_000)),))
    written(heavy)
    with pytest.raises(Rejected):
        written(heavy, wire={"inline_mb": 1})


IDEAS: dict[str, Any] = {
    "type": "object", "additionalProperties": False, "required": ["ideas", "mood"],
    "properties": {
        "ideas": {"type": "array", "items": {"$ref": "#/$defs/idea"}, "minItems": 3, "maxItems": 3},
        "mood": {"type": ["string", "null"], "enum": ["calm", "wild", None]},
        "kind": {"const": "list"},
        "size": {"oneOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]},
    },
    "$defs": {"idea": {"type": "object", "properties": {"text": {"type": "string", "maxLength": 80}}}},
}  # fmt: skip


def test_a_schema_is_said_in_their_words() -> None:
    config = written(schema=IDEAS)["generationConfig"]
    assert config["responseMimeType"] == "application/json"
    idea = {
        "type": "OBJECT", "properties": {"text": {"type": "STRING", "maxLength": 80}}, "propertyOrdering": ["text"],
    }  # fmt: skip
    assert config["responseSchema"] == {
        "type": "OBJECT",
        "properties": {
            "ideas": {"type": "ARRAY", "items": idea, "minItems": 3, "maxItems": 3},
            "mood": {"type": "STRING", "enum": ["calm", "wild"], "nullable": True},
            "kind": {"type": "STRING", "enum": ["list"]},
            "size": {"type": "INTEGER", "minimum": 1, "nullable": True},
        },
        "propertyOrdering": ["ideas", "mood", "kind", "size"],
        "required": ["ideas", "mood"],
    }


TREE = {"type": "object", "properties": {"more": {"$ref": "#"}}}


@pytest.mark.parametrize(
    "hard", [TREE, {"type": "object"}, {"type": "object", "properties": {"a": {}}}, {"$ref": "#/$defs/gone"}]
)
def test_a_schema_without_counterpart_is_asked_for_in_words(hard: dict[str, Any]) -> None:
    assert schema.converted(hard) is None
    body = written(TextMessage("system", "Be brief."), *HI, schema=hard)
    assert body["generationConfig"]["responseMimeType"] == "application/json"
    assert "responseSchema" not in body["generationConfig"]
    assert "JSON Schema" in body["systemInstruction"]["parts"][1]["text"]


def test_a_schema_in_the_manner_of_the_catalogue() -> None:
    asked = written(schema=IDEAS, wire={"schema": "json"})
    assert asked["generationConfig"].keys() == {"maxOutputTokens", "responseMimeType"}
    plain = written(schema=IDEAS, wire={"schema": "instruction"})
    assert plain["generationConfig"].keys() == {"maxOutputTokens"}
    assert "JSON Schema" in plain["systemInstruction"]["parts"][0]["text"]


def test_unions_and_parts_of_parts() -> None:
    assert schema.converted({"type": ["string", "integer"]}) == {"anyOf": [{"type": "STRING"}, {"type": "INTEGER"}]}
    merged = schema.converted({"allOf": [{"type": "string"}, {"maxLength": 5}], "title": "Word"})
    assert merged == {"type": "STRING", "maxLength": 5, "title": "Word"}


# -- pictures -----------------------------------------------------------------------------------------------------


def test_a_picture_and_an_edit() -> None:
    body, warnings = painted(inputs=(PNG, InputFile("image/jpeg", b"jpeg")), aspect_ratio="3:4", quality="2K")
    (turn,) = body["contents"]
    assert [part.get("text") or part["inlineData"]["mimeType"] for part in turn["parts"]] == [
        "a boat", "image/png", "image/jpeg",
    ]  # fmt: skip
    assert body["generationConfig"] == {
        "responseModalities": ["TEXT", "IMAGE"], "imageConfig": {"aspectRatio": "3:4", "imageSize": "2K"},
    }  # fmt: skip
    assert warnings == ()
    assert painted()[0]["generationConfig"] == {"responseModalities": ["TEXT", "IMAGE"]}


@pytest.mark.parametrize(
    ("asked", "config", "warned"),
    [
        ({"width": 1024, "height": 1024}, {"aspectRatio": "1:1", "imageSize": "1K"}, "1:1 at 1K"),
        ({"width": 500, "height": 520}, {"aspectRatio": "1:1", "imageSize": "512"}, "1:1 at 512"),
        ({"width": 3840, "height": 2160}, {"aspectRatio": "16:9", "imageSize": "2K"}, "16:9 at 2K"),
        ({"aspect_ratio": "16:10"}, {"aspectRatio": "3:2"}, "nearest, 3:2"),
        ({"aspect_ratio": "auto"}, {}, ""),
        ({"quality": "standard"}, {}, ""),
        ({"quality": "high"}, {}, "no quality “high”"),
        ({"aspect_ratio": "1:1", "wire": {"ratios": []}}, {}, "chooses the shape"),
        ({"quality": "8K", "wire": {"sizes": ["8K"]}}, {"imageSize": "8K"}, ""),
    ],
)
def test_sizes_and_shapes(asked: dict[str, Any], config: dict[str, str], warned: str) -> None:
    found, warnings = image_config(**asked)
    assert found == config
    assert (warned in " ".join(warnings)) if warned else warnings == ()


def test_a_model_without_sizes_is_told_none() -> None:
    config, _ = image_config("gemini-3.1-flash-lite-image", width=512, height=1024)
    assert config == {"aspectRatio": "9:16"}
    assert "no quality “4K”" in image_config("gemini-3.1-flash-lite-image", quality="4K")[1][0]


def test_what_a_model_cannot_do_is_told() -> None:
    body, warnings = painted(negative_prompt="fog", seed=5, count=3, options={"steps": 4, "temperature": 1})
    assert body["contents"][0]["parts"] == [{"text": "a boat\navoid: fog"}]
    assert "seed" not in body["generationConfig"] and body["generationConfig"]["temperature"] == 1
    assert len(warnings) == 4
    assert painted(seed=5, wire={"seed": "seed"})[0]["generationConfig"]["seed"] == 5
    for asked in (
        {"inputs": (PNG,) * 11}, {"inputs": (PNG,), "wire": {"images": False}}, {"wire": {"images_required": True}},
        {"inputs": (InputFile("image/gif", b"GIF"),)}, {"aspect_ratio": "wide"}, {"width": 5},
    ):  # fmt: skip
        with pytest.raises(Rejected):
            painted(**asked)


@pytest.mark.parametrize(
    "bad",
    [
        {"sizes": ["1k"]}, {"sizes": "1K"}, {"ratios": ["wide"]}, {"seconds": 0}, {"seconds": True}, {"colour": "red"},
        {"options": {"a": "b c"}}, {"options": ["a"]}, {"safety": {"sex": "OFF"}}, {"modalities": []}, {"seed": "n"},
        {"safety": {"harassment": "off"}}, {"usd_per_million": {"input": "x"}}, {"usd_per_million": {"text": "1"}},
        {"schema": "strict"}, {"negative": "negative_prompt"}, {"stream": "no"}, {"thinking_room": -1},
    ],
)  # fmt: skip
def test_a_slip_in_the_catalogue_is_noticed_before_it_costs(bad: dict[str, Any]) -> None:
    with pytest.raises(Misconfigured) as caught:
        shape_of(FLASH, "image", bad)
    assert caught.value.kind == "model"


# -- answers ------------------------------------------------------------------------------------------------------


def test_thoughts_and_their_drafts_are_left_out_and_both_alphabets_read() -> None:
    raw = b"\xfb\xff\xbf picture"
    parts = [
        {"text": "Let me think.", "thought": True},
        {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(b"draft").decode()}, "thought": True},
        {"text": "Here."},
        {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(raw).decode()}, "thoughtSignature": "s"},
        {"inline_data": {"mime_type": "image/webp", "data": base64.urlsafe_b64encode(raw).decode().rstrip("=")}},
        {"inlineData": {"mimeType": "image/png", "data": "#nothing"}},
        {"functionCall": {}}, None,
    ]  # fmt: skip
    found = wire.reply({"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]})
    assert found.text == "Here."
    assert [(file.data, file.media_type) for file in found.pictures] == [(raw, "image/png"), (raw, "image/webp")]
    assert (found.broken, found.finish) == (1, "STOP")


@pytest.mark.parametrize("odd", [None, "x", 3, [], {"candidates": 3}, {}, {"candidates": None}])
def test_what_is_no_answer_says_so(odd: Any) -> None:
    assert not wire.reply(odd).readable


@pytest.mark.parametrize("parts", [4, None, {}, [4], [{"text": 4, "inlineData": []}], [{"inlineData": {"data": 4}}]])
def test_odd_parts_raise_nothing(parts: Any) -> None:
    assert wire.reply({"candidates": [{"content": {"parts": parts}}]}).text == ""
    assert wire.reply([{"candidates": [parts]}]).text == ""


def test_tokens_as_they_are_told() -> None:
    full = {
        "promptTokenCount": 10, "candidatesTokenCount": 1125, "thoughtsTokenCount": 40, "cachedContentTokenCount": 4,
        "candidatesTokensDetails": [
            {"modality": "IMAGE", "tokenCount": 1120}, {"modality": "TEXT", "tokenCount": 5},
        ],
    }  # fmt: skip
    assert wire.tokens(full) == Tokens(10, 1165, 40, 1120, 4)
    assert wire.tokens({"promptTokenCount": 10, "totalTokenCount": 30}) == Tokens(10, 20)
    assert wire.tokens({"prompt_token_count": 3, "candidates_token_count": 2}) == Tokens(3, 2)
    assert wire.tokens({"promptTokenCount": -1}) is None and wire.tokens([]) is None


@pytest.mark.parametrize(
    ("used", "price", "cost"),
    [
        (Tokens(10, 5), {"input": "0.3", "output": "2.5"}, 16),  # 3 + 12.5, rounded up
        (Tokens(10, 5, cached=4), {"input": "0.3", "cached_input": "0.03", "output": "2.5"}, 15),  # 1.8 + 0.12 + 12.5
        (Tokens(10, 1165, 40, 1120), {"input": "2", "output": "12", "image_output": "120"}, 20 + 45 * 12 + 1120 * 120),
        (Tokens(10, 1160, 40), {"input": "0", "output": "12", "image_output": "120"}, 40 * 12 + 1120 * 120),
        (Tokens(10, 1120, 0, 1120), {"image_output": "120"}, None),  # what the words cost is not known
        (Tokens(0, 1120, 0, 1120), {"image_output": "120"}, 134_400),
        (Tokens(None, 5), {"input": "1", "output": "1"}, None),
        (Tokens(10, 5), {}, None),
        (None, {"input": "1"}, None),
    ],
)
def test_costs_are_exact_and_never_leave_anything_out(used: Any, price: dict[str, str], cost: int | None) -> None:
    assert cost_micro_usd(used, {name: Decimal(each) for name, each in price.items()}) == cost
