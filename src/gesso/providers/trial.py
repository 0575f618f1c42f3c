"""Testing a connection: one free call, timed, and what came of it as a TestReport."""

from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic

from gesso.providers.base import TestReport
from gesso.providers.errors import ProviderError
from gesso.providers.http import Answer, HttpClient, NoAnswer

TEST_SECONDS = 15.0
_KEY_ACCEPTED = {"misconfigured_key": False, "misconfigured_credit": True}
"""Error code → what it says about the key; None for all others."""


@dataclass(frozen=True)
class Trial:
    """An answer to a test's call, and after how many milliseconds it came."""

    answer: Answer
    took_ms: int

    @property
    def heard(self) -> str:
        """The sentence every report of an answer begins with."""
        return f"An answer came in {self.took_ms} ms."

    def good(self, *sentences: str, balance: str | None = None, problem: str | None = None) -> TestReport:
        """The key is accepted. `problem`: the error code of what stands in the way nevertheless."""
        return TestReport(True, True, self.took_ms, balance, (self.heard, *sentences), problem)

    def foreign(self, sentence: str) -> TestReport:
        """It answered well, but not as this provider does: the address is wrong."""
        return TestReport(True, None, self.took_ms, None, (self.heard, sentence), "misconfigured_model")

    def bad(self, failure: ProviderError, sentences: Mapping[str, str], otherwise: str) -> TestReport:
        """It answered with an error. `sentences` by error code, `otherwise` for codes that are not among them."""
        told = (self.heard, sentences.get(failure.code, otherwise), *filter(None, [failure.note]))
        return TestReport(True, _KEY_ACCEPTED.get(failure.code), self.took_ms, None, told, failure.code)


async def tried(client: HttpClient, url: str, who: str) -> Trial | TestReport:
    """GET `url`; without an answer the report says that `who` cannot be reached."""
    start = monotonic()
    try:
        answer = await client.call("GET", url, seconds=TEST_SECONDS)
    except NoAnswer as error:
        return TestReport(False, None, None, None, (f"{who} cannot be reached: {error}.",), "unavailable")
    return Trial(answer, round((monotonic() - start) * 1000))
