"""Sentences out of word lists, around somebody's own words. The same words give the same sentence."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Lists = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class _Medium:
    """A way of making a picture: the words that ask for it, and what it is described by."""

    asked: str
    lists: Lists


_PHOTO = _Medium(
    r"photo|photograph|camera|lens|portrait|35mm|film still|realistic|cinematic|bokeh|dslr",
    {
        "detail": (
            "with fine texture in every surface", "sharp where the eye rests and soft around it",
            "with small honest imperfections", "every thread, hair and grain of it visible",
            "worn a little by time and use", "with dew and dust made visible by the light",
        ),
        "setting": (
            "before a plain, uncluttered background", "with a glimpse of the wider place behind",
            "in surroundings that tell its story", "set against deep shade", "with a hint of mist in the distance",
            "framed by things out of focus in front",
        ),
        "light": (
            "in low golden light from the side", "in soft window light", "in the blue hour just after sunset",
            "with gentle back light along the edges", "under a bright overcast sky", "with one warm lamp in cool shade",
        ),
        "composition": (
            "off centre by the rule of thirds", "seen from slightly below", "close, filling the frame",
            "wide, with calm space around", "from above at a slant", "at eye level, straight on",
        ),
        "finish": (
            "85 mm lens, shallow depth of field", "35 mm lens, natural colours", "50 mm lens at f/2, fine film grain",
            "24 mm lens, everything in focus", "medium format, smooth tones", "macro lens, creamy background",
        ),
        "mood": ("calm and intimate", "bright and hopeful", "still and a little mysterious", "warm and inviting",
                 "crisp and fresh", "quietly dramatic"),
    },
)  # fmt: skip
_DRAWN = _Medium(
    r"illustration|drawing|drawn|paint|painting|watercolou?r|sketch|ink|poster|comic|cartoon|anime|vector|logo|icon"
    r"|storybook|pastel|gouache|woodcut|paper|origami|render|3d|pixel",
    {
        "detail": (
            "with confident, varied line work", "built from a few bold shapes", "full of small things to discover",
            "with visible strokes and layers", "simplified to what matters", "with delicate pattern in the shadows",
        ),
        "setting": (
            "on a plain ground with much air around", "in a world of gentle hills and big sky",
            "before a softly graded background", "surrounded by leaves and drifting specks of light",
            "in a scene that goes on beyond the frame", "against overlapping layers of distance",
        ),
        "light": (
            "lit warmly from one side", "with long evening shadows", "in even, shadowless light",
            "glowing from within", "under a pale morning sky", "with bright rims against the dark",
        ),
        "composition": (
            "a clear silhouette in the middle", "a sweeping diagonal leading the eye", "balanced like a poster",
            "seen from a child's height", "in a wide, calm layout", "close and generous in the frame",
        ),
        "finish": (
            "a palette of three harmonious colours", "muted earth tones with one bright accent",
            "soft pastel colours, paper grain", "rich saturated colours, clean edges",
            "cool blues against one warm orange", "cream, teal and coral, slightly faded",
        ),
        "mood": ("playful and kind", "dreamlike and slow", "bold and cheerful", "tender and quiet",
                 "adventurous", "elegant and spare"),
    },
)  # fmt: skip
_KNOWN: Mapping[str, str] = {
    "light": r"light|lit|sun|sunset|sunrise|dawn|dusk|golden hour|blue hour|neon|candle|lamp|backlit|shadow|night",
    "setting": r"background|backdrop|behind|in front of|against|landscape|street|room|forest|beach|studio|garden",
    "composition": r"close[- ]?up|wide|aerial|from above|from below|centred|centered|macro|full body|portrait|angle",
    "finish": r"\d+ ?mm|lens|f/\d|grain|palette|colou?rs?|pastel|monochrome|black and white",
    "mood": r"mood|calm|cosy|cozy|dramatic|moody|cheerful|serene|mysterious|peaceful|dreamy|playful",
}
_ORDER = ("detail", "setting", "light", "composition", "finish", "mood")
_STRIDES = (1, 1, 1, 5, 1, 5)
"""How far each list is turned from one variant to the next: all are steps around a list of six."""

_SMALL_TALK = (
    "I am gesso's sandbox, standing in for a real language model, so I have no opinions of my own. {about} "
    "With a provider's key in place, a real model answers here.",
    "Thank you for writing! {about} I am only the sandbox: friendly, free of charge, and not very clever.",
    "This is the sandbox speaking. {about} I can improve a prompt, tell the colours of a picture or fill in JSON; for "
    "a real talk, connect a provider.",
)
_AGAIN = ("You have told me {turns} things before; I have read them, and I am still only a sandbox.",)
_WORDS = re.compile(r"[\w'’-]+")
_SMALL = re.compile(
    r"a|an|and|are|as|at|be|by|can|could|do|does|for|from|have|how|i|in|is|it|like|me|my|of|on|or|our|please|so|that|the"
    r"|their|this|to|us|was|we|what|when|where|which|who|why|will|with|would|you|your|about|some|any|tell|make|give|write"
)


def richer(text: str, number: int = 0) -> str:
    """The prompt with what it leaves open said: the `number`-th of up to six different ways, then numbered ones."""
    subject = re.sub(r"\s+", " ", text).strip().rstrip(".,;! ") or "a quiet scene"
    medium = _medium(subject)
    lists, start = medium.lists, _number(subject)
    parts = []
    for place, (name, stride) in enumerate(zip(_ORDER, _STRIDES, strict=True)):
        if name in _KNOWN and re.search(rf"\b(?:{_KNOWN[name]})", subject, re.IGNORECASE):
            continue
        phrases = lists[name]
        parts.append(phrases[(start // 6**place + stride * number) % len(phrases)])
    if number >= len(lists["detail"]):
        parts.append(f"variation {number + 1}")
    return ", ".join((subject, *parts))


def sentence(text: str, number: int = 0) -> str:
    """A sentence about the text's subject; the `number`-th of many."""
    about = " ".join(_topics(text, 4)) or "it"
    frames = (
        "Something about {0}.", "A few words on {0}.", "{0}, seen another way.", "What there is to say of {0}.",
        "More on {0}.", "{0}, told briefly.",
    )  # fmt: skip
    made = frames[(_number(text) + number) % len(frames)].format(about)
    return _capital(made) if number < len(frames) else f"{_capital(made)[:-1]} ({number + 1})."


def title(text: str, number: int = 0) -> str:
    """A short title."""
    about = " ".join(word.capitalize() for word in _topics(text, 3)) or "Untitled"
    tails = ("", " at Dawn", " in Bloom", " by Night", " Revisited", " in Motion", " and Silence")
    return f"{about}{tails[number % len(tails)]}" + (f" {number // len(tails) + 1}" if number >= len(tails) else "")


def tag(text: str, number: int = 0) -> str:
    """One word in lower case, a different one for each number."""
    known = [*dict.fromkeys(_topics(text, 50)), "colour", "light", "mood", "scene", "style"]
    return known[number] if number < len(known) else f"tag-{number + 1}"


def shorter(text: str) -> str:
    """The beginning of each sentence, at most three of them."""
    flat = re.sub(r"\s+", " ", text).strip()
    sentences = [part.strip() for part in re.split(r"(?<=[.!?])\s+", flat) if part.strip()]
    if not sentences:
        return "There is nothing to sum up."
    kept = (" ".join(part.split()[:14]).rstrip(".,;:!?") for part in sentences[:3])
    return f"In short: {'; '.join(kept)}."


def small_talk(said: str, earlier: Sequence[str] = ()) -> str:
    """A friendly short answer that says what it is."""
    topics = _topics(said, 3)
    about = f"You wrote about {_listed(topics)}." if topics else "It is nice to hear from you."
    answer = _SMALL_TALK[_number(said) % len(_SMALL_TALK)].format(about=about)
    return f"{answer} {_AGAIN[0].format(turns=len(earlier))}" if len(earlier) > 1 else answer


def _medium(subject: str) -> _Medium:
    for medium in (_DRAWN, _PHOTO):
        if re.search(rf"\b(?:{medium.asked})", subject, re.IGNORECASE):
            return medium
    return _PHOTO


def _topics(text: str, most: int) -> list[str]:
    """The first telling words."""
    found = (word.strip("'’-") for word in _WORDS.findall(text.lower()))
    return list(dict.fromkeys(word for word in found if len(word) > 2 and not _SMALL.fullmatch(word)))[:most]


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode(errors="replace")).digest()[:8], "big")


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
