"""The Promptchan adapter: pictures at once, videos followed, chat. For adult editions (see registry.Adapter.adult).

Choices about what is sent, and why (fact sheet, sections 1, 3 and 5):

- Everything that is made goes through `PromptchanClient.make`, which lets nothing past without an adult's age.
- A call is sent once. A picture may take 40 seconds and is waited for up to 180; if the answer is lost then, it may
  have been made and paid for, and there is no way to find it: `OutcomeUnknown`.
- 429 and the provider's own 500 and 503 are answers: nothing was made, try again later. 502, 504 and the like come
  from a proxy that does not know: `OutcomeUnknown`.
- There are no notices, no cancelling and no list of jobs. A video's status has unlisted words: whatever is neither
  its end nor its failure counts as running, until the product's own deadline.
- `gems` in an answer is the balance, whose difference would be wrong as soon as two calls run at once. A cost is
  reckoned from the published list instead, where the catalogue says what a gem costs.
"""

from collections.abc import AsyncIterator, Mapping
from urllib.parse import quote

from gesso.providers import asking
from gesso.providers.base import (
    JSON,
    ConnectionConfig,
    Done,
    Failed,
    MediaRequest,
    Operation,
    OutputFile,
    Pending,
    TestReport,
)
from gesso.providers.errors import Misconfigured, OutcomeUnknown, ProviderError, Rejected, Unavailable
from gesso.providers.http import Answer, NoAnswer
from gesso.providers.promptchan import chatting, failures, payload, wire
from gesso.providers.promptchan.client import PromptchanClient
from gesso.providers.promptchan.options import shape_of
from gesso.providers.silent import WithoutNotices
from gesso.providers.text import TextEnd, TextRequest
from gesso.providers.trial import TEST_SECONDS, tried

SUBMIT_SECONDS = 60.0
_PROBLEMS: Mapping[str, str] = {
    "misconfigured_key": "The key is refused, or its plan does not include the API.",
    "misconfigured_credit": "The key is accepted, but the account is out of gems.",
    "misconfigured_model": "This is not Promptchan's address: please check the base URL.",
    "busy": "There are too many requests at the moment.",
}
"""Error code → what a test tells."""
NOBODYS_VIDEO = "00000000-0000-4000-8000-000000000000"
"""An id that no video has: asking for it costs nothing, and only a good key is told that it is unknown."""


class PromptchanAdapter(WithoutNotices):
    """One Promptchan account."""

    can_find = False

    def __init__(self, config: ConnectionConfig) -> None:
        """Raises Misconfigured when the key, an address or an option cannot be used."""
        self._client = PromptchanClient(config)
        self._words = failures.words_of(config.options)

    def write(self, request: TextRequest, key: str) -> AsyncIterator[str | TextEnd]:
        """See Writer.write. `key` is not sent: this wire has no place for it."""
        return chatting.write(self._client, self._words, request)

    async def submit(self, request: MediaRequest, key: str) -> Operation | Done:
        """See Provider.submit. `key` is not sent. `request.model` only tells models of the catalogue apart."""
        if request.kind == "video":
            return await self._submit_video(request)
        shape = shape_of(request.wire)
        built = payload.picture(request, shape)
        seconds = asking.time_left(shape.seconds, request.deadline_seconds)
        answer = await self._client.make("create", built.body, seconds=seconds, about="Picture")
        if answer.status != 200:
            raise failures.classify(answer, self._words, self._client.mask, paid=True)
        data = answer.data()
        found = wire.picture(data)
        if not found.readable:
            raise self._nothing_in(answer, "Picture: an answer without an image.")
        if found.file is None:
            raise Rejected(
                "The model finished without delivering anything.", "failed", note="Picture: it cannot be decoded."
            )
        return Done((found.file,), cost_micro_usd=payload.micro_usd(built.gems, shape), warnings=built.warnings)

    async def _submit_video(self, request: MediaRequest) -> Operation:
        shape = shape_of(request.wire)
        built = payload.video(request, shape)
        seconds = asking.time_left(SUBMIT_SECONDS, request.deadline_seconds)
        root = f"video_{shape.api}"
        answer = await self._client.make(f"{root}/submit", built.body, seconds=seconds, about="Video")
        if not 200 <= answer.status < 300:
            raise failures.classify(answer, self._words, self._client.mask, paid=True)
        told = wire.request_id(answer.data())
        if told is None:
            raise self._nothing_in(answer, "Video: an answer without a request_id.")
        facts: dict[str, JSON] = {
            "url": f"{self._client.base}/{root}", "warnings": list(built.warnings),
            "cost_micro_usd": payload.micro_usd(built.gems, shape),
        }  # fmt: skip
        return Operation(told, facts)

    def _nothing_in(self, answer: Answer, note: str) -> ProviderError:
        """What an accepting answer means that holds no result."""
        data = answer.data()
        if wire.has_error(data):
            return failures.of_answer(data, self._words, self._client.mask)
        if "html" in answer.headers.get("content-type", ""):
            return Misconfigured("model", note="The address answers with a web page.")
        return OutcomeUnknown(note=note)

    async def poll(self, operation: Operation) -> Pending | Done | Failed:
        """See Provider.poll: the status; then the progress while it runs, or the result once it is done."""
        answer = await self._ask(operation, "status")
        if answer.status in (400, 404, 410):
            return Failed(Rejected("The model lost this request on its side.", "gone"))
        if answer.status != 200:
            raise failures.classify(answer, self._words, self._client.mask, paid=False)
        data = answer.data()
        status = wire.status(data)
        if status is None:
            if wire.has_error(data):
                raise failures.of_answer(data, self._words, self._client.mask)
            raise Unavailable(note="Video: the status cannot be read.")
        if status.standing == "failed":
            return Failed(failures.of_video(status.word, status.details, self._words, self._client.mask))
        if status.standing == "done":
            return self._done(status.videos, operation) if status.videos else await self._result(operation)
        note = f"{status.word} {status.details}".strip()
        if status.queue_position is not None:
            return Pending(queue_position=status.queue_position, note=note)
        return Pending(progress=await self._progress(operation), note=note)

    async def _progress(self, operation: Operation) -> float | None:
        """0–1, where it is told: that it is not must not keep anybody from waiting on."""
        try:
            answer = await self._ask(operation, "status_with_logs")
        except ProviderError:
            return None
        return wire.progress(answer.data()) if answer.status == 200 else None

    async def _result(self, operation: Operation) -> Pending | Done | Failed:
        answer = await self._ask(operation, "result")
        if answer.status == 400:
            return Pending(progress=1.0, note="The result is not ready yet.")
        if answer.status in (404, 410):
            return Failed(Rejected("The result is no longer kept at the provider.", "gone"))
        if answer.status != 200:
            raise failures.classify(answer, self._words, self._client.mask, paid=False)
        data = answer.data()
        found = wire.videos(data)
        if not found and data is None:
            raise Unavailable(note="Video: the result cannot be read.")
        if not found:
            note = self._client.mask(wire.error_text(data) or "A result without a video.")
            return Failed(Rejected("The model finished without delivering anything.", "failed", note=note))
        return self._done(found, operation)

    def _done(self, urls: tuple[str, ...], operation: Operation) -> Done:
        told, cost = operation.data.get("warnings"), operation.data.get("cost_micro_usd")
        return Done(
            (OutputFile(url=urls[0], media_type="video/mp4"),),
            cost_micro_usd=cost if isinstance(cost, int) else None,
            warnings=tuple(str(text) for text in told) if isinstance(told, list) else (),
        )

    async def _ask(self, operation: Operation, what: str) -> Answer:
        url = operation.data.get("url")
        root = url if isinstance(url, str) else f"{self._client.base}/video_v2"
        return await self._client.ask(f"{root}/{what}/{quote(operation.id, safe='')}", f"Video {what}")

    async def cancel(self, operation: Operation) -> bool:
        """Always False: nothing can be cancelled there; a video goes on and is paid for."""
        return False

    async def find(self, key: str) -> Operation | None:
        """Always None: this wire takes no client key (`can_find` says so)."""
        return None

    async def test(self) -> TestReport:
        """Ask for a video that nobody has: free, and a wrong key is refused first. Then for the balance, which some
        addresses tell (unconfirmed; see the option `balance_url`)."""
        trial = await tried(self._client, f"{self._client.base}/video_v2/status/{NOBODYS_VIDEO}", "The server")
        if isinstance(trial, TestReport):
            return trial
        answer = trial.answer
        if answer.data() is not None and answer.status in (200, 400, 404, 422):
            gems, sentence = await self._balance()
            balance = f"{gems:g} gems" if gems is not None else None
            problem = "misconfigured_credit" if gems is not None and gems <= 0 else None
            return trial.good("The key is accepted.", sentence, balance=balance, problem=problem)
        failure = failures.classify(answer, self._words, self._client.mask, paid=False)
        if answer.status == 200:
            failure = Misconfigured("model", note="The address answers with something that is not Promptchan's.")
        return trial.bad(failure, _PROBLEMS, "The server is not working properly at the moment.")

    async def _balance(self) -> tuple[float | None, str]:
        """The gems left, where that is told, and a sentence about it."""
        try:
            answer = await self._client.call("GET", self._client.balance_url, seconds=TEST_SECONDS)
            data = answer.data() if answer.status == 200 else None
        except NoAnswer:
            data = None
        gems = wire.gems(data)
        if gems is None:
            return None, "It does not tell a balance."
        plan = wire.plan(data)
        return gems, f"{gems:g} gems are left" + (f" on the plan “{plan}”." if plan else ".")

    async def aclose(self) -> None:
        """Close pooled connections."""
        await self._client.aclose()
