"""What can go wrong, how it is brought about, and what every adapter is to call it unless its entry says otherwise."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tests.battery import line
from tests.battery.line import Spoil

Capability = Literal["image", "edit", "video", "chat", "structured", "vision", "moderation"]
Family = Literal["media", "text", "moderation"]
Stage = Literal["submit", "status"]

FAMILY: Mapping[Capability, Family] = {
    "image": "media", "edit": "media", "video": "media",
    "chat": "text", "structured": "text", "vision": "text",
    "moderation": "moderation",
}  # fmt: skip
TITLES: Mapping[Capability, str] = {
    "image": "pictures", "edit": "edits of pictures", "video": "films", "chat": "streamed text",
    "structured": "JSON after a schema", "vision": "pictures looked at", "moderation": "moderation",
}  # fmt: skip
FINE = "done"


@dataclass(frozen=True)
class Words:
    """The sandbox's face is asked for it by words in the prompt."""

    asked: str


@dataclass(frozen=True)
class Spoilt:
    """The line does it to the call that costs, or to those that ask how a job stands; `times` 0: always."""

    how: Spoil
    stage: Stage = "submit"
    times: int = 0


@dataclass(frozen=True)
class WrongKey:
    """The key is nobody's."""


@dataclass(frozen=True)
class Nobody:
    """Nothing listens at the address."""


Way = Words | Spoilt | WrongKey | Nobody

ALL = frozenset(FAMILY)
MEDIA: frozenset[Capability] = frozenset({"image", "edit", "video"})
TEXT: frozenset[Capability] = frozenset({"chat", "structured", "vision"})
MADE: frozenset[Capability] = frozenset({"image", "video"})
PICTURE: frozenset[Capability] = frozenset({"image"})
WRITTEN: frozenset[Capability] = frozenset({"chat", "structured"})
STREAM: frozenset[Capability] = frozenset({"chat"})
SCHEMA: frozenset[Capability] = frozenset({"structured"})
# What is carried out before it is spoilt is not asked of films: they are slow to make, and hand over as pictures do.
CHEAP: frozenset[Capability] = frozenset({"image", "chat", "structured", "moderation"})


@dataclass(frozen=True)
class Fault:
    """`told` stands in the table. `usual`: the outcome by family: "done", the code of the error, or for a file the
    product's word for it. `jobs`: only where a job is followed, not where the answer holds the result. `product`: only
    seen through the product (`test_money`), whose worker may find what an adapter has to leave open."""

    name: str
    told: str
    way: Way
    on: frozenset[Capability]
    usual: Mapping[Family, str] = field(hash=False)
    jobs: bool = False
    product: bool = False


def _all(code: str) -> Mapping[Family, str]:
    return {"media": code, "text": code, "moderation": code}


_LOST: Mapping[Family, str] = {"media": "outcome_unknown", "text": "outcome_unknown", "moderation": "unavailable"}
# Text costs little and moderation nothing: where a server says that it failed, they may be asked again.
_FAILED: Mapping[Family, str] = {"media": "outcome_unknown", "text": "unavailable", "moderation": "unavailable"}

FAULTS: Mapping[str, Fault] = {
    fault.name: fault
    for fault in (
        Fault("nothing", "nothing goes wrong", Words(""), ALL, _all(FINE)),
        Fault("key", "the key is wrong", WrongKey(), ALL, _all("misconfigured_key")),
        Fault("credit", "the account is empty", Words("no-credit"), ALL, _all("misconfigured_credit")),
        Fault("limited", "429 with Retry-After", Words("429=7"), ALL, _all("busy")),
        Fault("input", "the request is refused as invalid", Words("422"), MEDIA | TEXT, _all("rejected_input")),
        Fault("safety", "a content check refuses", Words("safety"), MEDIA | TEXT, _all("rejected_safety")),
        Fault("500", "500 from the provider", Words("500"), ALL, _FAILED),
        Fault("gateway", "502 from a proxy", Spoilt(line.gateway), ALL, _FAILED),
        Fault("nobody", "connection refused", Nobody(), ALL, _all("unavailable")),
        Fault("reset", "reset before the answer", Spoilt(line.reset), ALL, _LOST),
        Fault("silent", "no answer in the time allowed", Spoilt(line.silent), ALL, _LOST),
        Fault("torn", "reset within the answer", Spoilt(line.torn), CHEAP, _LOST),
        Fault("garbled", "broken JSON", Spoilt(line.garbled), CHEAP, _LOST),
        Fault("swollen", "an answer without end", Spoilt(line.swollen), CHEAP, _LOST),
        Fault("lost", "the answer is lost; the product looks for the call", Words("drop"), frozenset({"image", "chat"}),
              {"media": "outcome_unknown", "text": "outcome_unknown"}, product=True),
        Fault("ask-reset", "resets while a job is asked for", Spoilt(line.reset, "status", 2),
              PICTURE, {"media": FINE}, jobs=True),
        Fault("ask-garbled", "broken JSON while a job is asked for", Spoilt(line.garbled, "status", 2),
              PICTURE, {"media": FINE}, jobs=True),
        Fault("failed", "the job fails", Words("fail"), MADE,
              {"media": "rejected_failed"}, jobs=True),
        Fault("endless", "the job does not end", Words("slow=600"), MADE,
              {"media": "pending"}, jobs=True),
        Fault("gone", "the result is gone (404)", Words("gone"), PICTURE, {"media": "result_gone"}),
        Fault("wrong-bytes", "the result is no picture", Words("wrong-bytes"), PICTURE,
              {"media": "bad_file"}),
        Fault("cut", "the stream ends in the middle", Words("cut"), STREAM, {"text": "outcome_unknown"}),
        Fault("error-late", "an error in the middle of the stream", Words("error-late"), STREAM,
              {"text": "outcome_unknown"}),
        Fault("empty", "an answer without text", Words("empty"), WRITTEN,
              {"text": "rejected_failed"}),
        Fault("no-schema", "the schema is ignored", Words("no-schema"), SCHEMA,
              {"text": "rejected_failed"}),
    )
}  # fmt: skip
