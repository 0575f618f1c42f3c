"""What comes after an error: again, elsewhere, or the end; and how it is said."""

from hypothesis import given
from hypothesis import strategies as st

from gesso.generation import policy
from gesso.generation.policy import Again, Elsewhere, GiveUp, after
from gesso.providers.errors import Busy, Misconfigured, OutcomeUnknown, ProviderError, Rejected, Unavailable

EVERY_ERROR: list[ProviderError] = [
    Busy(1), Unavailable(), OutcomeUnknown(),
    *(Rejected("no", kind) for kind in ("input", "safety", "deadline", "cancelled", "gone", "failed")),
    *(Misconfigured(kind) for kind in ("key", "credit", "model")),
]  # fmt: skip


@given(st.sampled_from(EVERY_ERROR), st.integers(1, 20), st.none() | st.floats(0, 1e6))
def test_nothing_is_sent_again_but_what_was_surely_not_taken(
    error: ProviderError, tries: int, asked: float | None
) -> None:
    following = after(error.code, tries, asked)
    if isinstance(following, Again):
        assert error.retryable and tries < policy.TRIES
        assert 0 < following.pause_seconds <= policy.LONGEST_PAUSE_SECONDS
    if isinstance(error, OutcomeUnknown):
        assert following == GiveUp()


def test_every_chain_of_errors_is_short() -> None:
    for error in EVERY_ERROR:
        tries = 1
        while isinstance(after(error.code, tries), Again):
            tries += 1
        assert tries <= policy.TRIES


def test_each_kind_of_error_has_its_way() -> None:
    first, second = policy.BACKOFF_SECONDS
    assert [after("busy", tries) for tries in (1, 2, 3)] == [Again(first), Again(second), Elsewhere()]
    assert after("busy", 1, retry_after=20) == Again(20)
    assert after("rejected_failed", 1) == after("misconfigured_credit", 1) == Elsewhere()
    assert after("rejected_input", 1) == after("rejected_safety", 1) == after("outcome_unknown", 1) == GiveUp()


def test_polls_come_sooner_first_and_never_slower_than_two_seconds() -> None:
    pauses = [policy.poll_pause(polls) for polls in range(200)]
    assert pauses[0] == 0.3 and pauses == sorted(pauses) and pauses[-1] == 2.0


def test_sentences_say_what_it_means() -> None:
    code, sentence = policy.whole_failure([policy.FLAGGED, policy.FLAGGED, policy.UNCERTAIN])
    assert code == "flagged" and sentence.endswith("Nothing was charged.")
    assert policy.exhausted("busy", "", 3)[1] == "The model was too busy after 3 tries."
    warning = policy.partial_warning(4, 3, [policy.FLAGGED])
    assert warning.startswith("3 of 4 arrived.") and warning.endswith("It was not charged.")
