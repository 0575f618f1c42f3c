"""Cancelling a job at fal, taking up a known one, and the test of a connection."""

import pytest

from gesso.providers.base import Operation, Pending
from tests.providers.fal_answers import LOCKED, MODEL, adapter_for
from tests.providers.loopback import DROP, NGINX, Reply, loopback, told


@pytest.mark.parametrize(
    ("reply", "taken"),
    [(told(202, {"status": "CANCELLATION_REQUESTED"}), True), (told(400, {"status": "ALREADY_COMPLETED"}), False),
     (told(404, {"status": "NOT_FOUND"}), False)],
)  # fmt: skip
async def test_cancel(reply: Reply, taken: bool) -> None:
    async with loopback(lambda _: reply) as server:
        adapter = adapter_for(server.url)
        assert await adapter.cancel(Operation("r", {"cancel_url": f"{server.url}/a/b/requests/r/cancel"})) is taken
        await adapter.aclose()
    assert (server.seen[0].method, server.seen[0].path) == ("PUT", "/a/b/requests/r/cancel")


@pytest.mark.parametrize(
    ("reply", "reachable", "accepted_key", "word"),
    [
        (told(404, {"detail": "Request not found"}), True, True, "accepted"),
        (told(401, {"detail": "No user found"}), True, False, "refused"),
        (told(403, {"detail": LOCKED}), True, True, "credit"),
        (NGINX, True, None, "not working"),
        (Reply(404, b"<html>Not here</html>"), True, None, "base URL"),
        (DROP, False, None, "reached"),
    ],
)
async def test_a_connection_test_tells_people_what_happened(
    reply: Reply, reachable: bool, accepted_key: bool | None, word: str
) -> None:
    async with loopback(lambda _: reply) as server:
        adapter = adapter_for(server.url)
        report = await adapter.test()
        await adapter.aclose()
    assert (report.reachable, report.key_accepted) == (reachable, accepted_key)
    assert word in " ".join(report.sentences)
    assert report.ok is (word == "accepted")
    assert server.seen[0].method == "GET"
    assert report.balance is None


async def test_find_says_that_it_cannot() -> None:
    adapter = adapter_for("http://127.0.0.1:1")
    assert adapter.can_find is False
    assert await adapter.find("k") is None
    await adapter.aclose()


async def test_a_job_known_only_by_its_id_can_be_taken_up() -> None:
    async with loopback(lambda _: told(202, {"status": "IN_QUEUE", "queue_position": 1})) as server:
        adapter = adapter_for(f"{server.url}/fal")
        operation = adapter.recall("fal-ai/flux-pro/v1.1-ultra", "req-7")
        assert operation is not None
        assert await adapter.poll(operation) == Pending(queue_position=1)
        assert adapter.recall(MODEL, "../../secret") is None
        assert adapter.recall("no-model", "req-7") is None
        await adapter.aclose()
    assert [seen.path for seen in server.seen] == ["/fal/fal-ai/flux-pro/requests/req-7/status"]
