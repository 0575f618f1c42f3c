"""From Replicate's answers to our few errors. Refusals are told by status and `invalid_fields`; a failed prediction
has nothing but free text, so that a content check is known by patterns (`Shape.safety`, which `wire` can replace).

Sentences name the field in our words; the provider's own words go to the operator's note only.
"""

import re
from collections.abc import Callable, Mapping, Sequence

from gesso.providers.errors import Busy, Misconfigured, OutcomeUnknown, ProviderError, Rejected, Unavailable
from gesso.providers.http import RETRY_AFTER_MAX_SECONDS, Answer, retry_after
from gesso.providers.replicate import wire

BUSY_SECONDS = 5.0
_RESETS = re.compile(r"resets in ~?(\d{1,4})\s?s")
_LIMIT = re.compile(r"(?:than or equal to|at least|at most|than|one of:?)\s+([\w .,:'\"+\-]{1,120})")

# Their field → (our field, how a sentence calls it).
_FIELDS: Mapping[str, tuple[str, str]] = {
    "prompt": ("prompt", "The prompt"),
    "negative_prompt": ("negative_prompt", "The negative prompt"),
    "width": ("size", "The width"),
    "height": ("size", "The height"),
    "aspect_ratio": ("aspect_ratio", "The aspect ratio"),
    "megapixels": ("megapixels", "The size"),
    "num_outputs": ("count", "The number of pictures"),
    "num_inference_steps": ("steps", "The number of steps"),
    "guidance_scale": ("guidance", "Guidance"),
    "guidance": ("guidance", "Guidance"),
    "seed": ("seed", "The seed"),
    "image": ("images", "The reference picture"),
    "image_prompt": ("images", "The reference picture"),
    "input_image": ("images", "The picture to start from"),
    "mask": ("images", "The mask"),
    "prompt_strength": ("strength", "Strength"),
    "image_prompt_strength": ("strength", "Strength"),
    "replicate_weights": ("loras", "The LoRA weights"),
    "lora_weights": ("loras", "The LoRA weights"),
    "hf_loras": ("loras", "The LoRA weights"),
    "lora_scale": ("loras", "The scale of the LoRA weights"),
    "lora_scales": ("loras", "The scale of the LoRA weights"),
    "output_format": ("output_format", "The file format"),
    "motion_bucket_id": ("motion", "Motion"),
    "cond_aug": ("noise", "Noise"),
    "frames_per_second": ("duration", "The number of frames a second"),
    "video_length": ("duration", "The number of frames"),
}
_SENTENCES: Mapping[str, str] = {
    "required": "{0} is needed by this model.",
    "number_lte": "{0} must be at most {1}.",
    "number_gte": "{0} must be at least {1}.",
    "number_lt": "{0} must be less than {1}.",
    "number_gt": "{0} must be more than {1}.",
    "enum": "{0} must be one of: {1}.",
}


def classify(answer: Answer, mask: Callable[[str], str]) -> ProviderError:
    """What an answer with an error status means for a call that can be repeated safely."""
    body, code = wire.error_body(answer.data()), answer.status
    note = mask(f"HTTP {code} {body.title} {body.detail}".strip()[:400])
    if code == 401:
        return Misconfigured("key", note=note)
    if code == 402:
        return Misconfigured("credit", note=note)
    if code in (403, 404):  # a private model, or one that cannot be called this way: that model's trouble alone
        return Misconfigured("model", note=note)
    if code == 429:
        return Busy(_resets(answer, body), note=note)
    if 300 <= code < 400:
        return Misconfigured("model", note=f"The configured address answers with a redirect ({code}).")
    if code == 413:
        return Rejected("A reference picture is too large for this model.", field="images", note=note)
    if code >= 500 or code in (408, 409, 425):
        return Unavailable(retry_after(answer.headers), note=note)
    return _rejected(body, note)


def of_submit(answer: Answer, mask: Callable[[str], str]) -> ProviderError:
    """What it means for a create, which must not be sent twice. There is no idempotency key, and nothing says that
    a 5xx means "not taken": only a 503 does, which is said by what stands before the service."""
    if answer.status in (408, 409, 425) or (answer.status >= 500 and answer.status != 503):
        return OutcomeUnknown(note=mask(f"Submit: HTTP {answer.status} {wire.error_body(answer.data()).detail[:200]}"))
    return classify(answer, mask)


def of_text(text: str | None, safety: Sequence[str], mask: Callable[[str], str]) -> ProviderError:
    """What a failed prediction's `error` means."""
    note = mask((text or "The prediction failed without a word.")[:400])
    if any(re.search(pattern, text or "", re.IGNORECASE) for pattern in safety):
        return refused(note)
    return Rejected("The model failed on this request.", "failed", note=note)


def refused(note: str) -> Rejected:
    """A content check held everything back."""
    return Rejected("The model's content check refused this prompt or its result.", "safety", note=note)


def _resets(answer: Answer, body: wire.ErrorBody) -> float:
    told = retry_after(answer.headers)
    if told is not None:
        return told
    found = _RESETS.search(body.detail)
    text = found[1] if found else answer.headers.get("ratelimit-reset", "")
    seconds = float(text) if text.isascii() and text.isdigit() else BUSY_SECONDS
    return min(max(seconds, 1.0), RETRY_AFTER_MAX_SECONDS)


def _rejected(body: wire.ErrorBody, note: str) -> ProviderError:
    for item in body.fields:
        if item.type == "additional_property_not_allowed":
            return Misconfigured("model", note=note)  # the catalogue's wire data names a field the model lacks
        if not item.name.startswith("input"):
            return Misconfigured("model", note=note)  # the version, the webhook: nothing a user said
        return _sentence(item, note)
    if "version" in body.title.lower():
        return Misconfigured("model", note=note)
    return Rejected("This model could not work with this request.", "input", note=note)


def _sentence(item: wire.InvalidField, note: str) -> Rejected:
    theirs = item.name.removeprefix("input").lstrip(".").partition(".")[0]
    plain = re.fullmatch(r"[a-z][a-z0-9_]{0,40}", theirs)
    usual = (theirs, f"“{theirs.replace('_', ' ')}”") if plain else (None, "One of the values")
    field, label = _FIELDS.get(theirs, usual)
    limit, template = _LIMIT.search(item.description), _SENTENCES.get(item.type)
    if template is None or ("{1}" in template and limit is None):
        return Rejected(f"{label} was not accepted by this model.", "input", field=field, note=note)
    said = limit[1].strip().rstrip(".") if limit else ""
    return Rejected(template.format(label, said), "input", field=field, note=note)
