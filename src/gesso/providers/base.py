"""The face every provider of pictures and videos shows: submit → Operation → poll.

An adapter never waits, never retries a paid call and never touches the database. What a model can do is data
(`MediaRequest.wire`), not code. Everything here is frozen, and `Operation` is plain JSON so that any worker
can take a job up where another left it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias, Union, runtime_checkable

from pydantic import SecretStr

from gesso.providers.errors import ProviderError

JSON: TypeAlias = Union[bool, int, float, str, list["JSON"], dict[str, "JSON"], None]  # noqa: UP007 - `|` cannot hold a forward reference at run time

MediaKind = Literal["image", "video"]


@dataclass(frozen=True)
class ConnectionConfig:
    """A configured account. `base_url` replaces all of the provider's hosts by one origin and prefix.

    `sandbox` marks a stand-in: a missing key is then fine. `options` are the adapter's own knobs.
    """

    base_url: str | None = None
    api_key: SecretStr | None = None
    sandbox: bool = False
    options: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True)
class InputFile:
    """A picture to start from. `media_type` as sniffed from `data`, never as claimed."""

    media_type: str
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class MediaRequest:
    """What is asked of a model, in our words. `model` is the provider's own id.

    `width` and `height` in pixels, both or neither. `aspect_ratio` as "W:H". `options` holds what the model's
    capabilities add (steps, guidance, strength, output_format …). `wire` is the catalogue's mapping of our words
    to the model's fields, laid over the adapter's own table. `count` ≥ 1. `deadline_seconds`: nobody waits for the
    result longer than this from now, so a provider that takes a deadline may be told it.
    """

    kind: MediaKind
    model: str
    prompt: str
    negative_prompt: str | None = None
    count: int = 1
    seed: int | None = None
    width: int | None = None
    height: int | None = None
    aspect_ratio: str | None = None
    quality: str | None = None
    options: Mapping[str, JSON] = field(default_factory=dict)
    inputs: tuple[InputFile, ...] = ()
    wire: Mapping[str, JSON] = field(default_factory=dict)
    webhook_url: str | None = None
    deadline_seconds: float | None = None


@dataclass(frozen=True)
class Operation:
    """A job the provider has taken. `id` is the provider's request id; `data` is the adapter's own JSON."""

    id: str
    data: dict[str, JSON]


@dataclass(frozen=True)
class OutputFile:
    """One result: `url` to fetch through `core.fetch`, or `data` at hand. The rest as far as the provider tells.

    `flagged`: True when its content checker objected, False when it did not, None when nothing was said.
    """

    url: str | None = None
    data: bytes | None = field(default=None, repr=False)
    media_type: str | None = None
    width: int | None = None
    height: int | None = None
    seed: int | None = None
    flagged: bool | None = None


@dataclass(frozen=True)
class Pending:
    """Still waiting or running. `progress` 0–1; `queue_position` 0 = next; `note` a short text for the operator."""

    progress: float | None = None
    queue_position: int | None = None
    note: str | None = None


@dataclass(frozen=True)
class Done:
    """Finished with at least one file. `cost_micro_usd` only when the provider told; `warnings` are sentences."""

    files: tuple[OutputFile, ...]
    seed: int | None = None
    cost_micro_usd: int | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Failed:
    """Finished without a file. `cost_micro_usd` when the provider told that it bills all the same."""

    error: ProviderError
    cost_micro_usd: int | None = None


@dataclass(frozen=True)
class WebhookNotice:
    """A verified knock: look at this request now. Nothing else in the notice is believed.

    `signed` False: the provider has no signature to verify, so that only the address it came to vouches for it. It
    is to be taken at the address of one of our calls and nowhere else.
    """

    request_id: str
    signed: bool = True


@dataclass(frozen=True)
class TestReport:
    """What a connection test found. `sentences` tell it to a person; `balance` only if the provider tells.

    `key_accepted` is None when the provider could not be asked. `latency_ms` of the one call made. `problem` is
    the error code (`ProviderError.code`) that stands in the way of a generation, if any was found.
    """

    __test__ = False  # not a test class, whatever pytest thinks of the name

    reachable: bool
    key_accepted: bool | None
    latency_ms: int | None
    balance: str | None
    sentences: tuple[str, ...]
    problem: str | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing speaks against sending a generation."""
        return self.reachable and self.key_accepted is True and self.problem is None


class Connected(Protocol):
    """One connection's adapter. Safe to use from many tasks of one event loop at once; close it when done."""

    async def test(self) -> TestReport:
        """The cheapest real call that shows whether the key works. Never raises ProviderError, never costs money."""
        ...

    async def aclose(self) -> None:
        """Close pooled connections."""
        ...


@runtime_checkable
class Provider(Connected, Protocol):
    """An adapter that makes pictures or videos."""

    @property
    def can_find(self) -> bool:
        """Whether `find` can ever answer. Where not, an uncertain attempt is not worth looking up."""
        ...

    async def submit(self, request: MediaRequest, key: str) -> Operation | Done:
        """Hand `request` over, once. `key` is our client key of the attempt, given to the provider if it takes one.

        Raises Busy, Unavailable, Rejected, Misconfigured (nothing was taken) or OutcomeUnknown (perhaps taken).
        """
        ...

    async def poll(self, operation: Operation) -> Pending | Done | Failed:
        """Ask how it stands, once. `Failed` speaks of the job; a *raised* ProviderError speaks of the asking:
        the job is as it was, ask again later."""
        ...

    async def cancel(self, operation: Operation) -> bool:
        """Ask to stop. True: the wish was taken, though the job may still finish and be billed; False: too late."""
        ...

    async def find(self, key: str) -> Operation | None:
        """The job submitted under our client key, where the provider can look it up; else None."""
        ...

    def recall(self, model: str, request_id: str) -> Operation | None:
        """The operation of a job of `model` known only by the request id of a verified notice; None when the
        provider's rules do not let it be made."""
        ...

    async def parse_webhook(self, headers: Mapping[str, str], body: bytes) -> WebhookNotice:
        """Verify a knock on the raw bytes. Raises WebhookRejected, or Unavailable when it cannot be checked now."""
        ...
