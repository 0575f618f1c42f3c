"""The catalogue's items as frozen values: what every other room sees of connections, models and plans."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal
from uuid import UUID

from gesso.catalog.rules import Rule
from gesso.catalog.schema import SchemaValidator, validator
from gesso.providers.registry import ADAPTERS

Kind = Literal["image", "video", "chat", "vision", "moderation"]
KINDS: tuple[Kind, ...] = ("image", "video", "chat", "vision", "moderation")
JUDGES: Kind = "moderation"
"""Models of this kind judge what others are asked and make. Nobody chooses one, so that they need no price."""
ChainKey = Literal["text", "vision", "moderation"]
CHAINS: tuple[ChainKey, ...] = ("text", "vision", "moderation")
SEES = "vision"
"""The tag of a model of text, or of one that judges, that can look at pictures, too."""
UNITS = ("credit", "image", "video", "chat", "prompt")


@dataclass(frozen=True)
class Connection:
    """A configured account at a provider. `sealed_key` opens only with the site's sealer; it is never shown.

    `key_hint` is the last four characters of the key. `limits` may hold `concurrency` (calls at once) and
    `requests_per_minute`. The smaller `priority`, the earlier it is tried. `options` are its adapter's own knobs.
    `own_key`: it stands in for the operator's with a person's own key, and `id` is that key's (see `own_keys`).
    """

    id: UUID
    key: str
    adapter: str
    name: str
    base_url: str | None = None
    sealed_key: bytes | None = field(default=None, repr=False)
    key_hint: str | None = field(default=None, repr=False)
    sandbox: bool = False
    enabled: bool = True
    priority: int = 100
    limits: Mapping[str, int] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    own_key: bool = False

    @property
    def seal_context(self) -> str:
        """What binds the sealed key to this connection."""
        return f"own_key:{self.id}" if self.own_key else f"connection:{self.id}"

    @property
    def adult(self) -> bool:
        """Whether every model of it is an adult model."""
        known = ADAPTERS.get(self.adapter)
        return known is not None and known.adult


@dataclass(frozen=True)
class Model:
    """Something that can be asked for.

    `capabilities` is its JSON Schema in our own names (see catalog.schema). `price` and `cost` are rules in
    credits and dollars per output. `wire` tells the adapter how our names are called there. One call to the
    provider yields `outputs_per_call` outputs. `typical` is how long one output usually takes.
    """

    id: UUID
    key: str
    kind: Kind
    name: str
    description: str
    connection_id: UUID
    upstream: str
    capabilities: Mapping[str, Any]
    price: Rule | None
    cost: Rule | None = None
    wire: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    sample: str | None = None
    fallbacks: tuple[str, ...] = ()
    outputs_per_call: int = 1
    typical_seconds: int = 10
    enabled: bool = True
    position: int = 0
    validator: SchemaValidator = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "validator", validator(self.capabilities))

    @property
    def settings(self) -> Mapping[str, Any]:
        """The properties of the capability schema, by name."""
        properties: Mapping[str, Any] = self.capabilities["properties"]
        return properties

    @property
    def typical(self) -> timedelta:
        """How long one output usually takes."""
        return timedelta(seconds=self.typical_seconds)

    def serves(self, chain: ChainKey) -> bool:
        """Whether it can be a link of this chain. A chat model that can see has the tag `vision`."""
        if chain == "text":
            return self.kind == "chat"
        if chain == "moderation":
            return self.kind == JUDGES
        return self.kind == "vision" or (self.kind == "chat" and SEES in self.tags)


@dataclass(frozen=True)
class Plan:
    """What a workspace on it gets and may do.

    Grants map a unit to microcredits ("credit") or uses (any other unit). `parallel`: generations under way
    at once. `queue_priority`: higher goes first. `max_count`: outputs of one request. `limits` narrows a
    model's settings: a number caps it, a tuple lists the choices allowed, False pins it to its default.

    Prices are in the currency's hundredths; None: not sold by the month, or by the year. `models` are the keys of
    those it may use, all when empty. `watermark`: what it makes carries the site's mark. `retention_days`:
    how long its pictures are kept, None for good. Without `advanced`, settings under the fold keep their defaults,
    but for those that `limits` names.
    `characters`: how many, None as many as one likes. `own_keys`: whether people may bring their own provider keys.
    `hidden`: nobody is offered it any more; who is on it stays.
    """

    id: UUID
    key: str
    name: str
    description: str = ""
    signup_grants: Mapping[str, int] = field(default_factory=dict)
    monthly_grants: Mapping[str, int] = field(default_factory=dict)
    parallel: int = 1
    queue_priority: int = 0
    max_count: int = 4
    limits: Mapping[str, int | tuple[str | int, ...] | Literal[False]] = field(default_factory=dict)
    month_cents: int | None = None
    year_cents: int | None = None
    currency: str = "usd"
    models: tuple[str, ...] = ()
    watermark: bool = False
    retention_days: int | None = None
    advanced: bool = True
    characters: int | None = None
    own_keys: bool = False
    position: int = 0
    hidden: bool = False

    @property
    def free(self) -> bool:
        """Whether it is not for sale: anybody may be on it."""
        return self.month_cents is None and self.year_cents is None


@dataclass(frozen=True)
class Pack:
    """Credits sold once. `credits` in microcredits, `price_cents` in the currency's hundredths. `hidden`: not sold."""

    id: UUID
    key: str
    name: str
    credits: int
    price_cents: int
    currency: str = "usd"
    position: int = 0
    hidden: bool = False


@dataclass(frozen=True)
class Shop:
    """Where this site sells what the catalogue has: the addresses of its pages for plans and for packs."""

    plans: str = "/pricing"
    packs: str = "/pricing#packs"


@dataclass(frozen=True)
class StylePreset:
    """A look to choose: words that join the prompt and what is to be left out, and settings it comes with.

    `settings` are by our own names, such as size or guidance; a model takes those it knows (see catalog.styles).
    """

    id: UUID
    key: str
    name: str
    prompt: str
    negative_prompt: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    sample: str | None = None
    enabled: bool = True
    position: int = 0


LINK_SECONDS = 12
"""How long the first word of a link may take, where nobody said otherwise."""
CHAIN_SECONDS = 30
"""How long a chain may take altogether, where nobody said otherwise."""


@dataclass(frozen=True)
class ChainLink:
    """A model of a chain, and how many seconds it has until its first word."""

    model: str
    seconds: int = LINK_SECONDS

    def to_json(self) -> dict[str, Any]:
        return {"model": self.model, "seconds": self.seconds}


@dataclass(frozen=True)
class Chain:
    """Which models are asked in turn for text, to look at pictures, or to judge; all of it within `total_seconds`."""

    id: UUID
    key: ChainKey
    links: tuple[ChainLink, ...]
    total_seconds: int = CHAIN_SECONDS
