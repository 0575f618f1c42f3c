"""The built-in rules about prompts. They cannot be switched off. Pure: text in, verdict out.

In every edition: nothing sexual involving minors or people described as young; nothing sexual about real, named
people. In `general` editions: nothing sexual at all. Words alone rarely decide, combinations do, so that
"child with a kite", "nude-coloured lipstick" and "naked mole rat" pass.

A negative prompt says what must *not* appear, so "nude" in it is welcome. It is read for the opposite trick:
asking for less clothing, or for less age.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from gesso.core.errors import Blocked
from gesso.safety import words
from gesso.safety.normal import plain, unaccented, variants
from gesso.safety.people import KNOWN, REAL, names_someone

Policy = Literal["general", "adult"]
Code = Literal["minors", "real_person", "sexual"]

ADULT_AGE = 18
_REASONS: dict[Code, str] = {
    "minors": "Sexual content involving minors, or people described as young, is never allowed here.",
    "real_person": "Sexual depictions of real people are never allowed here.",
    "sexual": "Sexual content is not allowed here.",
}
_ADULT_MODEL_REASONS: dict[Code, str] = {
    "minors": "This model is for adults: nobody it shows may be a minor or described as young.",
    "real_person": "This model is for adults: it shows no real people.",
}
_TENS = r"(?P<tens>(?:twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred)[\s\-]+(?:and[\s\-]+)?)?"
_WORDS = "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen"
_NUMBER = rf"(?<![\w.,]){_TENS}(?P<number>\d{{1,2}}(?!\d)|{_WORDS})"
_AGES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"{_NUMBER}[\s\-]*(?:years?|yrs?)[\s\-]*(?:old|of age|young)(?!\w)",
        rf"{_NUMBER}[\s\-]*(?:yo|y\s?/\s?o|y\.\s?o\.?)(?!\w)",
        rf"(?<!\w)(?:aged?|age of|ages|turned|turning)[\s:=\-]*(?:only |just )?{_NUMBER}(?!\w)",
        rf"{_NUMBER}[\s\-]*(?:jahre?|jahrige\w*|ans|anos|años|anni|jaar|lat|letni\w*|yasinda|yas|лет|летн\w*)(?!\w)",
        rf"{_NUMBER}\s*(?:歳|才|岁|歲|세|살)",
    )
)
_COUNT = re.compile(rf"\d|{_WORDS}")
"""Without one of these a text tells no age."""
# Ages told in these are always below 18.
_INFANT_AGE = re.compile(
    rf"{_NUMBER}[\s\-]*(?:months?|weeks?|days?)[\s\-]*old|(?<!\w)(?:\d{{1,2}}(?:st|nd|rd|th)[\s\-]*grade|grade \d)"
)
# Words run together, on purpose or by spelling them out ("n u d e g i r l").
_BARE = "(?:nude|naked|porn|hentai|erotic|sexual|sexy|topless)"
_FEW_YEARS = "(?:child|teen|kid|girl|boy|toddler|infant|minor|loli|school|young)"
_COMPOUND_MINOR = re.compile(f"{_BARE}{_FEW_YEARS}|{_FEW_YEARS}s?{_BARE}")
_COMPOUND_EXPLICIT = re.compile(f"{_BARE}(?:woman|women|man|men|lady|body|people|couple)|(?:woman|man|lady){_BARE}")


@dataclass(frozen=True)
class Verdict:
    """`reason` is a sentence for the person who asked, `code` a stable word; both None when allowed."""

    allowed: bool
    reason: str | None = None
    code: Code | None = None


def _pattern(terms: Iterable[str]) -> re.Pattern[str]:
    """One expression for all terms; see `words` for how they are written."""
    bounded, anywhere = set(), set()
    for term in terms:
        forms = {plain(term[1:])} if term.startswith("=") else {plain(term), unaccented(plain(term))}
        for form in forms:
            stem = form.endswith("*")
            body = r"[\s\-]+".join(re.escape(part) for part in form.rstrip("*").split())
            if re.search(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0900-\u097f]", form):
                anywhere.add(body)
            else:
                bounded.add(body + (r"\w*" if stem else ""))
    either = [rf"(?<!\w){_any_of(bounded)}(?!\w)"] if bounded else []
    return re.compile("|".join([*either, *sorted(anywhere)]))


def _any_of(bodies: Iterable[str]) -> str:
    """Alternatives, longer ones first, under their first letter: `re` tries each one in turn, at every word."""
    by_letter: dict[str, list[str]] = {}
    for body in sorted(bodies, key=lambda body: (-len(body), body)):
        letter = body[:2] if body.startswith("\\") else body[0]
        by_letter.setdefault(letter, []).append(body.removeprefix(letter))
    return "(?:" + "|".join(f"{letter}(?:{'|'.join(rest)})" for letter, rest in by_letter.items()) + ")"


_HARMLESS = _pattern(words.HARMLESS)
_EXPLICIT = _pattern(words.EXPLICIT)
_ALLURING = _pattern(words.ALLURING)
_HINTING = _pattern((*words.ALLURING, *words.HINTING))
_MINOR = _pattern(words.MINOR)
_YOUNG = _pattern(words.YOUNG)
_FORBIDDEN = _pattern(words.FORBIDDEN)
_PERSON = _pattern(words.PERSON)
_CLOTHES = _pattern(words.CLOTHES)
_GROWN = _pattern(words.GROWN)
_REAL = _pattern((*REAL, *KNOWN))
# Said of someone, "no nudity" is a wish for a decent picture. Only general editions' own rule listens to it.
_DENIED = re.compile(
    r"(?<!\w)(?:no|non|not|without|avoid|never)[\s\-]+(?:any[\s\-]+)?"
    r"(?:nudity|nude|nsfw|naked|sexual|sex|porn|erotic)(?:[\s\-]+content)?(?!\w)"
)


@dataclass(frozen=True)
class _Signs:
    """What one or more readings of a text hold."""

    explicit: bool
    undenied: bool
    alluring: bool
    hinting: bool
    minor: bool
    young: bool
    real: bool
    person: bool
    forbidden: bool


def _signs(prompt: str) -> _Signs:
    # Before the readings too: one of them closes hyphens, and "mole-rat" would no longer be known as harmless.
    cleared = _HARMLESS.sub(" ; ", plain(prompt))
    readings = [_HARMLESS.sub(" ; ", reading) for reading in variants(cleared)]

    def found(pattern: re.Pattern[str]) -> bool:
        return any(pattern.search(reading) for reading in readings)

    compound, explicit = found(_COMPOUND_EXPLICIT), found(_EXPLICIT)
    return _Signs(
        explicit=explicit or compound,
        undenied=compound or (explicit and any(_EXPLICIT.search(_DENIED.sub(" ; ", reading)) for reading in readings)),
        alluring=found(_ALLURING),
        hinting=found(_HINTING),
        minor=found(_MINOR) or any(map(_under_age, readings)),
        young=found(_YOUNG),
        real=found(_REAL),
        person=found(_PERSON),
        forbidden=found(_FORBIDDEN) or found(_COMPOUND_MINOR),
    )


def _under_age(reading: str) -> bool:
    """Whether an age below 18 is stated, in figures or English words."""
    if not _COUNT.search(reading):
        return False
    for pattern in _AGES:
        for match in pattern.finditer(reading):
            number = match["number"]
            if not match["tens"] and (not number.isdigit() or int(number) < ADULT_AGE):
                return True
    return bool(_INFANT_AGE.search(reading))


def judge(prompt: str, negative_prompt: str | None, policy: Policy) -> Verdict:
    """The verdict on a prompt. Any policy but `adult` is treated as `general`."""
    signs = _signs(prompt)
    unwanted = _unwanted(negative_prompt or "")
    bared = "clothes" in unwanted
    sexual = signs.explicit or (bared and (signs.person or signs.minor))
    if signs.forbidden or (sexual and (signs.minor or signs.young)) or (signs.hinting and signs.minor):
        return _blocked("minors")
    if (signs.explicit or signs.alluring) and "grown" in unwanted:
        return _blocked("minors")
    if signs.alluring and signs.young and signs.person:  # "sensual light on a young birch" is about nobody
        return _blocked("minors")
    if (sexual and (signs.real or names_someone(prompt))) or (signs.alluring and signs.real):
        return _blocked("real_person")
    if policy != "adult" and (
        signs.undenied or (signs.alluring and signs.person) or (bared and (signs.person or signs.minor))
    ):
        return _blocked("sexual")
    return Verdict(True)


def check(prompt: str, negative_prompt: str | None, policy: Policy) -> None:
    """Raises core.errors.Blocked, whose `detail` says why and whose fact `rule` is the verdict's code."""
    verdict = judge(prompt, negative_prompt, policy)
    if not verdict.allowed:
        reason = verdict.reason or ""
        raise Blocked(reason, fields={"prompt": reason}, rule=verdict.code)


def check_for_adult_model(prompt: str, negative_prompt: str | None) -> None:
    """What a model for adults is asked, besides `check`: whatever it makes may be sexual, so that nobody in it may be
    a minor or described as young, nor somebody known, however harmless the words. Raises core.errors.Blocked."""
    signs = _signs(prompt)
    code: Code | None = None
    if signs.minor or signs.forbidden or (signs.young and signs.person) or "grown" in _unwanted(negative_prompt or ""):
        code = "minors"
    elif signs.real:
        code = "real_person"
    if code is not None:
        reason = _ADULT_MODEL_REASONS[code]
        raise Blocked(reason, fields={"prompt": reason}, rule=code)


def _unwanted(negative: str) -> set[str]:
    readings = variants(negative)
    found = {"clothes"} if any(_CLOTHES.search(reading) for reading in readings) else set()
    return found | ({"grown"} if any(_GROWN.search(reading) for reading in readings) else set())


def _blocked(code: Code) -> Verdict:
    return Verdict(False, _REASONS[code], code)
