"""From the error answers of OpenAI and its kin to our few errors. Decides on status, code and type, not on wording.

Sentences name the field in our words; the server's own words go to the operator's note only.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Literal

from gesso.providers.errors import Busy, Misconfigured, OutcomeUnknown, ProviderError, Rejected, Unavailable
from gesso.providers.http import Answer, retry_after
from gesso.providers.openai import wire

Call = Literal["free", "text", "media"]
"""What was asked for: nothing that costs, text, or pictures and videos."""

BUSY_SECONDS = 5.0
_RETRY_MAX_SECONDS = 3600.0
CREDIT = frozenset(
    {
        "insufficient_quota", "credit_balance_exhausted", "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded", "organization_usage_limit_exceeded", "billing_hard_limit_reached",
        "billing_not_active", "insufficient_credits",
    }
)  # fmt: skip
SAFETY = frozenset(
    {
        "moderation_blocked", "content_policy_violation", "content_filter", "image_content_policy_violation",
        "invalid_prompt", "responsibleaipolicyviolation",
    }
)  # fmt: skip
_LIMITS = frozenset({"rate_limit_exceeded", "rate_limit_error", "slow_down", "tokens", "requests", "429"})
_OVERLOADED = frozenset({"server_is_overloaded", "overloaded_error", "503"})
_MODEL = frozenset({"model_not_found", "model_not_supported", "notfounderror"})
_KEY = frozenset({"invalid_api_key", "authentication_error", "401"})

# Their field → (our field, how a sentence calls it).
_FIELDS: Mapping[str, tuple[str, str]] = {
    "prompt": ("prompt", "The prompt"),
    "messages": ("prompt", "The text"),
    "input": ("prompt", "The text"),
    "size": ("size", "The size"),
    "quality": ("quality", "The quality"),
    "n": ("count", "The number of pictures"),
    "image": ("images", "The reference picture"),
    "image[]": ("images", "The reference picture"),
    "input_reference": ("images", "The reference picture"),
    "background": ("background", "The background"),
    "output_format": ("output_format", "The file format"),
    "output_compression": ("output_compression", "The compression"),
    "seconds": ("duration", "The duration"),
    "temperature": ("temperature", "The temperature"),
}
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")


def classify(
    answer: Answer, mask: Callable[[str], str], call: Call, *, now: datetime | None = None
) -> ProviderError:  # fmt: skip
    """What an answer with an error status means. Which 5xx leaves the outcome open depends on `call`."""
    body, status = wire.error_body(answer.data()), answer.status
    note = mask(_note(status, body))
    wait = pause(answer.headers, now)
    if 300 <= status < 400:
        return Misconfigured("model", note=f"The configured address answers with a redirect ({status}).")
    named = _named(body, note, wait, status)
    if named is not None:
        return named
    if status == 401:
        return Misconfigured("key", note=note)
    if status == 402:
        return Misconfigured("credit", note=note)
    if status == 403:
        if body.flagged:
            return Rejected("The model's content check refused this request.", "safety", note=note)
        return Misconfigured("model" if "model" in (body.param or "") else "key", note=note)
    if status in (404, 405):
        return Misconfigured("model", note=note)
    if status == 429:
        return Busy(wait or BUSY_SECONDS, note=note)
    if status in (409, 425, 503):
        return Unavailable(wait, note=note)
    if status == 408 or status >= 500:
        return OutcomeUnknown(note=note) if call == "media" else Unavailable(wait, note=note)
    return _rejected(body, note, status)


def _named(body: wire.ErrorBody, note: str, wait: float | None, status: int) -> ProviderError | None:
    """What the error's own code or type says; None when it says nothing that we know."""
    if body.words & CREDIT:
        return Misconfigured("credit", note=note)
    if body.words & SAFETY:
        return Rejected("The model's content check refused this request.", "safety", note=note)
    if status != 429 and body.words & _MODEL:
        return Misconfigured("model", note=note)
    if "context_length_exceeded" in body.words:
        return Rejected("The text is too long for this model.", "input", field="prompt", note=note)
    return None


def of_event(body: wire.ErrorBody, mask: Callable[[str], str]) -> ProviderError:
    """What an error inside a stream, or inside an answer with status 200, means before any text has come."""
    note = mask(f"Error in the answer: {_told(body)}"[:400])
    named = _named(body, note, None, 200)
    if named is not None:
        return named
    if body.words & _LIMITS:
        return Busy(BUSY_SECONDS, note=note)
    if body.words & _KEY:
        return Misconfigured("key", note=note)
    if "402" in body.words:
        return Misconfigured("credit", note=note)
    return Unavailable(note=note)


def of_video(body: wire.ErrorBody | None, mask: Callable[[str], str]) -> ProviderError:
    """How a video job ended that failed."""
    note = mask(_told(body or wire.ErrorBody())[:400])
    words = body.words if body else frozenset()
    if words & SAFETY:
        return Rejected("The model's content check refused this prompt or its result.", "safety", note=note)
    if words & (_OVERLOADED | {"server_error", "internal_error"}):
        return Unavailable(note=note)
    return Rejected("The model could not make this video.", "failed", note=note)


def pause(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds to wait: `retry-after-ms`, `retry-after`, or when an emptied rate limit fills again."""
    try:
        told = float(headers.get("retry-after-ms", "")) / 1000
        if 0 < told < float("inf"):
            return min(max(told, 0.1), _RETRY_MAX_SECONDS)
    except ValueError:
        pass
    given = retry_after(headers, now)
    if given is not None:
        return given
    waits = [
        wait
        for kind in ("requests", "tokens")
        if headers.get(f"x-ratelimit-remaining-{kind}", "").strip() == "0"
        and (wait := _seconds(headers.get(f"x-ratelimit-reset-{kind}", ""))) is not None
    ]
    return min(max(*waits, 0.1), _RETRY_MAX_SECONDS) if waits else None


def _seconds(text: str) -> float | None:
    """Seconds of a duration such as `1s`, `6m0s` or `120ms`."""
    match = _DURATION.fullmatch(text.strip())
    if match is None or not any(match.groups()):
        return None
    hours, minutes, seconds, millis = (float(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds + millis / 1000


def _rejected(body: wire.ErrorBody, note: str, status: int) -> Rejected:
    if status == 413:
        return Rejected("The request is too large for this model.", "input", note=note)
    name = re.split(r"[.\[]", body.param or "", maxsplit=1)[0]
    field, label = _FIELDS.get(name, (None, ""))
    if field is None:
        return Rejected("This model could not work with this request.", "input", note=note)
    return Rejected(f"{label} was not accepted by this model.", "input", field=field, note=note)


def _told(body: wire.ErrorBody) -> str:
    words = " ".join(filter(None, (body.code, body.type, f"({body.param})" if body.param else "")))
    return f"{words} {body.message}".strip()


def _note(status: int, body: wire.ErrorBody) -> str:
    return f"HTTP {status} {_told(body)}".strip()[:400]
