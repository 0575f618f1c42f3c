"""Where things stand in a TOML text: the line of every table, key and array element.

`tomllib` gives values without positions, and a mistake in a price list is found by its line. The scanner
reads a text that `tomllib` has already accepted, so it needs to find ends and never to judge.
"""

import tomllib
from collections.abc import Mapping

Path = tuple[str | int, ...]

_BLANK = " \t"
_ENDS_BARE_VALUE = ",]}\n#"


def lines_of(text: str) -> Mapping[Path, int]:
    """Path → line, counted from 1. A path is keys and indexes: ("models", 2, "price", "credits").

    A table that was opened more than once, or only by a dotted key, is where it first shows up.
    """
    return _Scanner(text.replace("\r\n", "\n")).scan()


def line_of(lines: Mapping[Path, int], path: Path) -> int:
    """The line of `path`, or of its nearest ancestor that the text spells out; 1 for the whole text."""
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return 1


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1
        self._lines: dict[Path, int] = {}
        self._counts: dict[Path, int] = {}

    def scan(self) -> Mapping[Path, int]:
        table: Path = ()
        while self._skip(" \t\n"):
            if self._peek("[["):
                table = self._array_header()
            elif self._peek("["):
                table = self._header()
            else:
                self._pair(table)
        return self._lines

    def _peek(self, prefix: str) -> bool:
        return self._text.startswith(prefix, self._at)

    def _move(self, to: int) -> None:
        self._line += self._text.count("\n", self._at, to)
        self._at = to

    def _skip(self, blank: str) -> bool:
        """Over blanks and comments; False at the end of the text."""
        while self._at < len(self._text):
            if self._text[self._at] == "#":
                end = self._text.find("\n", self._at)
                self._move(len(self._text) if end < 0 else end)
            elif self._text[self._at] in blank:
                self._move(self._at + 1)
            else:
                return True
        return False

    def _note(self, path: Path) -> None:
        for length in range(1, len(path) + 1):
            self._lines.setdefault(path[:length], self._line)

    def _header(self) -> Path:
        self._move(self._at + 1)
        path = self._resolve(self._key())
        self._note(path)
        self._move(self._text.index("]", self._at) + 1)
        return path

    def _array_header(self) -> Path:
        self._move(self._at + 2)
        keys = self._key()
        array = (*self._resolve(keys[:-1]), keys[-1])
        index = self._counts.get(array, 0)
        self._counts[array] = index + 1
        self._note((*array, index))
        self._move(self._text.index("]", self._at) + 2)
        return (*array, index)

    def _resolve(self, keys: list[str]) -> Path:
        """Keys as a path: below an array of tables a header means its newest element."""
        path: Path = ()
        for key in keys:
            path = (*path, key)
            if path in self._counts:
                path = (*path, self._counts[path] - 1)
        return path

    def _key(self) -> list[str]:
        parts = []
        while True:
            self._skip(_BLANK)
            parts.append(self._simple_key())
            self._skip(_BLANK)
            if not self._peek("."):
                return parts
            self._move(self._at + 1)

    def _simple_key(self) -> str:
        start = self._at
        if self._text[start] in "\"'":
            self._string()
            value: str = tomllib.loads(f"key = {self._text[start : self._at]}")["key"]
            return value
        end = start
        while self._text[end].isalnum() or self._text[end] in "_-":
            end += 1
        self._move(end)
        return self._text[start:end]

    def _pair(self, table: Path) -> None:
        path = (*table, *self._key())
        self._note(path)
        self._move(self._text.index("=", self._at) + 1)
        self._skip(_BLANK)
        self._value(path)

    def _value(self, path: Path) -> None:
        character = self._text[self._at]
        if character in "\"'":
            self._string()
        elif character == "[":
            self._array(path)
        elif character == "{":
            self._inline_table(path)
        else:
            end = self._at
            while end < len(self._text) and self._text[end] not in _ENDS_BARE_VALUE:
                end += 1
            self._move(end)

    def _string(self) -> None:
        quote = self._text[self._at]
        mark = quote * 3 if self._peek(quote * 3) else quote
        end = self._at + len(mark)
        while not self._text.startswith(mark, end):
            end += 2 if quote == '"' and self._text[end] == "\\" else 1
        end += len(mark)
        while len(mark) == 3 and self._text.startswith(quote, end):
            end += 1  # up to two quotes may stand right before the closing three
        self._move(end)

    def _array(self, path: Path) -> None:
        self._move(self._at + 1)
        index = 0
        while True:
            self._skip(" \t\n,")
            if self._peek("]"):
                self._move(self._at + 1)
                return
            self._note((*path, index))
            self._value((*path, index))
            index += 1

    def _inline_table(self, path: Path) -> None:
        self._move(self._at + 1)
        while True:
            self._skip(" \t\n,")
            if self._peek("}"):
                self._move(self._at + 1)
                return
            self._pair(path)
