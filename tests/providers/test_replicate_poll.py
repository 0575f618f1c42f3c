"""Following a prediction: what each answer to a poll and to a cancel means."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr

from gesso.providers.base import ConnectionConfig, Done, Failed, Operation, Pending
from gesso.providers.errors import OutcomeUnknown, ProviderError
from gesso.providers.replicate.adapter import ReplicateAdapter
from gesso.providers.replicate.client import API
from tests.providers.loopback import DROP, NGINX, Reply, loopback, told

KEY = "r8_supersecretvalue1234567890"
FRESH: dict[str, Any] = {"id": "abc123", "status": "starting", "input": {}, "logs": "", "error": None}


def adapter_for(base_url: str) -> ReplicateAdapter:
    return ReplicateAdapter(ConnectionConfig(base_url=base_url, api_key=SecretStr(KEY)))


class Provider:
    """A server that answers a poll with a prediction that can be changed."""

    def __init__(self, **facts: Any) -> None:
        self.facts = {"base": "", "count": 2, "seed": 9, "warnings": [], **facts}
        self.answer: Reply = told(200, FRESH)

    async def asked(
        self, *replies: Reply, act: Callable[[ReplicateAdapter, Operation], Any] = ReplicateAdapter.poll
    ) -> Any:
        """What `act` gives for the last of these answers."""
        outcome: Any = None
        async with loopback(lambda _: self.answer) as server:
            adapter = adapter_for(server.url)
            operation = Operation("abc123", {**self.facts, "base": f"{server.url}/v1"})
            for reply in replies:
                self.answer = reply
                outcome = await act(adapter, operation)
            self.seen = server.seen
            await adapter.aclose()
        return outcome


def prediction(status: str, **more: Any) -> Reply:
    return told(200, {**FRESH, "status": status, **more})


TWO = ["https://replicate.delivery/x/out-0.webp", "https://replicate.delivery/x/out-1.webp"]


async def test_waiting_and_running() -> None:
    assert await Provider().asked(prediction("starting")) == Pending(note=None)
    bar = " 30%|███       | 15/50 [00:01<00:02, 15.01it/s]\n"
    assert await Provider().asked(prediction("processing", logs=bar)) == Pending(progress=0.3, note=bar.strip())
    unknown = await Provider().asked(prediction("thinking"))
    assert isinstance(unknown, Pending) and "thinking" in (unknown.note or "")


async def test_files_count_only_at_the_end() -> None:
    assert isinstance(await Provider().asked(prediction("processing", output=TWO)), Pending)


async def test_done_with_everything() -> None:
    provider = Provider(micro_usd_per_second=975, warnings=["Before."])
    done = await provider.asked(prediction("succeeded", output=TWO, metrics={"predict_time": 6.2000001}))
    assert isinstance(done, Done)
    assert [file.url for file in done.files] == TWO
    assert (done.seed, done.cost_micro_usd, done.warnings) == (9, 6046, ("Before.",))
    assert (provider.seen[0].method, provider.seen[0].target) == ("GET", "/v1/predictions/abc123")
    by_output = await Provider(micro_usd_per_output=3000).asked(prediction("succeeded", output=TWO))
    assert by_output.cost_micro_usd == 6000
    assert (await Provider().asked(prediction("succeeded", output=TWO))).cost_micro_usd is None
    film = await Provider(count=1, seed=None).asked(
        prediction("succeeded", output="https://replicate.delivery/output.mp4", logs="Using seed: 77\n")
    )
    assert (len(film.files), film.seed) == (1, 77)


async def test_what_the_content_check_held_back_is_flagged_at_its_place() -> None:
    logs = "NSFW content detected in image 0\n"
    done = await Provider().asked(prediction("succeeded", output=TWO[1:], logs=logs))
    assert [(file.url, file.flagged) for file in done.files] == [(None, True), (TWO[1], None)]
    assert done.warnings == ("The model's content check held back 1 of 2.",)
    fewer = await Provider().asked(prediction("succeeded", output=TWO[:1]))
    assert [file.url for file in fewer.files] == TWO[:1]
    assert fewer.warnings == ("The model delivered 1 of 2.",)


@pytest.mark.parametrize(
    ("body", "code", "cost"),
    [({"status": "failed", "error": "NSFW content detected. Try running it again."}, "rejected_safety", None),
     ({"status": "failed", "error": "All generated images contained nsfw content."}, "rejected_safety", None),
     ({"status": "failed", "error": "The input or output was flagged as sensitive."}, "rejected_safety", None),
     ({"status": "failed", "error": "Please try again. (E005) (x)"}, "rejected_safety", None),
     ({"status": "failed", "error": "CUDA out of memory.", "metrics": {"predict_time": 2}}, "rejected_failed", 1950),
     ({"status": "failed", "error": None}, "rejected_failed", None),
     ({"status": "canceled", "metrics": {"predict_time": 1}}, "rejected_cancelled", 975),
     ({"status": "canceled", "deadline": "2026-11-02T10:00:00Z", "completed_at": "2026-11-02T10:00:00.5Z"},
      "rejected_deadline", None),
     ({"status": "aborted"}, "rejected_deadline", 0),
     ({"status": "succeeded", "output": None, "data_removed": True}, "rejected_gone", None),
     ({"status": "succeeded", "output": []}, "rejected_failed", None),
     ({"status": "succeeded", "output": [], "logs": "NSFW content detected in image 0"}, "rejected_safety", None),
     ({"status": "succeeded", "output": ["data:image/png;base64,%%%"]}, "rejected_failed", None),
     ({"status": "ended oddly", "completed_at": "2026-11-02T10:00:00Z"}, "rejected_failed", None)],
)  # fmt: skip
async def test_how_a_prediction_can_end_badly(body: dict[str, Any], code: str, cost: int | None) -> None:
    failed = await Provider(micro_usd_per_second=975).asked(told(200, {**FRESH, **body}))
    assert isinstance(failed, Failed)
    assert (failed.error.code, failed.cost_micro_usd) == (code, cost)


async def test_the_patterns_of_refusals_are_data() -> None:
    words = prediction("failed", error="Naughty, naughty")
    assert (await Provider().asked(words)).error.code == "rejected_failed"
    assert (await Provider(safety=["naughty"]).asked(words)).error.code == "rejected_safety"


@pytest.mark.parametrize(
    ("reply", "code"),
    [(told(404, {"detail": "not found", "status": 404}), "rejected_gone"), (Reply(404, b"<html>"), "unavailable"),
     (NGINX, "unavailable"), (DROP, "unavailable"), (told(429, {"detail": ""}), "busy"), (told(200, []), "unavailable"),
     (told(401, {"detail": ""}), "misconfigured_key"), (told(200, {**FRESH, "id": "other"}), "unavailable"),
     (Reply(200, b"{"), "unavailable")],
)  # fmt: skip
async def test_a_failed_question_leaves_the_job_alone(reply: Reply, code: str) -> None:
    try:
        outcome = await Provider().asked(reply)
    except ProviderError as error:
        assert error.code == code
    else:
        assert isinstance(outcome, Failed)
        assert outcome.error.code == code


async def test_a_job_of_another_address_is_not_asked_for_here() -> None:
    async with loopback(lambda _: NGINX) as server:
        adapter = adapter_for(server.url)
        with pytest.raises(OutcomeUnknown):
            await adapter.poll(Operation("abc123", {"base": f"{API}/v1"}))
        with pytest.raises(OutcomeUnknown):
            await adapter.cancel(Operation("../../account", {}))
        await adapter.aclose()
    assert server.seen == []


@pytest.mark.parametrize(
    ("reply", "taken"),
    [(prediction("canceled"), True), (prediction("processing"), True), (prediction("succeeded"), False),
     (told(404, {"detail": ""}), False), (told(422, {"detail": ""}), False)],
)  # fmt: skip
async def test_cancel(reply: Reply, taken: bool) -> None:
    provider = Provider()
    assert await provider.asked(reply, act=ReplicateAdapter.cancel) is taken
    assert (provider.seen[0].method, provider.seen[0].target) == ("POST", "/v1/predictions/abc123/cancel")
