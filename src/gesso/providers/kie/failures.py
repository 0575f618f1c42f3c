"""From kie.ai's codes to our few errors. Codes decide; only whether a 400 or a failed job is about content is read
from the words (`Shape.safety`, which `wire` can replace), because no code tells it.

Sentences name the field in our words; kie.ai's own words go to the operator's note only.
"""

import re
from collections.abc import Callable, Mapping, Sequence

from gesso.providers.errors import Busy, Misconfigured, OutcomeUnknown, ProviderError, Rejected, Unavailable
from gesso.providers.http import retry_after
from gesso.providers.kie.wire import Envelope, Task

BUSY_SECONDS = 5.0
"""20 new requests per 10 seconds are taken: half the window."""
MAINTENANCE_SECONDS = 60.0
SAFETY = (
    r"\bnsfw\b", r"content.polic", r"sensitive", r"\bsafety\b", r"prohibited", r"moderation", r"\bflagged\b", r"violat",
)  # fmt: skip
"""What refusals of content checks say."""
Mask = Callable[[str], str]

_CREDIT = (402, 433)  # no balance; a key's own cap
_MODEL = (404, 405, 505)
_PASSING = (408, 429, 455, 500, 503)  # of a failed job: a new one may do better

# Their field → (our field, how a sentence calls it).
_FIELDS: Mapping[str, tuple[str, str]] = {
    "negative_prompt": ("negative_prompt", "The negative prompt"),
    "prompt": ("prompt", "The prompt"),
    "messages": ("prompt", "The text"),
    "image_size": ("size", "The size"),
    "aspect_ratio": ("aspect_ratio", "The aspect ratio"),
    "aspectRatio": ("aspect_ratio", "The aspect ratio"),
    "image_resolution": ("quality", "The resolution"),
    "resolution": ("quality", "The resolution"),
    "quality": ("quality", "The quality"),
    "max_images": ("count", "The number of pictures"),
    "guidance_scale": ("guidance", "Guidance"),
    "seed": ("seed", "The seed"),
    "image_urls": ("images", "The reference picture"),
    "image_input": ("images", "The reference picture"),
    "input_urls": ("images", "The reference picture"),
    "image_url": ("images", "The reference picture"),
    "inputImage": ("images", "The reference picture"),
    "output_format": ("output_format", "The file format"),
    "outputFormat": ("output_format", "The file format"),
    "upscale_factor": ("upscale_factor", "The factor"),
}
_NAMED = re.compile(rf"(?<!\w)(?:{'|'.join(_FIELDS)})(?!\w)")


def classify(
    told: Envelope, headers: Mapping[str, str], mask: Mask, safety: Sequence[str] = SAFETY
) -> ProviderError:  # fmt: skip
    """What an answer that is not fine means for a call that can be repeated safely."""
    code, note = told.code, mask(f"Code {told.code} {told.message}".strip()[:400])
    if code in (401, 403):
        return Misconfigured("key", note=note)
    if code in _CREDIT:
        return Misconfigured("credit", note=note)
    if code in _MODEL:
        return Misconfigured("model", note=note)
    if code == 429:
        return Busy(retry_after(headers) or BUSY_SECONDS, note=note)
    if code == 455:
        return Unavailable(retry_after(headers) or MAINTENANCE_SECONDS, note=note)
    if 300 <= code < 400:
        return Misconfigured("model", note=f"The configured address answers with a redirect ({code}).")
    if code < 300:
        return Unavailable(note="An answer without the code that kie.ai gives.")
    if code >= 500 or code in (408, 409, 425):
        return Unavailable(retry_after(headers), note=note)
    return _rejected(code, told.message, note, safety)


def of_submit(told: Envelope, headers: Mapping[str, str], mask: Mask, safety: Sequence[str]) -> ProviderError:
    """What it means for a createTask, which must not be sent twice: there is no idempotency key, and only refusals
    by a named code say that nothing was taken."""
    code = told.code
    if code < 300 or code in (408, 409, 425) or (code >= 500 and code != 505):
        return OutcomeUnknown(note=mask(f"Submit: code {code} {told.message}".strip()[:400]))
    return classify(told, headers, mask, safety)


def of_job(task: Task, mask: Mask, safety: Sequence[str]) -> ProviderError:
    """What a failed job's code and words mean. One that may pass is tried again only if it was not billed."""
    note = mask(f"failCode {task.fail_code} {task.fail_message or 'without a word'}"[:400])
    if is_about_content(task.fail_message, safety):
        return refused(note)
    if task.fail_code == 451:
        return _unread_picture(note)
    if task.fail_code in (400, 422):
        return _rejected(task.fail_code, task.fail_message, note, safety)
    if task.fail_code in _PASSING and not task.credits:
        return Unavailable(note=note)
    return Rejected("The model failed on this request.", "failed", note=note)


def is_about_content(text: str, safety: Sequence[str]) -> bool:
    """Whether the words are those of a content check."""
    return any(re.search(pattern, text, re.IGNORECASE) for pattern in safety)


def refused(note: str) -> Rejected:
    """A content check refused."""
    return Rejected("The model's content check refused this prompt or its result.", "safety", note=note)


def _unread_picture(note: str) -> Rejected:
    return Rejected("The reference picture could not be read by this model.", field="images", note=note)


def _rejected(code: int, message: str, note: str, safety: Sequence[str]) -> Rejected:
    if is_about_content(message, safety):
        return refused(note)
    if code == 413:
        return Rejected("A reference picture is too large for this model.", field="images", note=note)
    if code == 451:
        return _unread_picture(note)
    named = _NAMED.search(message)
    if named is None:
        return Rejected("This model could not work with this request.", "input", note=note)
    field, label = _FIELDS[named[0]]
    return Rejected(f"{label} was not accepted by this model.", "input", field=field, note=note)
