"""Text: a TextRequest to the body of POST /chat/completions. Pure and strict.

How a model wants to be asked is data: `TextRequest.wire` may hold

    {"limit": "max_completion_tokens" | "max_tokens" | "none",   the field for the longest answer; usual: the first at
                                                                 OpenAI, the second at other servers
     "schema": "json_schema" | "json_object" | "instruction",    how a JSON Schema is said; the last only asks in words
     "stream": true, "usage": true,                              whether to stream, and to ask for usage at its end
     "detail": "auto" | "low" | "high",                          how closely pictures are looked at
     "options": {"our name": "their field"} | ["same name", …],  settings passed through beside the usual ones
     "defaults": {"reasoning_effort": "low", …},                 always sent unless the request says otherwise
     "seconds": 300,                                             the longest an answer may take
     "usd_per_million": {…}}                                     prices, see pricing.py
"""

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Literal

from gesso.providers.base import JSON, InputFile
from gesso.providers.errors import Misconfigured, Rejected
from gesso.providers.openai import pricing
from gesso.providers.openai.client import check_model_id
from gesso.providers.passing import schema_in_words
from gesso.providers.text import TextMessage, TextRequest
from gesso.providers.wiredata import unusable

PICTURE_TYPES = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif"})
_USUAL = ("temperature", "top_p", "seed", "stop", "reasoning_effort", "verbosity")
_WORD = re.compile(r"[a-z][a-z0-9_]{0,60}")
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "limit": ("max_completion_tokens", "max_tokens", "none"),
    "schema": ("json_schema", "json_object", "instruction"),
    "detail": ("auto", "low", "high"),
}
_NESTED = ("properties", "$defs", "definitions")


@dataclass(frozen=True)
class Manner:
    """One model's way of being asked; fields as in the module's description."""

    limit: str = "max_completion_tokens"
    schema: Literal["json_schema", "json_object", "instruction"] = "json_schema"
    stream: bool = True
    usage: bool = True
    detail: str | None = None
    options: Mapping[str, str] = field(default_factory=lambda: {name: name for name in _USUAL})
    defaults: Mapping[str, JSON] = field(default_factory=dict)
    seconds: int = 300
    usd_per_million: Mapping[str, Decimal] = field(default_factory=dict)


def manner_of(wire: Mapping[str, JSON], *, is_openai: bool) -> Manner:
    """The usual manner with the catalogue's `wire` laid over it. Raises Misconfigured("model") on a bad `wire`."""
    return manner_over(wire, Manner() if is_openai else Manner(limit="max_tokens"))


def manner_over(wire: Mapping[str, JSON], usual: Manner) -> Manner:
    """`usual` with the catalogue's `wire` laid over it. Raises Misconfigured("model") on a bad `wire`."""
    return replace(usual, **{name: _read(name, value, usual) for name, value in wire.items()})


def _read(name: str, value: JSON, usual: Manner) -> Any:
    if name in _CHOICES and value in _CHOICES[name]:
        return value
    if name in ("stream", "usage") and isinstance(value, bool):
        return value
    if name == "defaults" and isinstance(value, dict):
        return value
    if name == "seconds" and isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 3600:
        return value
    if name == "usd_per_million":
        return pricing.prices(value)
    if name == "options":
        return {**usual.options, **read_options(value)}
    raise unusable(name)


def read_options(value: JSON) -> dict[str, str]:
    """Our names → theirs. Raises Misconfigured("model")."""
    given = {part: part for part in value if isinstance(part, str)} if isinstance(value, list) else value
    read = (
        {ours: theirs for ours, theirs in given.items() if isinstance(theirs, str)} if isinstance(given, dict) else {}
    )
    if not isinstance(value, dict | list) or len(read) != len(value) or not all(map(_WORD.fullmatch, read.values())):
        raise Misconfigured("model", note="The model's wire data has unusable 'options'.")
    return read


def body_of(
    request: TextRequest, manner: Manner, address_of: Callable[[InputFile], str] | None = None
) -> dict[str, JSON]:  # fmt: skip
    """The body to send; pictures stand in it by `address_of`, usually as data URIs. Raises Rejected, Misconfigured."""
    check_model_id(request.model)
    body: dict[str, JSON] = {"model": request.model, **manner.defaults}
    messages: list[JSON] = [_message(message, manner, address_of or data_uri) for message in request.messages]
    if request.schema is not None:
        if manner.schema == "json_schema":
            body["response_format"] = {"type": "json_schema", "json_schema": _named_schema(request.schema)}
        else:
            asked: JSON = {"role": "system", "content": schema_in_words(request.schema)}
            messages.insert(_after_system(request.messages), asked)
            if manner.schema == "json_object":
                body["response_format"] = {"type": "json_object"}
    body["messages"] = messages
    if manner.limit != "none":
        body[manner.limit] = request.max_output_tokens
    for name, value in request.options.items():
        if value is not None and name in manner.options:
            body[manner.options[name]] = value
    if manner.stream:
        body["stream"] = True
        if manner.usage:
            body["stream_options"] = {"include_usage": True}
    return body


def _message(message: TextMessage, manner: Manner, address_of: Callable[[InputFile], str]) -> JSON:
    if not message.images:
        return {"role": message.role, "content": message.text}
    parts: list[JSON] = [{"type": "text", "text": message.text}] if message.text else []
    return {
        "role": message.role,
        "content": [*parts, *(_picture(address_of(image), manner) for image in message.images)],
    }


def _picture(address: str, manner: Manner) -> JSON:
    url: dict[str, JSON] = {"url": address}
    if manner.detail is not None:
        url["detail"] = manner.detail
    return {"type": "image_url", "image_url": url}


def data_uri(image: InputFile) -> str:
    """The picture inside a URL. Raises Rejected for a format that is not taken."""
    if image.media_type not in PICTURE_TYPES:
        raise Rejected("The picture has a format that this model cannot read.", "input", field="images")
    return f"data:{image.media_type};base64,{base64.b64encode(image.data).decode()}"


def _after_system(messages: tuple[TextMessage, ...]) -> int:
    return sum(message.role == "system" for message in messages)


def _named_schema(schema: Mapping[str, JSON]) -> dict[str, JSON]:
    """The schema under a name; strict where every object requires all its members, as strictness wants it."""
    if not _requires_all(schema):
        return {"name": "answer", "strict": False, "schema": dict(schema)}
    closed = _closed(schema)
    assert isinstance(closed, dict)
    return {"name": "answer", "strict": True, "schema": closed}


def _requires_all(schema: object) -> bool:
    if isinstance(schema, list):
        return all(map(_requires_all, schema))
    if not isinstance(schema, Mapping):
        return True
    properties, required = schema.get("properties"), schema.get("required")
    if isinstance(properties, Mapping) and schema.get("type") == "object":
        if schema.get("additionalProperties", False) is not False:
            return False
        if set(properties) != set(required if isinstance(required, list | tuple) else ()):
            return False
    return all(map(_requires_all, schema.values()))


def _closed(schema: JSON | Mapping[str, JSON]) -> JSON:
    """The schema with additionalProperties = false wherever an object leaves it open by silence."""
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    closed: dict[str, JSON] = {}
    for name, part in schema.items():
        if name in _NESTED and isinstance(part, dict):
            closed[name] = {inner: _closed(value) for inner, value in part.items()}
        else:
            closed[name] = part if name in ("const", "enum", "default", "examples") else _closed(part)
    if schema.get("type") == "object" and isinstance(schema.get("properties"), Mapping):
        closed.setdefault("additionalProperties", False)
    return closed
