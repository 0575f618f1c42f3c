"""From ComfyUI's answers to our few errors. A workflow is the operator's: what is wrong with it is theirs to mend.
Only a value that a request put into a named place is the user's."""

from collections.abc import Callable, Mapping

from gesso.providers.comfyui import wire
from gesso.providers.comfyui.options import Place, Shape
from gesso.providers.errors import Busy, Misconfigured, OutcomeUnknown, ProviderError, Rejected, Unavailable
from gesso.providers.http import Answer, retry_after

BUSY_SECONDS = 5.0
_LABELS: Mapping[str, tuple[str, str]] = {
    "prompt": ("prompt", "The prompt"),
    "negative": ("negative_prompt", "The negative prompt"),
    "width": ("size", "The width"),
    "height": ("size", "The height"),
    "count": ("count", "The number of pictures"),
    "seed": ("seed", "The seed"),
    "steps": ("steps", "The number of steps"),
    "guidance": ("guidance", "Guidance"),
    "strength": ("strength", "Strength"),
    "duration": ("duration", "The length"),
}
_PICTURE = ("images", "The reference picture")
_OF_VALUE = frozenset(
    {"value_smaller_than_min", "value_bigger_than_max", "value_not_in_list", "invalid_input_type",
     "custom_validation_failed"}
)  # fmt: skip


def classify(answer: Answer, mask: Callable[[str], str]) -> ProviderError:
    """What an answer with an error status means for a call that can be repeated safely."""
    code = answer.status
    note = mask(f"HTTP {code} {wire.refusal(answer.data()).text}".strip()[:400])
    if code in (401, 403, 407):
        return Misconfigured("key", note=note)
    if 300 <= code < 400:
        return Misconfigured("model", note=f"The configured address answers with a redirect ({code}).")
    if code in (404, 405, 410):
        return Misconfigured("model", note=f"{note}: the configured address is not ComfyUI's.")
    if code == 413:
        return Rejected("A reference picture is too large for this model.", field="images", note=note)
    if code == 429:
        return Busy(retry_after(answer.headers) or BUSY_SECONDS, note=note)
    if code >= 500 or code in (408, 409, 425):
        return Unavailable(retry_after(answer.headers), note=note)
    return Misconfigured("model", note=note)


def of_submit(answer: Answer, shape: Shape, mask: Callable[[str], str]) -> ProviderError:
    """What it means for a job that was handed over. ComfyUI's own refusals come before anything is queued. What a
    proxy says for it (502, 504) does not tell; 503 is said in its place where it is not there."""
    if answer.status in (408, 409, 425) or (answer.status >= 500 and answer.status != 503):
        return OutcomeUnknown(note=mask(f"Submit: HTTP {answer.status}"))
    if answer.status != 400:
        return classify(answer, mask)
    refused = wire.refusal(answer.data())
    for problem in refused.problems:
        told = problem.type in _OF_VALUE and problem.input is not None
        setting = _setting(Place(problem.node, problem.input or ""), shape) if told else None
        if setting is not None:
            return _sentence(setting, problem, mask(told_of(problem)))
    wrong = "; ".join(told_of(problem) for problem in refused.problems[:3]) or f"{refused.type}: {refused.text}"
    return Misconfigured("model", note=mask(f"ComfyUI refused the workflow: {wrong}"[:600]))


def told_of(problem: wire.Problem) -> str:
    """A problem in a few words for the operator."""
    return f"node {problem.node} ({problem.class_type}): {problem.type} {problem.details}"[:300]


def of_crash(crash: wire.Crash | None, shape_images: frozenset[str], mask: Callable[[str], str]) -> Rejected:
    """What ended a job. `shape_images`: the nodes that load reference pictures."""
    if crash is None:
        return Rejected("The model failed on this request.", "failed", note="The job failed without a word.")
    note = mask(f"node {crash.node} ({crash.class_type}): {crash.type}: {crash.message}"[:500])
    if crash.type.endswith("OutOfMemoryError") or "out of memory" in crash.message.lower():
        return Rejected("The model ran out of memory. A smaller size or fewer pictures may work.", "failed", note=note)
    if crash.node in shape_images:
        return Rejected("The reference picture could not be read by this model.", "input", field="images", note=note)
    return Rejected("The model failed on this request.", "failed", note=note)


def _setting(place: Place, shape: Shape) -> tuple[str, str] | None:
    """(our field, how a sentence calls it) of what went to this place; None for what the workflow itself holds."""
    if place in shape.images:
        return _PICTURE
    for name, knob in shape.knobs.items():
        if place in knob.places:
            return _LABELS.get(name, (name, f"“{name.replace('_', ' ')}”"))
    return None


def _sentence(setting: tuple[str, str], problem: wire.Problem, note: str) -> Rejected:
    field, label = setting
    low, high = problem.limits.get("min"), problem.limits.get("max")
    if problem.type == "value_smaller_than_min" and isinstance(low, int | float):
        return Rejected(f"{label} must be at least {low:g}.", "input", field=field, note=note)
    if problem.type == "value_bigger_than_max" and isinstance(high, int | float):
        return Rejected(f"{label} must be at most {high:g}.", "input", field=field, note=note)
    return Rejected(f"{label} was not accepted by this model.", "input", field=field, note=note)
