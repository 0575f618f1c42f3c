"""Checking a model's `wire`, which the catalogue holds: a slip there would be paid for as a wrong picture. Pure."""

import re

from gesso.providers.errors import Misconfigured


def unusable(name: str) -> Misconfigured:
    """The error about a member of `wire` that cannot be used."""
    return Misconfigured("model", note=f"The model's wire data has an unusable {name!r}.")


def is_whole(value: object, least: int = 1) -> bool:
    """Whether it is a whole number of at least this size."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def is_pattern(text: str) -> bool:
    """Whether it is a regular expression."""
    try:
        re.compile(text)
    except re.error:
        return False
    return True


def is_table(value: object) -> bool:
    """Whether it is an object of objects."""
    return isinstance(value, dict) and all(isinstance(fields, dict) for fields in value.values())
