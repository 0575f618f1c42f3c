"""Pictures: one POST that waits for the result. Choices, and why:

- It is never sent twice: the wire knows no idempotency key.
- 4xx says that nothing was begun, and so does 503 in Google's own words: the model is overloaded. Any other 5xx, an
  answer that cannot be read and a broken connection leave it open whether a picture was made and billed.
- A picture model may answer 200 with words alone, or refuse: that is a failed generation.
- Thinking models send drafts before the picture, marked as thoughts; those are left out. Their signatures matter only
  for talks of several turns, and each request here is one turn.
- The time limit is `wire.seconds` (180), or the request's own deadline when that is nearer.
- Answers hold base64: up to 192 MiB are read.
"""

from gesso.providers import asking
from gesso.providers.base import Done, MediaRequest
from gesso.providers.errors import Misconfigured, OutcomeUnknown, Rejected
from gesso.providers.gemini import failures, payload, wire
from gesso.providers.gemini.client import GeminiClient
from gesso.providers.gemini.options import Shape, shape_of
from gesso.providers.gemini.payload import Payload
from gesso.providers.gemini.pricing import cost_micro_usd
from gesso.providers.http import Answer, NoAnswer

ANSWER_MAX_BYTES = 192 * 2**20


async def paint(client: GeminiClient, request: MediaRequest) -> Done:
    """The finished picture. Raises as Provider.submit does."""
    if request.kind != "image":
        raise Misconfigured("model", note="This adapter makes no films.")
    shape = shape_of(request.model, "image", request.wire)
    url = client.call_of(request.model, "generateContent")
    built = payload.build(request, shape)
    seconds = asking.time_left(shape.seconds, request.deadline_seconds)
    try:
        answer = await client.call("POST", url, body=built.body, seconds=seconds, max_bytes=ANSWER_MAX_BYTES)
    except NoAnswer as error:
        raise error.while_making("Pictures") from None
    if answer.status != 200:
        raise failures.classify(answer, client.mask, "media")
    return _done(answer, built, shape, client)


def _done(answer: Answer, built: Payload, shape: Shape, client: GeminiClient) -> Done:
    reply = wire.reply(answer.data())
    if reply.problem is not None:
        raise failures.of_event(reply.problem, client.mask, "media")
    if not reply.readable:
        if "html" in answer.headers.get("content-type", ""):
            raise Misconfigured("model", note="Pictures: the address answers with a web page.")
        raise OutcomeUnknown(note="Pictures: the answer cannot be read.")
    refused = failures.refusal(reply)
    if refused is not None:
        raise refused
    if not reply.pictures:
        told = f"{reply.broken} cannot be decoded" if reply.broken else f"{len(reply.text)} characters of text"
        note = f"Pictures: none in the answer, {told}, finishReason {reply.finish}."
        raise Rejected("The model answered without making a picture.", "failed", note=note)
    warnings = list(built.warnings)
    if len(reply.pictures) > 1:
        warnings.append(f"The model made {len(reply.pictures)} pictures; the first was kept.")
    return Done(
        reply.pictures[:1], cost_micro_usd=cost_micro_usd(reply.usage, shape.usd_per_million), warnings=tuple(warnings)
    )
