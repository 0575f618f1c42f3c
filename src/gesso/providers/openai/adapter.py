"""The adapter of OpenAI and of every server that speaks its wire (vLLM, Ollama, LocalAI, OpenRouter, LM Studio …).

Which failure of a paid picture may be tried again, and which leaves its outcome open: see `painting`.
`safety_identifier`, a hashed id of the end user, is left out: requests do not carry whom they are for.
"""

from collections.abc import AsyncIterator
from time import monotonic

from gesso.providers.base import (
    ConnectionConfig,
    Done,
    Failed,
    InputFile,
    MediaRequest,
    Operation,
    Pending,
    TestReport,
)
from gesso.providers.http import NoAnswer
from gesso.providers.openai import failures, filming, judging, painting, wire, writing
from gesso.providers.openai.client import OpenAIClient
from gesso.providers.silent import WithoutNotices
from gesso.providers.text import Judgement, TextEnd, TextRequest

TEST_SECONDS = 15.0


class OpenAIAdapter(WithoutNotices):
    """One account, or one server."""

    can_find = False

    def __init__(self, config: ConnectionConfig) -> None:
        """Raises Misconfigured when the key or the base URL cannot be used."""
        self._client = OpenAIClient(config)

    def write(self, request: TextRequest, key: str) -> AsyncIterator[str | TextEnd]:
        """See Writer.write. `key` is not sent: this wire has no place for it."""
        return writing.write(self._client, request)

    async def judge(self, model: str, text: str, images: tuple[InputFile, ...] = ()) -> Judgement:
        """See Judge.judge."""
        return await judging.judge(self._client, model, text, images)

    async def submit(self, request: MediaRequest, key: str) -> Operation | Done:
        """See Provider.submit. Pictures come at once, videos are followed. `key` is not sent."""
        if request.kind == "video":
            return await filming.submit(self._client, request)
        return await painting.paint(self._client, request)

    async def poll(self, operation: Operation) -> Pending | Done | Failed:
        """See Provider.poll. Only videos have operations."""
        return await filming.poll(self._client, operation)

    async def cancel(self, operation: Operation) -> bool:
        """See Provider.cancel. Raises ProviderError."""
        return await filming.delete(self._client, operation)

    async def find(self, key: str) -> Operation | None:
        """Always None: this wire takes no client key (`can_find` says so)."""
        return None

    async def test(self) -> TestReport:
        """List the models: free, and a wrong key is refused where a key counts."""
        start = monotonic()
        try:
            answer = await self._client.call("GET", self._client.url("models"), seconds=TEST_SECONDS)
        except NoAnswer as error:
            return TestReport(False, None, None, None, (f"The server cannot be reached: {error}.",), "unavailable")
        took = round((monotonic() - start) * 1000)
        heard = f"An answer came in {took} ms."
        names = wire.model_names(answer.data()) if answer.status == 200 else None
        if names is not None:
            key = "The key is accepted." if self._client.has_key else "No key is set, and none is asked for."
            told = (key, f"The server lists {len(names)} models.", "It does not tell a balance.")
            return TestReport(True, True, took, None, (heard, *told))
        if answer.status == 200:
            sentence = "It is not a list of models: please check the base URL."
            return TestReport(True, None, took, None, (heard, sentence), "misconfigured_model")
        failure = failures.classify(answer, self._client.mask, "free")
        accepted = {"misconfigured_key": False, "misconfigured_credit": True}.get(failure.code)
        sentence = {
            "misconfigured_key": "The key is refused." if self._client.has_key else "The server wants a key.",
            "misconfigured_credit": "The key is accepted, but the account is out of credit.",
            "misconfigured_model": "No list of models was found there: please check the base URL.",
            "busy": "There are too many requests at the moment.",
        }.get(failure.code, "The server is not working properly at the moment.")
        return TestReport(True, accepted, took, None, (heard, sentence, *filter(None, [failure.note])), failure.code)

    async def aclose(self) -> None:
        """Close pooled connections."""
        await self._client.aclose()
