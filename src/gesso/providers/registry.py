"""The single place that lists adapters."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from gesso.providers.base import JSON, Connected, ConnectionConfig, MediaKind
from gesso.providers.comfyui.adapter import ComfyAdapter
from gesso.providers.comfyui.options import shape_of as comfyui_shape
from gesso.providers.errors import Misconfigured
from gesso.providers.fal.adapter import FalAdapter
from gesso.providers.gemini.adapter import GeminiAdapter
from gesso.providers.kie.adapter import KieAdapter
from gesso.providers.kie.options import check as kie_check
from gesso.providers.openai.adapter import OpenAIAdapter
from gesso.providers.promptchan.adapter import PromptchanAdapter
from gesso.providers.promptchan.options import check as promptchan_check
from gesso.providers.replicate.adapter import ReplicateAdapter

Makes = Literal["image", "video", "chat", "vision", "moderation"]


@dataclass(frozen=True)
class Adapter:
    """A wire we speak. `makes`: what its models can be of. What `open` returns shows the faces for it: `Provider`
    for image and video, `Writer` for chat and vision, `Judge` for moderation.

    `needs_key`: False where a server at an address of its own may want none. `check` reads the `wire` of a model of
    pictures or films (its `upstream`, its kind, the data) and raises Misconfigured when it cannot be used.
    `adult`: every model of it is an adult model, whatever it is asked for: never shown to everybody, never given a
    photograph, refused altogether where the content policy is general (requirement 11.1).
    `own_keys`: anybody can have an account there, so people may bring keys of their own; False for machines.
    """

    name: str
    title: str
    open: Callable[[ConnectionConfig], Connected]
    makes: frozenset[Makes]
    needs_key: bool = True
    check: Callable[[str, MediaKind, Mapping[str, JSON]], object] | None = None
    adult: bool = False
    own_keys: bool = True


ADAPTERS: Mapping[str, Adapter] = {
    adapter.name: adapter
    for adapter in (
        Adapter("fal", "fal", FalAdapter, frozenset({"image", "video"})),
        Adapter("replicate", "Replicate", ReplicateAdapter, frozenset({"image", "video"})),
        Adapter(
            "openai",
            "OpenAI, or a server like it",
            OpenAIAdapter,
            frozenset({"image", "video", "chat", "vision", "moderation"}),
            needs_key=False,
        ),
        Adapter("gemini", "Google Gemini", GeminiAdapter, frozenset({"image", "chat", "vision"})),
        Adapter("kie", "kie.ai", KieAdapter, frozenset({"image", "chat", "vision"}), check=kie_check),
        Adapter(
            "comfyui", "ComfyUI", ComfyAdapter, frozenset({"image", "video"}), needs_key=False, check=comfyui_shape,
            own_keys=False,
        ),
        Adapter(
            "promptchan", "Promptchan", PromptchanAdapter, frozenset({"image", "video", "chat"}),
            check=promptchan_check, adult=True,
        ),
    )
}  # fmt: skip


def wire_problem(adapter: str, kind: str, upstream: str, wire: Mapping[str, JSON]) -> str | None:
    """What is wrong with a model's wire data, in a sentence for the operator; None where nothing is known to be."""
    known = ADAPTERS.get(adapter)
    if known is None or known.check is None or kind not in ("image", "video"):
        return None
    try:
        known.check(upstream, "video" if kind == "video" else "image", wire)
    except Misconfigured as error:
        return error.note or error.message
    return None


def build(adapter: str, config: ConnectionConfig) -> Connected:
    """The adapter named `adapter` for one connection.

    Raises Misconfigured when there is no such adapter, the address is unusable or a key is missing.
    """
    known = ADAPTERS.get(adapter)
    if known is None:
        raise Misconfigured("model", note=f"There is no adapter named {adapter!r}; known: {', '.join(ADAPTERS)}.")
    return known.open(config)
