"""The pages where things are made: Create for pictures, Video for videos. They differ in their words and in what their
models make; composer, results, scripts and services are the same.
"""

from dataclasses import dataclass
from typing import Final

from fastapi import Request

from gesso.core.errors import NotFound
from gesso.generation.models import Kind


@dataclass(frozen=True, slots=True)
class Room:
    """One such page. `module` of an edition switches it on; `verb` stands on its button before the price."""

    kind: Kind
    path: str
    title: str
    new: str
    one: str
    many: str
    verb: str
    ask: str
    ideas: tuple[str, ...]


CREATE: Final = Room(
    kind="image", path="/create", title="Create", new="New picture", one="picture", many="pictures", verb="Generate",
    ask="Say what you would like to see.",
    ideas=(
        "Amber glass bottle on a travertine plinth, warm side light, long soft shadow",
        "Layered paper mountains at golden hour, pine silhouettes, soft drop shadows",
        "Stained glass sunrise over a lagoon, lead lines, radial composition",
    ),
)  # fmt: skip
VIDEO: Final = Room(
    kind="video", path="/video", title="Video", new="New video", one="video", many="videos", verb="Make video",
    ask="Say what happens and how the camera moves.",
    ideas=(
        "Slow push towards a lighthouse at dusk, waves rolling against the rocks below",
        "Paper lanterns drift over a still lake at night, their light trembling on the water",
        "Camera glides through a misty pine forest, sunbeams moving across the ferns",
    ),
)  # fmt: skip
_ROOMS: Final = {room.kind: room for room in (CREATE, VIDEO)}


def room_of(request: Request) -> Room:
    """The room an address belongs to. Raises NotFound for one that the edition does not have."""
    room = VIDEO if request.url.path.split("/")[1] == "video" else CREATE
    if room is VIDEO and "video" not in request.app.state.catalog.edition.modules:
        raise NotFound("There is nothing here.")
    return room


def room_for(kind: Kind) -> Room:
    """Where things of this kind are made."""
    return _ROOMS[kind]
