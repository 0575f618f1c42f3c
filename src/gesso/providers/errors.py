"""What went wrong at a provider, named by what the caller should do next.

    ProviderError
    ├── Busy            wait `retry_after` seconds, then send the same again
    ├── Unavailable     wait (`retry_after`, or your own back-off), then send the same again
    ├── Rejected        sending the same again is pointless; `kind` says why
    ├── Misconfigured   the operator must act; pause the connection
    └── OutcomeUnknown  the provider may have taken the request: never send it again blindly

`str(error)` is a sentence that may be shown to any user: it names no provider, key or address. `note` is for
the operator alone; adapters mask credentials in it before they raise.
"""

from typing import ClassVar, Literal

RejectedKind = Literal["input", "safety", "deadline", "cancelled", "gone", "failed"]
MisconfiguredKind = Literal["key", "credit", "model"]

_MISCONFIGURED: dict[MisconfiguredKind, str] = {
    "key": "This model is not available: its provider does not accept our access key.",
    "credit": "This model is not available: our account at its provider is out of credit.",
    "model": "This model is not set up correctly.",
}


class ProviderError(Exception):
    """Base of all. `code` is stable and stored; `retryable` says whether the same request may be sent again."""

    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, note: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.note = note

    @property
    def code(self) -> str:
        """A stable word for logs, metrics and stored outcomes."""
        return "provider_error"


class Busy(ProviderError):
    """The provider refused for now because of a rate or concurrency limit. Nothing was taken."""

    retryable = True

    def __init__(
        self, retry_after: float, message: str = "This model is busy right now.", *, note: str | None = None
    ) -> None:
        """`retry_after` in seconds, > 0."""
        super().__init__(message, note=note)
        self.retry_after = retry_after

    @property
    def code(self) -> str:
        return "busy"


class Unavailable(ProviderError):
    """The provider cannot be reached or failed on its side. Nothing was taken, or the job failed unbilled."""

    retryable = True

    def __init__(
        self,
        retry_after: float | None = None,
        message: str = "The provider of this model is not answering properly right now.",
        *,
        note: str | None = None,
    ) -> None:
        """`retry_after` in seconds when the provider named one."""
        super().__init__(message, note=note)
        self.retry_after = retry_after

    @property
    def code(self) -> str:
        return "unavailable"


class Rejected(ProviderError):
    """The same request will not succeed here. `kind`:

    - `input`: the request itself; `field` names what to change, in our words, when it is known
    - `safety`: a content check of the provider refused the prompt, an input or the result
    - `deadline`: the job was not started or finished in the time allowed; it was not delivered
    - `cancelled`: the job ended because someone asked for it
    - `gone`: the job or its result is no longer kept there
    - `failed`: the provider tried, failed and says that it is final; another model may succeed
    """

    def __init__(
        self, reason: str, kind: RejectedKind = "input", *, field: str | None = None, note: str | None = None
    ) -> None:
        super().__init__(reason, note=note)
        self.reason = reason
        self.kind = kind
        self.field = field

    @property
    def code(self) -> str:
        return f"rejected_{self.kind}"


class Misconfigured(ProviderError):
    """The operator must act: `key` refused or lacking a right, no `credit`, or a wrong `model` or address."""

    def __init__(self, kind: MisconfiguredKind, message: str | None = None, *, note: str | None = None) -> None:
        super().__init__(message or _MISCONFIGURED[kind], note=note)
        self.kind = kind

    @property
    def code(self) -> str:
        return f"misconfigured_{self.kind}"


class OutcomeUnknown(ProviderError):
    """The request left us and no usable answer came back. It may be running, and may be billed."""

    def __init__(
        self,
        message: str = "The connection broke while the request was being handed over.",
        *,
        note: str | None = None,
    ) -> None:
        super().__init__(message, note=note)

    @property
    def code(self) -> str:
        return "outcome_unknown"


class WebhookRejected(Exception):
    """A notice that cannot be trusted: unsigned, stale, forged or malformed. Answer 400 and believe nothing of it."""
