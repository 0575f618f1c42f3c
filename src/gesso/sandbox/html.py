"""Pieces of HTML for the sandbox's index page."""

from collections.abc import Iterable
from html import escape


def table(rows: Iterable[tuple[str, str]]) -> str:
    """Two columns: a word as code, and what it means."""
    cells = "".join(f'<tr><th scope="row"><code>{escape(a)}</code></th><td>{escape(b)}</td></tr>' for a, b in rows)
    return f"<table>{cells}</table>"
