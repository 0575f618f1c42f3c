"""The pages where things are made: Create for pictures, Video for videos. They differ in their words and in what their
models make; composer, results, scripts and services are the same.
"""

from dataclasses import dataclass, replace
from typing import Final

from fastapi import Request

from gesso.catalog.editions import Face
from gesso.core.errors import NotFound
from gesso.generation.models import Kind
from gesso.web.wording import word


@dataclass(frozen=True, slots=True)
class Room:
    """One such page. Its title is the edition's word for `name`; what it makes is called by the edition's words for
    `things`, or just so where there are none. `verb` stands on its button before the price."""

    kind: Kind
    path: str
    name: str
    things: tuple[str, str]
    verb: str
    ask: str
    ideas: tuple[str, ...]
    first: str = ""
    """What newcomers are told, where the edition has words of its own for it."""
    greeting: str = ""
    """The heading above that; else what is made first here."""

    @property
    def title(self) -> str:
        """What the page is called."""
        return word(self.name)

    @property
    def one(self) -> str:
        """What it makes: "picture"."""
        return _word(self.things[0])

    @property
    def many(self) -> str:
        """The same, more than one."""
        return _word(self.things[1])

    @property
    def new(self) -> str:
        """What is begun here: "New picture"."""
        return f"New {self.one}"


_CHOSEN = frozenset({"picture", "pictures"})
"""Things that editions have words of their own for."""


def _word(thing: str) -> str:
    return word(thing) if thing in _CHOSEN else thing


CREATE: Final = Room(
    kind="image", path="/create", name="create", things=("picture", "pictures"), verb="Generate",
    ask="Say what you would like to see.",
    ideas=(
        "Amber glass bottle on a travertine plinth, warm side light, long soft shadow",
        "Layered paper mountains at golden hour, pine silhouettes, soft drop shadows",
        "Stained glass sunrise over a lagoon, lead lines, radial composition",
    ),
)  # fmt: skip
VIDEO: Final = Room(
    kind="video", path="/video", name="video", things=("video", "videos"), verb="Make video",
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
    edition: Face = request.app.state.catalog.edition
    if request.url.path.split("/")[1] != "video":
        told = edition.welcome
        return replace(CREATE, ideas=told.image or CREATE.ideas, first=told.create, greeting=told.title)
    if "video" not in edition.modules:
        raise NotFound("There is nothing here.")
    return replace(VIDEO, ideas=edition.welcome.video or VIDEO.ideas)


def room_for(kind: Kind) -> Room:
    """Where things of this kind are made."""
    return _ROOMS[kind]
