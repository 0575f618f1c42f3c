"""The adapter of Google's Gemini API: text, looking at pictures, and making and editing them.

Which failure of a paid picture may be tried again, and which leaves its outcome open: see `painting`. Google's newer
Interactions API is not used: generateContent stays supported and keeps nothing on Google's side.
"""

from collections.abc import AsyncIterator, Mapping
from time import monotonic

from gesso.providers.base import (
    ConnectionConfig,
    Done,
    Failed,
    MediaRequest,
    Operation,
    Pending,
    TestReport,
)
from gesso.providers.errors import OutcomeUnknown
from gesso.providers.gemini import failures, painting, wire, writing
from gesso.providers.gemini.client import GeminiClient
from gesso.providers.http import NoAnswer
from gesso.providers.silent import WithoutNotices
from gesso.providers.text import TextEnd, TextRequest

TEST_SECONDS = 15.0
_PROBLEMS: Mapping[str, tuple[bool | None, str]] = {
    "misconfigured_key": (False, "The key is refused."),
    "misconfigured_credit": (True, "The key is accepted, but billing, the region or a quota stands in the way."),
    "misconfigured_model": (None, "No list of models was found there: please check the base URL."),
    "busy": (None, "There are too many requests at the moment."),
}
"""Error code → whether the key is accepted, and what to tell."""


class GeminiAdapter(WithoutNotices):
    """One account."""

    can_find = False

    def __init__(self, config: ConnectionConfig) -> None:
        """Raises Misconfigured when the key or the base URL cannot be used."""
        self._client = GeminiClient(config)

    def write(self, request: TextRequest, key: str) -> AsyncIterator[str | TextEnd]:
        """See Writer.write. `key` is not sent: this wire has no place for it."""
        return writing.write(self._client, request)

    async def submit(self, request: MediaRequest, key: str) -> Operation | Done:
        """See Provider.submit. The picture comes with the answer. `key` is not sent."""
        return await painting.paint(self._client, request)

    async def poll(self, operation: Operation) -> Pending | Done | Failed:
        """Always OutcomeUnknown: nothing is taken to be asked about later."""
        raise OutcomeUnknown(note="This provider answers at once; there is nothing to ask about.")

    async def cancel(self, operation: Operation) -> bool:
        """Always False: there is nothing to stop."""
        return False

    async def find(self, key: str) -> Operation | None:
        """Always None: this wire takes no client key (`can_find` says so)."""
        return None

    async def test(self) -> TestReport:
        """Ask for one line of the list of models: free, and a wrong key is refused."""
        start = monotonic()
        try:
            answer = await self._client.call("GET", f"{self._client.base}/models?pageSize=1", seconds=TEST_SECONDS)
        except NoAnswer as error:
            return TestReport(False, None, None, None, (f"The server cannot be reached: {error}.",), "unavailable")
        took = round((monotonic() - start) * 1000)
        heard = f"An answer came in {took} ms."
        if answer.status == 200:
            if wire.is_model_list(answer.data()):
                told = ("The key is accepted.", "Google does not tell a balance.")
                return TestReport(True, True, took, None, (heard, *told))
            sentence = "It is not a list of models: please check the base URL."
            return TestReport(True, None, took, None, (heard, sentence), "misconfigured_model")
        failure = failures.classify(answer, self._client.mask, "free")
        accepted, sentence = _PROBLEMS.get(failure.code, (None, "The server is not working properly at the moment."))
        return TestReport(True, accepted, took, None, (heard, sentence, *filter(None, [failure.note])), failure.code)

    async def aclose(self) -> None:
        """Close pooled connections."""
        await self._client.aclose()
