"""Text made comparable: the same word however it is dressed up. Pure.

`variants` gives several readings of a text (plain, look-alike letters resolved, leet resolved, spaced letters
joined …). A rule looks at each reading by itself, so one reading's mistakes cannot combine with another's.
"""

import re
import unicodedata

# Cyrillic, Greek and other letters drawn like Latin ones.
_LOOKALIKES = str.maketrans(
    {letter: latin for latin, letters in {
        "a": "аαɑ", "b": "вЬ", "c": "сϲƈ", "d": "ԁɗđ", "e": "еεҽ", "g": "ɡց", "h": "һнհ", "i": "іιıɩӏ", "j": "јϳ",
        "k": "кκ", "l": "ӏł", "m": "мⅿ", "n": "пηոɴ", "o": "оοօø", "p": "рρ", "q": "ԛգ", "r": "гʀɾ", "s": "ѕꜱ",
        "t": "тτ", "u": "υսʋ", "v": "νѵ", "w": "ԝωա", "x": "хχ", "y": "уγү", "z": "ᴢʐ",
    }.items() for letter in letters}
)  # fmt: skip
_LEET = {"0": "o", "3": "e", "4": "a", "5": "s", "7": "t", "8": "b", "@": "a", "$": "s", "€": "e", "!": "i", "|": "i"}
_LEET_I = str.maketrans({**_LEET, "1": "i"})
_LEET_L = str.maketrans({**_LEET, "1": "l"})
_TOKEN = re.compile(r"[a-z0-9@$€!|]+")
_SPACED = re.compile(r"(?<![^\W_])(?:[^\W\d_][\s.,\-_*·•'|/\\+~]{1,3}){2,}[^\W\d_](?![^\W_])")
_SPLIT = re.compile(r"(?<=[^\W\d_])[.\-_*·•'|+~]+(?=[^\W\d_])")
_STRETCHED = re.compile(r"([^\W\d_])\1{2,}")
_CJK_GAP = re.compile(r"(?<=[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af])\s+(?=[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af])")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z][a-z])")
_INVISIBLE = frozenset({"Cf", "Cc", "Co", "Cs", "Cn"})


def plain(text: str) -> str:
    """Compatibility forms, case and invisible letters removed; accents kept."""
    text = unicodedata.normalize("NFKC", text)
    if not text.isprintable():
        text = "".join(
            " " if letter in "\t\n\r\v\f" else "" if unicodedata.category(letter) in _INVISIBLE else letter
            for letter in text
        )
    return _CAMEL.sub(" ", text).casefold().replace("_", " ")


def unaccented(text: str) -> str:
    """Without combining marks over Latin, Greek and Cyrillic letters; other scripts' marks are letters and stay."""
    if text.isascii():
        return text
    kept = "".join(letter for letter in unicodedata.normalize("NFD", text) if not "\u0300" <= letter <= "\u036f")
    return unicodedata.normalize("NFC", kept)


def variants(text: str) -> tuple[str, ...]:
    """The readings of `text`, without repetition, the plainest first."""
    first = plain(text)
    bare = unaccented(first)
    latin = bare.translate(_LOOKALIKES)
    letters = _distinct(latin, _unleet(latin, _LEET_I), _unleet(latin, _LEET_L))
    words = _distinct(bare, *letters, *(_STRETCHED.sub(r"\1", reading) for reading in letters))
    split = (_SPLIT.sub("", reading) for reading in letters)
    return _distinct(first, *words, *map(joined, words), *split, _CJK_GAP.sub("", first))


def _distinct(*readings: str) -> tuple[str, ...]:
    """In the same order, each once: most texts have two readings, and every one is looked at again and again."""
    return tuple(dict.fromkeys(readings))


def _unleet(text: str, table: dict[int, str]) -> str:
    """Figures and signs read as letters, in tokens that hold letters too; "35" and "wow!" stay."""
    if text.translate(table) == text:
        return text

    def read(match: re.Match[str]) -> str:
        token = match[0].rstrip("!|")
        mixed = any("a" <= letter <= "z" for letter in token) and not token.isalpha()
        return token.translate(table) + match[0][len(token) :] if mixed else match[0]

    return _TOKEN.sub(read, text)


def joined(text: str) -> str:
    """Letters set one by one ("n u d e", "n.u.d.e") drawn together into words."""
    return _SPACED.sub(lambda match: "".join(letter for letter in match[0] if letter.isalpha()), text)
