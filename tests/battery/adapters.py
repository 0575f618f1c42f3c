"""The adapters of the battery: what each is asked, and where it differs from the usual. How to join: `__init__`."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gesso.providers.registry import ADAPTERS
from tests.battery.faults import FAMILY, FAULTS, FINE, Capability, Fault, Words
from tests.providers import comfyui_workflows


@dataclass(frozen=True)
class Ask:
    """What to ask for one capability: the provider's model, and the catalogue's data for it. `fields` go into the
    MediaRequest or TextRequest. `picture`: the model wants one to start from, which edits and vision get anyway.
    `wordless`: it takes no prompt, so that faults are asked for by the key."""

    model: str
    wire: Mapping[str, Any] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)
    picture: bool = False
    wordless: bool = False


@dataclass(frozen=True)
class Entry:
    """One adapter. `key` makes a key of its form from a word for the account and the word that the sandbox looks at:
    `wrong` is nobody's, `fault-…` asks for a fault, anything else is good."""

    adapter: str
    key: Callable[[str, str], str]
    asks: Mapping[Capability, Ask]
    submit: str
    status: str | None = None
    follows: frozenset[Capability] = frozenset()
    """Capabilities whose results are jobs to be asked for; the others answer at once."""
    differs: Mapping[str, str] = field(default_factory=dict)
    cannot: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of the connection."""

    def word_for(self, fault: Fault, capability: Capability) -> str:
        """What the sandbox calls `fault`, if it is the sandbox that brings it about."""
        if not isinstance(fault.way, Words):
            return ""
        return self.words.get(f"{fault.name}/{capability}", self.words.get(fault.name, fault.way.asked))

    def outcome(self, fault: Fault, capability: Capability) -> str | None:
        """What `fault` must come to; None when it is not asked for here."""
        if capability not in self.asks or capability not in fault.on or self.why_not(fault, capability):
            return None
        if fault.jobs and capability not in self.follows:
            return None
        usual = fault.usual[FAMILY[capability]]
        return self.differs.get(f"{fault.name}/{capability}", self.differs.get(fault.name, usual))

    def why_not(self, fault: Fault, capability: Capability) -> str | None:
        """Why `fault` cannot happen to it."""
        return self.cannot.get(f"{fault.name}/{capability}", self.cannot.get(fault.name))


@dataclass(frozen=True)
class Case:
    """One adapter, one capability, one fault, and what must come of it."""

    entry: Entry
    capability: Capability
    fault: Fault
    outcome: str

    def __str__(self) -> str:
        return f"{self.entry.adapter}-{self.capability}-{self.fault.name}"


_SMALL = {"width": 64, "height": 64}
_TOKENS = {"usd_per_million": {"input": "0", "output": "0", "image_output": "60"}}
_FREE = {"micro_usd_per_second": 0}

ENTRIES: Mapping[str, Entry] = {
    entry.adapter: entry
    for entry in (
        Entry(
            "fal",
            key=lambda account, word: f"{account}:{word}",
            asks={
                "image": Ask("fal-ai/flux/schnell", fields=_SMALL),
                "edit": Ask("fal-ai/nano-banana/edit"),
                "video": Ask("fal-ai/kling-video/v3/pro/text-to-video", fields={"options": {"duration": 3}}),
            },
            submit=r"^POST /fal/",
            status=r"^GET .*/status",
            follows=frozenset({"image", "edit", "video"}),
            # fal says when it took nothing: its own 500 to a submit is one that was not queued.
            differs={"500": "unavailable"},
        ),
        Entry(
            "replicate",
            key=lambda account, word: f"r8_{word}" if word.startswith(("wrong", "fault-")) else f"r8_{account}{word}",
            asks={
                "image": Ask("stability-ai/sdxl", {"micro_usd_per_second": 975}, _SMALL),
                "edit": Ask("stability-ai/sdxl", {"micro_usd_per_second": 975}, _SMALL),
                "video": Ask("stability-ai/stable-video-diffusion", picture=True, wordless=True),
            },
            submit=r"^POST /replicate/.*predictions$",
            status=r"^GET .*/predictions/",
            follows=frozenset({"image", "edit", "video"}),
        ),
        Entry(
            "openai",
            key=lambda account, word: f"sk-{account}:{word}",
            asks={
                "image": Ask("gpt-image-2", {"usd_per_million": {"output": "30"}}, {"width": 256, "height": 256}),
                "edit": Ask("gpt-image-2", {"usd_per_million": {"output": "30"}}, {"width": 256, "height": 256}),
                "video": Ask("sora-2", fields={"width": 720, "height": 1280}),
                "chat": Ask("gpt-5.4-mini", {"limit": "max_completion_tokens"}),
                "structured": Ask("gpt-5.4-mini", {"limit": "max_completion_tokens"}),
                "vision": Ask("gpt-5.4-mini", {"limit": "max_completion_tokens"}),
                "moderation": Ask("omni-moderation-latest"),
            },
            submit=r"^POST /openai/",
            status=r"^GET /openai/v1/videos/[^/]+$",
            follows=frozenset({"video"}),
            differs={"failed/video": "unavailable"},
            cannot={"gone": "pictures come inside the answer"},
        ),
        Entry(
            "gemini",
            key=lambda account, word: f"AIza{account}:{word}",
            asks={
                "image": Ask("gemini-3.1-flash-image", _TOKENS, {"quality": "512"}),
                "edit": Ask("gemini-3.1-flash-image", _TOKENS, {"quality": "512"}),
                "chat": Ask("gemini-3.8-flash"),
                "structured": Ask("gemini-3.8-flash"),
                "vision": Ask("gemini-3.8-flash"),
            },
            submit=r"^POST /gemini/",
            cannot={"gone": "pictures come inside the answer"},
        ),
        Entry(
            "kie",
            key=lambda account, word: word if word.startswith(("wrong", "fault-")) else f"{account}{word}",
            asks={
                "image": Ask("bytedance/seedream", {"defaults": {"image_size": "square"}}),
                "edit": Ask("google/nano-banana"),
                "chat": Ask("gemini-2.5-flash"),
                "structured": Ask("gemini-2.5-flash"),
                "vision": Ask("gemini-2.5-flash"),
            },
            submit=r"^POST /kie/(?!api/file)",
            status=r"^GET .*/recordInfo",
            follows=frozenset({"image", "edit"}),
            cannot=dict.fromkeys(("key/edit", "key/vision"), "pictures are uploaded first, and refused there"),
        ),
        Entry(
            "comfyui",
            key=lambda account, word: f"{account}:{word}",
            asks={
                "image": Ask("sdxl", _FREE | comfyui_workflows.WIRE, _SMALL),
                "edit": Ask("sdxl-redrawn", _FREE | comfyui_workflows.PICTURE_WIRE),
                "video": Ask("wan", _FREE | comfyui_workflows.WAN_WIRE, {"options": {"duration": 1}}, picture=True),
            },
            submit=r"^POST /comfyui/api/prompt$",
            status=r"^GET /comfyui/api/history/",
            follows=frozenset({"image", "edit", "video"}),
            # Our key is the job's id, so a lost one is found, and a 500 of the box itself is settled by asking.
            differs={"500": "unavailable", "lost": FINE, "gone": "rejected_gone"},
            cannot={"credit": "a box of one's own has no account", "safety": "it checks no content",
                    "key/edit": "the upload before it is refused", "key/video": "the upload before it is refused"},
        ),
        Entry(
            "promptchan",
            key=lambda account, word: f"{account}:{word}",
            asks={
                "image": Ask("picture", {"usd_per_gem": "0.05"}, {"options": {"age": 40}}),
                "video": Ask("film", {"usd_per_gem": "0.05", "gems": {"Standard": "10"}}),
                "chat": Ask("chat", {"usd_per_gem": "0.05", "gems": "0.25"}),
                "structured": Ask("chat"),
            },
            submit=r"^POST /promptchan/",
            status=r"^GET /promptchan/.*/status/",
            follows=frozenset({"video"}),
            # Its own 500 is an answer, after which the fact sheet says to try again.
            differs={"500": "unavailable"},
            cannot={"gone": "pictures come inside the answer", "cut": "text comes whole",
                    "error-late": "text comes whole"},
        ),
    )
}  # fmt: skip


def cases() -> Iterator[Case]:
    """Everything that is asked of anybody."""
    for entry in ENTRIES.values():
        for capability in entry.asks:
            for fault in FAULTS.values():
                outcome = entry.outcome(fault, capability)
                if outcome is not None and not fault.product:
                    yield Case(entry, capability, fault, outcome)


def wanted(adapter: str) -> frozenset[Capability]:
    """The capabilities that the registry promises of an adapter. Which of its models take pictures is theirs."""
    promised: set[Capability] = set()
    for made in ADAPTERS[adapter].makes:
        promised |= {"chat", "structured"} if made == "chat" else {made}
    return frozenset(promised)
