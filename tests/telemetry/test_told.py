"""What a running product says about itself: its log, metrics, traces, error reports and product events."""

import re

import httpx2
import pytest

from gesso.core.ids import new_id
from tests.telemetry.conftest import CANARIES, TOKEN, Person, Told, until


@pytest.fixture(scope="module")
def ada(told: Told) -> Person:
    return told.person()


def value(text: str, name: str, **labels: str) -> float:
    """The sum of a metric's samples that carry these labels."""
    found = 0.0
    for line in text.splitlines():
        match = re.match(rf"{name}(?:\{{(.*)\}})? (\S+)$", line)
        given = dict(re.findall(r'(\w+)="([^"]*)"', match[1] or "")) if match else {}
        if match and all(given.get(key) == wanted for key, wanted in labels.items()):
            found += float(match[2])
    return found


def test_one_generation_is_one_trace_from_the_request_to_the_provider(told: Told, ada: Person) -> None:
    _, request_id = ada.made()

    def trace() -> list[dict[str, object]]:
        spans = told.receiver.spans()
        ours = [span for span in spans if span["attributes"].get("gesso.request_id") == request_id]
        together = [span for span in spans if ours and span["trace"] == ours[0]["trace"]]
        return together if any(span["name"] == "generation.run" for span in together) else []

    spans = until(trace)
    named = {str(span["name"]): span for span in spans}
    assert {span["service"] for span in spans} == {"gesso-web", "gesso-worker"}
    for name in ("POST /api/generate/image", "db.transaction", "generation.run", "provider.submit", "provider.poll",
                 "ingest", "storage.write", "SELECT ledger_release"):  # fmt: skip
        assert name in named, sorted(named)
    known = {span["id"] for span in spans}
    roots = [span["name"] for span in spans if span["parent"] not in known]
    assert roots == ["POST /api/generate/image"], "the trace falls apart"
    call = named["provider.submit"]["attributes"]
    assert call == {"gesso.adapter": "fal", "gesso.connection": "fal", "gesso.outcome": "ok"}
    assert named["POST /api/generate/image"]["attributes"]["http.route"] == "/api/generate/image"  # type: ignore[index]


def test_a_workers_lines_name_generation_workspace_attempt_and_request(told: Told, ada: Person) -> None:
    generation, request_id = ada.made("a boat sandbox:fail canaryprompt")
    lines = [line for line in told.lines() if line.get("generation_id") == generation]
    failed = [line for line in lines if line["event"] == "attempt.failed"]
    assert failed and all(line["attempt_id"] for line in failed)
    assert all(line["request_id"] == request_id and line["workspace_id"] for line in lines), lines
    assert all(len(line["trace_id"]) == 32 for line in lines)


def test_one_line_for_each_request_and_ids_only_from_proxies(told: Told, ada: Person) -> None:
    given = str(new_id())
    direct = ada.http.get("/api/credits", headers={"X-Request-Id": given})
    proxied = ada.http.get("/api/credits", headers={"X-Request-Id": given, "X-Forwarded-For": "203.0.113.9"})
    nonsense = ada.http.get("/api/credits", headers={"X-Request-Id": "x\ty", "X-Forwarded-For": "203.0.113.9"})
    assert direct.headers["x-request-id"] != given and proxied.headers["x-request-id"] == given
    assert nonsense.headers["x-request-id"] not in ("x\ty", given)
    (line,) = [line for line in told.lines() if line["event"] == "request" and line["request_id"] == given]
    assert (line["method"], line["route"], line["status"]) == ("GET", "/api/credits", 200) and line["ms"] > 0
    assert ada.http.get("/healthz").status_code == 200
    assert not [line for line in told.lines() if line.get("route") == "/healthz"]


def test_what_a_process_counts(told: Told, ada: Person) -> None:
    before = told.exposed()
    ada.made(count=2)
    assert ada.ask(count=4, model="no-such-model").status_code == 422
    after = told.exposed()

    def rose(role: str, name: str, **labels: str) -> float:
        return value(after[role], name, **labels) - value(before[role], name, **labels)

    assert set(after) == {"web", "worker"}
    assert rose("web", "gesso_generations_submitted_total", kind="image", source="api") == 1
    assert rose("web", "gesso_generations_refused_total", reason="invalid_input") == 1
    assert rose("web", "gesso_http_request_seconds_count", route="/api/generate/image", status="2xx") == 1
    assert rose("worker", "gesso_credits_charged_total", unit="credit") == 2
    assert rose("worker", "gesso_generations_ended_total", state="succeeded") == 1
    assert rose("worker", "gesso_generation_seconds_count", model="flux-schnell") == 1
    assert rose("worker", "gesso_generation_pickup_seconds_count") == 1
    assert rose("worker", "gesso_provider_attempts_total", adapter="fal", outcome="succeeded") == 2
    assert rose("worker", "gesso_provider_cost_usd_total", adapter="fal") > 0
    assert rose("worker", "gesso_ingest_seconds_count", outcome="taken") == 2
    assert rose("worker", "gesso_storage_seconds_count", operation="write") >= 2
    assert rose("worker", "gesso_jobs_total", task="generation.run", outcome="done") == 1
    assert value(after["web"], "gesso_site_workers") == 1 == value(after["worker"], "gesso_site_up")
    assert value(after["web"], "gesso_db_pool_connections", state="limit") == 13
    for text in after.values():
        # the figures of the site are the same, whoever tells them
        assert value(text, "gesso_site_looked_timestamp_seconds") > 0
        assert not [one for one in CANARIES if one in text]
        longest = max(len(line) for line in text.splitlines() if not line.startswith("#"))
        assert longest < 250, "a label that could be anything"


def test_metrics_are_for_whoever_knows_the_token(told: Told) -> None:
    with httpx2.Client(base_url=told.url, timeout=20) as stranger:
        assert stranger.get("/metrics").status_code == 401
        assert stranger.get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 401
        asked = stranger.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert asked.status_code == 200 and "gesso_http_request_seconds" in asked.text


def test_product_events_know_a_pseudonym_and_no_more(told: Told, ada: Person) -> None:
    private = told.person(**{"Sec-GPC": "1"})
    private.made()
    ada.made()
    poor = told.person()
    while poor.ask(count=4).status_code == 202:
        pass
    wanted = {"signed up", "generation submitted", "generation ended", "out of credits"}
    until(lambda: wanted <= {event["event"] for event in told.receiver.events()})
    events = [event for event in told.receiver.events() if event["event"] in wanted]
    ended = next(event for event in events if event["event"] == "generation ended")
    assert ended["properties"]["model"] == "flux-schnell" and ended["properties"]["state"] == "succeeded"
    pseudonyms = {event["distinct_id"] for event in events}
    assert all(re.fullmatch(r"[0-9a-f]{32}", one) for one in pseudonyms)
    # of the three people, the one whose browser said so is not among them
    assert len({event["distinct_id"] for event in events if event["event"] == "signed up"} & pseudonyms) == 2


def test_an_error_is_reported_with_its_ids(told: Told, ada: Person) -> None:
    """Last: the connection is paused afterwards."""
    generation, request_id = ada.made("sandbox:no-credit canaryprompt")
    report = until(lambda: [one for one in told.receiver.reports() if one["tags"].get("generation_id") == generation])[
        0
    ]
    assert report["logentry"]["message"] == "connection.misconfigured"
    assert report["tags"]["request_id"] == request_id and report["tags"]["role"] == "worker"
    assert not {"request", "user", "breadcrumbs", "modules"} & set(report)
    text = until(lambda: _paused(told))
    assert value(text, "gesso_site_connection_paused", connection="fal", reason="credit") == 1


def _paused(told: Told) -> str:
    text = told.exposed()["web"]
    return text if value(text, "gesso_site_connection_paused", connection="fal") else ""


def test_no_canary_left_the_house(told: Told, ada: Person) -> None:
    session = next(cookie.value for cookie in ada.http.cookies.jar)
    assert session and len(session) > 20
    said = {"the log": told.log.read_text(), "the receiver": told.receiver.raw()}
    for where, text in said.items():
        assert len(text) > 1000
        for canary in (*CANARIES, session):
            assert canary not in text, f"{canary} is in {where}"
