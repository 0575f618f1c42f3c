"""Who calls a face, and which faults a request asks for."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request

from gesso.sandbox.faults import Faults, Tally, from_header, from_prompt


@dataclass(frozen=True)
class Caller:
    """Who calls. `owner` is a digest of the account, empty where nobody is told apart; `hint` the last four characters
    of the key, which itself is not kept; `faults` what the key asks for."""

    owner: str = ""
    hint: str = ""
    faults: Faults = field(default_factory=Faults)

    @classmethod
    def of(cls, account: str, key: str, faults: Faults) -> "Caller":
        """The caller with this key; the same `account` is the same owner."""
        return cls(hashlib.sha256(account.encode()).hexdigest(), key[-4:], faults)

    def to_json(self) -> list[Any]:
        """For `from_json`."""
        return [self.owner, self.hint, self.faults.to_json()]

    @classmethod
    def from_json(cls, data: Sequence[Any]) -> "Caller":
        """What `to_json` gave."""
        owner, hint, faults = data
        return cls(owner, hint, Faults.from_json(faults))

    def faults_for(self, request: Request, prompt: str, tally: Tally) -> Faults:
        """What key, header and prompt ask of a submit, less what has struck often enough. Raises UnknownFault."""
        return tally.due(self.faults + header_faults(request, "submit") + from_prompt(prompt), prompt)


def header_faults(request: Request, stage: str) -> Faults:
    """The faults of the request's own header; those without a stage strike at `stage`. Raises UnknownFault."""
    return from_header(request.headers.get("x-sandbox-fault"), stage)
