"""Texts and judgements are counted, timed and traced as pictures are."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from uuid import uuid4

import pytest

from gesso.calls.observed import ObservedWriter
from gesso.calls.pool import ProviderPool
from gesso.catalog.items import Connection
from gesso.core.sealed import Sealer
from gesso.core.telemetry import metrics
from gesso.providers.errors import Unavailable
from gesso.providers.text import TextEnd, TextMessage, TextRequest
from tests.conftest import SECRET
from tests.sandbox.server import running_sandbox

CONNECTION = Connection(id=uuid4(), key="openai", adapter="openai", name="OpenAI", sandbox=True)
MODEL, WIRE = "gpt-5.4-mini", {"limit": "max_completion_tokens"}


@pytest.fixture(scope="module")
async def pool() -> AsyncIterator[ProviderPool]:
    async with running_sandbox() as origin:
        made = ProviderPool(Sealer(SECRET), origin)
        yield made
        await made.aclose()


def counted(name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(f"gesso_provider_{name}", {"adapter": "openai", **labels}) or 0.0


def calls(operation: str, outcome: str) -> float:
    return counted("call_seconds_count", operation=operation, outcome=outcome)


def asking(words: str) -> TextRequest:
    return TextRequest(MODEL, (TextMessage("user", words),), wire=WIRE)


async def test_a_text_is_counted_with_its_first_word_and_its_tokens(pool: ProviderPool) -> None:
    before = calls("write", "ok"), counted("first_word_seconds_count")
    tokens = counted("tokens_total", direction="input"), counted("tokens_total", direction="output")
    async with pool.use(CONNECTION) as line:
        pieces = [piece async for piece in line.writer.write(asking("a lighthouse"), "key")]
    end = pieces[-1]
    assert isinstance(end, TextEnd) and end.usage.input_tokens and end.usage.output_tokens
    assert (calls("write", "ok"), counted("first_word_seconds_count")) == (before[0] + 1, before[1] + 1)
    assert counted("tokens_total", direction="input") == tokens[0] + end.usage.input_tokens
    assert counted("tokens_total", direction="output") == tokens[1] + end.usage.output_tokens


async def test_a_text_that_fails_or_is_left_is_counted_by_its_end(pool: ProviderPool) -> None:
    before = calls("write", "unavailable"), calls("write", "cut_off"), counted("first_word_seconds_count")
    async with pool.use(CONNECTION) as line:
        with pytest.raises(Unavailable):
            [piece async for piece in line.writer.write(asking("sandbox:500"), "key")]
        assert counted("first_word_seconds_count") == before[2]
        writer = line.writer
        assert isinstance(writer, ObservedWriter)
        async with aclosing(writer.write(asking("a lighthouse"), "key")) as left:
            await anext(left)
    assert (calls("write", "unavailable"), calls("write", "cut_off")) == (before[0] + 1, before[1] + 1)


async def test_a_judgement_is_counted(pool: ProviderPool) -> None:
    before = calls("judge", "ok"), calls("judge", "misconfigured_model")
    async with pool.use(CONNECTION) as line:
        await line.judge.judge("omni-moderation-latest", "a lighthouse")
        with pytest.raises(Exception, match="not set up"):
            await line.judge.judge("no-such-model", "a lighthouse")
        assert (await line.judge.test()).ok
    assert (calls("judge", "ok"), calls("judge", "misconfigured_model")) == (before[0] + 1, before[1] + 1)
