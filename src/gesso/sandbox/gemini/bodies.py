"""Bodies of generateContent: both casings and both base64 alphabets are taken, what is unknown or ill-typed is not."""

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

_HUMP = re.compile(r"_([a-z0-9])")
_NAMES_WITHIN = frozenset({"properties"})
"""Members whose own members are named by the caller."""
_TYPES = frozenset({"STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT"})
_SCHEMA = frozenset(
    {
        "type", "format", "title", "description", "nullable", "enum", "items", "minItems", "maxItems", "properties",
        "required", "propertyOrdering", "minimum", "maximum", "minLength", "maxLength", "pattern", "anyOf",
        "minProperties", "maxProperties", "default", "example",
    }
)  # fmt: skip
_ALPHABET = str.maketrans("-_", "+/")


class TwiceNamed(ValueError):
    """A member was given in both casings; the first argument is its name."""


class Strict(BaseModel):
    """A part of a body: nothing more than its fields, nothing coerced."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Blob(Strict):
    mimeType: str
    data: str


class Part(Strict):
    text: str | None = None
    inlineData: Blob | None = None
    thought: bool | None = None
    thoughtSignature: str | None = None


class Content(Strict):
    role: Literal["user", "model"] = "user"
    parts: list[Part] = Field(min_length=1)

    @property
    def text(self) -> str:
        """All the words of it."""
        return "\n".join(part.text for part in self.parts if part.text)

    @property
    def blobs(self) -> list[Blob]:
        """Its pictures, encoded."""
        return [part.inlineData for part in self.parts if part.inlineData is not None]


class Instruction(Strict):
    role: str | None = None
    parts: list[Part] = Field(min_length=1)


class ImageConfig(Strict):
    aspectRatio: str | None = None
    imageSize: str | None = None


class ThinkingConfig(Strict):
    thinkingLevel: Literal["MINIMAL", "LOW", "MEDIUM", "HIGH"] | None = None
    includeThoughts: bool | None = None


class GenerationConfig(Strict):
    responseModalities: list[Literal["TEXT", "IMAGE"]] | None = None
    imageConfig: ImageConfig | None = None
    temperature: float | int | None = Field(None, ge=0, le=2)
    topP: float | int | None = Field(None, ge=0, le=1)
    topK: int | None = Field(None, ge=1)
    maxOutputTokens: int | None = Field(None, ge=1)
    candidateCount: Literal[1] | None = None
    seed: int | None = None
    stopSequences: list[str] | None = Field(None, max_length=5)
    responseMimeType: Literal["text/plain", "application/json"] | None = None
    responseSchema: dict[str, Any] | None = None
    thinkingConfig: ThinkingConfig | None = None


class SafetySetting(Strict):
    category: Literal[
        "HARM_CATEGORY_HARASSMENT", "HARM_CATEGORY_HATE_SPEECH", "HARM_CATEGORY_SEXUALLY_EXPLICIT",
        "HARM_CATEGORY_DANGEROUS_CONTENT", "HARM_CATEGORY_CIVIC_INTEGRITY",
    ]  # fmt: skip
    threshold: Literal["BLOCK_LOW_AND_ABOVE", "BLOCK_MEDIUM_AND_ABOVE", "BLOCK_ONLY_HIGH", "BLOCK_NONE", "OFF"]


class Body(Strict):
    contents: list[Content] = Field(min_length=1)
    systemInstruction: Instruction | None = None
    safetySettings: list[SafetySetting] = Field(default_factory=list)
    generationConfig: GenerationConfig = Field(default_factory=GenerationConfig)


def camel(value: Any, *, names: bool = False) -> Any:
    """The body with all of Google's names in camelCase; `names`: the members here are the caller's own names.

    Raises TwiceNamed.
    """
    if isinstance(value, list):
        return [camel(part) for part in value]
    if not isinstance(value, dict):
        return value
    made: dict[str, Any] = {}
    for name, part in value.items():
        key = name if names else _HUMP.sub(lambda found: found[1].upper(), name)
        if key in made:
            raise TwiceNamed(name)
        made[key] = camel(part, names=not names and key in _NAMES_WITHIN)
    return made


def prompt_of(raw: Any) -> str:
    """The last user's words of a body not validated yet, for faults and counting."""
    turns = raw.get("contents") if isinstance(raw, dict) else None
    for turn in reversed(turns if isinstance(turns, list) else []):
        if isinstance(turn, dict) and turn.get("role", "user") == "user":
            parts = turn.get("parts")
            texts = (part.get("text") for part in parts if isinstance(part, dict)) if isinstance(parts, list) else ()
            return "\n".join(text for text in texts if isinstance(text, str))
    return ""


def decoded(blob: Blob) -> bytes | None:
    """The bytes, in whichever base64 alphabet, padded or not; None when it is neither."""
    plain = blob.data.translate(_ALPHABET).rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True) or None
    except (binascii.Error, ValueError):
        return None


def schema_faults(schema: Any, path: str = "generation_config.response_schema") -> Iterator[tuple[str, str]]:
    """What is wrong with a responseSchema: (where, what)."""
    if not isinstance(schema, dict):
        yield path, "must be an object"
        return
    for name in schema.keys() - _SCHEMA:
        yield path, f'Unknown name "{name}": Cannot find field.'
    kind = schema.get("type")
    if kind not in _TYPES and "anyOf" not in schema:
        yield f"{path}.type", f"Invalid value: {kind!r}"
    if "enum" in schema and (kind != "STRING" or not all(isinstance(one, str) for one in schema["enum"])):
        yield f"{path}.enum", "only allowed for STRING type"
    if kind == "OBJECT":
        members = schema.get("properties")
        if not isinstance(members, dict) or not members:
            yield f"{path}.properties", "should be non-empty for OBJECT type"
            return
        for name in set(schema.get("required") or []) - members.keys():
            yield f"{path}.required", f"property is not defined: {name}"
        for name, part in members.items():
            yield from schema_faults(part, f"{path}.properties[{name}]")
    if kind == "ARRAY":
        yield from schema_faults(schema.get("items"), f"{path}.items")
    for part in schema.get("anyOf") or []:
        yield from schema_faults(part, f"{path}.any_of")


def json_schema(schema: Any) -> Any:
    """A responseSchema as JSON Schema: the same but for the names of types."""
    if isinstance(schema, list):
        return [json_schema(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: json_schema(part) for name, part in schema.items()}
    kind = made.get("type")
    return made | ({"type": kind.lower()} if isinstance(kind, str) and kind in _TYPES else {})
