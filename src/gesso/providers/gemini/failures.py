"""From Google's errors and refusals to our few errors. Decides on status, reason and HTTP status, not on wording.

| Answer | Ours |
|---|---|
| 400 with reason API_KEY_INVALID (a bad key), 401, 403 | Misconfigured("key") |
| 400 FAILED_PRECONDITION (billing, or a region that is not served), 402 | Misconfigured("credit") |
| 404 (unknown or retired), a redirect | Misconfigured("model") |
| 429 with a limit that counts by the day | Misconfigured("credit"): it will not clear soon |
| 429 | Busy, for as long as RetryInfo says |
| 503 UNAVAILABLE in Google's own words (overloaded) | Unavailable: turned away at the door |
| other 5xx, 408, 499 | pictures: OutcomeUnknown, for nobody knows what is billed; text: Unavailable |
| other 4xx | Rejected("input"), with the field where it is named |

Refusals come with status 200: see `refusal`.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Literal

from gesso.providers.errors import Busy, Misconfigured, OutcomeUnknown, ProviderError, Rejected, Unavailable
from gesso.providers.gemini import wire
from gesso.providers.http import RETRY_AFTER_MAX_SECONDS, Answer, retry_after

Call = Literal["free", "text", "media"]
"""What was asked for: nothing that costs, text, or pictures."""

BUSY_SECONDS = 5.0
GOOD = frozenset({"STOP", "MAX_TOKENS"})
_TECHNICAL = frozenset(
    {
        "OTHER", "IMAGE_OTHER", "NO_IMAGE", "LANGUAGE", "MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE",
        "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE",
    }
)  # fmt: skip
_KEY = frozenset({"API_KEY_INVALID", "API_KEY_EXPIRED"})
_BILLING = frozenset({"BILLING_DISABLED"})

# The end of their field's path → (our field, how a sentence calls it).
_FIELDS: Mapping[str, tuple[str, str]] = {
    "aspectratio": ("aspect_ratio", "The aspect ratio"),
    "imagesize": ("quality", "The size"),
    "imageconfig": ("quality", "The size"),
    "contents": ("prompt", "The prompt"),
    "text": ("prompt", "The prompt"),
    "inlinedata": ("images", "The reference picture"),
    "data": ("images", "The reference picture"),
    "mimetype": ("images", "The reference picture"),
    "temperature": ("temperature", "The temperature"),
    "seed": ("seed", "The seed"),
}


def classify(
    answer: Answer, mask: Callable[[str], str], call: Call, *, now: datetime | None = None
) -> ProviderError:  # fmt: skip
    """What an answer with an error status means."""
    told, status = wire.problem(answer.data()), answer.status
    note = mask(_note(f"HTTP {status}", told))
    wait = told.retry_seconds or retry_after(answer.headers, now)
    if 300 <= status < 400:
        return Misconfigured("model", note=f"The configured address answers with a redirect ({status}).")
    named = _named(told, note, wait)
    if named is not None:
        return named
    if status in (401, 403):
        return Misconfigured("key", note=note)
    if status == 402:
        return Misconfigured("credit", note=note)
    if status in (404, 405):
        return Misconfigured("model", note=note)
    if status == 429:
        return Busy(_bounded(wait), note=note)
    if status == 503 and (told.known or call != "media"):
        return Unavailable(wait, note=note)
    if status in (408, 499) or status >= 500:
        return OutcomeUnknown(note=note) if call == "media" else Unavailable(wait, note=note)
    if status == 413:
        return Rejected("The request is too large for this model.", "input", note=note)
    return _rejected(told, note)


def of_event(told: wire.Problem, mask: Callable[[str], str], call: Call) -> ProviderError:
    """What an error inside a stream, or inside an answer with status 200, means before any text has come."""
    note = mask(_note("Error in the answer:", told))
    named = _named(told, note, told.retry_seconds)
    if named is not None:
        return named
    if told.status in ("PERMISSION_DENIED", "UNAUTHENTICATED") or told.code in (401, 403):
        return Misconfigured("key", note=note)
    if told.status == "NOT_FOUND" or told.code == 404:
        return Misconfigured("model", note=note)
    if told.status == "RESOURCE_EXHAUSTED" or told.code == 429:
        return Busy(_bounded(told.retry_seconds), note=note)
    if told.status == "INVALID_ARGUMENT" or told.code == 400:
        return _rejected(told, note)
    if told.status == "UNAVAILABLE" or call != "media":
        return Unavailable(told.retry_seconds, note=note)
    return OutcomeUnknown(note=note)


def _named(told: wire.Problem, note: str, wait: float | None) -> ProviderError | None:
    """What the error's own status, reasons and limits say; None when they say nothing that we know."""
    if told.reasons & _KEY:
        return Misconfigured("key", note=note)
    if told.reasons & _BILLING or told.status == "FAILED_PRECONDITION":
        return Misconfigured("credit", note=note)
    if any("perday" in name.lower().replace("_", "") for name in told.quotas):
        sentence = "This model is not available now: our quota at its provider is used up for today."
        return Misconfigured("credit", sentence, note=note)
    return None


def refusal(reply: wire.Reply) -> Rejected | None:
    """What the reasons in an answer with status 200 say; None when it ended well, or has not ended yet.

    Unknown reasons count as refusals (fact sheet, section 3): what they stand for was not delivered for a reason of
    the provider's own.
    """
    if reply.block is not None:
        return Rejected("The model's content check refused this request.", "safety", note=f"blockReason {reply.block}")
    if reply.finish is None or reply.finish in GOOD:
        return None
    note = f"finishReason {reply.finish}"
    if reply.finish in _TECHNICAL:
        return Rejected("The model could not finish this.", "failed", note=note)
    return Rejected("The model's content check refused this request or its result.", "safety", note=note)


def _bounded(wait: float | None) -> float:
    return min(max(wait or BUSY_SECONDS, 0.5), RETRY_AFTER_MAX_SECONDS)


def _rejected(told: wire.Problem, note: str) -> Rejected:
    names = [re.sub(r"[^a-z]", "", part.lower()) for part in (told.field or "").split(".")]
    field, label = next((_FIELDS[name] for name in reversed(names) if name in _FIELDS), (None, ""))
    if field is None:
        return Rejected("This model could not work with this request.", "input", note=note)
    return Rejected(f"{label} was not accepted by this model.", "input", field=field, note=note)


def _note(start: str, told: wire.Problem) -> str:
    words = (told.status, *sorted(told.reasons), *told.quotas, f"({told.field})" if told.field else "", told.message)
    return " ".join(filter(None, (start, *words)))[:400]
