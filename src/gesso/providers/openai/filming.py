"""Videos in Sora's shape, for servers that speak it: create, poll, fetch the file with our key.

OpenAI announced its own endpoint to end on 2026-09-24. The create call is always a form. Its errors are read as
those of pictures. The file needs the key, so it is fetched here, from the configured origin only; where the server
sends to another address, that address is handed on to be fetched without the key.
"""

from urllib.parse import quote, urljoin

from gesso.providers import asking
from gesso.providers.base import Done, Failed, MediaRequest, Operation, OutputFile, Pending
from gesso.providers.errors import OutcomeUnknown, Rejected, Unavailable
from gesso.providers.http import Answer, NoAnswer, UntrustedUrl
from gesso.providers.openai import failures, payload, wire
from gesso.providers.openai.client import OpenAIClient
from gesso.providers.openai.options import shape_of

SUBMIT_SECONDS = 90.0
ASK_SECONDS = 30.0
FETCH_SECONDS = 240.0
FILE_MAX_BYTES = 512 * 2**20
_GOING = frozenset({"queued", "in_progress", "processing", "pending", "running"})
_FINISHED = frozenset({"completed", "succeeded"})


async def submit(client: OpenAIClient, request: MediaRequest) -> Operation:
    """Hand the job over, once. Raises as Provider.submit does."""
    built = payload.build(request, shape_of(request.model, "video", request.wire))
    seconds = asking.time_left(SUBMIT_SECONDS, request.deadline_seconds)
    try:
        answer = await client.call("POST", client.url("videos"), form=built.form, files=built.files, seconds=seconds)
    except NoAnswer as error:
        raise error.while_making("Videos") from None
    if not 200 <= answer.status < 300:
        raise failures.classify(answer, client.mask, "media")
    job = wire.video(answer.data())
    if job is None:
        raise OutcomeUnknown(note=f"Videos: HTTP {answer.status} without a readable id.")
    return Operation(job.id, {"base": client.base, "warnings": list(built.warnings)})


async def poll(client: OpenAIClient, operation: Operation) -> Pending | Done | Failed:
    """See Provider.poll: one status call and, once completed, the file."""
    answer = await _ask(client, "GET", operation)
    if answer.status in (404, 410):
        return Failed(Rejected("The model lost this request on its side.", "gone"))
    if answer.status != 200:
        raise failures.classify(answer, client.mask, "free")
    job = wire.video(answer.data())
    if job is None:
        raise Unavailable(note="Videos: the status cannot be read.")
    if job.status in _GOING:
        return Pending(progress=job.progress)
    if job.status not in _FINISHED:
        return Failed(failures.of_video(job.error, client.mask))
    return await _fetched(client, operation, job)


async def delete(client: OpenAIClient, operation: Operation) -> bool:
    """Ask to forget the job, which is all this wire has for stopping one. Raises ProviderError."""
    answer = await _ask(client, "DELETE", operation)
    if 200 <= answer.status < 300:
        return True
    if answer.status in (400, 404, 405, 409, 410):
        return False
    raise failures.classify(answer, client.mask, "free")


async def _fetched(client: OpenAIClient, operation: Operation, job: wire.Video) -> Done | Failed:
    answer = await _ask(client, "GET", operation, "/content", seconds=FETCH_SECONDS, max_bytes=FILE_MAX_BYTES)
    width, height = job.size or (None, None)
    if 300 <= answer.status < 400 and (location := answer.headers.get("location")):
        address = urljoin(_url(client, operation, "/content"), location)
        file = OutputFile(url=address, media_type="video/mp4", width=width, height=height)
    elif answer.status in (404, 410):
        return Failed(Rejected("The result is no longer kept at the provider.", "gone"))
    elif answer.status != 200:
        raise failures.classify(answer, client.mask, "free")
    elif not answer.body:
        return Failed(Rejected("The model finished without delivering anything.", "failed"))
    else:
        kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        media_type = kind if kind.startswith("video/") else None
        file = OutputFile(data=answer.body, media_type=media_type, width=width, height=height)
    told = operation.data.get("warnings")
    return Done((file,), warnings=tuple(str(text) for text in told) if isinstance(told, list) else ())


async def _ask(
    client: OpenAIClient, method: str, operation: Operation, tail: str = "", *,
    seconds: float = ASK_SECONDS, max_bytes: int = 2**20,
) -> Answer:  # fmt: skip
    """Raises Unavailable, or OutcomeUnknown when the job lies at another address than the one configured now."""
    try:
        return await client.call(
            method, _url(client, operation, tail), headers={"Accept": "*/*"}, seconds=seconds, max_bytes=max_bytes
        )
    except NoAnswer as error:
        raise error.while_asking("Videos") from None
    except UntrustedUrl:
        note = "The job does not lie at the address configured for this connection."
        raise OutcomeUnknown(note=note) from None


def _url(client: OpenAIClient, operation: Operation, tail: str) -> str:
    base = operation.data.get("base")
    return f"{base if isinstance(base, str) else client.base}/videos/{quote(operation.id, safe='')}{tail}"
