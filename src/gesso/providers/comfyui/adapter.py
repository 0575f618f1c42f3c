"""The ComfyUI adapter: queue a workflow, look for it, take its files. A box of one's own, on its private address.

Choices about what is sent, and why:

- Our key of the attempt becomes the job's id (`prompt_id`), so that a call whose answer was lost can be looked up.
  The same id twice would run twice, so nothing is sent again for that reason.
- What reading the result needs goes along in `extra_data` and comes back with the job: a job found again is whole.
- Progress inside a job is told on a websocket only, node by node, and lost with the connection. It is not used; the
  place in the box's queue is told instead.
- Queue and history are in the box's memory: a job that is in neither was lost with a restart, cleared or removed by
  somebody, and is not sent again by itself.
"""

import hashlib
import re
import secrets
from typing import Any

from gesso.providers.base import (
    JSON,
    ConnectionConfig,
    Done,
    Failed,
    InputFile,
    MediaRequest,
    Operation,
    Pending,
    TestReport,
)
from gesso.providers.comfyui import failures, payload, results, wire
from gesso.providers.comfyui.client import ComfyClient
from gesso.providers.comfyui.options import Shape, shape_of
from gesso.providers.errors import OutcomeUnknown, ProviderError, Rejected, Unavailable
from gesso.providers.http import Answer, FilePart, NoAnswer
from gesso.providers.silent import WithoutNotices
from gesso.providers.trial import tried

SUBMIT_SECONDS = 60.0
UPLOAD_SECONDS = 120.0
ASK_SECONDS = 30.0
QUEUE_MAX_BYTES = 64 * 2**20
"""The queue names every waiting workflow in full."""
SINCE = (0, 3, 57)
"""The first version that stops one job and not whatever runs."""
_FOREIGN = "It did not come from ComfyUI: please check the base URL."
_EXTENSIONS = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp", "image/gif": "gif"}


class ComfyAdapter(WithoutNotices):
    """One box."""

    can_find = True

    def __init__(self, config: ConnectionConfig) -> None:
        """Raises Misconfigured when the address or a given key cannot be used."""
        self._client = ComfyClient(config)

    async def submit(self, request: MediaRequest, key: str) -> Operation:
        """See Provider.submit. `key` becomes the job's id."""
        shape = shape_of(request.model, request.kind, request.wire)
        payload.check_inputs(request, shape)
        seed = request.seed if request.seed is not None else secrets.randbelow(2**32)
        names = [str(number) for number in range(len(request.inputs))]
        payload.build(request, shape, name=key, seed=seed, images=names)  # refuses before anything is uploaded
        images = [await self._upload(file) for file in request.inputs]
        built = payload.build(request, shape, name=key, seed=seed, images=images)
        facts = _facts(request, shape, built, seed)
        body: dict[str, JSON] = {"prompt": built.workflow, "prompt_id": key, "extra_data": {wire.FACTS: facts}}
        try:
            answer = await self._client.call("POST", self._client.url("prompt"), body=body, seconds=SUBMIT_SECONDS)
        except NoAnswer as error:
            raise error.while_making("Submit") from None
        if answer.status == 500:
            return await self._after_crash(answer, key)
        if answer.status != 200:
            raise failures.of_submit(answer, shape, self._client.mask)
        return self._taken(answer, facts)

    def _taken(self, answer: Answer, facts: dict[str, JSON]) -> Operation:
        """The queued job. Versions before 0.3.44 make their own id; it is followed then."""
        data = answer.data()
        taken = wire.prompt_id(data)
        if taken is None:
            raise OutcomeUnknown(note="Submit: an accepting answer without an id.")
        left_out: list[JSON] = [failures.told_of(problem) for problem in wire.refusal(data).problems[:3]]
        return self._operation(taken, facts | ({"left_out": left_out} if left_out else {}))

    async def _after_crash(self, answer: Answer, key: str) -> Operation:
        """ComfyUI says 500 by itself when it is done with a request: asking settles at once what became of it."""
        try:
            found = await self.find(key)
        except ProviderError:
            raise OutcomeUnknown(note="Submit: HTTP 500, and the box cannot be asked.") from None
        if found is None:
            raise failures.classify(answer, self._client.mask)
        return found

    async def poll(self, operation: Operation) -> Pending | Done | Failed:
        """See Provider.poll: asks history and queue, and fetches the files of a job that has ended."""
        self._check(operation)
        found = await self._look(operation.id)
        if found is None:
            return Failed(Rejected("The model lost this request on its side.", "gone"))
        if isinstance(found, wire.Entry):
            return await results.outcome(self._client, found, operation.data)
        if found.running:
            return Pending(note="It runs.")
        return Pending(queue_position=found.before)

    async def _look(self, job_id: str) -> wire.Entry | wire.Standing | None:
        """The job wherever it is. History, queue, and history again: it may end between the first two questions."""
        for at in ("history", "queue", "history"):
            answer = await self._ask("GET", f"history/{job_id}" if at == "history" else "queue")
            if answer.status != 200:
                raise failures.classify(answer, self._client.mask)
            found = (wire.history if at == "history" else wire.queue)(answer.data(), job_id)
            if found is None or found is True:
                raise Unavailable(note=f"The answer about the {at} is not ComfyUI's.")
            if not isinstance(found, bool):
                return found
        return None

    async def cancel(self, operation: Operation) -> bool:
        """See Provider.cancel. Stops this job only; False when it has ended or is unknown. Raises ProviderError."""
        self._check(operation)
        answer = await self._ask("POST", f"jobs/{operation.id}/cancel")
        if answer.status == 200:
            data = answer.data()
            return bool(data.get("cancelled")) if isinstance(data, dict) else False
        if answer.status not in (404, 405):
            raise failures.classify(answer, self._client.mask)
        found = await self._look(operation.id)
        if not isinstance(found, wire.Standing):
            return False
        if found.running:
            answer = await self._ask("POST", "interrupt", {"prompt_id": operation.id})
        else:
            answer = await self._ask("POST", "queue", {"delete": [operation.id]})
        if answer.status != 200:
            raise failures.classify(answer, self._client.mask)
        return True

    async def find(self, key: str) -> Operation | None:
        """See Provider.find: the job whose id is our key, in the history or the queue. Raises ProviderError."""
        if not wire.is_id(key):
            return None
        found = await self._look(key)
        return None if found is None else self._operation(key, dict(found.facts))

    async def test(self) -> TestReport:
        """Ask for the system's statistics: the version, and what it computes on."""
        trial = await tried(self._client, self._client.url("system_stats"), "ComfyUI")
        if isinstance(trial, TestReport):
            return trial
        answer, has_key = trial.answer, self._client.has_key
        told = wire.system(answer.data()) if answer.status == 200 else None
        if told is not None:
            key = "The key is accepted, or none is asked for." if has_key else "No key is asked for."
            return trial.good(key, *_about(*told))
        if answer.status == 200:
            return trial.foreign(_FOREIGN)
        code = failures.classify(answer, self._client.mask).code
        sentence = {
            "misconfigured_key": "The key is refused." if has_key else "What stands before it wants a key.",
            "misconfigured_model": _FOREIGN,
            "busy": "There are too many requests at the moment.",
        }.get(code, "ComfyUI is not working properly at the moment.")
        accepted = False if code == "misconfigured_key" else None
        return TestReport(True, accepted, trial.took_ms, None, (trial.heard, sentence), code)

    async def aclose(self) -> None:
        """Close pooled connections."""
        await self._client.aclose()

    async def _upload(self, file: InputFile) -> str:
        """What LoadImage shall call the picture. Named by its content: the same one is stored once.

        Raises ProviderError; nothing was queued then."""
        name = f"{hashlib.sha256(file.data).hexdigest()[:32]}.{_EXTENSIONS.get(file.media_type, 'bin')}"
        part: FilePart = ("image", (name, file.data, file.media_type))
        form = {"type": "input", "subfolder": payload.FOLDER}
        try:
            answer = await self._client.call(
                "POST", self._client.url("upload/image"), form=form, files=[part], seconds=UPLOAD_SECONDS
            )
        except NoAnswer as error:
            raise error.while_asking("Upload") from None
        if answer.status != 200:
            raise failures.classify(answer, self._client.mask)
        found = wire.uploaded(answer.data())
        if found is None:
            raise Unavailable(note="Upload: the answer does not say what the file is called.")
        return found

    def _operation(self, job_id: str, facts: dict[str, Any]) -> Operation:
        return Operation(job_id, {**facts, "base": self._client.root})

    def _check(self, operation: Operation) -> None:
        """Raises OutcomeUnknown when the job lies at another address than the one configured now."""
        if operation.data.get("base", self._client.root) != self._client.root:
            raise OutcomeUnknown(note="The job does not lie at the address configured for this connection.")
        if wire.prompt_id({"prompt_id": operation.id}) is None:
            raise OutcomeUnknown(note="The job's id cannot be asked for.")

    async def _ask(self, method: str, path: str, body: JSON = None) -> Answer:
        try:
            return await self._client.call(
                method, self._client.url(path), body=body, seconds=ASK_SECONDS, max_bytes=QUEUE_MAX_BYTES
            )
        except NoAnswer as error:
            raise error.while_asking(path.partition("/")[0]) from None


def _facts(request: MediaRequest, shape: Shape, built: payload.Payload, seed: int) -> dict[str, JSON]:
    """What reading the result needs, as JSON. It goes to the box and back, so nothing in it is anybody's secret."""
    return {
        "kind": request.kind,
        "count": built.count,
        "seed": seed if shape.places_of("seed") else None,
        "warnings": list(built.warnings),
        "outputs": list(shape.outputs),
        "image_nodes": [place.node for place in shape.images],
        "micro_usd_per_second": shape.micro_usd_per_second,
    }


def _about(version: str, devices: tuple[str, ...]) -> list[str]:
    told = [f"It is ComfyUI {version[:40]}." if version else "It is a ComfyUI that does not tell its version."]
    if devices:
        told.append(f"It computes on {'; '.join(devices[:4])}.")
    numbers = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    if numbers and tuple(map(int, numbers.groups())) < SINCE:
        told.append("It is older than 0.3.57: cancelling a job may stop somebody else's. Please update it.")
    return told
