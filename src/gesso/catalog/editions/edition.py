"""What an edition is, as frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gesso.catalog.items import Chain, Connection, Model, Pack, Plan, StylePreset

MODULES = ("image", "video", "gallery", "dashboard")
"""Parts of the product an edition may switch on. What is not in its list has no route, page or menu entry."""
POLICIES = ("general", "adult")
"""Content policies. `adult` also needs the operator's GESSO_ADULT_CONTENT, and people's word about their age."""
WORDS: Mapping[str, str] = {
    "credit": "credit", "credits": "credits", "picture": "picture", "pictures": "pictures",
    "create": "Create", "video": "Video", "gallery": "Gallery", "dashboard": "Dashboard",
}  # fmt: skip
"""Words an edition may choose, with what they are when it does not."""


@dataclass(frozen=True)
class Brand:
    """How the product calls itself. `support` is an e-mail address or link for people who need the operator."""

    name: str
    title: str
    tagline: str = ""
    description: str = ""
    support: str | None = None


@dataclass(frozen=True)
class Policy:
    """What is allowed here: `content` names the content policy."""

    content: str = "general"

    @property
    def adult(self) -> bool:
        """Whether adult models may be offered, to those who confirmed their age."""
        return self.content == "adult"


@dataclass(frozen=True)
class Defaults:
    """The plan of new workspaces and the model that is chosen first; keys."""

    plan: str
    model: str


@dataclass(frozen=True)
class Face:
    """The part of an edition that pages show: kept in the database, so that all processes agree."""

    name: str
    brand: Brand
    words: Mapping[str, str]
    colours: Mapping[str, str]
    modules: tuple[str, ...]
    policy: Policy
    defaults: Defaults

    def document(self) -> dict[str, Any]:
        """The face as JSON."""
        return {
            "brand": vars(self.brand).copy(),
            "words": dict(self.words),
            "colours": dict(self.colours),
            "modules": list(self.modules),
            "policy": vars(self.policy).copy(),
            "defaults": vars(self.defaults).copy(),
        }

    @classmethod
    def from_document(cls, name: str, document: Mapping[str, Any]) -> "Face":
        """The face from JSON that `document` made, perhaps by another release."""
        return cls(
            name=name,
            brand=Brand(**document["brand"]),
            words={**WORDS, **document["words"]},
            colours=document["colours"],
            modules=tuple(module for module in document["modules"] if module in MODULES),
            policy=Policy(**document["policy"]),
            defaults=Defaults(**document["defaults"]),
        )


@dataclass(frozen=True)
class Edition:
    """One product as data. Its items carry fresh ids; a row that exists already keeps its own."""

    face: Face
    file_hash: str
    connections: tuple[Connection, ...] = ()
    models: tuple[Model, ...] = ()
    plans: tuple[Plan, ...] = ()
    packs: tuple[Pack, ...] = ()
    style_presets: tuple[StylePreset, ...] = ()
    chains: tuple[Chain, ...] = ()

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.face.name
