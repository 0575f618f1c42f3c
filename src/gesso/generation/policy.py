"""What to do after a call went wrong, and how to say so. Pure: codes and counts in, a decision out.

| code                                | next                                                   |
|-------------------------------------|--------------------------------------------------------|
| busy, unavailable                   | the same again, `TRIES` times in all, then a fallback  |
| rejected_failed, misconfigured_…    | a fallback model at once                               |
| everything else                     | this output fails at once                              |
| outcome_unknown                     | never sent again; looked up where that is possible     |
| not even called: connection is ill  | a fallback through another connection, without waiting |
"""

import math
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from gesso.providers.errors import Busy, ProviderError, Unavailable

TRIES = 3
"""Calls of one model for one output, the first included."""
BACKOFF_SECONDS = (1.0, 4.0)
"""Pause before the second and the third try, when the provider named none."""
LONGEST_PAUSE_SECONDS = 60.0
WAITED_OUT_SECONDS = {"probing": -1.0, "unavailable": 3.0, "busy": 30.0}
"""What is waited for at an ill connection though another model could serve, by why it takes no calls. Limits of our own
are always waited for."""

_AGAIN = frozenset({"busy", "unavailable"})
_ELSEWHERE = frozenset({"rejected_failed", "misconfigured_key", "misconfigured_credit", "misconfigured_model"})

Failure = tuple[str, str]
"""A stable code and a plain sentence."""


@dataclass(frozen=True, slots=True)
class Again:
    """Call the same model again after a pause."""

    pause_seconds: float


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Try the next model of the chain; without one, fail."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Fail these outputs."""


Next = Again | Elsewhere | GiveUp


def after(code: str, tries: int, retry_after: float | None = None) -> Next:
    """The next step when `tries` calls of this model have been made and the last one ended with `code`."""
    if code in _AGAIN:
        if tries >= TRIES:
            return Elsewhere()
        pause = BACKOFF_SECONDS[min(tries, len(BACKOFF_SECONDS)) - 1]
        return Again(min(max(pause, retry_after or 0.0), LONGEST_PAUSE_SECONDS))
    return Elsewhere() if code in _ELSEWHERE else GiveUp()


def goes_round(reason: str | None, wait_seconds: float) -> bool:
    """Whether a call that its connection holds back for `reason` had better go to a fallback elsewhere, at once."""
    return wait_seconds > WAITED_OUT_SECONDS.get(reason or "", math.inf)


def retry_after(error: ProviderError) -> float | None:
    """The pause the provider asked for, in seconds."""
    return error.retry_after if isinstance(error, Busy | Unavailable) else None


def jittered(seconds: float) -> float:
    """Up to a quarter longer, so that those who failed together do not come back together."""
    return seconds * (1 + random.random() / 4)  # noqa: S311 - not a secret


def poll_pause(polls: int) -> float:
    """Seconds before the next poll after `polls` of them: 0.3 growing to 2."""
    return min(0.3 * 1.35**polls, 2.0)


def exhausted(code: str, message: str, tries: int) -> Failure:
    """What is said when nothing is left to try."""
    if code == "busy":
        return code, f"The model was too busy after {tries} tries."
    if code == "unavailable":
        return code, f"The model did not answer properly after {tries} tries."
    return code, message


FLAGGED: Failure = ("flagged", "The model's own safety filter held it back.")
NOT_DELIVERED: Failure = ("not_delivered", "The model delivered less than was asked for.")
UNCERTAIN: Failure = ("uncertain", "We lost touch with the model before it confirmed the request.")
DEADLINE: Failure = ("deadline", "It took longer than this model may take.")
QUEUE_DEADLINE: Failure = ("queue_deadline", "It waited for a day without getting its turn.")
MODEL_GONE: Failure = ("model_gone", "The model is not offered any more.")
INPUT_GONE: Failure = ("input_gone", "A picture it was to work from is not there any more.")
STORE_AWAY: Failure = (
    "store_away",
    "The picture it was to work from could not be read: our file store is not answering.",
)
NOT_STORED: Failure = ("not_stored", "It was made, but our file store did not take it in time.")
RESULT_GONE: Failure = ("result_gone", "What the model made could not be fetched from it.")
RESULT_REFUSED: Failure = ("result_refused", "The model named an address we do not fetch from.")
RESULT_TOO_LARGE: Failure = ("result_too_large", "The model sent a file that is too large.")


_OWN_KEY = {
    "key": "Your own {name} key was refused.",
    "credit": "There is no credit left on your own {name} account.",
    "model": "Your own {name} key does not open this model.",
}


def own_key(kind: str, name: str) -> Failure:
    """A person's own key did not do; `kind` as of `Misconfigured`, `name` the provider's here."""
    return f"own_key_{kind}", _OWN_KEY[kind].format(name=name)


def own_key_gone(name: str) -> Failure:
    """It was removed, or rests, before everything was done."""
    return "own_key_gone", f"Your own {name} key is not there any more, or was refused."


NOT_CHECKED: Failure = (
    "not_checked", "It was made, but the check that comes before anything is shown did not answer.",
)  # fmt: skip


def held_back(shows: str) -> Failure:
    """Our own judge objects to a result; `shows` are its words for what it saw. Named as a provider's own filter is."""
    return FLAGGED[0], f"It was held back: it was judged to show {shows}, which is not delivered here."


def bad_file(reason: str) -> Failure:
    """The provider's file is not what it should be; `reason` is ingest's own sentence."""
    return "bad_file", f"The model sent a file we cannot use. {reason}"


def whole_failure(failures: Iterable[Failure]) -> Failure:
    """One failure for a generation that delivered nothing: the most frequent, with what it means for the user."""
    counted = Counter(failures)
    code, message = counted.most_common(1)[0][0] if counted else DEADLINE
    return code, f"{message} Nothing was charged."


def partial_warning(asked: int, delivered: int, failures: Iterable[Failure]) -> str:
    """The sentence of a generation that delivered some of what was asked for."""
    reasons = " ".join(dict.fromkeys(message for _, message in failures))
    missing = asked - delivered
    given_back = "It was not charged." if missing == 1 else "They were not charged."
    return f"{delivered} of {asked} arrived. {reasons} {given_back}".replace("  ", " ")
