"""Faults on demand: what can be asked for, and reading the requests for them.

A fault is written `name[@stage][*times][=argument]`: `429=2`, `500@status*3`, `drop*1`.
It is asked for by the header X-Sandbox-Fault (several separated by commas), by a key whose secret is `fault-…`,
or by words `sandbox:…` in the prompt.
"""

import hashlib
import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

STAGES = ("submit", "status", "result", "cancel", "file", "upload")

# Faults of the transport: they can strike at any stage; the others belong to a job as a whole.
TRANSPORT: Mapping[str, str] = {
    "429": "429; argument: seconds for a Retry-After header (none without)",
    "500": "500 Internal Server Error",
    "502": "502 with an nginx page",
    "503": "503 with an nginx page",
    "hang": "no answer; argument: seconds until the connection is closed",
    "drop-before": "connection closed mid-answer, nothing was done",
    "drop": "connection closed mid-answer after the request was carried out (a job runs and is billed)",
    "malformed": "the request is carried out, the answer is broken JSON",
    "flaky": "argument N (default 1): the first N tries with this prompt fail with 500, then it works",
}

JOB: Mapping[str, str] = {
    "slow": "painting takes longer; argument: seconds (default 10)",
    "queue": "long queue; argument: places (default 5)",
    "422": "submit is refused with 422 and a detail list; argument `string`: with a detail string",
    "422-late": "submit works, the job ends in 422 with a detail list",
    "safety": "the job ends in 422 content_policy_violation; OpenAI's moderation: argument: the score (default 0.97)",
    "nsfw": "has_nsfw_concepts is true for one picture; argument: which (default 0); models without the flag refuse",
    "flagged": "the same as nsfw, for products whose own rules refuse that word in a prompt",
    "no-flag": "has_nsfw_concepts is missing",
    "fewer": "fewer pictures than asked; argument: how many are missing (default 1)",
    "no-credit": "403 User is locked: exhausted balance (status calls still work); Promptchan: 402, or 400 by argument",
    "locked": "403 User is locked by an administrator",
    "fail": "the job ends COMPLETED with an error; argument: error type (default internal_server_error)",
    "timeout": "the job does not start in time: 504 request_timeout",
    "gone": "result file: 404",
    "wrong-bytes": "result file: an HTML page that calls itself a picture",
    "truncated": "result file: cut in half",
    "huge": "result file: streamed without a length; argument: megabytes (default 64)",
    "bomb": "result file: a small PNG that unpacks to 900 megapixels",
    "private-redirect": "result file: redirects to http://169.254.169.254/",
    "private-url": "the result names http://169.254.169.254/ as its file",
    "webhook-duplicate": "webhook sent twice",
    "webhook-late": "webhook sent late; argument: seconds",
    "webhook-early": "webhook sent before the answer to submit",
    "webhook-forged": "webhook signed with a foreign key",
    "webhook-stale": "webhook signed properly, but with a timestamp ten minutes old",
    "webhook-retried": "webhook with another gateway_request_id",
    "webhook-null": "webhook with payload null and payload_error",
    "webhook-never": "no webhook at all",
    "webhook-unordered": "Replicate: the notice of the start comes after that of the end",
    "webhook-told": "Replicate: the prediction tells its webhook, as some of the vendor's types say",
    "webhook-reversed": "Stripe: the events of one change come in reverse order",
    "webhook-shuffled": "Stripe: events come late by chance, in any order; argument: up to so many seconds (default 1)",
    "webhook-twin": "Stripe: two event objects for one change",
    "webhook-rolled": "Stripe: signed with two secrets, two v1, as while a secret is rolled",
    "deadline": "Replicate: stopped by its deadline while it runs (canceled)",
    "removed": "Replicate: input, output and logs are removed; argument: seconds after the end (default 0)",
    "inline": "the output holds data URIs instead of addresses, or of plain base64",
    "small": "kie.ai, fal: painted an eighth as wide and high, at the same price: tests are many and have no time",
    "http-errors": "kie.ai: errors have their code as the HTTP status too, instead of 200",
    "maintenance": "kie.ai: 455, under maintenance",
    "capped": "kie.ai: 433, the key has reached a cap of its own",
    "disabled": "kie.ai: 505, the model is switched off",
    "blind": "kie.ai: 451, an input picture could not be downloaded",
    "untold": "kie.ai: neither jobs nor texts tell what they cost",
    "silent-end": "kie.ai: streamed text ends without finish_reason and [DONE]",
    "open-end": "kie.ai: the connection of streamed text stays open after the last word",
    "webhook-unsigned": "kie.ai: webhook without signature, as for accounts without a webhook key",
    "lost": "ComfyUI: the box restarts at the end of the job, which is neither in its queue nor in its history then",
    "interrupted": "ComfyUI: somebody stops the job at the box",
    "overloaded": "OpenAI: 503 server_is_overloaded",
    "cut": "streamed text: the connection closes in the middle",
    "error-late": "streamed text: an error instead of the second half",
    "empty": "text: an answer without any text",
    "no-usage": "streamed text: no usage at the end",
    "no-stream": "text: a whole answer in JSON although a stream was asked for",
    "no-schema": "text: the schema asked for is ignored",
    "thinking": "streamed text: reasoning_content before the answer, as some servers send",
    "by-url": "OpenAI, Promptchan: pictures as addresses instead of base64, as some servers send",
    "error-inside": "Promptchan: 200 with an error instead of a result",
    "gems-fraction": "Promptchan: the balance told is a fraction",
    "gems-untold": "Promptchan: the balance is not told",
    "stuck": "Promptchan: a video whose status stays an unknown word for ever",
    "one-text": "Promptchan: a video's result as one text instead of a list",
    "daily-quota": "Gemini: 429 with a limit that counts by the day",
    "block": "Gemini: the prompt is refused; argument: the blockReason (default SAFETY)",
    "finish": "Gemini: no content, only how it ended; argument: the finishReason (default OTHER)",
    "text-only": "Gemini: words instead of a picture",
    "bad-base64": "Gemini: a picture that cannot be decoded",
    "cancel-ignored": "cancel is accepted, the job completes all the same",
}

_SYNTAX = re.compile(r"(?P<name>[a-z0-9-]+)(?:@(?P<stage>[a-z]+))?(?:\*(?P<times>\d+))?(?:=(?P<argument>[\w.:-]+))?")
_IN_PROMPT = re.compile(r"\bsandbox:([a-z0-9-]+(?:@[a-z]+)?(?:\*\d+)?(?:=[\w.:-]+)?)", re.IGNORECASE)
_KEY_PREFIX = "fault-"


class UnknownFault(ValueError):
    """A fault was asked for that does not exist; the message says what is wrong."""


@dataclass(frozen=True)
class Fault:
    name: str
    stage: str | None = None
    times: int | None = None
    argument: str | None = None

    def number(self, default: float) -> float:
        """The argument as a number ≥ 0. Raises UnknownFault when it is something else."""
        if self.argument is None:
            return default
        try:
            value = float(self.argument)
        except ValueError:
            value = -1.0
        if not 0 <= value < 1e6:
            raise UnknownFault(f"Sandbox fault {self.name!r} takes a number, not {self.argument!r}")
        return value


class Faults:
    """The faults of one request."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._faults = tuple(faults)

    def __iter__(self) -> Iterator[Fault]:
        return iter(self._faults)

    def __add__(self, other: "Faults") -> "Faults":
        return Faults((*self._faults, *other._faults))

    def __contains__(self, name: object) -> bool:
        return any(fault.name == name for fault in self._faults)

    def get(self, name: str) -> Fault | None:
        return next((fault for fault in self._faults if fault.name == name), None)

    def to_json(self) -> list[list[str | int | None]]:
        """For `from_json`."""
        return [[fault.name, fault.stage, fault.times, fault.argument] for fault in self._faults]

    @classmethod
    def from_json(cls, data: Iterable[Sequence[Any]]) -> "Faults":
        """What `to_json` gave."""
        return cls(Fault(name, stage, times, argument) for name, stage, times, argument in data)

    def transport(self, stage: str) -> tuple[Fault, ...]:
        """Transport faults that strike at `stage`."""
        return tuple(f for f in self._faults if f.name in TRANSPORT and f.stage == stage)


def _parse(text: str, default_stage: str) -> Fault:
    match = _SYNTAX.fullmatch(text.strip().lower().rstrip("."))
    if match is None or match["name"] not in {*TRANSPORT, *JOB}:
        raise UnknownFault(f"Unknown sandbox fault {text.strip()[:80]!r}; the sandbox's index page lists them")
    if match["stage"] is not None and match["stage"] not in STAGES:
        raise UnknownFault(f"Unknown stage {match['stage']!r}; stages are {', '.join(STAGES)}")
    times = int(match["times"]) if match["times"] else None
    fault = Fault(match["name"], match["stage"] or default_stage, times, match["argument"])
    if fault.name == "flagged":
        fault = Fault("nsfw", fault.stage, times, fault.argument)
    if fault.name == "flaky":
        return Fault("500", fault.stage, int(fault.number(1)))
    if fault.name not in ("422", "fail", "block", "finish"):
        fault.number(0)
    return fault


def from_header(value: str | None, stage: str) -> Faults:
    """Faults of the header; without a stage of their own they strike the request that carries it."""
    return Faults(_parse(part, stage) for part in (value or "").split(",") if part.strip())


def from_secret(secret: str) -> Faults:
    """Faults of a key's secret (`fault-<fault>`)."""
    return Faults([_parse(secret[len(_KEY_PREFIX) :], "submit")]) if secret.startswith(_KEY_PREFIX) else Faults()


def from_prompt(prompt: str) -> Faults:
    """Faults of the words `sandbox:<fault>` in a prompt."""
    return Faults(_parse(word, "submit") for word in _IN_PROMPT.findall(prompt))


class Tally:
    """Counts how often a fault struck for a prompt, so that `*times` can end it. Keeps the last 2,000 counts."""

    def __init__(self) -> None:
        self._counts: OrderedDict[tuple[str, str, str], int] = OrderedDict()

    def strikes(self, fault: Fault, prompt: str) -> bool:
        """Whether the fault strikes this time; counts the try."""
        if fault.times is None:
            return True
        key = (fault.name, fault.stage or "", hashlib.sha256(prompt.encode()).hexdigest())
        count = self._counts.pop(key, 0) + 1
        self._counts[key] = count
        while len(self._counts) > 2_000:
            self._counts.popitem(last=False)
        return count <= fault.times

    def due(self, faults: Faults, prompt: str) -> Faults:
        """The faults without those of a job whose `times` have passed."""
        return Faults(f for f in faults if f.name in TRANSPORT or self.strikes(f, prompt))

    def clear(self) -> None:
        self._counts.clear()
