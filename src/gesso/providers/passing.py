"""A written answer as it grows: what of it may go on at once, and what is held back until it is whole. Pure."""

import json
import re
from collections.abc import Mapping

from gesso.providers.base import JSON
from gesso.providers.errors import Rejected

_FENCE = re.compile(r"\s*```(?:json)?\s*\n(.*)\n\s*```\s*", re.DOTALL)


def schema_in_words(schema: Mapping[str, JSON]) -> str:
    """The instruction for a model that takes no schema, so that its answer passes all the same."""
    rules = json.dumps(dict(schema), ensure_ascii=False)
    return f"Answer with one JSON object and nothing else. It must follow this JSON Schema:\n{rules}"


class Passing:
    """The pieces of one answer.

    Where JSON is wanted, an answer that begins as JSON passes as it comes and anything else is held back: a server
    that ignores a schema may still have put the JSON into a fence. What is no JSON object in the end is refused.
    """

    def __init__(self, *, wants_json: bool) -> None:
        self._wants_json = wants_json
        self.text = ""
        self.shown = False
        """Whether anything has been passed on."""

    def take(self, piece: str) -> str:
        """Note what came; returns the text to pass on now, perhaps none."""
        self.text += piece
        passed = piece if not self._wants_json or self.text.lstrip().startswith("{") else ""
        self.shown = self.shown or bool(passed)
        return passed

    def rest(self, *, cut: bool, finish: str | None) -> list[str]:
        """What was held back, checked. `cut`: the answer ended at the limit of tokens; `finish`: the provider's word
        for its end, for the note. Raises Rejected("failed")."""
        if not self.text.strip():
            raise Rejected("The model gave no answer.", "failed", note=f"Empty text, finish reason {finish}.")
        if not self._wants_json:
            return []
        fenced = None if self.shown else _FENCE.fullmatch(self.text)
        text = fenced[1] if fenced else self.text
        try:
            parsed = json.loads(text)
        except ValueError:
            parsed = None
        if not isinstance(parsed, dict):
            why = "cut at the limit" if cut else "not JSON"
            raise Rejected("The model did not answer in the form asked for.", "failed", note=f"The answer is {why}.")
        return [] if self.shown else [text]
