"""What must never be told, and that nobody waits for whoever should be told."""

import json
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from pydantic import SecretStr

from gesso.core.ids import new_id
from gesso.core.logs import MASK, mask, setup_logging
from gesso.core.settings import LogSettings, Settings, SiteSettings, TelemetrySettings
from gesso.core.telemetry import origin, product, reports, tracing
from tests.conftest import SECRET
from tests.telemetry.conftest import free_port, until
from tests.telemetry.receiver import Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


def settings(**told: object) -> Settings:
    return Settings(
        site=SiteSettings(env="test", secret_key=SecretStr(SECRET)),
        telemetry=TelemetrySettings().model_copy(update=told),
    )


def test_secrets_are_masked_however_deep_they_lie() -> None:
    line = {
        "answer": {"headers": [{"Authorization": "anything at all"}, {"x-api-key": "plain"}], "status": 200},
        "url": "https://files.example/a.png?width=3&X-Amz-Signature=abcdef012345&token=abcdef&page=2",
        "given": ("https://ada:hunter2hunter2@proxy.example/", SecretStr("hunter3hunter3")),
        "curl": "-H 'Cookie: gesso_session=abcdef0123456789' -H 'Accept: text/html'",
        "model_key": "flux", "idempotency_keys": 4, "password": None, "none": None,
    }  # fmt: skip
    shown = mask(line)
    assert shown["answer"]["headers"] == [{"Authorization": MASK}, {"x-api-key": MASK}]
    assert shown["url"] == f"https://files.example/a.png?width=3&{MASK}&{MASK}&page=2"
    assert "hunter" not in json.dumps(shown) and "abcdef" not in json.dumps(shown)
    assert (shown["model_key"], shown["idempotency_keys"], shown["answer"]["status"]) == ("flux", 4, 200)
    assert "text/html" in shown["curl"]


@pytest.mark.usefixtures("own_logging")
def test_a_report_holds_the_place_and_not_the_values(receiver: Receiver, capsys: pytest.CaptureFixture[str]) -> None:
    dsn = SecretStr(receiver.url.replace("://", "://publickey@") + "/1")
    setup_logging(LogSettings(format="json"))
    reports.start(settings(sentry_dsn=dsn), role="worker")
    try:
        prompt = "canaryprompt in a local variable"
        with structlog.contextvars.bound_contextvars(request_id="r-1", generation_id="g-1", cookie="canarycookie"):
            try:
                raise ValueError(f"refused with Key canarykey0123456789:abc\nDETAIL: {prompt}")
            except ValueError as error:
                structlog.get_logger("test").exception("job.failed", answer={"authorization": "canaryheader"})
                logging.getLogger("uvicorn.error").error("Exception in ASGI application", exc_info=error)
            structlog.get_logger("test").warning("not.an.error")
        until(receiver.reports)
    finally:
        reports.close()
    (report,) = receiver.reports()  # the same exception once more, further out, is not another report
    assert report["tags"] == {"request_id": "r-1", "generation_id": "g-1", "role": "worker"}
    (error,) = report["exception"]["values"]
    assert (error["type"], error["value"]) == ("ValueError", f"refused with {MASK}")
    assert error["stacktrace"]["frames"][-1]["function"].startswith("test_a_report")
    assert not [frame for frame in error["stacktrace"]["frames"] if "vars" in frame]
    assert "canary" not in json.dumps(_without_source(report))
    written = capsys.readouterr().err
    assert '"event": "job.failed"' in written
    assert not [one for one in ("canarycookie", "canarykey", "canaryheader", "in a local variable") if one in written]


def _without_source(report: dict[str, Any]) -> dict[str, Any]:
    """The report without the lines of code it shows: this very test's, which name what must not be there."""
    for one in report["exception"]["values"]:
        for frame in one["stacktrace"]["frames"]:
            for part in ("pre_context", "context_line", "post_context"):
                frame.pop(part, None)
    return report


def test_a_dead_host_for_product_events_costs_nothing() -> None:
    dead = f"http://127.0.0.1:{free_port()}"
    product.start(settings(posthog_api_key=SecretStr("phc_x"), posthog_host=dead).telemetry, secret=SECRET)
    try:
        user, begun = new_id(), time.perf_counter()
        for _ in range(500):
            product.track("generation submitted", user, model="flux")
        assert time.perf_counter() - begun < 25
    finally:
        begun = time.perf_counter()
        product.close()
    assert time.perf_counter() - begun < product.CLOSE_SECONDS + 25
    assert product.on() is False


def test_whoever_asked_to_be_left_out_is_left_out(receiver: Receiver) -> None:
    product.start(
        settings(posthog_api_key=SecretStr("phc_x"), posthog_host=receiver.url).telemetry, secret=SECRET
    )  # fmt: skip
    left_out, counted = new_id(), new_id()
    token = origin.untracked.set(True)
    try:
        product.track("signed up", left_out)
        assert origin.current() == {"untracked": True} and not product.wanted()
    finally:
        origin.untracked.reset(token)
    product.track("signed up", counted)
    pseudonym = product.pseudonym(counted)
    product.close()
    assert [event["distinct_id"] for event in receiver.events()] == [pseudonym]
    assert str(counted) not in receiver.raw() and counted.hex not in receiver.raw()


def test_what_is_off_is_not_even_loaded() -> None:
    code = (
        "import sys, gesso.app, gesso.worker; from gesso.core.telemetry import tracing;"
        "assert tracing.span('x') is tracing.root('x', 'SERVER', None) is tracing.statement('x') is tracing.SILENT;"
        "print([name for name in ('opentelemetry.sdk', 'sentry_sdk', 'posthog', 'requests') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
    ],
)
def test_the_standard_variables_switch_traces(environment: dict[str, str], wanted: bool) -> None:
    assert tracing.wanted(environment) is wanted
