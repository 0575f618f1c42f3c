"""Every answer that was documented, seen or feared, over real HTTP: what it is called, and that it is sent once."""

import asyncio
import base64
from typing import Any

import pytest
from pydantic import SecretStr

from gesso.providers.base import ConnectionConfig, Done, Failed, MediaRequest, Operation, Pending, TestReport
from gesso.providers.errors import Misconfigured, OutcomeUnknown, ProviderError, Rejected, WebhookRejected
from gesso.providers.promptchan.adapter import NOBODYS_VIDEO, PromptchanAdapter
from gesso.providers.text import TextMessage, TextRequest
from tests.providers.loopback import DROP, NGINX, Loopback, Reply, Seen, loopback, told

KEY = "pk-supersecretvalue1234"
PNG = b"\x89PNG\r\n\x1a\n a picture"
ENCODED = base64.b64encode(PNG).decode()
ASK = MediaRequest("image", "picture", "a woman at a harbour")
FILM = MediaRequest("video", "film", "a boat leaves the harbour")
GOOD = told(200, {"image": ENCODED, "gems": 123})
PAGE = Reply(200, b"<html>hello</html>", {"Content-Type": "text/html"})


def adapter_for(base_url: str, **options: Any) -> PromptchanAdapter:
    return PromptchanAdapter(ConnectionConfig(base_url=base_url, api_key=SecretStr(KEY), options=options))


async def submitted(
    reply: Reply, request: MediaRequest = ASK, **options: Any
) -> tuple[Done | Operation | ProviderError, Seen]:
    """What a submit makes of `reply`; proves that it was sent once and that the key stays in."""
    async with loopback(lambda _: reply) as server:
        adapter = adapter_for(server.url, **options)
        try:
            outcome: Done | Operation | ProviderError = await adapter.submit(request, "client-key")
        except ProviderError as error:
            outcome = error
            assert "supersecret" not in f"{error.message} {error.note}"
            assert "promptchan" not in error.message.lower()
        await adapter.aclose()
    (seen,) = server.seen
    assert seen.headers["x-api-key"] == KEY
    assert b"client-key" not in seen.body
    return outcome, seen


async def code(reply: Reply, request: MediaRequest = ASK, **options: Any) -> str:
    outcome, _ = await submitted(reply, request, **options)
    assert isinstance(outcome, ProviderError), outcome
    return outcome.code


@pytest.mark.parametrize(
    ("image", "gems"),
    [
        (ENCODED, {"gems": 123}), (f"data:image/png;base64,{ENCODED}", {"gems": 12.75}), ([ENCODED], {}),
        (f"{ENCODED[:8]}\n{ENCODED[8:]}", {"gems": None}), (f"data:;base64,{ENCODED}", {"gems": "?"}),
    ],
)  # fmt: skip
async def test_a_picture_however_it_is_written_and_whatever_the_balance(image: Any, gems: dict[str, Any]) -> None:
    request = MediaRequest(**{**vars(ASK), "quality": "Max", "wire": {"usd_per_gem": "0.05"}})
    done, seen = await submitted(told(200, {"image": image, **gems}), request)
    assert isinstance(done, Done)
    assert [file.data for file in done.files] == [PNG]
    assert done.cost_micro_usd == 150_000  # by the list, not by the balance
    assert (seen.method, seen.path) == ("POST", "/api/external/create")
    assert seen.json()["age_slider"] == 25


async def test_a_picture_by_its_address() -> None:
    done, _ = await submitted(told(200, {"image": "https://storage.example/a.png"}))
    assert isinstance(done, Done)
    assert [(file.url, file.data) for file in done.files] == [("https://storage.example/a.png", None)]


@pytest.mark.parametrize(
    ("reply", "named"),
    [
        (told(401, {"error": "Invalid API key"}), "misconfigured_key"),
        (told(402, {"error": "?"}), "misconfigured_credit"),
        (told(400, {"message": "Insufficient gems"}), "misconfigured_credit"),
        (told(403, {"error": "You need more gems: not enough gems left"}), "misconfigured_credit"),
        (told(403, {"error": "Upgrade your plan"}), "misconfigured_key"),
        (told(403, {}), "misconfigured_key"),
        (told(400, {"error": "Your prompt contains a banned word"}), "rejected_safety"),
        (told(400, {"error": {"message": "This is not allowed"}}), "rejected_safety"),
        (told(400, {"error": "A prompt about gems and their plan"}), "rejected_input"),
        (told(400, {}), "rejected_input"),
        (told(422, {"detail": [{"msg": "bad style"}]}), "rejected_input"),
        (told(404, {"error": "Not found"}), "misconfigured_model"),
        (Reply(302, b"", {"Location": "https://elsewhere.example/"}), "misconfigured_model"),
        (told(413, {}), "rejected_input"),
        (told(429, {"error": "Too many requests"}), "busy"),
        (told(429, {"error": "Not enough gems"}), "misconfigured_credit"),
        (told(500, {"message": "Internal error"}), "unavailable"),
        (told(503, {}), "unavailable"),
        (NGINX, "outcome_unknown"), (Reply(504, b""), "outcome_unknown"), (Reply(524, b""), "outcome_unknown"),
        (told(200, {"error": "Generation failed"}), "rejected_failed"),
        (told(200, {"error": "Insufficient gems"}), "misconfigured_credit"),
        (told(200, {"error": "Rate limit reached"}), "busy"),
        (told(200, {"message": "ok"}), "outcome_unknown"), (told(200, []), "outcome_unknown"),
        (PAGE, "misconfigured_model"), (Reply(200, b'{"image":"aaaa'), "outcome_unknown"),
        (told(200, {"image": "#not base64#"}), "rejected_failed"),
        (DROP, "outcome_unknown"),
    ],
)  # fmt: skip
async def test_every_error_of_a_picture_has_its_name(reply: Reply, named: str) -> None:
    assert await code(reply) == named


async def test_what_the_words_of_an_error_mean_is_configuration() -> None:
    reply = told(400, {"error": "Purse empty"})
    assert await code(reply) == "rejected_input"
    assert await code(reply, patterns={"credit": ["purse"]}) == "misconfigured_credit"
    bad: tuple[Any, ...] = ({"credit": ["("]}, {"credit": "purse"}, {"money": []}, [])
    for patterns in bad:
        with pytest.raises(Misconfigured):
            adapter_for("http://127.0.0.1:9", patterns=patterns)


async def test_an_answer_after_the_time_limit_is_lost_and_nothing_is_sent_again() -> None:
    async def late(_: Seen) -> Reply:
        await asyncio.sleep(1.5)
        return GOOD

    async with loopback(late) as server:
        adapter = adapter_for(server.url)
        with pytest.raises(OutcomeUnknown):
            await adapter.submit(MediaRequest(**{**vars(ASK), "deadline_seconds": 0.3}), "k")
        with pytest.raises(Rejected) as caught:
            await adapter.submit(MediaRequest(**{**vars(ASK), "deadline_seconds": 0}), "k")
        assert caught.value.kind == "deadline"
        await adapter.aclose()
        assert len(server.seen) == 1


async def test_nobody_listens() -> None:
    adapter = adapter_for("http://127.0.0.1:9")
    with pytest.raises(ProviderError) as caught:
        await adapter.submit(ASK, "k")
    assert caught.value.code == "unavailable"
    await adapter.aclose()


@pytest.mark.parametrize("tail", ["", "/", "/api/external", "/api/external/"])
async def test_the_address_may_hold_the_prefix(tail: str) -> None:
    async with loopback(lambda _: GOOD) as server:
        adapter = adapter_for(server.url + tail)
        await adapter.submit(ASK, "k")
        await adapter.aclose()
        assert server.seen[0].path == "/api/external/create"


# -- videos ---------------------------------------------------------------------------------------------------------


async def polled(replies: dict[str, Reply], wire: dict[str, Any] | None = None) -> Pending | Done | Failed:
    """One poll of a video at a server that answers by the middle of the path."""

    def answer(seen: Seen) -> Reply:
        return replies[seen.path.split("/")[-2]] if seen.method == "GET" else told(200, {"request_id": "id-1"})

    async with loopback(answer) as server:
        adapter = adapter_for(server.url)
        try:
            operation = await adapter.submit(MediaRequest(**{**vars(FILM), "wire": wire or {}}), "k")
            assert isinstance(operation, Operation) and operation.id == "id-1"
            return await adapter.poll(operation)
        finally:
            assert all(seen.headers["x-api-key"] == KEY for seen in server.seen)
            await adapter.aclose()


def status(word: str, details: str | None = None, **more: Any) -> Reply:
    return told(200, {"status": word, "details": details, **more})


URL = "https://storage.googleapis.com/bucket/film.mp4?Expires=1"


@pytest.mark.parametrize("word", ["Completed", "completed", "SUCCESS"])
@pytest.mark.parametrize("video", [URL, [URL]])
async def test_a_video_that_is_done(word: str, video: Any) -> None:
    result = told(200, {"status": "success", "message": "…", "video": video, "gems": 323})
    wire = {"gems": {"Standard": "12"}, "usd_per_gem": "0.05"}
    done = await polled({"status": status(word), "result": result}, wire)
    assert isinstance(done, Done)
    assert [(file.url, file.media_type) for file in done.files] == [(URL, "video/mp4")]
    assert done.cost_micro_usd == 600_000


async def test_the_newer_video_tells_its_result_with_the_status() -> None:
    done = await polled({"status": status("Completed", video=URL)}, {"api": "v3.1"})
    assert isinstance(done, Done)


async def test_a_video_under_way() -> None:
    assert await polled({"status": status("Pending", "Queue 3...")}) == Pending(None, 3, "Pending Queue 3...")
    going = {"status": status("Anything"), "status_with_logs": told(200, {"progress": 0.5})}
    assert await polled(going) == Pending(0.5, None, "Anything")
    for odd in (told(500, {}), told(200, {"progress": "half"}), NGINX):
        assert await polled({**going, "status_with_logs": odd}) == Pending(None, None, "Anything")
    early = {"status": status("Completed"), "result": told(400, {"message": "not ready"})}
    assert isinstance(await polled(early), Pending)


@pytest.mark.parametrize(
    ("replies", "named"),
    [
        ({"status": status("Failed", "out of memory")}, "rejected_failed"),
        ({"status": status("canceled")}, "rejected_failed"),
        ({"status": status("error", "This violates the rules")}, "rejected_safety"),
        ({"status": told(400, {"error": "Invalid request id"})}, "rejected_gone"),
        ({"status": told(404, {})}, "rejected_gone"),
        ({"status": status("Completed"), "result": told(404, {})}, "rejected_gone"),
        ({"status": status("Completed"), "result": told(200, {"status": "success", "video": []})}, "rejected_failed"),
        ({"status": status("Completed"), "result": told(200, {"video": "ftp://x/y"})}, "rejected_failed"),
    ],
)  # fmt: skip
async def test_how_a_video_ends_badly(replies: dict[str, Reply], named: str) -> None:
    state = await polled(replies)
    assert isinstance(state, Failed)
    assert state.error.code == named


@pytest.mark.parametrize(
    ("replies", "named"),
    [
        ({"status": told(401, {"error": "Invalid API key"})}, "misconfigured_key"),
        ({"status": told(429, {})}, "busy"), ({"status": NGINX}, "unavailable"), ({"status": DROP}, "unavailable"),
        ({"status": told(200, {})}, "unavailable"), ({"status": PAGE}, "unavailable"),
        ({"status": status("Completed"), "result": PAGE}, "unavailable"),
        ({"status": status("Completed"), "result": told(500, {})}, "unavailable"),
    ],
)  # fmt: skip
async def test_asking_that_fails_says_nothing_about_the_job(replies: dict[str, Reply], named: str) -> None:
    with pytest.raises(ProviderError) as caught:
        await polled(replies)
    assert caught.value.code == named


async def test_a_videos_submit_that_cannot_be_read_may_have_been_taken() -> None:
    assert await code(told(200, {"request_id": "../../x"}), FILM) == "outcome_unknown"
    assert await code(told(200, {"error": "Insufficient gems"}), FILM) == "misconfigured_credit"
    assert await code(DROP, FILM) == "outcome_unknown"


async def test_what_cannot_be_done_here_says_so() -> None:
    adapter = adapter_for("http://127.0.0.1:9")
    assert await adapter.cancel(Operation("id-1", {})) is False
    assert (await adapter.find("k"), adapter.recall("m", "id-1"), adapter.can_find) == (None, None, False)
    with pytest.raises(WebhookRejected):
        await adapter.parse_webhook({}, b"{}")
    with pytest.raises(OutcomeUnknown):  # a job of another address never gets our key
        await adapter.poll(Operation("id-1", {"url": "http://127.0.0.2:9/api/external/video_v2"}))
    await adapter.aclose()


# -- chat and the test of a connection -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "named"),
    [
        (told(200, {"error": "banned"}), "rejected_safety"), (told(200, {"reply": "?"}), "outcome_unknown"),
        (told(200, {"message": " "}), "rejected_failed"), (told(401, {}), "misconfigured_key"),
        (told(429, {}, retry_after="9"), "busy"), (NGINX, "unavailable"), (DROP, "outcome_unknown"),
    ],
)  # fmt: skip
async def test_every_error_of_a_chat(reply: Reply, named: str) -> None:
    async with loopback(lambda _: reply) as server:
        adapter = adapter_for(server.url)
        with pytest.raises(ProviderError) as caught:
            async for _ in adapter.write(TextRequest("chat", (TextMessage("user", "Hello"),)), "k"):
                pass
        await adapter.aclose()
        assert caught.value.code == named
        assert len(server.seen) == 1


async def report_of(answers: Any, **options: Any) -> tuple[TestReport, Loopback]:
    async with loopback(answers) as server:
        adapter = adapter_for(server.url, **options)
        report = await adapter.test()
        await adapter.aclose()
    assert all(seen.method == "GET" for seen in server.seen), "a test must cost nothing"
    return report, server


async def test_a_connection_is_tested_for_free() -> None:
    def answers(seen: Seen) -> Reply:
        if NOBODYS_VIDEO in seen.path:
            return told(400, {"error": "Invalid request id"})
        return told(200, {"gems": 41.5, "subscription": {"plan": "premium", "renewal_date": "…"}})

    report, _ = await report_of(answers)
    assert (report.ok, report.balance) == (True, "41.5 gems")
    assert "41.5 gems are left on the plan “premium”." in report.sentences
    poor, _ = await report_of(lambda seen: told(200, {"gems": 0}) if seen.path.endswith("/status") else told(400, {}))
    assert (poor.ok, poor.problem) == (False, "misconfigured_credit")
    silent, _ = await report_of(lambda seen: told(404, {}) if seen.path.endswith("/status") else told(400, {}))
    assert (silent.ok, silent.balance) == (True, None)


@pytest.mark.parametrize(
    ("reply", "accepted", "problem"),
    [
        (told(401, {"error": "Invalid API key"}), False, "misconfigured_key"), (NGINX, None, "unavailable"),
        (PAGE, None, "misconfigured_model"), (told(429, {}), None, "busy"),
        (told(402, {}), True, "misconfigured_credit"),
    ],
)  # fmt: skip
async def test_a_connection_with_something_wrong(reply: Reply, accepted: bool | None, problem: str) -> None:
    report, _ = await report_of(lambda _: reply)
    assert (report.ok, report.key_accepted, report.problem) == (False, accepted, problem)
    assert "supersecret" not in " ".join(report.sentences)


async def test_the_balance_may_be_asked_of_another_host_that_the_operator_named() -> None:
    async with loopback(lambda _: told(200, {"gems": 7})) as other:
        report, server = await report_of(lambda _: told(400, {}), balance_url=f"{other.url}/api/external/status")
        assert (report.balance, len(server.seen)) == ("7 gems", 1)
        assert other.seen[0].headers["x-api-key"] == KEY
    with pytest.raises(Misconfigured):
        adapter_for("http://127.0.0.1:9", balance_url=7)
