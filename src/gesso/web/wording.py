"""The words an edition chooses for what it sells: one product counts credits, another tokens or gems.

They are set once for each request (`Speaking`) and hold for everything that request draws. Elsewhere, in the terminal
and in the worker, the usual words hold.
"""

from collections.abc import Callable, Mapping
from contextvars import ContextVar

from starlette.types import ASGIApp, Receive, Scope, Send

WORDS: Mapping[str, str] = {
    "credit": "credit", "credits": "credits", "picture": "picture", "pictures": "pictures",
    "create": "Create", "video": "Video", "gallery": "Gallery", "dashboard": "Dashboard", "billing": "Billing",
}  # fmt: skip
"""Words an edition may choose, with what they are when it does not: what is counted, and the names of pages."""
_UNITS: Mapping[str, tuple[str, str]] = {"video": ("video", "videos"), "chat": ("answer", "answers")}
_words: ContextVar[Mapping[str, str]] = ContextVar("words", default=WORDS)


def word(name: str) -> str:
    """The edition's word for one of `WORDS`. Raises KeyError for another."""
    return _words.get()[name]


def title(name: str) -> str:
    """The same at the beginning of a sentence or a heading."""
    text = word(name)
    return text[:1].upper() + text[1:]


def an(name: str) -> str:
    """The same with its article: "a picture", "an image"."""
    text = word(name)
    return f"{'an' if text[:1].lower() in 'aeiou' else 'a'} {text}"


def things() -> dict[str, str]:
    """What scripts have to name, too: pictures and credits, one and many."""
    return {name: word(name) for name in ("picture", "pictures", "credit", "credits")}


def unit_words(unit: str, uses: int) -> str:
    """Uses of an allowance: "1 image", "50 images", "20 prompts"."""
    if unit == "image":
        one, many = word("picture"), word("pictures")
    else:
        one, many = _UNITS.get(unit, (unit, f"{unit}s"))
    return f"{uses:,} {one if uses == 1 else many}"


class Speaking:
    """ASGI: every request speaks the words that the edition has at its beginning."""

    def __init__(self, app: ASGIApp, *, words: Callable[[], Mapping[str, str]]) -> None:
        self.app = app
        self.words = words

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        before = _words.set(self.words())
        try:
            await self.app(scope, receive, send)
        finally:
            _words.reset(before)
