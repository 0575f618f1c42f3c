"""What the sandbox writes: better prompts, true words about pictures, JSON that fits a schema, a little small talk.

No model and no network: word lists, a picture's own measures, and the words it is given. The same conversation gets
the same answer in every process.
"""

import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image, UnidentifiedImageError

from gesso.sandbox import words
from gesso.sandbox.looks import look

_MAX_PIXELS = 64_000_000
_FAULT = re.compile(r"\bsandbox:[a-z0-9-]+(?:@[a-z]+)?(?:\*\d+)?(?:=[\w.:-]+)?", re.IGNORECASE)
_IMPROVE = re.compile(
    r"\b(?:improv|enhanc|enrich|rewrit|refin|expand|polish|better|variant|variation|alternativ|idea)\w*", re.IGNORECASE
)
_PROMPT = re.compile(r"\bprompts?\b", re.IGNORECASE)
_SUMMARY = re.compile(r"\bsummar(?:y|i[sz]e)\b|\bin short\b", re.IGNORECASE)
_INSTRUCTION = re.compile(r"^[^\n:]{0,200}\bprompts?\b[^\n:]{0,80}[:\n]\s*(.+)$", re.IGNORECASE | re.DOTALL)
_ABOUT = re.compile(r"\bprompts?\b[^\n]{0,40}?\b(?:about|of|for|showing|with)\s+(.+)$", re.IGNORECASE | re.DOTALL)
_QUOTED = re.compile(r"[\"“«„](.{3,})[\"”»“]", re.DOTALL)
_NUMBER = re.compile(r"\b(\d{1,2}|one|two|three|four|five|six|seven|eight|nine|ten)\b", re.IGNORECASE)
_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_TOKEN = re.compile(r"\s*\S{1,6}")
_MAX_DEPTH = 12


class Unreadable(ValueError):
    """A picture cannot be read; the first argument is its index."""


@dataclass(frozen=True)
class Conversation:
    """What was said: `system` is all instructions together, `said` the user's last turn, `pictures` encoded ones of
    it, `earlier` the turns before, `schema` the JSON Schema the answer must fit."""

    said: str
    system: str = ""
    earlier: tuple[str, ...] = ()
    pictures: tuple[bytes, ...] = ()
    schema: Mapping[str, Any] | None = None


def reply(conversation: Conversation) -> str:
    """The answer. Decodes pictures, so not on the event loop. Raises Unreadable."""
    said = _FAULT.sub("", conversation.said).strip()
    asked = f"{conversation.system}\n{said}"
    pictures = [_open(index, data) for index, data in enumerate(conversation.pictures)]
    schema = conversation.schema or _schema_in(conversation.system)
    if schema is not None:
        source = _Source(said, asked, _subject(said), tuple(look(picture) for picture in pictures))
        return json.dumps(source.fitting(schema), ensure_ascii=False)
    if pictures:
        return _described([look(picture) for picture in pictures])
    if _IMPROVE.search(asked) and _PROMPT.search(asked):
        return words.richer(_subject(said))
    if _SUMMARY.search(asked):
        return words.shorter(said if conversation.system and _SUMMARY.search(conversation.system) else _subject(said))
    return words.small_talk(said, conversation.earlier)


def tokens(text: str) -> list[str]:
    """The text in pieces as a model would send it: joined they are the text without white space at its end."""
    return _TOKEN.findall(text)


def picture_tokens(data: bytes) -> int:
    """What looking at a picture counts: about one token per 1,024 pixels, 85 at least. Raises Unreadable."""
    width, height = _open(0, data).size
    return max(85, width * height // 1024)


def _open(index: int, data: bytes) -> Image.Image:
    try:
        picture = Image.open(io.BytesIO(data))
        if picture.width * picture.height > _MAX_PIXELS:
            raise Unreadable(index)
        picture.load()
        return picture
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError):
        raise Unreadable(index) from None


def _schema_in(system: str) -> Mapping[str, Any] | None:
    """A JSON Schema that the instructions spell out."""
    _, named, rest = system.partition("JSON Schema")
    start = rest.find("{")
    if not named or start < 0:
        return None
    try:
        found, _ = json.JSONDecoder().raw_decode(rest, start)
    except ValueError:
        return None
    return found if isinstance(found, dict) and "type" in found else None


def _described(looks: Sequence[str]) -> str:
    if len(looks) == 1:
        return looks[0]
    return "\n".join(f"Picture {number}: {text}" for number, text in enumerate(looks, 1))


def _subject(said: str) -> str:
    """The user's own words without what they say about what to do with them."""
    text = said.strip()
    quoted = _QUOTED.search(text) if _IMPROVE.search(text) else None
    for found in (_INSTRUCTION.match(text), quoted, _ABOUT.search(text)):
        if found and found[1].strip(" \"“”'`"):
            return found[1].strip(" \"“”'`\n")
    return text


@dataclass(frozen=True)
class _Source:
    """What values of a schema are made of."""

    said: str
    asked: str
    subject: str
    looks: tuple[str, ...]

    def fitting(self, schema: Any, name: str = "", number: int = 0, root: Any = None, depth: int = 0) -> Any:
        """A value that fits `schema`: the `number`-th of its kind, under the member `name`."""
        root = schema if root is None else root
        if not isinstance(schema, Mapping) or depth > _MAX_DEPTH:
            return None
        if isinstance(ref := schema.get("$ref"), str):
            return self.fitting(_resolved(root, ref), name, number, root, depth + 1)
        if "const" in schema:
            return schema["const"]
        if isinstance(choices := schema.get("enum"), list) and choices:
            return choices[number % len(choices)]
        for union in ("anyOf", "oneOf", "allOf"):
            if isinstance(parts := schema.get(union), list) and parts:
                return self.fitting(parts[0], name, number, root, depth + 1)
        kind = schema.get("type")
        kind = next((k for k in kind if k != "null"), "null") if isinstance(kind, list) else kind
        if kind == "object" or (kind is None and "properties" in schema):
            properties = schema.get("properties") or {}
            return {key: self.fitting(part, key, number, root, depth + 1) for key, part in properties.items()}
        if kind == "array":
            made = (
                self.fitting(schema.get("items", {"type": "string"}), name, place, root, depth + 1)
                for place in range(self._length(schema))
            )
            return list(made)
        if kind in ("integer", "number"):
            low, high = schema.get("minimum", 1), schema.get("maximum")
            return low + number if high is None else min(low + number, high)
        if kind == "boolean":
            return number % 2 == 0
        return self._text(schema, name, number) if kind in ("string", None) else None

    def _length(self, schema: Mapping[str, Any]) -> int:
        low, high = schema.get("minItems", 0), schema.get("maxItems")
        found = _NUMBER.search(self.asked)
        wanted = low or 3
        if found and not (low and low == high):
            wanted = int(found[1]) if found[1].isdigit() else _NUMBERS.index(found[1].lower())
        return int(max(low, min(wanted, high if high is not None else 20)))

    def _text(self, schema: Mapping[str, Any], name: str, number: int) -> str:
        name = name.lower()
        if "description" in name or "caption" in name:
            text = self.looks[number % len(self.looks)] if self.looks else words.sentence(self.subject, number)
        elif "title" in name or "name" in name:
            text = words.title(self.subject, number)
        elif "tag" in name or "keyword" in name:
            text = words.tag(self.subject, number)
        elif "summary" in name:
            text = words.shorter(self.said)
        elif _PROMPT.search(self.asked) or _IMPROVE.search(self.asked) or "prompt" in name:
            text = words.richer(self.subject, number)
        else:
            text = self.looks[number % len(self.looks)] if self.looks else words.sentence(self.subject, number)
        longest = schema.get("maxLength")
        text = text[:longest].rstrip() if isinstance(longest, int) and longest > 0 else text
        return text.ljust(int(schema.get("minLength", 0)), ".")


def _resolved(root: Any, reference: str) -> Any:
    """What `#/$defs/name` points to."""
    found = root
    for part in _steps(reference):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _steps(reference: str) -> Iterator[str]:
    for part in reference.removeprefix("#").split("/"):
        if part:
            yield part.replace("~1", "/").replace("~0", "~")
