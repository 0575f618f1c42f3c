"""The Replicate adapter: create a prediction, look at it, take its files. One call per method.

Choices about what is sent, and why:

- Create is never repeated here. There is no idempotency key, and a repeated POST makes and bills a second job.
- `Prefer: wait` is *not* sent. A create that answers at once is a short moment in which its answer can be lost; one
  held open for up to a minute is a long one. And its answer can be a half one: complete files in a prediction that
  still says `processing`, without metrics. Files count only once the status is terminal, whatever came before.
- `Cancel-After` bounds the whole prediction by the time the product waits for it: no job goes on that nobody pays for.
- The webhook is asked for the end only (`completed`). A knock at the start would come while the answer to the
  create is still being noted, and make a sound call look like a lost one.
- `find`: predictions carry no mark of ours. Their webhook does (our key is in its address), and some of the vendor's
  types say that a prediction tells its webhook, others do not. So it is watched for: from the first answer that
  tells it, lost calls are looked up in the list of predictions; before that, `can_find` is False.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

from gesso.core.clock import Clock, SystemClock
from gesso.providers.base import (
    JSON,
    ConnectionConfig,
    Done,
    Failed,
    MediaRequest,
    Operation,
    Pending,
    TestReport,
    WebhookNotice,
)
from gesso.providers.errors import Misconfigured, OutcomeUnknown, Rejected, Unavailable
from gesso.providers.http import Answer, NoAnswer, UntrustedUrl
from gesso.providers.replicate import failures, outputs, payload, wire
from gesso.providers.replicate.client import ReplicateClient, is_replicate
from gesso.providers.replicate.options import Shape, shape_of
from gesso.providers.replicate.uploads import url_of
from gesso.providers.replicate.webhooks import Webhooks
from gesso.providers.trial import Trial, tried

SUBMIT_SECONDS = 60.0
ASK_SECONDS = 30.0
LOOK_BACK = timedelta(minutes=20)
"""How far back the list is looked through: the time an uncertain call is worth looking up, and a little more."""
LOOK_PAGES = 20
INLINE_ANSWER_BYTES = 96 * 2**20
"""Outputs may come inside an answer as data URIs."""
_PROBLEMS: Mapping[str, str] = {
    "misconfigured_key": "The token is refused.",
    "misconfigured_credit": "The token is accepted, but the account is out of credit.",
    "misconfigured_model": "It did not come from Replicate: please check the base URL.",
    "busy": "There are too many requests at the moment.",
}
"""Error code → what a test tells."""


class ReplicateAdapter:
    """One Replicate account."""

    def __init__(self, config: ConnectionConfig, clock: Clock | None = None) -> None:
        """Raises Misconfigured when the key or the base URL cannot be used."""
        self._clock = clock or SystemClock()
        self._client = ReplicateClient(config)
        self._webhooks = Webhooks(self._client, self._clock)
        self._webhooks_are_told = False

    @property
    def can_find(self) -> bool:
        """Whether predictions have been seen to tell their webhook, which holds our key."""
        return self._webhooks_are_told

    async def submit(self, request: MediaRequest, key: str) -> Operation:
        """See Provider.submit. `key` is not sent by itself: the webhook's address holds it."""
        shape = shape_of(request.model, request.kind, request.wire)
        where = payload.target(request.model, shape)
        payload.check_inputs(request, shape)
        payload.build(request, shape, [])  # refuses a bad request before anything is uploaded
        urls = [await url_of(self._client, file) for file in request.inputs]
        built = payload.build(request, shape, urls)
        body: dict[str, JSON] = {"input": built.input}
        if where.version is not None:
            body["version"] = where.version
        if request.webhook_url:
            body |= {"webhook": request.webhook_url, "webhook_events_filter": ["completed"]}
        headers = {}
        if request.deadline_seconds is not None:
            headers["Cancel-After"] = payload.duration_text(request.deadline_seconds)
        url = f"{self._client.base}{where.path}"
        try:
            answer = await self._client.call(
                "POST", url, body=body, headers=headers, seconds=SUBMIT_SECONDS, max_bytes=INLINE_ANSWER_BYTES
            )
        except NoAnswer as error:
            raise error.while_making("Submit") from None
        taken = self._taken(answer)
        return Operation(taken.id, {"base": self._client.base, **_facts(request, shape, built)})

    def _taken(self, answer: Answer) -> wire.Prediction:
        """The accepted prediction: 201, or 202. An accepting answer that cannot be read leaves the outcome unknown."""
        if not 200 <= answer.status < 300:
            raise failures.of_submit(answer, self._client.mask)
        taken = self._read(answer)
        if taken is None:
            raise OutcomeUnknown(note=f"Submit: HTTP {answer.status} without a readable prediction.")
        return taken

    def _read(self, answer: Answer) -> wire.Prediction | None:
        told = wire.prediction(answer.data())
        if told is not None and told.tells_webhook:
            self._webhooks_are_told = True
        return told

    async def poll(self, operation: Operation) -> Pending | Done | Failed:
        """See Provider.poll: one call, whose answer holds status, files and what it cost."""
        answer = await self._ask("GET", operation)
        if answer.status != 200:
            if answer.status in (404, 410) and is_replicate(answer):
                return Failed(Rejected("The model lost this request on its side.", "gone"))
            if answer.status == 404:
                raise Unavailable(note="Poll: 404, but not from Replicate.")
            raise failures.classify(answer, self._client.mask)
        told = self._read(answer)
        if told is None or told.id != operation.id or not told.status:
            raise Unavailable(note="Poll: an answer that is no prediction.")
        return outputs.outcome(told, operation.data, self._client.mask)

    async def cancel(self, operation: Operation) -> bool:
        """See Provider.cancel. False when it had ended by itself or is unknown. Raises ProviderError."""
        answer = await self._ask("POST", operation, "/cancel")
        if 200 <= answer.status < 300:
            told = self._read(answer)
            return told is None or told.status not in wire.TERMINAL - {"canceled"}
        if answer.status in (400, 404, 409, 410, 422):
            return False
        raise failures.classify(answer, self._client.mask)

    async def find(self, key: str) -> Operation | None:
        """See Provider.find: looks through the newest predictions for the one whose webhook holds `key`.

        None when it is not among them, or when predictions do not tell their webhook. Raises ProviderError.
        """
        since = self._clock.now() - LOOK_BACK
        url: str | None = f"{self._client.base}/predictions?{urlencode({'created_after': since.isoformat()})}"
        for _ in range(LOOK_PAGES):
            if url is None or not self._client.trusts(url):
                return None
            answer = await self._call("GET", url)
            if answer.status != 200:
                raise failures.classify(answer, self._client.mask)
            page = answer.data()
            entries = page.get("results") if isinstance(page, dict) else None
            for entry in entries if isinstance(entries, list) else []:
                told = wire.prediction(entry)
                if told is None or (told.created_at is not None and told.created_at < since):
                    continue
                if told.webhook and _holds(told.webhook, key):
                    return Operation(told.id, {"base": self._client.base, **_told_facts(told)})
            following = page.get("next") if isinstance(page, dict) else None
            url = following if isinstance(following, str) and following else None
        return None

    def recall(self, model: str, request_id: str) -> Operation | None:
        """See Provider.recall: a prediction's id is all it takes."""
        return Operation(request_id, {"base": self._client.base, "model": model}) if wire.is_id(request_id) else None

    async def parse_webhook(self, headers: Mapping[str, str], body: bytes) -> WebhookNotice:
        """See Provider.parse_webhook."""
        return await self._webhooks.verify(headers, body)

    async def test(self) -> TestReport:
        """Ask for the account: 401 means that the token is refused."""
        trial = await tried(self._client, f"{self._client.base}/account", "Replicate")
        return trial if isinstance(trial, TestReport) else _report(trial, self._client.mask)

    async def aclose(self) -> None:
        """Close pooled connections."""
        await self._client.aclose()

    async def _ask(self, method: str, operation: Operation, tail: str = "") -> Answer:
        """Call about a prediction. Raises OutcomeUnknown when it was made at another address than the one configured
        now: our token is not for that one, and so nobody can be asked."""
        base = operation.data.get("base", self._client.base)
        if base != self._client.base or not wire.is_id(operation.id):
            raise OutcomeUnknown(note="The job does not belong to the address configured for this connection.")
        return await self._call(method, f"{self._client.base}/predictions/{operation.id}{tail}")

    async def _call(self, method: str, url: str) -> Answer:
        try:
            return await self._client.call(method, url, seconds=ASK_SECONDS, max_bytes=INLINE_ANSWER_BYTES)
        except NoAnswer as error:
            raise error.while_asking(method) from None
        except UntrustedUrl:
            raise Misconfigured("model", note="The address is not the configured one.") from None


def _facts(request: MediaRequest, shape: Shape, built: payload.Payload) -> dict[str, JSON]:
    """What reading the result needs, as JSON."""
    return {
        "model": request.model,
        "count": built.count,
        "seed": request.seed if shape.seed is not None else None,
        "warnings": list(built.warnings),
        "safety": list(shape.safety),
        "micro_usd_per_second": shape.micro_usd_per_second,
        "micro_usd_per_output": shape.micro_usd_per_output,
    }


def _told_facts(told: wire.Prediction) -> dict[str, JSON]:
    """The same of a prediction found again, as far as it tells."""
    count, seed = told.input.get("num_outputs", 1), told.input.get("seed")
    return {
        "model": told.model,
        "count": count if isinstance(count, int) else 1,
        "seed": seed if isinstance(seed, int) else None,
    }


def _holds(webhook: str, key: str) -> bool:
    """Whether a webhook's address carries our key as a parameter."""
    try:
        values = parse_qs(urlsplit(webhook).query).values()
    except ValueError:
        return False
    return any(key in value for value in values)


def _report(trial: Trial, mask: Callable[[str], str]) -> TestReport:
    """What the answer to a test look-up tells."""
    answer, data = trial.answer, trial.answer.data()
    if answer.status == 200 and isinstance(data, dict) and ("username" in data or "type" in data):
        name = data.get("username")
        whose = (
            f"The token is accepted; it belongs to “{name[:60]}”."
            if isinstance(name, str)
            else "The token is accepted."
        )
        told = "Replicate does not tell the balance; an account out of credit shows when a job is submitted."
        return trial.good(whose, told)
    if answer.status in (401, 403):
        return trial.bad(Misconfigured("key"), _PROBLEMS, "")
    if answer.status < 400:
        return trial.foreign(_PROBLEMS["misconfigured_model"])
    return trial.bad(failures.classify(answer, mask), _PROBLEMS, "Replicate is not working properly at the moment.")
