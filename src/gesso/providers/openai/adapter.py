"""The adapter of OpenAI and of every server that speaks its wire (vLLM, Ollama, LocalAI, OpenRouter, LM Studio …).

Which failure of a paid picture may be tried again, and which leaves its outcome open: see `painting`.
`safety_identifier`, a hashed id of the end user, is left out: requests do not carry whom they are for.
"""

from collections.abc import AsyncIterator

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
from gesso.providers.openai import failures, filming, judging, painting, wire, writing
from gesso.providers.openai.client import OpenAIClient
from gesso.providers.silent import WithoutNotices
from gesso.providers.text import Judgement, TextEnd, TextRequest
from gesso.providers.trial import tried


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
        trial = await tried(self._client, self._client.url("models"), "The server")
        if isinstance(trial, TestReport):
            return trial
        names = wire.model_names(trial.answer.data()) if trial.answer.status == 200 else None
        if names is not None:
            key = "The key is accepted." if self._client.has_key else "No key is set, and none is asked for."
            return trial.good(key, f"The server lists {len(names)} models.", "It does not tell a balance.")
        if trial.answer.status == 200:
            return trial.foreign("It is not a list of models: please check the base URL.")
        sentences = {
            "misconfigured_key": "The key is refused." if self._client.has_key else "The server wants a key.",
            "misconfigured_credit": "The key is accepted, but the account is out of credit.",
            "misconfigured_model": "No list of models was found there: please check the base URL.",
            "busy": "There are too many requests at the moment.",
        }
        failure = failures.classify(trial.answer, self._client.mask, "free")
        return trial.bad(failure, sentences, "The server is not working properly at the moment.")

    async def aclose(self) -> None:
        """Close pooled connections."""
        await self._client.aclose()
