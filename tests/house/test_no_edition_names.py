"""Editions are data: no code asks which one it is."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import gesso
from gesso.catalog.editions import edition_names

SOURCES = Path(gesso.__file__).parent
DEFAULT = SOURCES / "core" / "settings" / "site.py"
"""Names the edition that is taken when nobody says which."""
ALSO_OTHER_THINGS = {"characters", "prompts"}
"""Words of editions that parts of the product have, too. They may stand in lists, never be compared with."""


def literals(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every text in code, docstrings not among them: where it stands, and what it says."""
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.lineno, node.value


def comparisons(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Texts that something is compared with, in a comparison or a case."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare | ast.MatchValue):
            yield from literals(node)


def wrong(text: str, names: set[str]) -> list[int]:
    """The lines of a Python text that hold an edition's name where none may be."""
    if not any(f"{quote}{name}{quote}" in text for name in names for quote in ("'", '"')):
        return []
    tree = ast.parse(text)
    found = [at for at, value in literals(tree) if value in names - ALSO_OTHER_THINGS]
    found += [at for at, value in comparisons(tree) if value in names]
    return sorted(set(found))


def test_no_code_names_an_edition() -> None:
    names = set(edition_names())
    assert len(names) > 5
    found = {
        str(path.relative_to(SOURCES)): lines
        for path in SOURCES.rglob("*.py")
        if path != DEFAULT and (lines := wrong(path.read_text(), names))
    }
    assert found == {}


ASKS = re.compile(
    rf"""(?:edition|name|brand)\b[\w.]*\s*(?:[!=]==?|in)\s*[(\[]?\s*["'](?:{"|".join(edition_names())})["']"""
)


def test_no_page_asks_for_an_edition() -> None:
    pages = [*SOURCES.rglob("templates/**/*.html"), *(SOURCES / "web/scripts").rglob("*.js")]
    assert len(pages) > 50
    assert [path.name for path in pages if ASKS.search(path.read_text())] == []


def test_the_search_finds_what_it_is_to_find() -> None:
    names = {"studio", "characters"}
    assert wrong('if catalog.edition.name == "characters":\n    pass', names) == [1]
    assert wrong('x = 1\nmatch name:\n    case "characters":\n        pass', names) == [3]
    assert wrong('FLAGS = {"studio": True}', names) == [1]
    assert wrong('"""studio"""\nMODULES = ("characters",)', names) == []
    assert ASKS.search('{% if edition.name == "team" %}')
    assert ASKS.search("if (brand.name === 'wrapper')")
    assert not ASKS.search('{% if workspace.kind == "team" %}')
