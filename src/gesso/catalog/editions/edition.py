"""What an edition is, as frozen values."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from gesso.catalog.items import Chain, Connection, Model, Pack, Plan, StylePreset
from gesso.web.wording import WORDS

__all__ = [
    "BUILT", "FEATURE_ICONS", "MODULES", "POLICIES", "STEPS", "WORDS", "Brand", "Defaults", "DemoPicture", "Edition",
    "Face", "Feature", "Landing", "Policy", "Step", "Welcome",
]  # fmt: skip

BUILT = ("image", "video", "gallery", "dashboard", "billing")
"""Parts of the product that this release has. What is not in an edition's list has no route, page or menu entry."""
MODULES = (
    *BUILT, "chat", "characters", "presets", "prompts", "pipeline", "members", "sharing", "analytics",
    "api-keys", "own-keys",
)  # fmt: skip
"""Parts an edition may want. One that this release has not got is absent everywhere, and comes with the release that
has it, without another look at the file."""
POLICIES = ("general", "adult")
"""Content policies. `adult` also needs the operator's GESSO_ADULT_CONTENT, and people's word about their age."""
FEATURE_ICONS = (
    "layers", "copyright", "coins", "zap", "images", "hard-drive", "terminal", "users", "shield-check", "sparkles",
    "film", "clock", "wand-sparkles", "palette", "infinity", "camera", "text-quote", "badge-check",
)  # fmt: skip
"""Icons that a feature on the start page may have; named here, the build puts them into the sprite."""


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
class DemoPicture:
    """A picture of the start page, of web/static/pictures. Sizes in pixels; it stands in row 1 or 2."""

    name: str
    alt: str
    width: int
    height: int
    row: int = 1

    @property
    def ratio(self) -> float:
        return round(self.width / self.height, 4)


@dataclass(frozen=True)
class Feature:
    """What the start page says the product can do. With `module` it is told only where that part is on."""

    icon: str
    title: str
    text: str
    module: str | None = None


@dataclass(frozen=True)
class Landing:
    """The start page's own words and pictures. `placeholder` stands in its prompt box. Without a headline the product
    has one."""

    headline: str = ""
    lead: str = ""
    placeholder: str = ""
    pictures: tuple[DemoPicture, ...] = ()
    features: tuple[Feature, ...] = ()

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "Landing":
        """From JSON of the same shape."""
        pictures = tuple(DemoPicture(**picture) for picture in document["pictures"])
        features = tuple(Feature(**feature) for feature in document["features"])
        return cls(**{**document, "pictures": pictures, "features": features})


STEPS = ("image", "again", "video", "favourite", "reference", "improve", "describe", "age")
"""What newcomers can be led to: a first picture, a second, a video, a favourite, a picture made from one's own, a
prompt improved, a picture described, and their word that they are adults."""


@dataclass(frozen=True)
class Step:
    """One of the first steps: `do` names what is there once it is done."""

    do: str
    title: str
    text: str


@dataclass(frozen=True)
class Welcome:
    """What newcomers are told first: a heading and a sentence where things are made, one in the empty gallery, prompts
    to begin with, and their first steps. Where one is empty, the product has its own, or goes without."""

    title: str = ""
    create: str = ""
    gallery: str = ""
    image: tuple[str, ...] = ()
    video: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "Welcome":
        """From JSON of the same shape."""
        steps = tuple(Step(**step) for step in document.get("steps", ()))
        image, video = tuple(document["image"]), tuple(document["video"])
        return cls(**{**document, "image": image, "video": video, "steps": steps})


@dataclass(frozen=True)
class Face:
    """The part of an edition that pages show: kept in the database, so that all processes agree.

    `wanted` are the modules the file names, in its order; `modules` those that this release has.
    """

    name: str
    brand: Brand
    words: Mapping[str, str]
    colours: Mapping[str, str]
    wanted: tuple[str, ...]
    policy: Policy
    defaults: Defaults
    landing: Landing = field(default_factory=Landing)
    welcome: Welcome = field(default_factory=Welcome)

    @cached_property
    def modules(self) -> tuple[str, ...]:
        """The parts that are on."""
        return tuple(module for module in self.wanted if module in BUILT)

    @property
    def missing(self) -> tuple[str, ...]:
        """The parts it wants that this release has not got."""
        return tuple(module for module in self.wanted if module not in BUILT)

    def document(self) -> dict[str, Any]:
        """The face as JSON."""
        return {
            "brand": vars(self.brand).copy(),
            "words": dict(self.words),
            "colours": dict(self.colours),
            "modules": list(self.wanted),
            "policy": vars(self.policy).copy(),
            "defaults": vars(self.defaults).copy(),
            "landing": _plain(asdict(self.landing)),
            "welcome": _plain(asdict(self.welcome)),
        }

    @classmethod
    def from_document(cls, name: str, document: Mapping[str, Any]) -> "Face":
        """The face from JSON that `document` made, perhaps by another release."""
        return cls(
            name=name,
            brand=Brand(**document["brand"]),
            words={**WORDS, **document["words"]},
            colours=document["colours"],
            wanted=tuple(module for module in document["modules"] if module in MODULES),
            policy=Policy(**document["policy"]),
            defaults=Defaults(**document["defaults"]),
            landing=Landing.from_document(document["landing"]) if "landing" in document else Landing(),
            welcome=Welcome.from_document(document["welcome"]) if "welcome" in document else Welcome(),
        )


def _plain(document: dict[str, Any]) -> dict[str, Any]:
    """With lists for tuples, as JSON gives them back."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in document.items()}


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
