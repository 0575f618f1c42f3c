"""What a judge's scores come to."""

import pytest

from gesso.core.settings.safety import SafetySettings, parse_thresholds
from gesso.providers.text import Judgement
from gesso.safety.policy import Policy
from gesso.safety.scales import Outcome, weigh, words_of

BOTH: tuple[Policy, ...] = ("general", "adult")


def came_to(policy: Policy = "general", flagged: str = "", /, chosen: str = "", **scores: float) -> Outcome:
    named = {name.replace("__", "/").replace("_", "-"): score for name, score in scores.items()}
    judgement = Judgement(frozenset(filter(None, [flagged])), named)
    return weigh(judgement, policy, parse_thresholds(chosen)).outcome


def test_a_picture_maker_may_paint_battles_and_not_wounds() -> None:
    assert came_to(violence=0.84) == "pass"
    assert came_to("general", "violence", violence=0.84) == "pass", "the thresholds decide where there are some"
    assert came_to(violence=0.99) == "review"
    assert [came_to(violence__graphic=score) for score in (0.59, 0.6, 0.95)] == ["pass", "review", "blocked"]


@pytest.mark.parametrize("policy", BOTH)
def test_minors_are_always_blocked_whatever_is_set(policy: Policy) -> None:
    assert came_to(policy, "sexual/minors", sexual__minors=0.01) == "blocked"
    assert came_to(policy, "sexual/minors") == "blocked"
    assert [came_to(policy, sexual__minors=score) for score in (0.09, 0.1, 0.3)] == ["pass", "review", "blocked"]
    with pytest.raises(ValueError, match="always blocked"):
        SafetySettings(moderation_thresholds="violence=0.5:0.9,sexual/minors=never:never")


def test_adults_may_ask_for_what_is_sexual_and_for_nothing_else() -> None:
    assert (came_to("adult", "sexual", sexual=0.99), came_to("general", "sexual", sexual=0.99)) == ("pass", "blocked")
    assert came_to("adult", sexual=0.99, hate=0.9) == "blocked"


def test_the_worst_category_decides_and_only_it_is_told() -> None:
    found = weigh(Judgement(frozenset(), {"violence": 0.9, "hate": 0.9, "self-harm": 0.95}), "general", {})
    assert (found.outcome, list(found.categories)) == ("blocked", ["self-harm", "hate"])
    assert words_of(found.categories) == "self-harm and hatred of a group of people"


def test_an_unknown_category_counts_when_the_judge_objects() -> None:
    assert came_to("general", weapons=0.9) == "pass"
    assert came_to("general", "weapons", weapons=0.2) == "blocked"
    assert came_to("general", "weapons", chosen="weapons=0.5:never", weapons=0.2) == "pass"


def test_operators_move_thresholds_and_switch_them_off() -> None:
    assert came_to(chosen="violence=0.2:0.5", violence=0.5) == "blocked"
    assert came_to(chosen="hate=never:never", hate=1.0) == "pass"


@pytest.mark.parametrize("text", ["violence", "violence=0.5", "violence=0.9:0.5", "violence=1.5:never", "Violence=0:1"])
def test_what_cannot_be_a_threshold_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match=r"violence|Violence"):
        SafetySettings(moderation_thresholds=text)
