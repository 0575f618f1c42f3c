"""The kie.ai adapter: market jobs, FLUX Kontext, and its chat models. One call per method.

Choices about what is sent, and why:

- createTask is never repeated here: there is no idempotency key. Only a refusal by a named code, or a connection
  that was never made, says that nothing was taken; everything else leaves the outcome unknown.
- Nor can a job be found by anything of ours. But the address of its callback holds our key, so the callback of a
  lost job tells its id (`recall`). Costs and results are then asked for, never taken from the callback itself.
- There is no way to cancel.
"""

from collections.abc import AsyncIterator, Mapping
from decimal import ROUND_CEILING, Decimal
from urllib.parse import urlencode

from gesso.core.clock import Clock, SystemClock
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
    WebhookNotice,
)
from gesso.providers.errors import Misconfigured, OutcomeUnknown, Rejected, Unavailable
from gesso.providers.http import Answer, NoAnswer, UntrustedUrl
from gesso.providers.kie import chatting, failures, payload, webhooks, wire
from gesso.providers.kie.client import KieClient
from gesso.providers.kie.options import Door, door_of, shape_of
from gesso.providers.kie.uploads import url_of
from gesso.providers.text import TextEnd, TextRequest
from gesso.providers.trial import Trial, tried

SUBMIT_SECONDS = 60.0
ASK_SECONDS = 30.0
MICRO_USD_PER_CREDIT = 5000
"""What a credit costs in any quantity (fact sheet, section 3)."""

_CREATE: Mapping[Door, str] = {"jobs": "/api/v1/jobs/createTask", "kontext": "/api/v1/flux/kontext/generate"}
_STATE: Mapping[Door, str] = {"jobs": "/api/v1/jobs/recordInfo", "kontext": "/api/v1/flux/kontext/record-info"}

_FOREIGN = "It did not come from kie.ai: please check the base URL."
_PROBLEMS: Mapping[str, str] = {
    "misconfigured_key": "The key is refused.",
    "misconfigured_credit": "The key is accepted, but it is out of credit or at its own cap.",
    "misconfigured_model": _FOREIGN,
    "busy": "There are too many requests at the moment.",
}
"""Error code → what a test tells."""


class KieAdapter:
    """One kie.ai account. The connection's option `micro_usd_per_credit` says what it pays for a credit, if not 5,000
    millionths of a dollar."""

    can_find = False

    def __init__(self, config: ConnectionConfig, clock: Clock | None = None) -> None:
        """Raises Misconfigured when the key, the base URL or an option cannot be used."""
        self._clock = clock or SystemClock()
        self._client = KieClient(config)
        self._credit = _price_of_a_credit(config.options.get("micro_usd_per_credit", MICRO_USD_PER_CREDIT))

    async def submit(self, request: MediaRequest, key: str) -> Operation:
        """See Provider.submit. `key` is not sent by itself: the callback's address holds it."""
        door = door_of(request.model)
        model, shape = shape_of(request.model, request.wire, with_pictures=bool(request.inputs))
        payload.check_inputs(request.inputs, shape)
        payload.build(request, shape, [])  # refuses a bad request before anything is uploaded
        urls = [await url_of(self._client, file) for file in request.inputs]
        built = payload.build(request, shape, urls)
        body = payload.body_of(door, model, built, request.webhook_url)
        try:
            answer = await self._client.call(
                "POST", f"{self._client.base}{_CREATE[door]}", body=body, seconds=SUBMIT_SECONDS
            )
        except NoAnswer as error:
            raise error.while_making("Submit") from None
        told = wire.envelope(answer.status, answer.data())
        if not told.ok:
            raise failures.of_submit(told, answer.headers, self._client.mask, shape.safety)
        taken = wire.task_id(told.data)
        if taken is None:
            raise OutcomeUnknown(note="Submit: taken, but the answer names no task.")
        facts: dict[str, JSON] = {
            "base": self._client.base, "door": door, "count": built.count, "safety": list(shape.safety),
            "seed": request.seed if shape.seed is not None else None, "warnings": list(built.warnings),
        }  # fmt: skip
        return Operation(taken, facts)

    async def poll(self, operation: Operation) -> Pending | Done | Failed:
        """See Provider.poll: one call, whose answer holds state, files and perhaps what it cost."""
        door: Door = "kontext" if operation.data.get("door") == "kontext" else "jobs"
        if operation.data.get("base") != self._client.base or not wire.is_id(operation.id):
            raise OutcomeUnknown(note="The job does not belong to the address configured for this connection.")
        answer = await self._ask(f"{_STATE[door]}?{urlencode({'taskId': operation.id})}")
        told = wire.envelope(answer.status, answer.data())
        if told.told and told.code in (404, 422):
            return Failed(Rejected("The model lost this request on its side.", "gone"))
        if not told.ok and not told.told and 400 <= told.code < 500 and told.code not in (401, 403, 429):
            raise Unavailable(note=f"Poll: HTTP {told.code}, but not from kie.ai.")
        if not told.ok:
            raise failures.classify(told, answer.headers, self._client.mask)
        task = wire.job(told.data) if door == "jobs" else wire.kontext(told.data)
        if task is None or task.id not in (None, operation.id):
            raise Unavailable(note="Poll: an answer that does not tell how this job stands.")
        return self._outcome(task, operation.data)

    def _outcome(self, task: wire.Task, facts: Mapping[str, JSON]) -> Pending | Done | Failed:
        cost = self._cost(task.credits)
        if task.state == "failed":
            return Failed(
                failures.of_job(task, self._client.mask, _texts(facts.get("safety")) or failures.SAFETY), cost
            )
        if task.state == "running":
            return Pending(progress=task.progress)
        if task.state != "done":
            return Pending(note=f"Unknown state {task.state[:40]!r}.")
        if not task.urls:
            return Failed(Rejected("The model finished without delivering anything.", "failed"), cost)
        count, seed = facts.get("count"), facts.get("seed")
        asked = count if isinstance(count, int) else len(task.urls)
        files = tuple(OutputFile(url=url) for url in task.urls[:asked])
        short = [asking.short_of(len(files), asked)] if len(files) < asked else []
        warnings = (*_texts(facts.get("warnings")), *short)
        return Done(files, seed if isinstance(seed, int) else None, cost, warnings)

    def _cost(self, credits: Decimal | None) -> int | None:
        """Micro-dollars, rounded up; None when kie.ai did not tell the credits."""
        return None if credits is None else int((credits * self._credit).to_integral_value(ROUND_CEILING))

    async def cancel(self, operation: Operation) -> bool:
        """Always False: kie.ai has no way to cancel."""
        return False

    async def find(self, key: str) -> Operation | None:
        """Always None: jobs carry no mark of ours that could be looked for (`can_find` says so)."""
        return None

    def recall(self, model: str, request_id: str) -> Operation | None:
        """See Provider.recall: a task's id, and which endpoints serve its model."""
        if not wire.is_id(request_id):
            return None
        try:
            return Operation(request_id, {"base": self._client.base, "door": door_of(model)})
        except Misconfigured:
            return None

    async def parse_webhook(self, headers: Mapping[str, str], body: bytes) -> WebhookNotice:
        """See Provider.parse_webhook. Unsigned notices are taken as such where the account has no webhook key."""
        return webhooks.verify(self._client.webhook_key, headers, body, self._clock.now())

    def write(self, request: TextRequest, key: str) -> AsyncIterator[str | TextEnd]:
        """See Writer.write. `key` is not sent: this wire has no place for it."""
        return chatting.write(self._client, request, self._cost)

    async def test(self) -> TestReport:
        """Ask for the balance: free, and a wrong key is refused."""
        trial = await tried(self._client, f"{self._client.base}/api/v1/chat/credit", "kie.ai")
        return trial if isinstance(trial, TestReport) else self._report(trial)

    def _report(self, trial: Trial) -> TestReport:
        told = wire.envelope(trial.answer.status, trial.answer.data())
        left = wire.amount(told.data)
        if told.ok and (left is not None or isinstance(told.data, int | float)):
            balance = f"{told.data} credits, about ${(left or Decimal(0)) * self._credit / 1_000_000:.2f}"
            signs = (
                "Notices of finished jobs are checked with the webhook key." if self._client.webhook_key
                else "No webhook key is set (API key:webhook key), so notices of finished jobs come unsigned."
            )  # fmt: skip
            if not left:
                empty = "The key is accepted, but the account is out of credit."
                return trial.good(empty, signs, balance=balance, problem="misconfigured_credit")
            return trial.good(f"The key is accepted; it has {balance}.", signs, balance=balance)
        if told.ok or (told.code < 300 and not told.told):
            return trial.foreign(_FOREIGN)
        failure = failures.classify(told, trial.answer.headers, self._client.mask)
        return trial.bad(failure, _PROBLEMS, "kie.ai is not working properly at the moment.")

    async def aclose(self) -> None:
        """Close pooled connections."""
        await self._client.aclose()

    async def _ask(self, path: str) -> Answer:
        try:
            return await self._client.call("GET", f"{self._client.base}{path}", seconds=ASK_SECONDS)
        except NoAnswer as error:
            raise error.while_asking("GET") from None
        except UntrustedUrl:
            raise Misconfigured("model", note="The address is not the configured one.") from None


def _price_of_a_credit(given: JSON) -> Decimal:
    """Micro-dollars. Raises Misconfigured("model")."""
    found = wire.amount(given)
    if found is None or found > 1_000_000:
        note = "The connection's option micro_usd_per_credit must be a number of millionths of a dollar."
        raise Misconfigured("model", note=note)
    return found


def _texts(value: JSON) -> tuple[str, ...]:
    return tuple(part for part in value if isinstance(part, str)) if isinstance(value, list) else ()
