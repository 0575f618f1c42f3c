"""From fal's answers to our few errors. Decides on status, type and headers, never on a message's wording,
with one exception fal leaves no choice about: an account without credit is a 403 told by its text.

Sentences name the field in our words; the provider's own words go to the operator's note only.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from gesso.providers.errors import Busy, Misconfigured, ProviderError, Rejected, Unavailable
from gesso.providers.fal import wire
from gesso.providers.http import Answer, retry_after

BUSY_SECONDS = 5.0
_LOCKED = re.compile(r"user is locked|exhausted balance", re.IGNORECASE)
_SAFETY = frozenset({"content_policy_violation", "no_media_generated"})
_PASSING = frozenset(
    {
        "startup_timeout", "runner_scheduling_failure", "runner_connection_timeout", "runner_disconnected",
        "runner_connection_refused", "runner_connection_error", "runner_incomplete_response",
        "runner_server_error", "request_timeout", "internal_error", "internal_server_error",
        "downstream_service_unavailable", "client_disconnected",
    }
)  # fmt: skip

# Their field → (our field, how a sentence calls it).
_FIELDS: Mapping[str, tuple[str, str]] = {
    "prompt": ("prompt", "The prompt"),
    "negative_prompt": ("negative_prompt", "The negative prompt"),
    "image_size": ("size", "The size"),
    "aspect_ratio": ("aspect_ratio", "The aspect ratio"),
    "resolution": ("quality", "The resolution"),
    "num_images": ("count", "The number of pictures"),
    "num_inference_steps": ("steps", "The number of steps"),
    "guidance_scale": ("guidance", "Guidance"),
    "guide_scale": ("guidance", "Guidance"),
    "cfg_scale": ("guidance", "Guidance"),
    "seed": ("seed", "The seed"),
    "image_url": ("images", "The reference picture"),
    "image_urls": ("images", "The reference picture"),
    "start_image_url": ("images", "The reference picture"),
    "strength": ("strength", "Strength"),
    "image_prompt_strength": ("strength", "Strength"),
    "loras": ("loras", "The LoRA list"),
    "output_format": ("output_format", "The file format"),
    "duration": ("duration", "The duration"),
}

# Error type → sentence; {0} is the field, {1} the limit from `ctx` (first of the listed names that is there).
_SENTENCES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "missing": ("{0} is needed by this model.", ()),
    "value_error.missing": ("{0} is needed by this model.", ()),
    "greater_than": ("{0} must be more than {1}.", ("gt", "limit_value")),
    "greater_than_equal": ("{0} must be at least {1}.", ("ge", "limit_value")),
    "less_than": ("{0} must be less than {1}.", ("lt", "limit_value")),
    "less_than_equal": ("{0} must be at most {1}.", ("le", "limit_value")),
    "value_error.number.not_gt": ("{0} must be more than {1}.", ("limit_value",)),
    "value_error.number.not_ge": ("{0} must be at least {1}.", ("limit_value",)),
    "value_error.number.not_lt": ("{0} must be less than {1}.", ("limit_value",)),
    "value_error.number.not_le": ("{0} must be at most {1}.", ("limit_value",)),
    "multiple_of": ("{0} must be a multiple of {1}.", ("multiple_of",)),
    "sequence_too_short": ("{0} must have at least {1} entries.", ("min_length",)),
    "sequence_too_long": ("{0} may have at most {1} entries.", ("max_length",)),
    "string_too_short": ("{0} must have at least {1} characters.", ("min_length",)),
    "string_too_long": ("{0} may have at most {1} characters.", ("max_length",)),
    "value_error.any_str.max_length": ("{0} may have at most {1} characters.", ("limit_value",)),
    "one_of": ("{0} must be one of: {1}.", ("expected",)),
    "literal_error": ("{0} must be one of: {1}.", ("expected",)),
    "image_too_small": ("{0} must be at least {1} pixels wide and {2} high.", ("min_width",)),
    "image_too_large": ("{0} may be at most {1} pixels wide and {2} high.", ("max_width",)),
    "image_load_error": ("{0} could not be read by this model.", ()),
    "file_download_error": ("{0} could not be fetched by this model.", ()),
    "file_too_large": ("{0} is too large for this model.", ()),
    "unsupported_image_format": ("{0} has a format that this model cannot read.", ()),
    "face_detection_error": ("No face was found in the reference picture.", ()),
    "feature_not_supported": ("{0} is not supported by this model.", ()),
}


def classify(
    answer: Answer, mask: Callable[[str], str], *, hint: str | None = None, now: datetime | None = None
) -> ProviderError:
    """What an answer with an error status means. `hint` is the error type a status call already told."""
    body = wire.error_body(answer.data())
    error_type = body.error_type or answer.headers.get("x-fal-error-type") or hint or ""
    note = mask(_note(answer.status, error_type, body))
    code = answer.status
    if code == 401:
        return Misconfigured("key", note=note)
    if code in (402, 403):
        broke = code == 402 or bool(_LOCKED.search(body.detail or ""))
        return Misconfigured("credit" if broke else "key", note=note)
    if code == 404:
        return Misconfigured("model", note=note)
    if code == 429:
        return Busy(retry_after(answer.headers, now) or BUSY_SECONDS, note=note)
    if 300 <= code < 400:
        return Misconfigured("model", note=f"The configured address answers with a redirect ({code}).")
    if code == 504 and answer.headers.get("x-fal-request-timeout-type", "").lower() == "user":
        return Rejected("The provider did not start this job in the time allowed.", "deadline", note=note)
    return _of_job(answer, body, error_type, note, now)


def _of_job(answer: Answer, body: wire.ErrorBody, error_type: str, note: str, now: datetime | None) -> ProviderError:
    types = {item.type for item in body.items} | {error_type}
    if types & _SAFETY:
        return Rejected("The model's content check refused this prompt or its result.", "safety", note=note)
    if "client_cancelled" in types:
        return Rejected("The job was cancelled.", "cancelled", note=note)
    if answer.status in (408, 409, 425):
        return Unavailable(retry_after(answer.headers, now), note=note)
    retryable = _retryable(answer.headers)
    if retryable is True:
        return Unavailable(retry_after(answer.headers, now), note=note)
    if "generation_timeout" in types:
        return Rejected("The model did not finish in the time it is given.", "deadline", note=note)
    if (retryable is False and answer.status >= 500) or "downstream_service_error" in types:
        return Rejected("The model could not make this picture.", "failed", note=note)
    if answer.status >= 500 or types & _PASSING:
        return Unavailable(retry_after(answer.headers, now), note=note)
    return _rejected(body, note)


def _rejected(body: wire.ErrorBody, note: str) -> Rejected:
    for item in body.items:
        field, label = _field(item.loc)
        return Rejected(_sentence(item, label), "input", field=field, note=note)
    return Rejected("This model could not work with this request.", "input", note=note)


def of_status(status: wire.Status, mask: Callable[[str], str]) -> ProviderError:
    """What a COMPLETED status with an error means when the result call has nothing to add."""
    note = mask(f"{status.error_type or 'no error type'}: {(status.error or '')[:300]}")
    if status.error_type in _SAFETY:
        return Rejected("The model's content check refused this prompt or its result.", "safety", note=note)
    if status.error_type == "client_cancelled":
        return Rejected("The job was cancelled.", "cancelled", note=note)
    if status.error_type in _PASSING:
        return Unavailable(note=note)
    return Rejected("The model failed on this request.", "failed", note=note)


def tells_of_job(answer: Answer) -> bool:
    """Whether a 5xx is the job's own end, told by fal in one of its shapes, rather than a gateway's trouble."""
    body = wire.error_body(answer.data())
    return bool(body.items or body.error_type or answer.headers.get("x-fal-error-type"))


def is_fal(answer: Answer) -> bool:
    """Whether an error answer was written by fal and not by a proxy on the way."""
    body = wire.error_body(answer.data())
    return bool(body.items or body.detail or body.error_type or answer.headers.get("x-fal-request-id"))


def _retryable(headers: Mapping[str, str]) -> bool | None:
    told = (headers.get("x-fal-retryable") or headers.get("x-fal-needs-retry") or "").lower()
    return {"true": True, "1": True, "false": False, "0": False}.get(told)


def _note(status: int, error_type: str, body: wire.ErrorBody) -> str:
    told = "; ".join(f"{'.'.join(item.loc)}: {item.type} {item.message}" for item in body.items[:3])
    return f"HTTP {status} {error_type} {told or body.detail or ''}".strip()[:400]


def _field(loc: tuple[str, ...]) -> tuple[str | None, str]:
    for part in loc:
        if part in _FIELDS:
            return _FIELDS[part]
    named = [part for part in loc if part != "body" and not part.isdigit()]
    if named and re.fullmatch(r"[a-z][a-z0-9_]{0,40}", named[0]):
        return named[0], f"“{named[0].replace('_', ' ')}”"
    return None, "One of the values"


def _sentence(item: wire.ErrorItem, label: str) -> str:
    template, names = _SENTENCES.get(item.type, ("{0} was not accepted by this model.", ()))
    limit = next((_short(item.ctx[name]) for name in names if name in item.ctx), "")
    height = _short(item.ctx.get("min_height", item.ctx.get("max_height", "")))
    if (names and not limit) or ("{2}" in template and not height):
        return f"{label} was not accepted by this model."
    return template.format(label, limit, height)


def _short(value: Any) -> str:
    """A limit as text: numbers, words and lists of them; nothing long, nothing that could be a URL."""
    if isinstance(value, list):
        return ", ".join(filter(None, (_short(part) for part in value[:20])))
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 120 and re.fullmatch(r"[\w .,:'+\-]*", text) else ""
