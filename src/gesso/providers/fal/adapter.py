"""The fal adapter: submit to the queue, follow the URLs it returned, read the result. One call per method.

Choices about what is sent, and why:

- Submit is never repeated here. fal has no idempotency key, and a repeated POST can make and bill a second job.
- `X-Fal-Request-Timeout` bounds the wait for a start (option `start_timeout_seconds`, default 240), so that a
  job cannot begin after the hold that pays for it has ended.
- `X-Fal-No-Retry` is *not* sent: fal's own retries stay under one request id and failures of the kind it retries
  are not billed, while a retry of ours would be a second job.
- `X-Fal-Object-Lifecycle-Preference` lets outputs expire after a day (`keep_files_seconds`): we copy them at
  once, and nobody's picture should stay on a public URL.
- `X-Fal-Store-IO: 0` is *not* sent: it can make a result unfetchable after minutes, and with it a paid picture.
"""

import json
import uuid
from collections.abc import Callable, Mapping
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from urllib.parse import quote

from gesso.core.clock import Clock, SystemClock
from gesso.core.fetch import SafeFetcher
from gesso.providers import asking
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
from gesso.providers.fal import failures, payload, wire
from gesso.providers.fal.client import FalClient
from gesso.providers.fal.options import shape_for
from gesso.providers.fal.uploads import Uploads
from gesso.providers.fal.webhooks import Webhooks
from gesso.providers.http import Answer, NoAnswer, UntrustedUrl
from gesso.providers.trial import Trial, tried

START_TIMEOUT_SECONDS = 240
KEEP_FILES_SECONDS = 86_400
SUBMIT_SECONDS = 60.0
ASK_SECONDS = 30.0
_TEST_APP = "fal-ai/flux"
_PROBLEMS: Mapping[str, str] = {
    "misconfigured_key": "The key is refused.",
    "misconfigured_credit": "The key is accepted, but the account is locked or out of credit.",
    "misconfigured_model": "It did not come from fal: please check the base URL.",
    "busy": "There are too many requests at the moment.",
}
"""Error code → what a test tells."""
# A proxy that lost its upstream cannot tell whether the upstream had taken the request already.
_AMBIGUOUS = frozenset({502, 504, 520, 522, 524})


class FalAdapter:
    """One fal account."""

    can_find = False

    def __init__(self, config: ConnectionConfig, clock: Clock | None = None) -> None:
        """Raises Misconfigured when the key or the base URL cannot be used."""
        clock = clock or SystemClock()
        self._client = FalClient(config)
        keep = _seconds(config.options, "keep_files_seconds", KEEP_FILES_SECONDS)
        self._lifecycle = json.dumps({"expiration_duration_seconds": keep})
        self._start_timeout = _seconds(config.options, "start_timeout_seconds", START_TIMEOUT_SECONDS)
        self._fetcher = SafeFetcher([config.base_url] if config.base_url else [])
        self._uploads = Uploads(self._client, self._fetcher, clock, self._lifecycle)
        self._webhooks = Webhooks(self._client, clock)

    async def submit(self, request: MediaRequest, key: str) -> Operation:
        """See Provider.submit. `key` is not sent: fal has no place for it."""
        payload.check_model_id(request.model)
        model, shape = shape_for(request)
        payload.check_model_id(model)
        payload.check_inputs(request, shape)
        payload.build(request, shape, [])  # refuses a bad request before anything is uploaded
        built = payload.build(request, shape, await self._uploads.urls(request.inputs))
        url = f"{self._client.hosts.queue}/{model}"
        if request.webhook_url:
            url += f"?fal_webhook={quote(request.webhook_url, safe='')}"
        headers = {
            "X-Fal-Request-Timeout": str(self._start_timeout),
            "X-Fal-Object-Lifecycle-Preference": self._lifecycle,
        }
        try:
            answer = await self._client.call("POST", url, body=built.body, headers=headers, seconds=SUBMIT_SECONDS)
        except NoAnswer as error:
            raise error.while_making("Submit") from None
        taken = self._taken(answer)
        facts: dict[str, JSON] = {
            "model": model,
            "count": built.count,
            "warnings": list(built.warnings),
            "unit_cost_micro_usd": shape.unit_cost_micro_usd,
        }
        return Operation(taken.request_id, {**facts, **self._follow_urls(model, taken)})

    def _taken(self, answer: Answer) -> wire.Submitted:
        """The accepted job. An accepting answer that cannot be read leaves the outcome unknown: it may be running."""
        if not 200 <= answer.status < 300:
            if answer.status in _AMBIGUOUS and not failures.is_fal(answer):
                raise OutcomeUnknown(note=f"Submit: a gateway answered {answer.status}.")
            raise failures.classify(answer, self._client.mask)
        try:
            taken = wire.submitted(answer.json())
        except ValueError:
            taken = None
        if taken is None:
            raise OutcomeUnknown(note=f"Submit: HTTP {answer.status} without a readable request id.")
        return taken

    def _follow_urls(self, model: str, taken: wire.Submitted) -> dict[str, JSON]:
        """The URLs to follow. One that is missing, or lies outside the configured origin, is never used: it is
        made from the request id by the documented rule instead, so that a job already paid for is not lost."""
        base = f"{self._client.hosts.queue}/{payload.app_path(model)}/requests/{taken.request_id}"
        ruled = {"status_url": f"{base}/status", "response_url": base, "cancel_url": f"{base}/cancel"}
        given = {"status_url": taken.status_url, "response_url": taken.response_url, "cancel_url": taken.cancel_url}
        urls: dict[str, JSON] = {}
        for name, rule in ruled.items():
            url = given[name]
            urls[name] = url if url and self._client.trusts(url) else rule
        return urls

    async def poll(self, operation: Operation) -> Pending | Done | Failed:
        """See Provider.poll: one status call and, once completed, one result call."""
        answer = await self._ask("GET", operation, "status_url", "?logs=1")
        if answer.status not in (200, 202):
            return self._not_told(answer)
        status = wire.status(answer.data())
        if status is None or status.status not in ("IN_QUEUE", "IN_PROGRESS", "COMPLETED"):
            raise Unavailable(note=f"Status: unreadable answer with HTTP {answer.status}.")
        if status.status != "COMPLETED":
            note = self._client.mask(status.last_log[:200]) if status.last_log else None
            return Pending(queue_position=status.queue_position, note=note)
        return self._ended(operation, status, await self._ask("GET", operation, "response_url"))

    def _not_told(self, answer: Answer) -> Failed:
        """Neither 200 nor 202 to a status call: the job is gone, or the asking failed (raised)."""
        if answer.status in (404, 410) and failures.is_fal(answer):
            return Failed(Rejected("The model lost this request on its side.", "gone"))
        if answer.status == 404:
            raise Unavailable(note="Status: 404, but not from fal.")
        raise failures.classify(answer, self._client.mask)

    def _ended(self, operation: Operation, status: wire.Status, answer: Answer) -> Pending | Done | Failed:
        mask, cost = self._client.mask, _cost(answer, operation)
        if answer.status == 200:
            return Failed(failures.of_status(status, mask), cost) if status.failed else _done(operation, answer, cost)
        if answer.status in (401, 402, 403, 429):
            raise failures.classify(answer, mask)
        if answer.status in (404, 410) and not status.failed:
            return Failed(Rejected("The result is no longer kept at the provider.", "gone"), cost)
        if status.failed and not failures.tells_of_job(answer) and answer.status in (404, 410):
            return Failed(failures.of_status(status, mask), cost)
        if answer.status == 400 and not status.failed and not failures.tells_of_job(answer):
            return Pending(note="The result is not ready although the job is completed.")
        if answer.status >= 500 and not status.failed and not failures.tells_of_job(answer):
            raise failures.classify(answer, mask)
        return Failed(failures.classify(answer, mask, hint=status.error_type), cost)

    async def cancel(self, operation: Operation) -> bool:
        """See Provider.cancel. True on 202, False when the job is finished or unknown. Raises ProviderError."""
        answer = await self._ask("PUT", operation, "cancel_url")
        if 200 <= answer.status < 300:
            return True
        if answer.status in (400, 404, 409, 410):
            return False
        raise failures.classify(answer, self._client.mask)

    async def find(self, key: str) -> Operation | None:
        """Always None: fal takes no client key, and listing requests needs an admin key (`can_find` says so)."""
        return None

    def recall(self, model: str, request_id: str) -> Operation | None:
        """See Provider.recall: fal's URLs follow from model and request id."""
        try:
            payload.check_model_id(model)
        except Misconfigured:
            return None
        known = wire.submitted({"request_id": request_id})
        return Operation(known.request_id, {"model": model, **self._follow_urls(model, known)}) if known else None

    async def parse_webhook(self, headers: Mapping[str, str], body: bytes) -> WebhookNotice:
        """See Provider.parse_webhook."""
        return await self._webhooks.verify(headers, body)

    async def test(self) -> TestReport:
        """Look up the status of a random request id: 401 means that the key is refused, 404 that it is accepted."""
        url = f"{self._client.hosts.queue}/{_TEST_APP}/requests/{uuid.uuid4()}/status"
        trial = await tried(self._client, url, "fal")
        return trial if isinstance(trial, TestReport) else _report(trial, self._client.mask)

    async def aclose(self) -> None:
        """Close pooled connections."""
        await self._client.aclose()
        await self._fetcher.aclose()

    async def _ask(self, method: str, operation: Operation, name: str, query: str = "") -> Answer:
        """Call one of the operation's stored URLs. Raises Unavailable, or OutcomeUnknown when the URL belongs to
        another origin than the one configured now: our key is not for it, and so nobody can be asked."""
        url = operation.data.get(name)
        try:
            if not isinstance(url, str):
                raise UntrustedUrl
            return await self._client.call(method, url + query, seconds=ASK_SECONDS)
        except NoAnswer as error:
            raise error.while_asking(name) from None
        except UntrustedUrl:
            note = f"The job's {name} does not belong to the address configured for this connection."
            raise OutcomeUnknown(note=note) from None


def _report(trial: Trial, mask: Callable[[str], str]) -> TestReport:
    """What the answer to a test look-up tells."""
    answer = trial.answer
    if answer.status < 300 or (answer.status in (400, 404, 410, 422) and failures.is_fal(answer)):
        return trial.good(
            "The key is accepted.",
            "fal does not tell the balance to this kind of key; an empty account shows when a job is submitted.",
        )
    return trial.bad(failures.classify(answer, mask), _PROBLEMS, "fal is not working properly at the moment.")


def _done(operation: Operation, answer: Answer, cost: int | None) -> Done | Failed:
    data = answer.data()
    if data is None:
        raise Unavailable(note="Result: not JSON.")
    result, wanted = wire.result(data), operation.data.get("count")
    if not result.files:
        return Failed(Rejected("The model finished without delivering anything.", "failed"), cost)
    told = operation.data.get("warnings")
    warnings = [str(text) for text in told] if isinstance(told, list) else []
    if isinstance(wanted, int) and len(result.files) < wanted:
        warnings.append(asking.short_of(len(result.files), wanted))
    return Done(result.files, result.seed, cost, tuple(warnings))


def _cost(answer: Answer, operation: Operation) -> int | None:
    """Micro-dollars from the billed units, rounded up; None unless both units and their price are known."""
    price, units = operation.data.get("unit_cost_micro_usd"), answer.headers.get("x-fal-billable-units")
    if not isinstance(price, int) or units is None:
        return None
    try:
        amount = Decimal(units) * price
        return int(amount.to_integral_value(ROUND_CEILING)) if amount >= 0 else None
    except (InvalidOperation, ValueError, OverflowError):
        return None


def _seconds(options: Mapping[str, JSON], name: str, default: int) -> int:
    """A whole number of seconds from the connection's options. Raises Misconfigured."""
    value = options.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 2:
        raise Misconfigured("model", note=f"The option {name} must be a whole number of seconds, at least 2.")
    return value
