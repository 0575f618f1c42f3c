"""Pictures: one POST that waits for the result. Choices, and why:

- It is never sent twice. The wire knows no idempotency key, and OpenAI warns that a repeated image POST can make and
  bill a second picture.
- An answer of 4xx, and 503, says that nothing was begun: 503 is how an overloaded server, or a proxy without one,
  turns a request away at the door.
- Any other 5xx, 408, an answer that cannot be read and a broken connection leave it open whether a picture was made
  and billed: `OutcomeUnknown`. The sheet calls 500 "retry: yes for reads", and this is no read.
- The time limit is `wire.seconds` (240), or the request's own deadline when that is nearer: who waits longer than
  anybody wants the picture only keeps a connection.
- Answers hold base64, a third larger than the files: up to 192 MiB are read.
"""

from gesso.providers import asking
from gesso.providers.base import Done, MediaRequest
from gesso.providers.errors import Misconfigured, OutcomeUnknown, Rejected
from gesso.providers.http import Answer, NoAnswer
from gesso.providers.openai import failures, payload, wire
from gesso.providers.openai.client import OpenAIClient
from gesso.providers.openai.options import Shape, shape_of
from gesso.providers.openai.payload import Payload
from gesso.providers.openai.pricing import cost_micro_usd

ANSWER_MAX_BYTES = 192 * 2**20


async def paint(client: OpenAIClient, request: MediaRequest) -> Done:
    """The finished pictures. Raises as Provider.submit does."""
    shape = shape_of(request.model, "image", request.wire)
    built = payload.build(request, shape)
    seconds = asking.time_left(shape.seconds, request.deadline_seconds)
    try:
        if built.files:
            url, form = client.url("images/edits"), built.form
            answer = await client.call(
                "POST", url, form=form, files=built.files, seconds=seconds, max_bytes=ANSWER_MAX_BYTES
            )
        else:
            url = client.url("images/generations")
            answer = await client.call("POST", url, body=built.body, seconds=seconds, max_bytes=ANSWER_MAX_BYTES)
    except NoAnswer as error:
        raise error.while_making("Images") from None
    if answer.status != 200:
        raise failures.classify(answer, client.mask, "media")
    return _done(answer, built, shape, client)


def _done(answer: Answer, built: Payload, shape: Shape, client: OpenAIClient) -> Done:
    data = answer.data()
    found = wire.pictures(data)
    if not found.readable:
        error = wire.error_body(data)
        if isinstance(data, dict) and data.get("error"):
            raise failures.of_event(error, client.mask)
        if "html" in answer.headers.get("content-type", ""):
            raise Misconfigured("model", note="Images: the address answers with a web page.")
        raise OutcomeUnknown(note="Images: the answer cannot be read.")
    if not found.files:
        note = f"Images: {found.broken} of {found.broken} results cannot be decoded." if found.broken else "No results."
        raise Rejected("The model finished without delivering anything.", "failed", note=note)
    warnings = list(built.warnings)
    if len(found.files) < built.count:
        warnings.append(asking.short_of(len(found.files), built.count))
    cost = cost_micro_usd(found.usage, shape.usd_per_million)
    return Done(found.files, cost_micro_usd=cost, warnings=tuple(warnings))
