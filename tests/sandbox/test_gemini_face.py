"""The Gemini face as a client that follows the documentation meets it, and one that writes like Google's SDK."""

import base64
import io
import json
import uuid
from typing import Any

import httpx2
import pytest
from PIL import Image

MODEL, PAINTER = "gemini-3.8-flash", "gemini-3.1-flash-image"
SMALL: dict[str, Any] = {"generationConfig": {"imageConfig": {"imageSize": "512"}}}


def png(width: int = 64, height: int = 48) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(out, "PNG")
    return out.getvalue()


class Customer:
    """Somebody with a key of their own."""

    def __init__(self, http: httpx2.AsyncClient, origin: str) -> None:
        self.http, self.base = http, f"{origin}/gemini/v1beta"
        self.auth = {"x-goog-api-key": f"AIza{uuid.uuid4().hex}:good"}

    async def ask(
        self, words: str = "Hello", model: str = MODEL, *, method: str = "generateContent", **body: Any
    ) -> httpx2.Response:
        asked = {"contents": [{"role": "user", "parts": [{"text": words}]}], **body}
        return await self.http.post(f"{self.base}/models/{model}:{method}", json=asked, headers=self.auth)

    async def configured(self, model: str = MODEL, **config: Any) -> httpx2.Response:
        return await self.ask(model=model, generationConfig=config)

    async def get(self, path: str, **headers: str) -> httpx2.Response:
        return await self.http.get(f"{self.base}/{path}", headers=self.auth | headers)


@pytest.fixture
def customer(http: httpx2.AsyncClient, origin: str) -> Customer:
    return Customer(http, origin)


def error(answer: httpx2.Response, code: int = 400, status: str = "INVALID_ARGUMENT") -> dict[str, Any]:
    assert answer.status_code == code, answer.text
    told: dict[str, Any] = answer.json()["error"]
    assert (told["code"], told["status"]) == (code, status) and told["message"]
    return told


def detail(told: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(one for one in told["details"] if one["@type"] == f"type.googleapis.com/google.rpc.{kind}")


def parts(answer: httpx2.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["candidates"][0]["content"]["parts"]
    return found


def events(answer: httpx2.Response) -> list[dict[str, Any]]:
    assert answer.headers["content-type"].startswith("text/event-stream")
    return [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]


def text(pieces: list[dict[str, Any]]) -> str:
    found = (piece["candidates"][0].get("content", {"parts": []})["parts"] for piece in pieces)
    return "".join(part.get("text", "") for parts in found for part in parts)


# -- keys and models ------------------------------------------------------------------------------------------------


async def test_a_key_in_the_header_or_the_query_and_a_bad_one_is_400(customer: Customer) -> None:
    assert (await customer.get("models")).status_code == 200
    assert (await customer.http.get(f"{customer.base}/models?key=AIza-good")).status_code == 200
    told = error(await customer.get("models", **{"x-goog-api-key": "wrong"}))
    assert detail(told, "ErrorInfo")["reason"] == "API_KEY_INVALID"
    error(await customer.http.get(f"{customer.base}/models"), 403, "PERMISSION_DENIED")


async def test_models_come_in_pages_at_both_versions(customer: Customer) -> None:
    for version in ("v1", "v1beta"):
        customer.base = customer.base.rpartition("/")[0] + f"/{version}"
        names: list[str] = []
        token = ""
        while True:
            page = (await customer.get(f"models?pageSize=3{token}")).json()
            assert 1 <= len(page["models"]) <= 3
            names += [model["name"] for model in page["models"]]
            if "nextPageToken" not in page:
                break
            token = f"&pageToken={page['nextPageToken']}"
        assert f"models/{PAINTER}" in names and len(names) == len(set(names)) > 6
        assert (await customer.get(f"models/{MODEL}")).json()["baseModelId"] == MODEL
        assert parts(await customer.ask())
    error(await customer.get("models?pageSize=many"))
    error(await customer.get("elsewhere"), 404, "NOT_FOUND")


async def test_a_retired_model_is_gone_like_one_that_never_was(customer: Customer) -> None:
    for name in ("gemini-2.5-flash-image", "gemini-99"):
        error(await customer.ask(model=name), 404, "NOT_FOUND")
        error(await customer.get(f"models/{name}"), 404, "NOT_FOUND")


# -- text -----------------------------------------------------------------------------------------------------------


async def test_whole_streamed_and_in_an_array_it_is_the_same_text(customer: Customer) -> None:
    whole = (await customer.ask()).json()
    assert whole["candidates"][0]["finishReason"] == "STOP" and whole["responseId"]
    streamed = events(await customer.ask(method="streamGenerateContent?alt=sse"))
    assert len(streamed) > 3 and streamed[-1]["usageMetadata"] == whole["usageMetadata"]
    assert "[DONE]" not in json.dumps(streamed)
    array = await customer.ask(method="streamGenerateContent")
    assert array.headers["content-type"].startswith("application/json")
    assert text(streamed) == text(array.json()) == text([whole]) != ""


async def test_both_casings_and_both_alphabets_are_taken(customer: Customer) -> None:
    picture = png(255, 170)
    assert set("-_") & set(base64.urlsafe_b64encode(picture).decode())
    ways = (
        {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(picture).decode()}},
        {"inlineData": {"mime_type": "image/png", "data": base64.urlsafe_b64encode(picture).decode()}},
        {"inline_data": {"mime_type": "image/png", "data": base64.urlsafe_b64encode(picture).decode().rstrip("=")}},
    )
    for way in ways:
        turn = {"role": "user", "parts": [{"text": "What is in it?"}, way]}
        said = parts(
            await customer.ask(contents=[turn], generation_config={"thinking_config": {"thinking_level": "LOW"}})
        )
        assert "255 × 170" in said[0]["text"] or "255 × 170" in "".join(part["text"] for part in said)
    twice = {"inlineData": ways[0]["inlineData"], "inline_data": ways[0]["inlineData"]}
    error(await customer.ask(contents=[{"parts": [twice]}]))


async def test_json_fits_its_schema(customer: Customer) -> None:
    item = {"type": "OBJECT", "properties": {"type": {"type": "STRING"}, "own_name": {"type": "STRING"}}}
    schema = {"type": "OBJECT", "properties": {"all_of_them": {"type": "ARRAY", "items": item, "minItems": 2}}}
    answer = await customer.configured(responseMimeType="application/json", response_schema=schema)
    (made,) = json.loads(text([answer.json()])).items()
    assert made[0] == "all_of_them" and {frozenset(one) for one in made[1]} == {frozenset({"type", "own_name"})}


NO_SCHEMA = {"responseMimeType": "application/json"}


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"colour": "red"}, "generationConfig"),
        ({"maxOutputTokens": "9"}, "generationConfig.maxOutputTokens"),
        ({"temperature": 3}, "generationConfig.temperature"),
        ({"responseModalities": ["IMAGE"]}, "generation_config.response_modalities"),
        ({"responseSchema": {"type": "STRING"}}, "generation_config.response_schema"),
        ({**NO_SCHEMA, "responseSchema": {"type": "string"}}, "generation_config.response_schema.type"),
        ({**NO_SCHEMA, "responseSchema": {"type": "OBJECT"}}, "generation_config.response_schema.properties"),
        ({**NO_SCHEMA, "responseSchema": {"type": "STRING", "const": "a"}}, "generation_config.response_schema"),
        ({**NO_SCHEMA, "responseSchema": {"type": "INTEGER", "enum": ["1"]}}, "generation_config.response_schema.enum"),
        ({"thinkingConfig": {"thinkingLevel": "low"}}, "generationConfig.thinkingConfig.thinkingLevel"),
    ],
)
async def test_text_is_strict(customer: Customer, config: dict[str, Any], field: str) -> None:
    violations = detail(error(await customer.configured(**config)), "BadRequest")["fieldViolations"]
    assert violations[0]["field"] == field


async def test_turns_are_strict(customer: Customer) -> None:
    for contents in (
        [], [{"role": "system", "parts": [{"text": "x"}]}], [{"role": "user", "parts": []}],
        [{"role": "user", "parts": [{}]}], [{"role": "model", "parts": [{"text": "x"}]}],
        [{"parts": [{"inlineData": {"mimeType": "image/gif", "data": "AAAA"}}]}],
        [{"parts": [{"inlineData": {"mimeType": "image/png", "data": "#"}}]}],
        [{"parts": [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]}],
    ):  # fmt: skip
        error(await customer.ask(contents=contents))
    error(await customer.ask(safetySettings=[{"category": "HARM_CATEGORY_NOISE", "threshold": "OFF"}]))
    error(
        await customer.http.post(f"{customer.base}/models/{MODEL}:generateContent", content=b"{", headers=customer.auth)
    )
    assert "sandbox's index page" in error(await customer.ask("sandbox:nonsense"))["message"]


# -- pictures -------------------------------------------------------------------------------------------------------


async def test_a_picture_with_words_and_tokens(customer: Customer) -> None:
    config = {"imageConfig": {"aspectRatio": "9:16", "imageSize": "512"}, "responseModalities": ["TEXT", "IMAGE"]}
    answer = await customer.configured(PAINTER, **config)
    words, painted = parts(answer)
    with Image.open(io.BytesIO(base64.b64decode(painted["inlineData"]["data"]))) as image:
        assert (image.format, image.size) == ("PNG", (384, 672))
    used = answer.json()["usageMetadata"]
    assert words["text"] and used["candidatesTokensDetails"][0] == {"modality": "IMAGE", "tokenCount": 747}
    assert used["totalTokenCount"] == used["promptTokenCount"] + used["candidatesTokenCount"]
    config["responseModalities"] = ["IMAGE"]
    (alone,) = parts(await customer.configured(PAINTER, **config))
    assert alone.keys() == {"inlineData"}


@pytest.mark.parametrize(
    ("model", "config"),
    [
        (PAINTER, {"imageConfig": {"imageSize": "1k"}}), (PAINTER, {"imageConfig": {"aspectRatio": "7:3"}}),
        (PAINTER, {"imageConfig": {"size": "1K"}}), (PAINTER, {"responseModalities": ["TEXT"]}),
        (PAINTER, NO_SCHEMA), ("gemini-3-pro-image", {"imageConfig": {"imageSize": "512"}}),
        ("gemini-3.1-flash-lite-image", {"imageConfig": {"imageSize": "1K"}}),
    ],
)  # fmt: skip
async def test_pictures_are_strict(customer: Customer, model: str, config: dict[str, Any]) -> None:
    error(await customer.configured(model, **config))


# -- what can go wrong ----------------------------------------------------------------------------------------------


async def test_thoughts_are_marked(customer: Customer) -> None:
    said = parts(await customer.ask("Hello sandbox:thinking"))
    assert said[0]["thought"] is True and "thought" not in said[-1]
    first, draft, _, last = parts(await customer.ask("a harbour sandbox:thinking", PAINTER, **SMALL))
    assert first["thought"] and draft["thought"] and "inlineData" in draft
    assert "thought" not in last and last["thoughtSignature"]


async def test_refusals_come_with_200(customer: Customer) -> None:
    blocked = (await customer.ask("sandbox:block=jailbreak")).json()
    assert blocked["promptFeedback"]["blockReason"] == "JAILBREAK" and "candidates" not in blocked
    assert (await customer.ask("sandbox:safety")).json()["promptFeedback"]["blockReason"] == "SAFETY"
    for reason in ("spii", "image_safety", "malformed_response", "language"):
        (only,) = (await customer.ask(f"sandbox:finish={reason}")).json()["candidates"]
        assert only["finishReason"] == reason.upper() and "content" not in only
    half = events(await customer.ask("Hello sandbox:nsfw", method="streamGenerateContent?alt=sse"))
    assert text(half) and half[-1]["candidates"][0]["finishReason"] == "SAFETY"
    (words,) = parts(await customer.ask("sandbox:text-only", PAINTER))
    assert words.keys() == {"text"}


async def test_limits_and_trouble_in_googles_shape(customer: Customer) -> None:
    limited = error(await customer.ask("sandbox:429=13"), 429, "RESOURCE_EXHAUSTED")
    assert detail(limited, "RetryInfo")["retryDelay"] == "13s"
    daily = error(await customer.ask("sandbox:daily-quota"), 429, "RESOURCE_EXHAUSTED")
    assert "PerDay" in detail(daily, "QuotaFailure")["violations"][0]["quotaId"]
    error(await customer.ask("sandbox:overloaded"), 503, "UNAVAILABLE")
    error(await customer.ask("sandbox:timeout"), 504, "DEADLINE_EXCEEDED")
    error(await customer.ask("sandbox:500"), 500, "INTERNAL")
    error(await customer.ask("sandbox:no-credit"), 400, "FAILED_PRECONDITION")
    error(await customer.ask("sandbox:locked"), 403, "PERMISSION_DENIED")
    wrapped = (await customer.ask("sandbox:500", method="streamGenerateContent")).json()
    assert isinstance(wrapped, list) and wrapped[0]["error"]["status"] == "INTERNAL"


async def test_streams_break_on_demand_and_are_on_the_bill(customer: Customer, origin: str) -> None:
    late = events(await customer.ask("Hello sandbox:error-late", method="streamGenerateContent?alt=sse"))
    assert "error" in late[-1] and "candidates" in late[0]
    with pytest.raises(httpx2.RemoteProtocolError):
        await customer.ask(f"Hello {customer.base} sandbox:cut", method="streamGenerateContent?alt=sse")
    line = (await customer.http.get(f"{origin}/_bill")).json()["jobs"][-1]
    assert (line["provider"], line["endpoint"], line["status"]) == ("gemini", MODEL, "done")
