"""How a job at fal stands and ends, over real HTTP, against odd and even answers."""

import pytest

from gesso.providers.base import Done, Pending
from gesso.providers.errors import Busy, Misconfigured, ProviderError, Unavailable
from tests.providers.fal_answers import COMPLETED, LOCKED, ending, failed_status, picture, rejection
from tests.providers.loopback import DROP, NGINX, Reply, told


async def test_waiting_and_running() -> None:
    waiting = await ending(told(202, {"status": "IN_QUEUE", "queue_position": 4, "logs": None}), DROP)
    assert waiting == Pending(queue_position=4)
    logs = [{"message": "loading"}, {"message": "drawing"}]
    running = await ending(told(202, {"status": "IN_PROGRESS", "logs": logs}), DROP)
    assert running == Pending(note="drawing")


async def test_done_with_everything() -> None:
    result = told(200, picture(), x_fal_billable_units="1.5")
    outcome = await ending(COMPLETED, result, unit_cost_micro_usd=3001, warnings=["kept"])
    assert isinstance(outcome, Done)
    assert (outcome.seed, outcome.cost_micro_usd, outcome.warnings) == (7, 4502, ("kept",))
    (file,) = outcome.files
    assert (file.url, file.media_type, file.width, file.height) == ("https://v3.fal.media/a.png", "image/png", 64, 32)
    assert (file.seed, file.flagged, file.data) == (7, False, None)


async def test_the_cost_is_unknown_unless_told() -> None:
    for result in (told(200, picture()), told(200, picture(), x_fal_billable_units="many")):
        outcome = await ending(COMPLETED, result, unit_cost_micro_usd=3000)
        assert isinstance(outcome, Done)
        assert outcome.cost_micro_usd is None


async def test_flags_and_missing_fields() -> None:
    images = [{"url": "https://a/1"}, {"url": "https://a/2", "width": None}, {"url": "https://a/3"}, {"nothing": 1}]
    outcome = await ending(COMPLETED, told(200, {"images": images, "has_nsfw_concepts": [True, False]}), count=4)
    assert isinstance(outcome, Done)
    assert [file.flagged for file in outcome.files] == [True, False, None]
    assert outcome.warnings == ("The model delivered 3 of 4.",)
    assert outcome.seed is None


async def test_a_wrapped_response_a_video_and_inline_data() -> None:
    wrapped = await ending(COMPLETED, told(200, {"status": "COMPLETED", "logs": [], "response": picture()}))
    assert isinstance(wrapped, Done)
    video = await ending(COMPLETED, told(200, {"video": {"url": "https://a/v.mp4", "content_type": "video/mp4"}}))
    assert isinstance(video, Done)
    assert video.files[0].media_type == "video/mp4"
    inline = await ending(COMPLETED, told(200, {"images": [{"url": "data:image/png;base64,aGk="}]}))
    assert isinstance(inline, Done)
    assert (inline.files[0].data, inline.files[0].media_type, inline.files[0].url) == (b"hi", "image/png", None)


async def test_finished_with_nothing_is_a_failure() -> None:
    for data in ({"images": []}, {}, [], {"images": [{}]}, {"images": "x"}):
        error = await rejection(COMPLETED, told(200, data))
        assert error.code == "rejected_failed"


SAFETY = told(422, {"detail": [{"loc": ["body", "prompt"], "msg": "no", "type": "content_policy_violation"}]})
MISSING_V1 = told(422, {"detail": [{"loc": ["body", "prompt"], "msg": "x", "type": "value_error.missing"}]})


@pytest.mark.parametrize(
    ("status", "result", "code"),
    [
        (failed_status("content_policy_violation"), SAFETY, "rejected_safety"),
        (COMPLETED, SAFETY, "rejected_safety"),
        (COMPLETED, told(422, {"detail": [{"loc": [], "msg": "", "type": "no_media_generated"}]}), "rejected_safety"),
        (failed_status("", "Invalid status code: 422"), MISSING_V1, "rejected_input"),
        (failed_status("", "it broke"), told(500, {"detail": "Internal Server Error"}), "unavailable"),
        (failed_status("runner_disconnected"), told(503, {"detail": "x", "error_type": "runner_disconnected"}),
         "unavailable"),
        (failed_status("internal_server_error"), told(500, {"detail": [{"type": "internal_server_error"}]},
         X_Fal_Retryable="false"), "rejected_failed"),
        (failed_status("x"), told(500, {"detail": [{"type": "downstream_service_unavailable"}]},
         X_Fal_Needs_Retry="true"), "unavailable"),
        (failed_status("x"), told(400, {"detail": [{"type": "downstream_service_error"}]}), "rejected_failed"),
        (failed_status("generation_timeout"), told(504, {"detail": [{"type": "generation_timeout"}]}),
         "rejected_deadline"),
        (failed_status("request_timeout"), told(504, {"detail": "x"}, X_Fal_Request_Timeout_Type="user"),
         "rejected_deadline"),
        (failed_status("client_cancelled"), told(499, {"detail": "gone", "error_type": "client_cancelled"}),
         "rejected_cancelled"),
        (failed_status("client_cancelled"), told(404, {"detail": "gone"}), "rejected_cancelled"),
        (failed_status("client_cancelled"), told(200, {"images": []}), "rejected_cancelled"),
        (failed_status("startup_timeout"), told(200, {}), "unavailable"),
        (failed_status("unheard_of"), told(200, {}), "rejected_failed"),
        (COMPLETED, told(404, {"detail": "not found"}), "rejected_gone"),
        (told(404, {"detail": "unknown"}), DROP, "rejected_gone"),
    ],
)  # fmt: skip
async def test_how_a_job_can_fail(status: Reply, result: Reply, code: str) -> None:
    assert (await rejection(status, result)).code == code


@pytest.mark.parametrize(
    ("status", "result", "expected"),
    [
        (Reply(503, b"<html>nginx</html>"), DROP, Unavailable),
        (NGINX, DROP, Unavailable),
        (Reply(404, b"<html>proxy</html>"), DROP, Unavailable),
        (Reply(200, b"{"), DROP, Unavailable),
        (told(200, {"status": "FAILED"}), DROP, Unavailable),
        (DROP, DROP, Unavailable),
        (told(401, {"detail": "x"}), DROP, Misconfigured),
        (told(429, {}), DROP, Busy),
        (COMPLETED, DROP, Unavailable),
        (COMPLETED, NGINX, Unavailable),
        (COMPLETED, Reply(200, b"<html>"), Unavailable),
        (COMPLETED, told(429, {}), Busy),
        (COMPLETED, told(403, {"detail": LOCKED}), Misconfigured),
        (failed_status("x"), DROP, Unavailable),
    ],
)
async def test_a_failed_question_is_raised_and_leaves_the_job_alone(
    status: Reply, result: Reply, expected: type[ProviderError]
) -> None:
    with pytest.raises(expected):
        await ending(status, result)


async def test_an_early_result_call_means_wait() -> None:
    outcome = await ending(COMPLETED, told(400, {"detail": "Request is still in progress"}))
    assert isinstance(outcome, Pending)


async def test_an_endless_answer_is_cut() -> None:
    huge = Reply(raw=b"HTTP/1.1 200 OK\r\n\r\n[" + b" " * (9 * 2**20))
    with pytest.raises(Unavailable):
        await ending(huge, DROP)
