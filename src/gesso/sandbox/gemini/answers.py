"""What the sandbox answers: words, a picture, thoughts and refusals, with the tokens they took."""

import asyncio
import base64
import math
import secrets
from dataclasses import dataclass, field
from typing import Any

from gesso.sandbox import writer
from gesso.sandbox.delivery import spoilt_bytes
from gesso.sandbox.faults import Faults
from gesso.sandbox.gemini.bodies import Body, decoded, json_schema
from gesso.sandbox.gemini.models import SIDES, Offer
from gesso.sandbox.studio import Order, Studio

Part = dict[str, Any]
_THOUGHTS = "The user asks the sandbox, so a short and honest answer will do."
_HERE = "Here is your picture."
_INSTEAD = "I would rather talk about this than draw it. What mood should the picture have?"
_RATINGS = [
    {"category": f"HARM_CATEGORY_{name}", "probability": "NEGLIGIBLE", "blocked": False}
    for name in ("HARASSMENT", "HATE_SPEECH", "SEXUALLY_EXPLICIT", "DANGEROUS_CONTENT")
]
_STEP = 32


@dataclass(frozen=True)
class Said:
    """An answer before it is sent. `parts` in the order they come; `block`: the prompt's refusal, then there are none.

    `made` counts tokens of words and pictures, `thoughts` those of thoughts, `image_tokens` those of pictures.
    """

    model: str
    parts: list[Part]
    finish: str
    sent: int
    made: int = 0
    image_tokens: int = 0
    thoughts: int = 0
    block: str | None = None
    id: str = field(default_factory=lambda: secrets.token_urlsafe(16))

    def usage(self) -> dict[str, Any]:
        told: dict[str, Any] = {
            "promptTokenCount": self.sent, "totalTokenCount": self.sent + self.made + self.thoughts,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": self.sent}],
        }  # fmt: skip
        if self.block is not None:
            return told
        told["candidatesTokenCount"] = self.made
        if self.thoughts:
            told["thoughtsTokenCount"] = self.thoughts
        if self.image_tokens:
            told["candidatesTokensDetails"] = [
                {"modality": "IMAGE", "tokenCount": self.image_tokens},
                {"modality": "TEXT", "tokenCount": self.made - self.image_tokens},
            ]
        return told

    def piece(self, parts: list[Part], faults: Faults, *, last: bool) -> dict[str, Any]:
        """A GenerateContentResponse with some of the parts; the last one also says how it ended."""
        told: dict[str, Any] = {} if "no-usage" in faults else {"usageMetadata": self.usage()}
        told |= {"modelVersion": self.model, "responseId": self.id}
        if self.block is not None:
            return {"promptFeedback": {"blockReason": self.block, "safetyRatings": _RATINGS}} | told
        candidate: dict[str, Any] = {"index": 0}
        if parts:
            candidate["content"] = {"role": "model", "parts": parts}
        if last:
            candidate |= {"finishReason": self.finish, "safetyRatings": _RATINGS}
        return {"candidates": [candidate]} | told


async def answer(body: Body, offer: Offer, faults: Faults, studio: Studio) -> Said:
    """The answer. Raises writer.Unreadable and studio.BadReference for pictures that cannot be read."""
    sent = await asyncio.to_thread(_sent, body)
    block = faults.get("block")
    if block is not None or "safety" in faults:
        argument = block.argument if block is not None else None
        return Said(offer.id, [], "", sent, block=(argument or "SAFETY").upper())
    if (ended := faults.get("finish")) is not None:
        return Said(offer.id, [], (ended.argument or "OTHER").upper(), sent)
    if "fail" in faults:
        return Said(offer.id, [], "OTHER" if offer.kind == "text" else "IMAGE_OTHER", sent)
    if offer.kind == "image":
        return await _painted(body, offer, faults, studio, sent)
    return await asyncio.to_thread(_written, body, offer, faults, sent)


def _sent(body: Body) -> int:
    """Tokens of what was asked."""
    texts = [turn.text for turn in body.contents]
    if body.systemInstruction is not None:
        texts += [part.text or "" for part in body.systemInstruction.parts]
    pictures = sum(writer.picture_tokens(data) for data in _pictures(body))
    return sum(len(writer.tokens(text)) + 3 for text in texts) + pictures


def _pictures(body: Body) -> tuple[bytes, ...]:
    """Those of the user's last turn."""
    return tuple(data for blob in body.contents[-1].blobs if (data := decoded(blob)) is not None)


def _thought(text: str) -> Part:
    return {"text": text, "thought": True}


def _written(body: Body, offer: Offer, faults: Faults, sent: int) -> Said:
    config = body.generationConfig
    schema: dict[str, Any] | None = None
    if config.responseMimeType == "application/json" and "no-schema" not in faults:
        schema = json_schema(config.responseSchema) if config.responseSchema else None
    rules = body.systemInstruction.parts if body.systemInstruction is not None else []
    conversation = writer.Conversation(
        said=body.contents[-1].text, system="\n".join(part.text or "" for part in rules), schema=schema,
        pictures=_pictures(body), earlier=tuple(turn.text for turn in body.contents[:-1] if turn.role == "user"),
    )  # fmt: skip
    pieces = [] if "empty" in faults else writer.tokens(writer.reply(conversation))
    limit, finish = config.maxOutputTokens or len(pieces), "STOP"
    if len(pieces) > limit:
        pieces, finish = pieces[:limit], "MAX_TOKENS"
    if "nsfw" in faults:
        pieces, finish = pieces[: len(pieces) // 2], "SAFETY"
    thoughts = writer.tokens(_THOUGHTS) if "thinking" in faults else []
    parts = [*map(_thought, thoughts), *({"text": piece} for piece in pieces)]
    return Said(offer.id, parts, finish, sent, made=len(pieces), thoughts=len(thoughts))


async def _painted(body: Body, offer: Offer, faults: Faults, studio: Studio, sent: int) -> Said:
    if "nsfw" in faults:
        return Said(offer.id, [], "IMAGE_SAFETY", sent)
    if "text-only" in faults or "fewer" in faults:
        return Said(offer.id, [{"text": _INSTEAD}], "STOP", sent, made=len(writer.tokens(_INSTEAD)))
    if "empty" in faults:
        return Said(offer.id, [], "STOP", sent)
    image = body.generationConfig.imageConfig
    size = (image.imageSize if image else None) or "1K"
    width, height = _sides((image.aspectRatio if image else None) or "1:1", size)
    prompt, seed = body.contents[-1].text, secrets.randbelow(2**31)
    picture = await studio.paint(Order(prompt, seed, width, height, "png", _pictures(body)))
    parts: list[Part] = []
    thoughts = 0
    if "thinking" in faults:
        draft = await studio.paint(Order(f"{prompt} (draft)", seed, _STEP, _STEP, "png"))
        parts, thoughts = [_thought(_THOUGHTS), _inline(draft) | {"thought": True}], len(writer.tokens(_THOUGHTS))
    words = []
    if "TEXT" in (body.generationConfig.responseModalities or ["TEXT", "IMAGE"]):
        words = writer.tokens(_HERE)
        parts.append({"text": _HERE})
    made = _inline(await spoilt_bytes(picture, faults))
    if "bad-base64" in faults:
        made["inlineData"]["data"] = f"#{made['inlineData']['data']}"
    parts.append(made | ({"thoughtSignature": secrets.token_urlsafe(24)} if "thinking" in faults else {}))
    tokens = offer.sizes[size]
    return Said(offer.id, parts, "STOP", sent, made=tokens + len(words), image_tokens=tokens, thoughts=thoughts)


def _inline(picture: bytes) -> Part:
    return {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(picture).decode()}}


def _sides(ratio: str, size: str) -> tuple[int, int]:
    """Pixels of a picture of this ratio and about this area; sides in steps of 32."""
    wide, high = map(int, ratio.split(":"))
    root = math.sqrt(wide / high)
    width, height = (max(_STEP, round(side / _STEP) * _STEP) for side in (SIDES[size] * root, SIDES[size] / root))
    return width, height
