"""POST /v1/moderations: a verdict by a few plain words, so that every category can be asked for."""

import asyncio
import re
import secrets
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gesso.sandbox import writer
from gesso.sandbox.openai import errors
from gesso.sandbox.openai.auth import authenticate, struck
from gesso.sandbox.openai.bodies import ImagePart, Strict, TextPart, inline_picture
from gesso.sandbox.openai.chat import read_json
from gesso.sandbox.openai.errors import INVALID, failure, request_headers
from gesso.sandbox.openai.face import OpenAIFace
from gesso.sandbox.openai.models import offer
from gesso.sandbox.transport import strike_after

HIT = 0.97
"""The score of a word that is found, or of a fault that names none (`safety=0.6` names one)."""
_SEEN = frozenset({"sexual", "self-harm", "self-harm/intent", "self-harm/instructions", "violence", "violence/graphic"})
"""Categories that pictures are judged by too."""
_WORDS: Mapping[str, str] = {
    "sexual": r"nude|nudity|erotic|porn\w*",
    "sexual/minors": r"flag-minors",
    "harassment": r"insult\w*|bully\w*",
    "harassment/threatening": r"threaten\w*",
    "hate": r"hateful",
    "hate/threatening": r"flag-hate-threatening",
    "illicit": r"burgle|shoplift\w*",
    "illicit/violent": r"flag-illicit-violent",
    "self-harm": r"self-harm",
    "self-harm/intent": r"flag-self-harm-intent",
    "self-harm/instructions": r"flag-self-harm-instructions",
    "violence": r"massacre|bloodbath",
    "violence/graphic": r"gore|dismember\w*",
}


class ModerationBody(Strict):
    model: str = "omni-moderation-latest"
    input: str | list[str] | list[Annotated[TextPart | ImagePart, Field(discriminator="type")]]


async def moderate(request: Request, face: OpenAIFace) -> Response:
    """A list of texts gets one result each; a list of parts gets one for all. Nothing is on the bill: it is free."""
    caller = authenticate(request)
    if isinstance(caller, Response):
        return caller
    raw = await read_json(request)
    if isinstance(raw, Response):
        return raw
    try:
        body = ModerationBody.model_validate(raw)
    except ValidationError as error:
        return errors.not_valid(error)
    if offer(body.model, "moderation") is None:
        return errors.no_model(body.model)
    texts, pictures = _taken(body)
    prompt = "\n".join(texts)
    faults = caller.faults_for(request, prompt, face.tally)
    if (answer := struck(faults, "submit", prompt, face.tally, face.hang_seconds)) is not None:
        return answer
    try:
        for url in pictures:
            data = inline_picture(url)
            if data is None:
                raise writer.Unreadable(0)
            await asyncio.to_thread(writer.picture_tokens, data)
    except writer.Unreadable:
        return failure(400, "Invalid image.", INVALID, "invalid_image_url", "input")
    asked = faults.get("safety")
    flagged = asked.number(HIT) if asked is not None else HIT if "nsfw" in faults else None
    if isinstance(body.input, list) and body.input and not isinstance(body.input[0], str):
        results = [_result(prompt, bool(texts), bool(pictures), flagged)]
    else:
        results = [_result(text, True, False, flagged) for text in texts]
    shape = {"id": f"modr-{secrets.token_hex(12)}", "model": "omni-moderation-latest", "results": results}
    return strike_after(faults, "submit", prompt, face.tally, JSONResponse(shape, headers=request_headers()))


def _taken(body: ModerationBody) -> tuple[list[str], list[str]]:
    parts = [body.input] if isinstance(body.input, str) else body.input
    texts = [part if isinstance(part, str) else part.text for part in parts if not isinstance(part, ImagePart)]
    return texts, [part.image_url.url for part in parts if isinstance(part, ImagePart)]


def _result(text: str, has_text: bool, has_picture: bool, flagged: float | None) -> dict[str, Any]:
    """`flagged`: the score a fault asks for; one of less than a half is told without an objection."""
    scores = {name: HIT for name, words in _WORDS.items() if re.search(rf"\b(?:{words})\b", text, re.IGNORECASE)}
    scores |= {"sexual": flagged} if flagged is not None else {}
    hits = {name for name, score in scores.items() if score >= 0.5}
    sources = [name for name, given in (("text", has_text), ("image", has_picture)) if given]
    return {
        "flagged": bool(hits),
        "categories": {name: name in hits for name in _WORDS},
        "category_scores": {name: scores.get(name, 0.0001) for name in _WORDS},
        "category_applied_input_types": {
            name: [source for source in sources if source == "text" or name in _SEEN] for name in _WORDS
        },
    }
