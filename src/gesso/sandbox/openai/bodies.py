"""Bodies of chat requests, checked as strictly as OpenAI does: unknown, ill-typed and missing fields are refused."""

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

_DATA_URI = re.compile(r"data:image/(?:png|jpeg|jpg|webp|gif);base64,(.*)", re.DOTALL)


class Strict(BaseModel):
    """A part of a body: nothing more than its fields, nothing coerced."""

    model_config = ConfigDict(extra="forbid", strict=True)


class ImageUrl(Strict):
    url: str
    detail: Literal["auto", "low", "high"] = "auto"


class TextPart(Strict):
    type: Literal["text"]
    text: str


class ImagePart(Strict):
    type: Literal["image_url"]
    image_url: ImageUrl


Part = Annotated[TextPart | ImagePart, Field(discriminator="type")]


class ChatTurn(Strict):
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[Part]
    name: str | None = None
    refusal: str | None = None

    @property
    def text(self) -> str:
        """All the words of it."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.content if isinstance(part, TextPart))

    @property
    def pictures(self) -> tuple[str, ...]:
        """The addresses of its pictures."""
        if isinstance(self.content, str):
            return ()
        return tuple(part.image_url.url for part in self.content if isinstance(part, ImagePart))


class NamedSchema(Strict):
    name: str = Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")
    description: str | None = None
    strict: bool | None = None
    schema_: dict[str, Any] = Field(alias="schema")


class ResponseFormat(Strict):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: NamedSchema | None = None


class StreamOptions(Strict):
    include_usage: bool = False
    include_obfuscation: bool = False


class ChatBody(Strict):
    """POST /chat/completions, without tools."""

    model: str
    messages: list[ChatTurn] = Field(min_length=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    max_tokens: int | None = Field(None, ge=1)
    temperature: float | int | None = Field(None, ge=0, le=2)
    top_p: float | int | None = Field(None, ge=0, le=1)
    n: Literal[1] | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    response_format: ResponseFormat | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    service_tier: str | None = None
    safety_identifier: str | None = None
    user: str | None = None
    store: bool | None = None
    metadata: dict[str, str] | None = None


def prompt_of(body: Any) -> str:
    """The last user's words of a body not validated yet, for faults and counting."""
    messages = body.get("messages") if isinstance(body, dict) else None
    for message in reversed(messages if isinstance(messages, list) else []):
        if isinstance(message, dict) and message.get("role") == "user":
            content = message.get("content")
            parts = content if isinstance(content, list) else [{"text": content}]
            texts = (part.get("text") for part in parts if isinstance(part, dict))
            return "\n".join(text for text in texts if isinstance(text, str))
    return ""


def inline_picture(url: str) -> bytes | None:
    """The bytes of a data URI; None for anything else. The sandbox fetches nothing."""
    match = _DATA_URI.fullmatch(url)
    if match is None:
        return None
    try:
        return base64.b64decode(match[1], validate=True)
    except (binascii.Error, ValueError):
        return None


def loose_objects(schema: Any, path: str = "") -> Iterator[str]:
    """What strict mode objects to: objects that do not close themselves, or that do not require all they have."""
    if isinstance(schema, list):
        for part in schema:
            yield from loose_objects(part, path)
    if not isinstance(schema, dict):
        return
    if schema.get("type") == "object" or "properties" in schema:
        properties = schema.get("properties") or {}
        if schema.get("additionalProperties") is not False:
            yield f"In context=({path}), 'additionalProperties' is required to be supplied and to be false."
        if sorted(properties) != sorted(schema.get("required") or []):
            yield f"In context=({path}), 'required' is required to include every key in properties."
    for name, part in schema.items():
        yield from loose_objects(part, f"{path}'{name}',")
