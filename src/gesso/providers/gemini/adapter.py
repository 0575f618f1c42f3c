"""The adapter of Google's Gemini API: text, looking at pictures, and making and editing them.

Which failure of a paid picture may be tried again, and which leaves its outcome open: see `painting`. Google's newer
Interactions API is not used: generateContent stays supported and keeps nothing on Google's side.
"""

from collections.abc import AsyncIterator, Mapping

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
from gesso.providers.silent import WithoutNotices
from gesso.providers.text import TextEnd, TextRequest
from gesso.providers.trial import tried

_PROBLEMS: Mapping[str, str] = {
    "misconfigured_key": "The key is refused.",
    "misconfigured_credit": "The key is accepted, but billing, the region or a quota stands in the way.",
    "misconfigured_model": "No list of models was found there: please check the base URL.",
    "busy": "There are too many requests at the moment.",
}
"""Error code → what a test tells."""


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
        trial = await tried(self._client, f"{self._client.base}/models?pageSize=1", "The server")
        if isinstance(trial, TestReport):
            return trial
        if trial.answer.status == 200:
            if wire.is_model_list(trial.answer.data()):
                return trial.good("The key is accepted.", "Google does not tell a balance.")
            return trial.foreign("It is not a list of models: please check the base URL.")
        failure = failures.classify(trial.answer, self._client.mask, "free")
        return trial.bad(failure, _PROBLEMS, "The server is not working properly at the moment.")

    async def aclose(self) -> None:
        """Close pooled connections."""
        await self._client.aclose()
