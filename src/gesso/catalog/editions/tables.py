"""Reading TOML tables strictly: every mistake becomes a problem with its line, none stops the reading.

A reader that finds a mistake notes it and goes on with a harmless value, so that one run shows all of them.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

from gesso.catalog.editions.positions import Path, line_of

KEY = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake: the line it is on (from 1) and why it is one."""

    line: int
    reason: str


class EditionError(Exception):
    """A file cannot be used as an edition. Its text has one line per problem: file:line: reason."""

    def __init__(self, file: str, problems: Iterable[Problem]) -> None:
        self.file = file
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(f"{file}:{problem.line}: {problem.reason}" for problem in self.problems))


@dataclass
class Document:
    """The file being read: its lines, the problems found so far, and the shared pieces of schema."""

    lines: Mapping[Path, int]
    shared: Mapping[str, Any] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def problem(self, path: Path, reason: str) -> None:
        """Note a mistake at `path`."""
        self.problems.append(Problem(line_of(self.lines, path), reason))

    def line(self, path: Path) -> int:
        """The line `path` is on."""
        return line_of(self.lines, path)


class Table:
    """One table of the document. Each reader below names a key it knows; `finish` refuses all others."""

    def __init__(self, document: Document, path: Path, data: object) -> None:
        self.document = document
        self.path = path
        self._data: Mapping[str, Any] = data if isinstance(data, Mapping) else {}
        self._known: list[str] = []
        if not isinstance(data, Mapping):
            document.problem(path, f"“{path[-1]}” must be a table")

    def __contains__(self, key: str) -> bool:
        return key in self._data

    def wrong(self, key: str, reason: str, *inside: str | int) -> None:
        """Note a mistake at a key of this table, or further inside its value."""
        self.document.problem((*self.path, key, *inside), reason)

    def raw(self, key: str) -> Any:
        """The value as it stands; None when absent."""
        self._known.append(key)
        return self._data.get(key)

    def text(
        self, key: str, default: str | None = None, *, longest: int = 200, pattern: re.Pattern[str] | None = None
    ) -> str:
        """A text of 1 to `longest` characters; required when there is no default."""
        value = self.raw(key)
        if value is None and (default is not None or self._absent(key)):
            return default or ""
        if not isinstance(value, str):
            self.wrong(key, f"“{key}” must be text in quotes")
            return default or ""
        if not (value.strip() or default == "") or len(value) > longest:
            self.wrong(key, f"“{key}” must have 1 to {longest} characters")
        elif pattern and not pattern.fullmatch(value):
            self.wrong(key, f"“{value}” cannot be used as {key}: lower-case letters, digits, - and .")
        return value

    def optional_text(self, key: str, *, longest: int = 200) -> str | None:
        """A text or None."""
        return self.text(key, longest=longest) if key in self._data else self.raw(key)

    def integer(self, key: str, default: int | None = None, *, low: int, high: int) -> int:
        """A whole number from `low` to `high`; required when there is no default."""
        value = self.raw(key)
        if value is None and (default is not None or self._absent(key)):
            return low if default is None else default
        if isinstance(value, bool) or not isinstance(value, int):
            self.wrong(key, f"“{key}” must be a whole number")
            return low
        if not low <= value <= high:
            self.wrong(key, f"“{key}” is {value}; it must be from {low} to {high}")
            return low
        return value

    def boolean(self, key: str, default: bool) -> bool:
        """true or false."""
        value = self.raw(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.wrong(key, f"“{key}” must be true or false")
            return default
        return value

    def one_of(self, key: str, known: Sequence[str], default: str | None = None) -> str:
        """One of the known words."""
        value = self.text(key, default)
        if value and value not in known:
            self.wrong(key, f"unknown {key} “{value}”{_suggestion(value, known)}")
        return value

    def texts(self, key: str, known: Sequence[str] | None = None) -> tuple[str, ...]:
        """A list of different texts, each one of `known` if that is given; empty when absent."""
        value = self.raw(key)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            self.wrong(key, f"“{key}” must be a list of texts")
            return ()
        for index, item in enumerate(value):
            if item in value[:index]:
                self.wrong(key, f"“{item}” stands twice in {key}", index)
            if known is not None and item not in known:
                word = {"modules": "module"}.get(key, f"value in {key}")
                self.wrong(key, f"unknown {word} “{item}”{_suggestion(item, known)}", index)
        return tuple(value)

    def table(self, key: str) -> "Table":
        """A sub-table; an empty one when absent."""
        value = self.raw(key)
        return Table(self.document, (*self.path, key), {} if value is None else value)

    def tables(self, key: str) -> list["Table"]:
        """The elements of an array of tables."""
        value = self.raw(key)
        if value is None:
            return []
        if not isinstance(value, list):
            self.wrong(key, f"“{key}” must be written as [[{key}]]")
            return []
        return [Table(self.document, (*self.path, key, index), item) for index, item in enumerate(value)]

    def items(self) -> Iterable[tuple[str, Any]]:
        """All keys and values, for tables whose keys are data; they count as known."""
        self._known.extend(self._data)
        return self._data.items()

    def finish(self) -> None:
        """Refuse the keys that nobody asked for, with the nearest one that exists."""
        for key in self._data:
            if key not in self._known:
                inside = ".".join(part for part in self.path if isinstance(part, str))
                where = f" in [{inside}]" if inside else ""
                self.wrong(key, f"unknown key “{key}”{where}{_suggestion(key, self._known)}")

    def _absent(self, key: str) -> bool:
        self.document.problem(self.path, f"“{key}” is missing")
        return True


def plain(value: Any) -> Any:
    """TOML's value as JSON's: exact decimals become floats. Raises ValueError for what JSON has not."""
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError("is not a finite number")
        return float(value)
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if value is None or isinstance(value, str | int | bool):
        return value
    raise ValueError("must be text, a number, true, false, a list or a table")


def _suggestion(word: str, known: Sequence[str]) -> str:
    near = get_close_matches(word, list(known), 1)
    if near:
        return f"; did you mean “{near[0]}”?"
    return f"; known: {', '.join(sorted(set(known)))}" if known else ""
