"""Adults only, checked three times: what was asked, what the catalogue says, and the finished body.

This is the house's own rule, on top of the provider's minimum, and there is no switch for it. An age is always sent.
One below 18, or one that cannot be read, is refused before anything leaves the process and never raised to 18 in
silence. Prompts that point to minors are refused however harmless they are: a child with a kite belongs to another
model. The rooms above check prompts too, with longer lists; this is the last gate before the wire. Pure.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping

from gesso.providers.base import JSON
from gesso.providers.errors import Misconfigured, Rejected

LEAST, MOST = 18, 120
USUAL = 25
"""Sent where nobody chose: well above the least, for the provider's slider is about looks."""

_WHOLE = re.compile(r"[0-9]{1,3}")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_AGE_WORDS = frozenset({"age", "ages", "aged", "years"})
_RUN_TOGETHER = frozenset({"ageslider", "agerange", "characterage", "personage", "minage", "maxage", "apparentage"})

_YOUNG = (
    r"young(?:er|est|ish)?(?:[\s-]+looking)?[\s-]+(?:\w+[\s-]+)?"
    r"(?:wom[ae]n|m[ae]n|lad(?:y|ies)|females?|males?|person|people|persons|models?|girls?|boys?|ones?|lads?|lass(?:es)?)"
)
_MINORS = re.compile(
    r"(?<![a-z])(?:child(?:ren|hood|ish|like|s)?|kid(?:s|do|dos|die|dies|dy)?|teen(?:s|age|aged|ager|agers|y)?"
    r"|pre-?teens?|tween(?:s|age|agers?)?|toddlers?|bab(?:y|ies|yish)|infants?|newborns?|minors?|under-?aged?"
    r"|juveniles?|adolescen(?:t|ts|ce)|youth(?:s|ful)?|youngsters?|jail-?bait|lolis?|lolita|lolicon|shotas?|shotacon"
    r"|kindergart\w+|pre-?school\w*|school-?(?:girls?|boys?|kids?|child(?:ren)?)|\d?girls?|\d?boys?"
    r"|(?:high|middle|elementary|primary|grade)[\s-]?school\w*|barely[\s-]+(?:legal|18|eighteen)"
    r"|(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth)[\s-]?grader?s?"
    r"|(?:little|small|tiny)[\s-]+(?:ones?|sisters?|brothers?|daughters?|sons?|princess(?:es)?)"
    r"|(?:pre-?)?pubescent|not[\s-]+yet[\s-]+(?:18|eighteen)|under[\s-]+(?:18|eighteen)|" + _YOUNG + r")(?![a-z])"
)
_SMALL = "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen"
_TENS = r"(?P<tens>(?:twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred)[\s-]+(?:and[\s-]+)?)?"
_NUMBER = rf"(?<![\w.,]){_TENS}(?P<number>\d{{1,3}}(?![\d.])|{_SMALL})"
_TOLD_AGES = (
    re.compile(rf"{_NUMBER}[\s-]*(?:years?|yrs?)[\s-]*(?:old|of age|young)(?![a-z])"),
    re.compile(rf"{_NUMBER}[\s-]*(?:yo|y\s?/\s?o|y\.\s?o\.?)(?![a-z])"),
    re.compile(
        rf"(?<![a-z])(?:aged?|age of|ages|turned|turning|looks|looking)[\s:=-]*(?:about |around |only |just )?{_NUMBER}"
    ),
)
_GROWN = re.compile(r"(?<![a-z])(?:adults?|grown(?:[\s-]?ups?)?|mature|elderly|old(?:er)?|wrinkles?|over 18)(?![a-z])")

_DASHES = re.compile(r"[\u2010-\u2015\u2212]")

_REFUSED = "Everybody shown here must clearly be an adult. Change the words, or choose another model."


def of_request(options: Mapping[str, JSON], wire: Mapping[str, JSON]) -> int:
    """The age to send: as asked for, else as the catalogue says, else `USUAL`.

    Every member of either whose name speaks of an age must be an adult's, also those that nobody would send.
    Raises Rejected("safety") for the request's, Misconfigured("model") for the catalogue's.
    """
    configured = [years(value) for _, value in _ages_in(wire)]
    if None in configured:
        raise Misconfigured("model", note="The model's wire data names an age that is not an adult's.")
    asked = [years(value) for _, value in _ages_in(options) if value is not None]
    if None in asked:
        raise Rejected(_REFUSED, "safety", field="age", note="An age below 18, or one that cannot be read.")
    named = [age for age in (*asked, *configured) if age is not None]
    return named[0] if named else USUAL


def years(value: JSON) -> int | None:
    """Whole years from 18 to 120, also written as digits; None for everything else: 17, 17.9, true, "20-25", NaN."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        text = value.strip()
        value = int(text) if _WHOLE.fullmatch(text) else None
    if isinstance(value, float):
        value = int(value) if value.is_integer() else None
    return value if isinstance(value, int) and LEAST <= value <= MOST else None


def check_words(texts: Iterable[str], negative: str | None = None) -> None:
    """Raises Rejected("safety") when a text points to minors, or when `negative` asks for less age.

    The words themselves are in no message and no note.
    """
    if any(map(_points_to_minors, texts)) or (negative and _GROWN.search(_plain(negative))):
        raise Rejected(_REFUSED, "safety", field="prompt", note="The words point to minors; nothing was sent.")


def check_body(body: Mapping[str, JSON], field: str, inside: str | None = None) -> None:
    """The last look at what is about to leave: `body[field]`, or `body[inside][field]`, is an adult's age in whole
    years, and nothing else in it is called an age. Raises Misconfigured("model")."""
    holder = body.get(inside) if inside is not None else body
    told = holder.get(field) if isinstance(holder, Mapping) else None
    where = f"{inside}.{field}" if inside is not None else field
    if not isinstance(told, int) or years(told) is None or [path for path, _ in _ages_in(body)] != [where]:
        raise Misconfigured("model", note="A request without a plain adult age was stopped before it left.")


def _points_to_minors(text: str) -> bool:
    words = _plain(text)
    if _MINORS.search(words):
        return True
    for pattern in _TOLD_AGES:
        for match in pattern.finditer(words):
            number = match["number"]
            if not match["tens"] and (not number.isdigit() or int(number) < LEAST):
                return True
    return False


def _plain(text: str) -> str:
    return _DASHES.sub("-", unicodedata.normalize("NFKC", text).casefold().replace("_", " "))


def _ages_in(data: JSON | Mapping[str, JSON], path: str = "") -> list[tuple[str, JSON]]:
    """(dotted path, value) of every member whose name speaks of an age, however it is spelt."""
    found: list[tuple[str, JSON]] = []
    if isinstance(data, Mapping):
        for name, value in data.items():
            here = f"{path}.{name}" if path else str(name)
            if _is_age(str(name)):
                found.append((here, value))
            else:
                found.extend(_ages_in(value, here))
    elif isinstance(data, list):
        for part in data:
            found.extend(_ages_in(part, path))
    return found


def _is_age(name: str) -> bool:
    parts = re.sub(r"[^a-z0-9]+", "_", _CAMEL.sub("_", name).casefold()).strip("_").split("_")
    return not _AGE_WORDS.isdisjoint(parts) or "".join(parts) in _RUN_TOGETHER
