"""How far a generation is and how long it will take, from what is known. Pure."""

from math import ceil

from gesso.generation.models import Generation
from gesso.generation.turns import Place

ALMOST = 0.95
"""An output that is under way never counts for more than this before it has arrived."""


def progress(generation: Generation, ended: int, elapsed_seconds: float, expected_seconds: float) -> float:
    """0 to 1. Outputs that have ended count whole, the others by the share of the expected time that has passed.

    Providers of pictures tell no percentage (fal: places in a queue and log lines only), so recent runs of the
    same model are the best there is.
    """
    if generation.state == "queued":
        return 0.0
    if generation.ended:
        return 1.0 if generation.state == "succeeded" else ended / generation.count
    share = min(ALMOST, max(0.0, elapsed_seconds) / max(expected_seconds, 0.1))
    return round((ended + (generation.count - ended) * share) / generation.count, 3)


def eta_seconds(
    generation: Generation, elapsed_seconds: float, expected_seconds: float, place: Place | None
) -> int | None:
    """Whole seconds until it ends, at least 1; None when it has ended.

    Those ahead are made `place.abreast` at a time, each taking as long as this one is expected to.
    """
    if generation.ended:
        return None
    if generation.state == "running" or place is None:
        return max(1, ceil(expected_seconds - elapsed_seconds))
    return max(1, ceil(expected_seconds * (1 + place.ahead / place.abreast)))
