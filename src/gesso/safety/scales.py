"""What a judge's scores come to: let pass, let pass and ask the operator, or blocked. Pure.

Each category has two thresholds. The defaults are for makers of pictures: battles, villains and dark tales are art and
at most asked about; what shows people's wounds, threatens real groups or teaches harm is blocked when the judge is
sure. A category that is not listed, of a judge that is not OpenAI's, is blocked when the judge objects to it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from gesso.core.settings.safety import MINORS
from gesso.providers.text import Judgement
from gesso.safety.policy import Policy

Outcome = Literal["pass", "review", "blocked"]

NEVER = 2.0
MINORS_FROM = (0.1, 0.3)
"""Asked about, blocked: in every policy, with no switch. What the judge objects to is blocked whatever its score."""
DEFAULTS: Mapping[str, tuple[float, float]] = {
    "sexual": (0.4, 0.8),
    "harassment": (0.8, 0.95),
    "harassment/threatening": (0.6, 0.9),
    "hate": (0.5, 0.85),
    "hate/threatening": (0.4, 0.8),
    "illicit": (0.8, 0.97),
    "illicit/violent": (0.6, 0.9),
    "self-harm": (0.5, 0.9),
    "self-harm/intent": (0.5, 0.9),
    "self-harm/instructions": (0.4, 0.8),
    "violence": (0.85, NEVER),
    "violence/graphic": (0.6, 0.95),
}
WORDS: Mapping[str, str] = {
    "sexual": "sexual content",
    MINORS: "sexual content involving minors",
    "harassment": "harassment",
    "harassment/threatening": "threats",
    "hate": "hatred of a group of people",
    "hate/threatening": "threats against a group of people",
    "illicit": "help with something unlawful",
    "illicit/violent": "help with something unlawful and violent",
    "self-harm": "self-harm",
    "self-harm/intent": "the intent to harm oneself",
    "self-harm/instructions": "instructions for self-harm",
    "violence": "violence",
    "violence/graphic": "graphic violence",
    "flagged": "something its rules forbid",
}
ADULTS_MAY = frozenset({"sexual"})


@dataclass(frozen=True, slots=True)
class Weighed:
    """What it comes to, and because of which categories: those that are blocked, or else those to be asked about, with
    their scores, the highest first."""

    outcome: Outcome
    categories: Mapping[str, float] = field(default_factory=dict)


def weigh(judgement: Judgement, policy: Policy, chosen: Mapping[str, tuple[float, float]]) -> Weighed:
    """`chosen`: the operator's thresholds, before the defaults. What a judge objects to without a score counts as 1."""
    blocked, asked = {}, {}
    for category in {*judgement.scores, *judgement.flagged}:
        flagged = category in judgement.flagged
        score = judgement.scores.get(category, 1.0 if flagged else 0.0)
        ask, block = _thresholds(category, policy, chosen, flagged=flagged)
        if score >= block:
            blocked[category] = score
        elif score >= ask:
            asked[category] = score
    if blocked:
        return Weighed("blocked", _sorted(blocked))
    return Weighed("review", _sorted(asked)) if asked else Weighed("pass")


def _thresholds(
    category: str, policy: Policy, chosen: Mapping[str, tuple[float, float]], *, flagged: bool
) -> tuple[float, float]:
    if category == MINORS:
        return (0.0, 0.0) if flagged else MINORS_FROM
    if policy == "adult" and category in ADULTS_MAY:
        return NEVER, NEVER
    unknown = (0.0, 0.0) if flagged else (NEVER, NEVER)
    return chosen.get(category) or DEFAULTS.get(category) or unknown


def _sorted(scores: Mapping[str, float]) -> dict[str, float]:
    return dict(sorted(scores.items(), key=lambda item: (-item[1], item[0])))


def words_of(categories: Mapping[str, float]) -> str:
    """“graphic violence and self-harm”, for a sentence."""
    names = [WORDS.get(category, category.replace("/", ": ").replace("_", " ")) for category in categories]
    if MINORS in categories:
        names = [WORDS[MINORS]]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
