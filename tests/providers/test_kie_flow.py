"""Each odd answer of kie.ai's, over real HTTP: codes in both HTTP modes, lost answers, uploads, results, balance."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr

from gesso.providers import exchange
from gesso.providers.base import JSON, ConnectionConfig, Done, Failed, InputFile, MediaRequest, Operation, Pending
from gesso.providers.errors import Misconfigured, OutcomeUnknown, ProviderError
from gesso.providers.kie.adapter import KieAdapter
from gesso.providers.kie.client import API, UPLOADS
from tests.providers.loopback import DROP, NGINX, Loopback, Reply, Seen, loopback, told

API_KEY, WEBHOOK_KEY = "kie-api-key-7f3e91", "webhook-key-c05d22"
PNG = InputFile("image/png", b"\x89PNG not really")
TAKEN = told(200, {"code": 200, "msg": "success", "data": {"taskId": "task_1"}})
STORED = {"fileName": "a", "fileUrl": "https://files.example/a", "downloadUrl": "https://files.example/b"}


def adapter_for(server: Loopback, **options: JSON) -> KieAdapter:
    key = SecretStr(f"{API_KEY}:{WEBHOOK_KEY}")
    return KieAdapter(ConnectionConfig(base_url=f"{server.url}/kie/", api_key=key, options=options))


def envelope(code: int, data: Any = None, msg: str = "words", status: int = 200) -> Reply:
    return told(status, {"code": code, "msg": msg, "data": data})


def ask(**asked: Any) -> MediaRequest:
    return MediaRequest(**{"kind": "image", "model": "seedream/4.5-text-to-image", "prompt": "a fox", **asked})


async def submitted(reply: Reply | Callable[[Seen], Reply], **asked: Any) -> tuple[Operation, list[Seen]]:
    async with loopback(lambda seen: reply(seen) if callable(reply) else reply) as server:
        adapter = adapter_for(server)
        try:
            return await adapter.submit(ask(**asked), "key"), server.seen
        finally:
            await adapter.aclose()
            assert len([seen for seen in server.seen if "createTask" in seen.path]) <= 1, "what costs is sent once"


async def polled(reply: Reply, *, door: str = "jobs", **facts: JSON) -> Pending | Done | Failed:
    async with loopback(lambda _: reply) as server:
        adapter = adapter_for(server)
        data: dict[str, JSON] = {"base": f"{server.url}/kie", "door": door, "count": 1, "warnings": [], **facts}
        try:
            return await adapter.poll(Operation("task_1", json.loads(json.dumps(data))))
        finally:
            await adapter.aclose()


def record(state: str, **more: Any) -> Reply:
    return envelope(200, {"taskId": "task_1", "state": state, "resultJson": "", "failCode": "", "failMsg": "", **more})


async def test_a_create_as_the_sheet_has_it() -> None:
    operation, seen = await submitted(TAKEN, webhook_url="https://here/hook?call=k")
    (request,) = seen
    assert (request.method, request.target) == ("POST", "/kie/api/v1/jobs/createTask")
    assert request.headers["authorization"] == f"Bearer {API_KEY}"
    assert request.json() == {
        "model": "seedream/4.5-text-to-image", "callBackUrl": "https://here/hook?call=k",
        "input": {"prompt": "a fox", "aspect_ratio": "1:1", "quality": "basic"},
    }  # fmt: skip
    assert operation.id == "task_1" and WEBHOOK_KEY not in str(request) and json.dumps(operation.data)


async def test_pictures_are_uploaded_first_under_names_of_their_own() -> None:
    def answer(seen: Seen) -> Reply:
        return told(200, {"success": True, "code": 200, "data": STORED}) if "upload" in seen.path else TAKEN

    _, seen = await submitted(answer, inputs=(PNG, PNG))
    first, second, create = seen
    assert {first.path, second.path} == {"/kie/api/file-stream-upload"} and PNG.data in first.body
    assert first.headers["authorization"] == f"Bearer {API_KEY}"
    names = [seen.body.split(b'name="fileName"')[1].split(b"\r\n")[2] for seen in (first, second)]
    assert names[0] != names[1] and len(names[0]) > 30
    assert create.json()["model"] == "seedream/4.5-edit"
    assert create.json()["input"]["image_urls"] == ["https://files.example/b"] * 2


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (envelope(401), "misconfigured_key"), (envelope(500), "unavailable"), (NGINX, "unavailable"),
        (DROP, "unavailable"), (envelope(200, {"fileUrl": "ftp://x"}), "unavailable"), (envelope(429), "busy"),
        (envelope(413), "rejected_input"), (envelope(200, "x"), "unavailable"),
    ],
)  # fmt: skip
async def test_a_failed_upload_means_that_nothing_was_asked_for(reply: Reply, code: str) -> None:
    with pytest.raises(ProviderError) as caught:
        await submitted(reply, inputs=(PNG,))
    assert caught.value.code == code


@pytest.mark.parametrize("as_status", [False, True])
@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (400, "rejected_input"), (401, "misconfigured_key"), (402, "misconfigured_credit"), (403, "misconfigured_key"),
        (404, "misconfigured_model"), (408, "outcome_unknown"), (422, "rejected_input"), (429, "busy"),
        (433, "misconfigured_credit"), (451, "rejected_input"), (455, "unavailable"), (500, "outcome_unknown"),
        (501, "outcome_unknown"), (505, "misconfigured_model"),
    ],
)  # fmt: skip
async def test_every_code_in_both_http_modes(code: int, expected: str, as_status: bool) -> None:
    with pytest.raises(ProviderError) as caught:
        await submitted(envelope(code, status=code if as_status else 200))
    assert caught.value.code == expected and str(code) in (caught.value.note or "")
    assert "kie" not in str(caught.value) and "words" not in str(caught.value)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (DROP, "outcome_unknown"), (NGINX, "outcome_unknown"), (Reply(503, b"busy"), "outcome_unknown"),
        (Reply(200, b"{not json"), "outcome_unknown"), (told(200, {"code": "200", "data": {}}), "outcome_unknown"),
        (envelope(200, {"taskId": "a/b"}), "outcome_unknown"),
        (envelope(200, {"taskId": "t"}, status=500), "outcome_unknown"),
        (Reply(302, headers={"Location": "https://elsewhere/"}), "misconfigured_model"),
        (envelope(400, msg="Your prompt violates our content policy"), "rejected_safety"),
        (told(422, {"code": "422", "message": "aspect_ratio is not allowed"}), "rejected_input"),
    ],
)  # fmt: skip
async def test_other_answers_to_a_create(reply: Reply, expected: str) -> None:
    with pytest.raises(ProviderError) as caught:
        await submitted(reply)
    assert caught.value.code == expected


async def test_a_refusal_names_our_field_and_how_long_to_wait() -> None:
    with pytest.raises(ProviderError) as caught:
        await submitted(envelope(422, msg="image_resolution is not within the range"))
    assert getattr(caught.value, "field") == "quality"  # noqa: B009 - of one of its subclasses
    with pytest.raises(ProviderError) as caught:
        await submitted(told(429, {"code": 429, "msg": "slow"}, Retry_After="8"))
    assert getattr(caught.value, "retry_after") == 8  # noqa: B009


async def test_keys_stand_in_no_message() -> None:
    with pytest.raises(ProviderError) as caught:
        await submitted(envelope(422, msg=f"bad {API_KEY} and {WEBHOOK_KEY}"))
    assert API_KEY not in repr(caught.value.note) and WEBHOOK_KEY not in repr(caught.value.note)


async def test_nobody_there_means_that_nothing_was_taken() -> None:
    adapter = KieAdapter(ConnectionConfig(base_url="http://127.0.0.1:9", api_key=SecretStr("k")))
    with pytest.raises(ProviderError) as caught:
        await adapter.submit(ask(), "key")
    assert caught.value.code == "unavailable"
    with pytest.raises(OutcomeUnknown):
        await adapter.poll(Operation("task_1", {"base": "http://elsewhere"}))
    await adapter.aclose()


def test_the_usual_addresses() -> None:
    client = KieAdapter(ConnectionConfig(api_key=SecretStr("k")))._client
    assert (client.base, client.uploads) == (API, UPLOADS)
    assert client.trusts(f"{UPLOADS}/api") and not client.trusts("https://kie.ai/")


@pytest.mark.parametrize("state", ["waiting", "queuing", "generating"])
async def test_a_running_job(state: str) -> None:
    assert await polled(record(state, progress=0)) == Pending()
    assert await polled(record(state, progress=40)) == Pending(progress=0.4)


async def test_an_unknown_state_is_waited_for() -> None:
    pending = await polled(record("dreaming"))
    assert isinstance(pending, Pending) and "dreaming" in (pending.note or "")


@pytest.mark.parametrize(
    ("credits", "cost"),
    [({"creditsConsumed": 6.5}, 32_500), ({"consumeCredits": "0.0001"}, 1), ({"credits_consumed": 0}, 0), ({}, None),
     ({"creditsConsumed": -1}, None), ({"creditsConsumed": True}, None)],
)  # fmt: skip
async def test_a_result_and_what_it_cost(credits: dict[str, Any], cost: int | None) -> None:
    done = await polled(record("success", resultJson='{"resultUrls":["https://r/1.png"]}', **credits), seed=4)
    assert isinstance(done, Done)
    assert (done.files[0].url, done.seed, done.cost_micro_usd) == ("https://r/1.png", 4, cost)


async def test_fewer_and_more_files_than_asked_for() -> None:
    urls = [f"https://r/{number}.png" for number in range(3)]
    few = await polled(record("success", resultJson={"resultUrls": [*urls, None, "ftp://x"]}), count=5)
    assert isinstance(few, Done) and len(few.files) == 3 and few.warnings == ("The model delivered 3 of 5.",)
    many = await polled(record("success", resultJson=json.dumps({"resultUrls": urls})), count=2)
    assert isinstance(many, Done) and len(many.files) == 2


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (record("success"), "rejected_failed"),
        (record("success", resultJson="{broken"), "rejected_failed"),
        (record("success", resultJson='{"resultObject":{}}'), "rejected_failed"),
        (record("fail", failCode="501", failMsg="Generation failed."), "rejected_failed"),
        (record("fail", failCode="500", failMsg="Internal Error"), "unavailable"),
        (record("fail", failCode="500", failMsg="Internal Error", creditsConsumed=2), "rejected_failed"),
        (record("fail", failCode=408), "unavailable"),
        (record("fail", failCode="451"), "rejected_input"),
        (record("fail", failCode="422", failMsg="prompt is too long"), "rejected_input"),
        (record("fail", failCode="500", failMsg="flagged as sensitive"), "rejected_safety"),
        (record("fail", failCode=None, failMsg=None), "rejected_failed"),
        (envelope(404), "rejected_gone"), (envelope(422, msg="recordInfo is null"), "rejected_gone"),
    ],
)  # fmt: skip
async def test_every_end_without_a_picture(reply: Reply, expected: str) -> None:
    failed = await polled(reply)
    assert isinstance(failed, Failed) and failed.error.code == expected


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (NGINX, "unavailable"), (DROP, "unavailable"), (Reply(404, b"nothing"), "unavailable"),
        (envelope(500), "unavailable"), (envelope(200, None), "unavailable"), (Reply(200, b"<html>"), "unavailable"),
        (envelope(200, {"taskId": "task_2", "state": "success"}), "unavailable"), (envelope(429), "busy"),
        (envelope(401), "misconfigured_key"),
    ],
)  # fmt: skip
async def test_trouble_while_asking_is_not_the_jobs(reply: Reply, expected: str) -> None:
    with pytest.raises(ProviderError) as caught:
        await polled(reply)
    assert caught.value.code == expected


async def test_kontext_has_answers_of_its_own() -> None:
    def kontext(flag: Any, **more: Any) -> Reply:
        return envelope(200, {"taskId": "task_1", "successFlag": flag, "response": None, **more})

    assert await polled(kontext(0), door="kontext") == Pending()
    done = await polled(kontext(1, response={"resultImageUrl": "https://r/1.png"}), door="kontext")
    assert isinstance(done, Done) and done.files[0].url == "https://r/1.png"
    failed = await polled(kontext(3, errorCode=501, errorMessage="no"), door="kontext")
    assert isinstance(failed, Failed) and failed.error.code == "rejected_failed"


@pytest.mark.parametrize("door", ["jobs", "kontext"])
async def test_the_echo_of_what_was_asked_is_not_kept_for_the_record(door: str) -> None:
    echo = json.dumps({"prompt": "secret wish"})
    reply = record("fail", failMsg="why", param=echo, paramJson=echo, successFlag=3, errorMessage="why " * 20)
    with exchange.recording() as records:
        await polled(reply, door=door)
    assert "secret wish" not in str(records) and "why " * 20 in str(records)


@pytest.mark.parametrize(
    ("reply", "options", "ok", "accepted", "problem", "balance"),
    [
        (envelope(200, 79.9), {}, True, True, None, "79.9 credits, about $0.40"),
        (envelope(200, 79.9), {"micro_usd_per_credit": 4500}, True, True, None, "79.9 credits, about $0.36"),
        (envelope(200, 0), {}, False, True, "misconfigured_credit", "0 credits, about $0.00"),
        (envelope(401), {}, False, False, "misconfigured_key", None),
        (envelope(401, status=401), {}, False, False, "misconfigured_key", None),
        (envelope(433), {}, False, True, "misconfigured_credit", None),
        (envelope(429), {}, False, None, "busy", None), (NGINX, {}, False, None, "unavailable", None),
        (Reply(200, b"<html>"), {}, False, None, "misconfigured_model", None),
        (Reply(404, b""), {}, False, None, "misconfigured_model", None), (DROP, {}, False, None, "unavailable", None),
    ],
)  # fmt: skip
async def test_the_connection_test(
    reply: Reply, options: dict[str, JSON], ok: bool, accepted: bool | None, problem: str | None, balance: str | None
) -> None:
    async with loopback(lambda _: reply) as server:
        adapter = adapter_for(server, **options)
        report = await adapter.test()
        await adapter.aclose()
    assert (report.ok, report.key_accepted, report.problem, report.balance) == (ok, accepted, problem, balance)
    assert [seen.target for seen in server.seen] == ["/kie/api/v1/chat/credit"] and report.sentences
    if ok:
        assert any(str(balance) in sentence for sentence in report.sentences)


def test_an_option_that_makes_no_sense_is_the_operators() -> None:
    with pytest.raises(Misconfigured):
        KieAdapter(ConnectionConfig(api_key=SecretStr("k"), options={"micro_usd_per_credit": "much"}))
