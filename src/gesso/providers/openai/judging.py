"""Moderation: POST /moderations with a text and pictures together. Free.

Categories keep OpenAI's words, slash and hyphen: `sexual/minors`, `self-harm/intent`. Note that it looks for
`sexual/minors` in texts only: a picture that passes here is not proven to be free of it.
"""

from gesso.providers.base import JSON, InputFile
from gesso.providers.errors import Unavailable
from gesso.providers.http import NoAnswer
from gesso.providers.openai import failures, wire
from gesso.providers.openai.chat import data_uri
from gesso.providers.openai.client import OpenAIClient, check_model_id
from gesso.providers.text import Judgement

SECONDS = 30.0
UNNAMED = "flagged"
"""The category of an objection that names none."""


async def judge(client: OpenAIClient, model: str, text: str, images: tuple[InputFile, ...]) -> Judgement:
    """See Judge.judge. Nothing is billed, so that a failed call may always be made again: Unavailable."""
    check_model_id(model)
    parts: list[JSON] = [{"type": "text", "text": text}] if text or not images else []
    parts += [{"type": "image_url", "image_url": {"url": data_uri(image)}} for image in images]
    body: dict[str, JSON] = {"model": model, "input": parts if images else text}
    try:
        answer = await client.call("POST", client.url("moderations"), body=body, seconds=SECONDS)
    except NoAnswer as error:
        raise error.while_asking("Moderation") from None
    if answer.status != 200:
        raise failures.classify(answer, client.mask, "free")
    results = wire.verdicts(answer.data())
    if not results:
        raise Unavailable(note="Moderation: the answer cannot be read.")
    flagged = frozenset().union(*(one.categories for one in results))
    if any(one.flagged for one in results) and not flagged:
        flagged = frozenset({UNNAMED})
    scores: dict[str, float] = {}
    for one in results:
        for name, score in one.scores.items():
            scores[name] = max(score, scores.get(name, 0.0))
    return Judgement(flagged, scores)
