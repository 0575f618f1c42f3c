"""Shapes that several of the operator's API share."""

from collections.abc import Iterable
from typing import Annotated, Protocol, TypeVar

from pydantic import BaseModel, Field

from gesso.core.errors import NotFound


class Switch(BaseModel):
    """On or off."""

    enabled: bool


class Order(BaseModel):
    """Short names; those left out follow in the order they had."""

    keys: Annotated[list[str], Field(min_length=1, max_length=500)]


class _Keyed(Protocol):
    key: str


Item = TypeVar("Item", bound=_Keyed)


def item_of(items: Iterable[Item], key: str, missing: str) -> Item:
    """The item with this short name. Raises NotFound with the sentence `missing`."""
    found = next((item for item in items if item.key == key), None)
    if found is None:
        raise NotFound(missing)
    return found
