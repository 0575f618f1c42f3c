"""What every adapter does alike when it puts a MediaRequest into a provider's words. Pure.

Fields come back as a part of the body; what a model cannot do goes, as a sentence for the user, into `warnings`.
"""

import math
import re
from collections.abc import Collection
from fractions import Fraction

from gesso.providers.base import JSON, MediaRequest
from gesso.providers.errors import Rejected

ORDINARY_QUALITY = (None, "standard")
"""Qualities that ask for nothing special."""


def pictures(number: int) -> str:
    """ "one picture", "4 pictures"."""
    return "one picture" if number == 1 else f"{number} pictures"


def check_pictures(given: int, most: int, *, required: bool, needs: str = "a reference picture") -> None:
    """Raises Rejected when the number of reference pictures does not fit: dropping one would cost a wrong result."""
    if given and most < 1:
        raise Rejected("This model does not take reference pictures.", field="images")
    if given > most:
        raise Rejected(f"This model takes at most {pictures(most)}.", field="images")
    if required and not given:
        raise Rejected(f"This model needs {needs}.", field="images")


def prompts(request: MediaRequest, negative_field: str | None, warnings: list[str]) -> tuple[str, dict[str, JSON]]:
    """The prompt, and the field of the negative one. `negative_field`: its name there, "append" to put it into the
    prompt, None where the model has none."""
    negative = (request.negative_prompt or "").strip()
    if not negative:
        return request.prompt, {}
    if negative_field == "append":
        warnings.append("This model has no negative prompt; it was added to the prompt as “avoid: …”.")
        return f"{request.prompt.rstrip()}\navoid: {negative}", {}
    if negative_field is None:
        warnings.append("This model has no negative prompt; it was left out.")
        return request.prompt, {}
    return request.prompt, {negative_field: negative}


def seed_field(request: MediaRequest, name: str | None, warnings: list[str]) -> dict[str, JSON]:
    """The seed under the model's `name` for it; None where it takes none."""
    if request.seed is None:
        return {}
    if name is None:
        warnings.append("This model takes no seed; it was left out.")
        return {}
    return {name: request.seed}


def count_field(request: MediaRequest, name: str | None, most: int, warnings: list[str]) -> tuple[int, dict[str, JSON]]:
    """How many files the model is asked for, and the field that says so; `name` None where it makes one at a time."""
    if name is None:
        if request.count > 1:
            warnings.append("This model makes one at a time.")
        return 1, {}
    count = min(request.count, most)
    if count < request.count:
        warnings.append(f"This model makes at most {pictures(count)} at a time.")
    return count, {name: count}


def no_quality(quality: str | None) -> str:
    """The warning for a quality the model does not have."""
    return f"This model has no quality “{quality}”; its own was used."


def no_setting(name: str) -> str:
    """The warning for an option the model does not have."""
    return f"This model has no setting “{name.replace('_', ' ')}”; it was left out."


def short_of(delivered: int, asked: int) -> str:
    """The warning for a result with fewer files than asked for."""
    return f"The model delivered {delivered} of {asked}."


def digits_as_text(body: dict[str, JSON], names: Collection[str]) -> dict[str, JSON]:
    """Numbers as strings under those `names` where the model's enum of digits is one of strings."""
    return {
        name: f"{value:g}"
        if name in names and isinstance(value, int | float) and not isinstance(value, bool)
        else value
        for name, value in body.items()
    }


def parse_ratio(text: str) -> Fraction:
    """ "16:9" → 16/9. Raises Rejected on anything but two whole numbers between 1 and 99."""
    if not re.fullmatch(r"[1-9][0-9]?:[1-9][0-9]?", text):
        raise Rejected("The aspect ratio must look like 16:9.", field="aspect_ratio")
    wide, _, high = text.partition(":")
    return Fraction(int(wide), int(high))


def pixels_asked(request: MediaRequest, longest: int) -> tuple[int, int] | None:
    """Width and height, or None when none is asked for. Raises Rejected when one is missing or past `longest`."""
    width, height = request.width, request.height
    if width is None and height is None:
        return None
    if width is None or height is None or not (1 <= width <= longest and 1 <= height <= longest):
        raise Rejected(f"A size needs a width and a height between 1 and {longest} pixels.", field="size")
    return width, height


def sides_of(ratio: Fraction, area: int, bucket: int) -> tuple[int, int]:
    """Width and height of about `area` pixels, as near to `ratio` as multiples of `bucket` allow."""
    height = math.sqrt(area / ratio)
    return tuple(max(round(side / bucket), 1) * bucket for side in (height * ratio, height))  # type: ignore[return-value]


def fitting_sides(pixels: tuple[int, int], *, step: int, least: int, most: int) -> tuple[int, int]:
    """The sides scaled together until they lie from `least` to `most`, each rounded to a multiple of `step`."""
    scale = min(1.0, *(most / side for side in pixels))
    scale = max(scale, *(least / side for side in pixels))
    low, high = -(-least // step), most // step
    return tuple(min(max(round(side * scale / step), low), high) * step for side in pixels)  # type: ignore[return-value]


def time_left(seconds: float, deadline_seconds: float | None) -> float:
    """Seconds a call may take: its own limit, or the request's deadline where that is nearer, for who waits longer
    than anybody wants the result only keeps a connection. Raises Rejected("deadline") when none is left."""
    if deadline_seconds is None:
        return float(seconds)
    if deadline_seconds <= 0:
        raise Rejected("There was no time left to ask the model.", "deadline")
    return min(float(seconds), deadline_seconds)
