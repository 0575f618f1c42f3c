"""The faces of providers that write text, look at pictures, and judge what may be made.

An adapter may show these beside `Provider` or instead of it; `registry.Adapter.makes` says which it has.
As there, nothing waits, retries or remembers: chains and their deadlines are the caller's.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from gesso.providers.base import JSON, Connected, InputFile

Role = Literal["system", "user", "assistant"]
Finish = Literal["stop", "length"]


@dataclass(frozen=True)
class TextMessage:
    """One turn. `images` only with a user's turn, for models that can see."""

    role: Role
    text: str
    images: tuple[InputFile, ...] = ()


@dataclass(frozen=True)
class TextRequest:
    """What is asked of a model that writes. `model` is the provider's own id.

    `messages`: at least one, the last a user's; system turns come first. `schema`: a JSON Schema the answer must
    follow (an object at the top), for models that can; the answer's text is then JSON. `max_output_tokens` ≥ 1.
    `options` holds what the model's capabilities add (temperature, persona …); `wire` is the catalogue's mapping
    of our words to the model's fields.
    """

    model: str
    messages: tuple[TextMessage, ...]
    max_output_tokens: int = 1024
    schema: Mapping[str, JSON] | None = None
    options: Mapping[str, JSON] = field(default_factory=dict)
    wire: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True)
class TextUsage:
    """Tokens, as far as the provider tells."""

    input_tokens: int | None = None
    output_tokens: int | None = None


@dataclass(frozen=True)
class TextEnd:
    """The last thing a writer yields. `finish` is `length` when the text was cut at the limit.

    `cost_micro_usd` only when the provider told what it bills.
    """

    finish: Finish
    usage: TextUsage = TextUsage()
    cost_micro_usd: int | None = None


@runtime_checkable
class Writer(Connected, Protocol):
    """An adapter whose models write text."""

    def write(self, request: TextRequest, key: str) -> AsyncIterator[str | TextEnd]:
        """Pieces of text as they come, none empty, and one TextEnd after the last.

        `key` is our client key of the attempt, given to the provider if it takes one. Raises before the first
        piece: Busy, Unavailable, Rejected (`safety` for a refusal), Misconfigured (nothing was taken), or
        OutcomeUnknown (perhaps taken). Once a piece has come, a stream that breaks is OutcomeUnknown and a model
        that stops for its content rules is Rejected("safety").
        """
        ...


@dataclass(frozen=True)
class Judgement:
    """What a moderation model says of one text and its pictures.

    `scores`: category → 0–1, in the provider's words; `flagged`: the categories it objects to.
    """

    flagged: frozenset[str]
    scores: Mapping[str, float]


@runtime_checkable
class Judge(Connected, Protocol):
    """An adapter with a moderation model: tells what a text, or a picture, shows that a policy may forbid."""

    async def judge(self, model: str, text: str, images: tuple[InputFile, ...] = ()) -> Judgement:
        """Judge `text` and `images` together, once. Raises ProviderError."""
        ...
