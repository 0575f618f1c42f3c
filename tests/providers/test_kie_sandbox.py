"""Whole flows against the sandbox, which checks every request as the sheet has it. The battery plays the faults."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from PIL import Image
from pydantic import SecretStr

from gesso.core.fetch import FetchError, SafeFetcher
from gesso.providers.base import ConnectionConfig, Done, Failed, InputFile, MediaRequest
from gesso.providers.errors import Busy, WebhookRejected
from gesso.providers.kie.adapter import KieAdapter
from gesso.providers.kie.options import TABLE
from gesso.providers.registry import build
from gesso.providers.text import TextEnd, TextMessage, TextRequest
from gesso.sandbox.kie.signing import WEBHOOK_KEY
from tests.providers.flows import bill_of, picture
from tests.providers.following import finished
from tests.providers.loopback import Reply, Seen, loopback

MODEL = "nano-banana-pro"


@pytest.fixture
async def adapter(origin: str) -> AsyncIterator[KieAdapter]:
    made = build("kie", ConnectionConfig(base_url=f"{origin}/kie", sandbox=True))
    assert isinstance(made, KieAdapter)
    yield made
    await made.aclose()


async def ended(adapter: KieAdapter, model: str = MODEL, words: str = "a fox", **asked: Any) -> Done | Failed:
    operation = await adapter.submit(MediaRequest("image", model, f"{words} sandbox:small", **asked), "key")
    return await finished(adapter, operation)


@pytest.mark.parametrize("model", TABLE)
async def test_every_model_takes_all_that_we_say_it_takes(adapter: KieAdapter, origin: str, model: str) -> None:
    shape = TABLE[model]
    known = {"enhance_prompt": True, "safety_tolerance": 2, "watermark": "mine", "translate": False, "guidance": 3,
             "nsfw_checker": True, "upscale_factor": 2}  # fmt: skip
    options: dict[str, Any] = {name: value for name, value in known.items() if name in shape.options}
    if "output_format" in shape.choices:
        options["output_format"] = "jpeg"
    quality = next(iter(shape.choices.get("quality", {})), None)
    ratio = "3:2" if "3:2" in shape.ratios else "16:9" if shape.ratios else None
    done = await ended(
        adapter, model, aspect_ratio=ratio, quality=quality, options=options, seed=3 if shape.seed else None,
        negative_prompt="fog" if shape.negative else None, inputs=(picture(),) if shape.images else (),
    )  # fmt: skip
    assert isinstance(done, Done), done
    assert done.cost_micro_usd and (await bill_of(origin, "kie"))[-1]["cost_micro_usd"] == done.cost_micro_usd
    fetcher = SafeFetcher([origin])
    fetched = await fetcher.get(str(done.files[0].url), max_bytes=2**22, timeout_seconds=10)
    await fetcher.aclose()
    with Image.open(io.BytesIO(fetched.data)) as made:
        assert made.format == ("JPEG" if "output_format" in options else "PNG")
        if ratio:
            wide, high = map(int, ratio.split(":"))
            assert made.width / made.height == pytest.approx(wide / high, rel=0.15)


async def test_several_pictures_of_one_task(adapter: KieAdapter) -> None:
    done = await ended(adapter, "bytedance/seedream-v4-text-to-image", count=3)
    assert isinstance(done, Done) and len(done.files) == 3 and done.cost_micro_usd == 3 * 17_500
    fewer = await ended(adapter, "bytedance/seedream-v4-text-to-image", "a fox sandbox:fewer", count=2)
    assert isinstance(fewer, Done) and fewer.warnings == ("The model delivered 1 of 2.",)


async def test_a_wrong_key_is_refused_where_pictures_are_stored(origin: str) -> None:
    adapter = KieAdapter(ConnectionConfig(base_url=f"{origin}/kie", api_key=SecretStr("wrong")))
    with pytest.raises(Exception, match="access key"):
        await adapter.submit(MediaRequest("image", MODEL, "a fox", inputs=(picture(),)), "key")
    await adapter.aclose()


async def test_what_is_not_told_stays_an_estimate(adapter: KieAdapter) -> None:
    done = await ended(adapter, words="a fox sandbox:untold")
    assert isinstance(done, Done) and done.cost_micro_usd is None


async def test_the_limit_of_new_jobs_is_waited_for(origin: str) -> None:
    adapter = KieAdapter(ConnectionConfig(base_url=f"{origin}/kie", api_key=SecretStr("eager")))
    with pytest.raises(Busy) as caught:
        for _ in range(21):
            await adapter.submit(MediaRequest("image", MODEL, "a fox sandbox:fail"), "key")
    await adapter.aclose()
    assert 0 < caught.value.retry_after <= 10


async def test_a_result_is_fetched_safely_or_not_at_all(adapter: KieAdapter, origin: str) -> None:
    fetcher = SafeFetcher([origin])
    for fault in ("private-url", "private-redirect", "gone"):
        done = await ended(adapter, words=f"a fox sandbox:{fault}")
        assert isinstance(done, Done)
        with pytest.raises(FetchError):
            await fetcher.get(str(done.files[0].url), max_bytes=2**22, timeout_seconds=10)
    await fetcher.aclose()


@pytest.mark.parametrize(
    ("key", "fault", "signed"),
    [
        (f"mine:{WEBHOOK_KEY}", "webhook-duplicate", True), (f"mine:{WEBHOOK_KEY}", "webhook-late=0.1", True),
        (f"mine:{WEBHOOK_KEY}", "webhook-forged", None), (f"mine:{WEBHOOK_KEY}", "webhook-stale", None),
        (f"mine:{WEBHOOK_KEY}", "webhook-unsigned", None), ("mine", "webhook-unsigned", False),
        ("mine", "webhook-early", False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("model", ["z-image", "flux-kontext-pro"])
async def test_a_lost_job_is_recalled_by_its_notice(
    origin: str, key: str, fault: str, signed: bool | None, model: str
) -> None:
    heard: asyncio.Queue[Seen] = asyncio.Queue()

    def hear(seen: Seen) -> Reply:
        heard.put_nowait(seen)
        return Reply(200)

    adapter = KieAdapter(ConnectionConfig(base_url=f"{origin}/kie", api_key=SecretStr(key)))
    async with loopback(hear) as ear:
        words = f"a fox sandbox:small sandbox:{fault}"
        operation = await adapter.submit(MediaRequest("image", model, words, webhook_url=f"{ear.url}/?call=k"), "k")
        knocks = [await asyncio.wait_for(heard.get(), 30) for _ in range(2 if "duplicate" in fault else 1)]
    for seen in knocks:
        if signed is None:
            with pytest.raises(WebhookRejected):
                await adapter.parse_webhook(seen.headers, seen.body)
            continue
        notice = await adapter.parse_webhook(seen.headers, seen.body)
        assert (notice.request_id, notice.signed) == (operation.id, signed)
        recalled = adapter.recall(model, notice.request_id)
        assert recalled is not None and isinstance(await finished(adapter, recalled), Done)
    await adapter.aclose()


async def said(adapter: KieAdapter, words: str, *images: InputFile, **asked: Any) -> tuple[str, TextEnd]:
    request = TextRequest(asked.pop("model", "gemini-2.5-flash"), (TextMessage("user", words, images),), **asked)
    pieces = [piece async for piece in adapter.write(request, "key")]
    end = pieces.pop()
    assert isinstance(end, TextEnd)
    return "".join(map(str, pieces)), end


async def test_texts_pictures_and_schemas(adapter: KieAdapter, origin: str) -> None:
    text, end = await said(adapter, "Improve this prompt: a red bicycle")
    assert text.startswith("a red bicycle, ")
    line = (await bill_of(origin, "kie"))[-1]
    assert end.cost_micro_usd == line["cost_micro_usd"] > 0 and end.usage.output_tokens
    seen, _ = await said(adapter, "Describe this picture.", picture(300, 200))
    assert "300 × 200" in seen and seen == (await said(adapter, "Describe this picture.", picture(300, 200),
                                                       wire={"pictures": "inline"}))[0]  # fmt: skip
    ideas: dict[str, Any] = {"type": "array", "items": {"type": "string"}, "minItems": 4, "maxItems": 4}
    schema = {"type": "object", "properties": {"prompts": ideas}, "required": ["prompts"]}
    for model in ("gemini-2.5-flash", "gemini-3-flash"):
        found, _ = await said(adapter, "Four prompts about a harbour", schema=schema, model=model)
        assert len(set(json.loads(found)["prompts"])) == 4


@pytest.mark.parametrize("fault", ["silent-end", "thinking", "no-usage", "untold", "no-stream"])
async def test_what_is_unconfirmed_of_streams_changes_no_text(adapter: KieAdapter, fault: str) -> None:
    text, end = await said(adapter, f"Good morning sandbox:{fault}")
    assert text == (await said(adapter, "Good morning"))[0]
    assert (end.cost_micro_usd is None) == (fault in ("untold", "silent-end"))
