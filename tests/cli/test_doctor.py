"""`gesso doctor`: what it finds on an installation that is hurt on purpose, and the way out it names."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest

from gesso.core.ids import new_id
from gesso.db.embedded import EmbeddedPostgres
from tests.cli.homes import Home, make_home, said


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A migrated installation whose database is held open."""
    found = make_home(tmp_path_factory.mktemp("doctor"))
    server = EmbeddedPostgres(found.folder / "postgres", ("fsync=off",))
    server.start()
    said(found.typed("migrate"), 0, "up to date")
    yield found
    server.close()


def examined(home: Home, code: int, *, alone: bool = False, **environment: str) -> dict[str, dict[str, Any]]:
    """The findings by part. `alone`: from a process of its own, whose log is where it belongs."""
    done = (home.gesso if alone else home.typed)("doctor", "--json", **environment)
    assert done.returncode == code, done.stdout + done.stderr
    assert done.stdout.startswith("{"), done.stderr
    document = json.loads(done.stdout)
    assert document["well"] is (code == 0)
    findings = {one["part"]: one for one in document["findings"]}
    assert all(one["way_out"] for one in findings.values() if one["state"] != "well"), "an ill part without a way out"
    return findings


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_settings_that_contradict_the_world(home: Home) -> None:
    closed = free_port()
    found = examined(
        home, 1, GESSO_BASE_URL="http://art.example.com", GESSO_METRICS_PORT="9464", GESSO_METRICS_HOST="0.0.0.0", GESSO_MAIL_SMTP_URL=f"smtp://ada:hunter2hunter2@127.0.0.1:{closed}",
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{closed}", GESSO_STORAGE_URL="file:///proc/no-such-store",
    )  # fmt: skip
    assert found["address"]["state"] == "look" and "https" in found["address"]["way_out"]
    assert found["metrics"]["state"] == "look" and "GESSO_METRICS_TOKEN" in found["metrics"]["way_out"]
    assert found["mail"]["state"] == "ill" and "hunter2" not in json.dumps(found)
    assert found["traces"]["state"] == "look"
    assert found["file store"]["state"] == "ill" and "GESSO_STORAGE_URL" in found["file store"]["way_out"]
    assert found["clock"]["state"] == "well"
    assert "GiB free" in found["disk of the data folder"]["found"]


def test_a_secret_that_is_weak_and_another_one_than_before(home: Home) -> None:
    found = examined(home, 1, alone=True, GESSO_SECRET_KEY="abcabcabc" * 5)
    assert found["secret"]["state"] == "look" and "token_urlsafe" in found["secret"]["way_out"]
    # the passwords of the database's roles follow from it
    assert found["money"]["state"] == "ill" and "GESSO_SECRET_KEY" in found["money"]["way_out"]


async def test_work_and_money_that_went_wrong(home: Home) -> None:
    owner = await asyncpg.connect(home.database_url())
    workspace, user = new_id(), new_id()
    connection = await owner.fetchval("SELECT id FROM connection WHERE key = 'fal'")
    try:
        await owner.execute(
            "INSERT INTO worker_seen (worker_id, host, seen_at) VALUES ($1, 'box', now() - interval '1 h')", new_id()
        )
        await owner.execute(
            "INSERT INTO credit_hold (id, workspace_id, subject_id, user_id, expires_at, created_at) "
            "VALUES ($1, $2, $3, $4, now() - interval '1 h', now() - interval '2 h')",
            new_id(), workspace, new_id(), user,
        )  # fmt: skip
        await owner.execute(
            "INSERT INTO pgqueuer (priority, status, entrypoint, execute_after) "
            "VALUES (0, 'queued', 'generation.run', now() - interval '1 h')"
        )
        await owner.execute(
            "INSERT INTO connection_health (connection_id, paused_until, reason, failures) "
            "VALUES ($1, now() + interval '5 min', 'unavailable', 7)",
            connection,
        )
        found = examined(home, 1)
        assert found["workers"]["found"] == "None." and found["workers"]["way_out"] == "Run: gesso work"
        assert found["holds"]["state"] == "ill" and "1 past their deadline" in found["holds"]["found"]
        assert found["queue"]["state"] == "ill" and "generation.run" in found["queue"]["found"]
        # an open hold with nothing held in it is a figure that does not follow from the journal
        assert found["ledger"]["state"] == "ill" and "ledger verify" in found["ledger"]["way_out"]
        noted = await owner.fetchval("SELECT value FROM site_fact WHERE name = 'ledger'")
        assert json.loads(noted) == {"mismatches": 1}
    finally:
        await owner.execute("DELETE FROM credit_hold")
        await owner.execute("DELETE FROM pgqueuer")
        await owner.execute("DELETE FROM connection_health")
        await owner.close()


def test_an_old_schema_is_told_and_nothing_else_is_looked_at(tmp_path_factory: pytest.TempPathFactory) -> None:
    empty = make_home(tmp_path_factory.mktemp("empty"))
    found = examined(empty, 1)
    assert found["schema"]["way_out"] == "Run: gesso migrate" and "ledger" not in found
