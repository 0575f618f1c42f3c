"""From Promptchan's errors to ours: by HTTP status first, then by words, for there are no codes.

The words are data: a connection's option `patterns` replaces lists of `PATTERNS`, as in
`{"safety": ["prohibited", "not allowed"]}`; each is a regular expression without regard to case.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from gesso.providers.base import JSON
from gesso.providers.errors import Busy, Misconfigured, OutcomeUnknown, ProviderError, Rejected, Unavailable
from gesso.providers.http import Answer, retry_after
from gesso.providers.promptchan import wire

Meaning = Literal["credit", "key", "safety", "busy"]
BUSY_SECONDS = 10.0
AWAY_SECONDS = 5.0
# A proxy that lost its upstream, or gave up waiting for it, cannot tell what had been begun: the same as no answer.
# Other 5xx are the provider's own answers, which the fact sheet calls safe to repeat after a pause.
_AMBIGUOUS = frozenset({408, 502, 504, 520, 522, 523, 524})
PATTERNS: Mapping[Meaning, tuple[str, ...]] = {
    "credit": (
        r"(?:insufficient|not enough|out of|no more|too few)\W+(?:\w+\W+){0,3}(?:gems?|credits?|balance|funds)\b",
        r"\bgems?\W+(?:\w+\W+){0,3}(?:insufficient|not enough|required|needed|left)", r"buy (?:more )?gems",
        r"^insufficient",
    ),
    "key": (
        r"invalid api.?key", r"api.?key (?:is )?(?:invalid|missing|required)", r"unauthori[sz]ed",
        r"plan (?:is too low|does not|doesn't|required)", r"upgrade your plan",
        r"subscription (?:is )?(?:required|expired)",
    ),
    "safety": (r"\bbanned\b", r"not allowed", r"prohibited", r"forbidden word", r"blocked", r"moderat", r"violat"),
    "busy": (r"too many", r"rate.?limit", r"slow down"),
}  # fmt: skip
"""Narrow on purpose: an error may repeat a prompt, and a prompt about gems must not pause the connection."""
_ORDER: tuple[Meaning, ...] = ("credit", "key", "busy", "safety")


@dataclass(frozen=True)
class Words:
    """What an error's text means."""

    patterns: Mapping[Meaning, tuple[re.Pattern[str], ...]]

    def meaning(self, text: str) -> Meaning | None:
        """None when it says nothing that we know."""
        return next((one for one in _ORDER if any(p.search(text) for p in self.patterns[one])), None)


def words_of(options: Mapping[str, JSON]) -> Words:
    """The patterns, with the connection's laid over them. Raises Misconfigured("model") on bad ones."""
    given = options.get("patterns", {})
    if not isinstance(given, dict) or not set(given) <= set(_ORDER):
        raise Misconfigured("model", note=f"The option patterns may name {', '.join(_ORDER)}.")
    read: dict[Meaning, tuple[re.Pattern[str], ...]] = {}
    for name in _ORDER:
        texts = given.get(name, list(PATTERNS[name]))
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise Misconfigured("model", note=f"The option patterns.{name} must be a list of texts.")
        try:
            read[name] = tuple(re.compile(str(text), re.IGNORECASE) for text in texts)
        except re.error:
            raise Misconfigured("model", note=f"The option patterns.{name} holds a bad expression.") from None
    return Words(read)


def classify(answer: Answer, words: Words, mask: Callable[[str], str], *, paid: bool) -> ProviderError:
    """What an answer with an error status means. `paid`: the call was to make something dear."""
    status, text = answer.status, wire.error_text(answer.data())
    note = mask(f"HTTP {status} {text}".strip())
    if 300 <= status < 400:
        return Misconfigured("model", note=f"The configured address answers with a redirect ({status}).")
    if status in _AMBIGUOUS:
        return OutcomeUnknown(note=note) if paid else Unavailable(AWAY_SECONDS, note=note)
    meaning = words.meaning(text)
    if status == 401:
        return Misconfigured("key", note=note)
    if status == 402:
        return Misconfigured("credit", note=note)
    if status == 429:
        return Misconfigured("credit", note=note) if meaning == "credit" else Busy(_wait(answer), note=note)
    if meaning in ("credit", "safety"):
        return _meant(meaning, note)
    if status == 403:
        return Misconfigured("key", note=note)
    if status in (404, 405):
        return Misconfigured("model", note=note)
    if status >= 500 or status in (409, 425):
        return Unavailable(retry_after(answer.headers) or AWAY_SECONDS, note=note)
    if meaning is not None:
        return _meant(meaning, note)
    if status == 413:
        return Rejected("The request is too large for this model.", note=note)
    return Rejected("This model could not work with this request.", note=note)


def of_answer(data: Any, words: Words, mask: Callable[[str], str]) -> ProviderError:
    """What an answer with status 200 means that holds an error instead of a result."""
    text = wire.error_text(data)
    note = mask(f"HTTP 200 {text}")
    meaning = words.meaning(text)
    return _meant(meaning, note) if meaning else Rejected("The model could not make this.", "failed", note=note)


def of_video(word: str, details: str, words: Words, mask: Callable[[str], str]) -> ProviderError:
    """How a video ended that failed."""
    note = mask(f"{word} {details}".strip())
    if words.meaning(details) == "safety":
        return _meant("safety", note)
    return Rejected("The model could not make this video.", "failed", note=note)


def _meant(meaning: Meaning, note: str) -> ProviderError:
    if meaning == "safety":
        return Rejected("The model's content check refused this request.", "safety", field="prompt", note=note)
    if meaning == "busy":
        return Busy(BUSY_SECONDS, note=note)
    return Misconfigured("credit" if meaning == "credit" else "key", note=note)


def _wait(answer: Answer) -> float:
    return retry_after(answer.headers) or BUSY_SECONDS
