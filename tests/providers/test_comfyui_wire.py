"""What the adapter sends, and what it makes of every answer, over real HTTP."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr

from gesso.providers import exchange
from gesso.providers.base import ConnectionConfig, Done, Failed, InputFile, MediaRequest, Operation, Pending
from gesso.providers.comfyui.adapter import ComfyAdapter
from gesso.providers.errors import Misconfigured, OutcomeUnknown, ProviderError, Rejected, Unavailable, WebhookRejected
from tests.providers.comfyui_workflows import PICTURE_WIRE, WIRE
from tests.providers.loopback import DROP, NGINX, Loopback, Reply, Seen, loopback, told

KEY = "supersecretvalue1234567890"
JOB = "0d9a4a0e-5f0f-4c3f-9c52-0c7f4a8f1a2b"
EMPTY_QUEUE = told(200, {"queue_running": [], "queue_pending": []})
LOGIN = Reply(200, b"<html>Please log in</html>", {"Content-Type": "text/html"})
FACTS: dict[str, Any] = {"kind": "image", "count": 1, "seed": 4, "warnings": ["Before."], "outputs": []}
PICTURE = {"filename": "a b.png", "subfolder": "gesso", "type": "output"}


def entry(outputs: Any = None, messages: Any = (), status: str = "success", **more: Any) -> Reply:
    return told(200, {JOB: {
        "prompt": [1.0, JOB, {}, {"gesso": FACTS}, ["9"]], "outputs": outputs or {},
        "status": {"status_str": status, "completed": status == "success", "messages": list(messages)}, **more,
    }})  # fmt: skip


def ask(**asked: Any) -> MediaRequest:
    return MediaRequest(**{"kind": "image", "model": "m", "prompt": "a quiet harbour", "wire": WIRE, **asked})


class Box:
    """A server that answers by path; what it is not told is a 404."""

    def __init__(self, *, secret: str | None = KEY, **answers: Any) -> None:
        self.answers = {name.replace("upload_", "upload/"): answer for name, answer in answers.items()}
        self.seen: list[Seen] = []
        self._secret = secret

    def answer(self, request: Seen) -> Any:
        for name, answer in self.answers.items():
            if request.path.startswith(f"/api/{name}"):
                if isinstance(answer, list):
                    return answer.pop(0) if len(answer) > 1 else answer[0]
                return answer
        return told(404, {})

    async def asked(self, act: Callable[[ComfyAdapter, Loopback], Any]) -> Any:
        async with loopback(self.answer) as server:
            key = SecretStr(self._secret) if self._secret else None
            adapter = ComfyAdapter(ConnectionConfig(base_url=server.url, api_key=key))
            try:
                return await act(adapter, server)
            finally:
                self.seen = server.seen
                await adapter.aclose()

    async def polled(self, **facts: Any) -> Any:
        return await self.asked(
            lambda adapter, server: adapter.poll(Operation(JOB, {"base": server.url, **FACTS, **facts}))
        )

    async def submitted(self, request: MediaRequest | None = None) -> Any:
        return await self.asked(lambda adapter, _: adapter.submit(request or ask(), JOB))

    def paths(self) -> list[str]:
        return [f"{request.method} {request.path}" for request in self.seen]


async def test_a_submit_is_sent_once_with_our_key_as_its_id_and_the_facts() -> None:
    box = Box(prompt=told(200, {"prompt_id": JOB, "number": 3, "node_errors": {}}))
    operation = await box.submitted(ask(seed=8))
    assert operation.id == JOB and operation.data["seed"] == 8 and operation.data["kind"] == "image"
    [request] = box.seen
    body = request.json()
    assert set(body) == {"prompt", "prompt_id", "extra_data"} and body["prompt_id"] == JOB
    assert body["extra_data"]["gesso"] == {name: value for name, value in operation.data.items() if name != "base"}
    assert request.headers["authorization"] == f"Bearer {KEY}"
    await (keyless := Box(secret=None, prompt=told(200, {"prompt_id": JOB}))).submitted()
    assert "authorization" not in keyless.seen[0].headers


async def test_without_a_seed_every_call_has_another() -> None:
    seeds = {(await Box(prompt=told(200, {"prompt_id": JOB})).submitted()).data["seed"] for _ in range(3)}
    assert len(seeds) == 3


async def test_an_older_box_that_makes_its_own_id_is_followed() -> None:
    other = str(uuid.uuid4())
    assert (await Box(prompt=told(200, {"prompt_id": other, "number": 1})).submitted()).id == other


@pytest.mark.parametrize(
    ("reply", "kind", "calls"),
    [
        (DROP, OutcomeUnknown, 1),
        (LOGIN, OutcomeUnknown, 1),
        (told(200, {"prompt_id": "../../x"}), OutcomeUnknown, 1),
        (NGINX, OutcomeUnknown, 1),
        (Reply(504), OutcomeUnknown, 1),
        (Reply(503), Unavailable, 1),
        (Reply(302, headers={"Location": "https://login.example/"}), Misconfigured, 1),
        (Reply(405), Misconfigured, 1),
        (Reply(413), Rejected, 1),
        (told(400, {"error": "odd", "node_errors": [3]}), Misconfigured, 1),
        (told(400, {"error": {"type": "no_prompt"}, "node_errors": {"3": {"errors": [None, {}]}}}), Misconfigured, 1),
    ],
)
async def test_answers_to_a_submit(reply: Reply, kind: type[ProviderError], calls: int) -> None:
    box = Box(prompt=reply)
    with pytest.raises(kind) as caught:
        await box.submitted()
    assert box.paths() == ["POST /api/prompt"] * calls
    assert KEY not in f"{caught.value}{caught.value.note}"


async def test_a_crash_of_the_box_is_settled_by_asking_it() -> None:
    trouble = Reply(500, b"500 Internal Server Error\n\nServer got itself in trouble")
    absent = Box(prompt=trouble, history=told(200, {}), queue=EMPTY_QUEUE)
    with pytest.raises(Unavailable):
        await absent.submitted()
    assert absent.paths().count("POST /api/prompt") == 1
    there = Box(prompt=trouble, history=told(200, {}), queue=told(200, {
        "queue_running": [], "queue_pending": [[2, JOB, {}, {"gesso": FACTS}, []]]}))  # fmt: skip
    assert (await there.submitted()).data["seed"] == 4
    with pytest.raises(OutcomeUnknown):
        await Box(prompt=trouble, history=NGINX).submitted()


async def test_pictures_go_first_and_their_failure_means_that_nothing_was_queued() -> None:
    request = ask(wire=PICTURE_WIRE, inputs=(InputFile("image/png", b"bytes"),))
    box = Box(upload_image=told(200, {"name": "x (1).png", "subfolder": "gesso", "type": "input"}),
              prompt=told(200, {"prompt_id": JOB}))  # fmt: skip
    await box.submitted(request)
    assert box.paths() == ["POST /api/upload/image", "POST /api/prompt"]
    assert box.seen[1].json()["prompt"]["10"]["inputs"]["image"] == "gesso/x (1).png"
    for reply, kind in ((DROP, Unavailable), (LOGIN, Unavailable), (Reply(413), Rejected), (Reply(401), Misconfigured)):
        box = Box(upload_image=reply)
        with pytest.raises(kind):
            await box.submitted(request)
        assert "POST /api/prompt" not in box.paths()
    refused = Box()
    with pytest.raises(Rejected):
        await refused.submitted(ask(wire=PICTURE_WIRE, options={"strength": "much"}, inputs=request.inputs))
    assert refused.seen == [], "a bad request is refused before anything is uploaded"


async def test_waiting_running_and_nowhere() -> None:
    def queue(running: list[Any], pending: list[Any]) -> Reply:
        return told(200, {"queue_running": running, "queue_pending": pending})

    heap = [[1, "a", {}, {}, []], [7, JOB, {}, {}, []], [3, "b", {}, {}, []], [9, "c", {}, {}, []], "odd", [2]]
    assert await Box(history=told(200, {}), queue=queue([], heap)).polled() == Pending(queue_position=2)
    running = await Box(history=told(200, {}), queue=queue([[1, JOB, {}, {}, []]], [])).polled()
    assert isinstance(running, Pending) and running.queue_position is None
    gone = await Box(history=told(200, {}), queue=EMPTY_QUEUE).polled()
    assert isinstance(gone, Failed) and gone.error.code == "rejected_gone"


async def test_a_job_that_ends_between_two_questions_is_not_lost() -> None:
    box = Box(history=[told(200, {}), entry({"9": {"images": [PICTURE]}})], queue=EMPTY_QUEUE, view=Reply(200, b"png"))
    assert isinstance(await box.polled(), Done)


@pytest.mark.parametrize("odd", [LOGIN, NGINX, told(200, []), told(200, {"detail": "no"}), told(200, {JOB: 3}), DROP])
async def test_what_is_no_history_or_queue_does_not_lose_a_job(odd: Reply) -> None:
    with pytest.raises(Unavailable):
        await Box(history=odd, queue=EMPTY_QUEUE).polled()
    with pytest.raises(Unavailable):
        await Box(history=told(200, {}), queue=odd).polled()


async def test_the_result_its_files_seed_and_cost() -> None:
    messages = [["execution_start", {"timestamp": 1000}], ["execution_success", {"timestamp": 3501}], ["odd"], 4]
    more = {"8": {"images": [{"filename": "t.png", "type": "temp"}, None, {}], "text": ["words"]}, "7": 3}
    reply = entry({**more, "9": {"images": [PICTURE]}}, messages)
    box = Box(history=reply, view=Reply(200, b"the file"))
    done = await box.polled(micro_usd_per_second=333)
    assert isinstance(done, Done) and (done.seed, done.cost_micro_usd, done.warnings) == (4, 833, ("Before.",))
    assert [(file.data, file.media_type) for file in done.files] == [(b"the file", "image/png")]
    assert box.seen[-1].target == "/api/view?filename=a+b.png&subfolder=gesso&type=output"
    assert (await Box(history=reply, view=Reply(200, b"x")).polled()).cost_micro_usd is None
    assert (await Box(history=reply, view=Reply(200, b"x")).polled(micro_usd_per_second=0)).cost_micro_usd == 0


async def test_of_a_film_and_its_first_picture_only_the_film_counts() -> None:
    film = {"filename": "a.mp4", "subfolder": "", "type": "output"}
    reply = entry({"9": {"images": [PICTURE, film]}})
    done = await Box(history=reply, view=Reply(200, b"film")).polled(kind="video")
    assert [file.media_type for file in done.files] == ["video/mp4"]
    none = await Box(history=entry({"9": {"images": [PICTURE]}})).polled(kind="video")
    assert isinstance(none, Failed) and none.error.code == "rejected_failed"


async def test_named_nodes_count_in_their_order_also_previews_and_inside_subgraphs() -> None:
    def named(name: str) -> dict[str, Any]:
        return {"images": [{"filename": f"{name}.png", "type": "temp"}]}

    box = Box(history=entry({"1": named("a"), "5:2": named("b"), "55": named("c")}), view=Reply(200, b"x"))
    done = await box.polled(outputs=["5", "1"], count=2)
    assert isinstance(done, Done)
    assert [request.target.partition("filename=")[2][:1] for request in box.seen[1:]] == ["b", "a"]


async def test_files_that_are_gone_are_elsewhere_or_cannot_be_had_now() -> None:
    reply = entry({"9": {"images": [PICTURE, PICTURE]}})
    one = await Box(history=reply, view=[Reply(404), Reply(200, b"x")]).polled(count=2)
    assert [file.data for file in one.files] == [None, b"x"]
    none = await Box(history=reply, view=Reply(404)).polled()
    assert isinstance(none, Failed) and none.error.code == "rejected_gone"
    with pytest.raises(Unavailable):
        await Box(history=reply, view=DROP).polled()
    box = Box(history=reply, view=Reply(302, headers={"Location": "http://127.0.0.1:1/store?x"}))
    elsewhere = await box.polled()
    assert elsewhere.files[0].url == "http://127.0.0.1:1/store?x" and elsewhere.files[0].data is None
    assert all(request.path.startswith("/api/") for request in box.seen), "the key goes to no other address"


@pytest.mark.parametrize(
    ("messages", "code", "said"),
    [
        (
            [["execution_error", {"node_id": "10", "exception_type": "PIL.UnidentifiedImageError"}]],
            "rejected_input",
            "pic",
        ),
        ([["execution_error", {"exception_type": "torch.OutOfMemoryError"}]], "rejected_failed", "out of memory"),
        ([["execution_error", {"exception_message": KEY}]], "rejected_failed", "failed on this"),
        ([["execution_interrupted", {"timestamp": 9}]], "rejected_cancelled", "cancelled"),
        ([], "rejected_failed", "failed on this"),
    ],
)
async def test_ends_without_a_result(messages: Any, code: str, said: str) -> None:
    failed = await Box(history=entry({}, messages, "error")).polled(image_nodes=["10"])
    assert isinstance(failed, Failed) and failed.error.code == code and said in failed.error.message
    assert KEY not in f"{failed.error}{failed.error.note}"


async def test_cancelling_where_there_is_one_call_for_it_and_where_not() -> None:
    def cancel(adapter: ComfyAdapter, server: Loopback) -> Any:
        return adapter.cancel(Operation(JOB, {"base": server.url}))

    for said in (True, False):
        box = Box(jobs=told(200, {"cancelled": said}))
        assert await box.asked(cancel) is said and box.paths() == [f"POST /api/jobs/{JOB}/cancel"]
    running = told(200, {"queue_running": [[1, JOB, {}, {}, []]], "queue_pending": []})
    box = Box(history=told(200, {}), queue=running, interrupt=Reply(200))
    assert await box.asked(cancel) is True and box.seen[-1].json() == {"prompt_id": JOB}
    waiting = told(200, {"queue_running": [[1, "other", {}, {}, []]], "queue_pending": [[2, JOB, {}, {}, []]]})
    box = Box(history=told(200, {}), queue=[waiting, Reply(200)])
    assert await box.asked(cancel) is True and box.seen[-1].json() == {"delete": [JOB]}
    box = Box(history=told(200, {}), queue=EMPTY_QUEUE)
    assert await box.asked(cancel) is False and not any("interrupt" in path for path in box.paths())
    with pytest.raises(Unavailable):
        await Box(jobs=NGINX).asked(cancel)


async def test_a_job_of_another_address_is_not_asked_about() -> None:
    box = Box()

    async def act(adapter: ComfyAdapter, _: Loopback) -> None:
        for operation in (Operation(JOB, {"base": "http://10.0.0.9:8188"}), Operation("../queue", {})):
            with pytest.raises(OutcomeUnknown):
                await adapter.poll(operation)

    await box.asked(act)
    assert box.seen == []


async def test_there_are_no_notices() -> None:
    async def act(adapter: ComfyAdapter, _: Loopback) -> None:
        assert adapter.recall("m", JOB) is None
        with pytest.raises(WebhookRejected):
            await adapter.parse_webhook({}, b"{}")

    await Box().asked(act)


@pytest.mark.parametrize(
    ("reply", "problem", "said"),
    [
        (
            told(200, {"system": {"comfyui_version": "0.3.40"}, "devices": [{"name": "RTX", "vram_free": None}]}),
            None,
            "older",
        ),
        (told(200, {"system": {}, "devices": []}), None, "does not tell its version"),
        (LOGIN, "misconfigured_model", "check the base URL"),
        (told(404, {}), "misconfigured_model", "check the base URL"),
        (Reply(401), "misconfigured_key", "key is refused"),
        (NGINX, "unavailable", "not working properly"),
        (DROP, "unavailable", "cannot be reached"),
    ],
)
async def test_reports(reply: Reply, problem: str | None, said: str) -> None:
    report = await Box(system_stats=reply).asked(lambda adapter, _: adapter.test())
    assert report.problem == problem and said in " ".join(report.sentences) and report.ok is (problem is None)
    assert KEY not in " ".join(report.sentences)


@pytest.mark.parametrize("address", [None, "", "ftp://10.0.0.5", "http://user:pw@10.0.0.5"])
def test_an_address_is_needed(address: str | None) -> None:
    with pytest.raises(Misconfigured):
        ComfyAdapter(ConnectionConfig(base_url=address))


async def test_nobodys_words_are_kept_whatever_a_node_calls_them() -> None:
    workflow = {**WIRE["workflow"], "6": {"class_type": "Poetry", "inputs": {"string": "x", "clip": ["4", 1]}}}
    wire = {"workflow": workflow, "places": {"prompt": "6.string"}}
    box = Box(prompt=told(200, {"prompt_id": JOB}))
    with exchange.recording() as records:
        await box.submitted(ask(wire=wire))
    [record] = records
    assert "harbour" in json.dumps(box.seen[0].json()) and "harbour" not in repr(record)
    assert KEY not in repr(record) and "KSampler" in (record.request or "")
