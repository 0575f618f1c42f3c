"""No secret is written to a log: masked by name, and by shape wherever it stands."""

import json
import logging

import pytest
import structlog

from gesso.core.logs import MASK, redact, setup_logging
from gesso.core.settings import LogSettings

SECRETS = (
    "Key 3f2c9a6e-1111-2222:0123456789abcdef0123",
    "Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30",
    "sk-proj-0123456789abcdefghij",
    "postgresql://gesso:hunter2hunter2@127.0.0.1/gesso",
)


@pytest.mark.parametrize("secret", SECRETS)
def test_what_looks_like_a_credential_is_masked_inside_text(secret: str) -> None:
    shown = redact(f"calling with {secret} failed")
    assert MASK in shown
    assert secret.split(":")[-1].split("@")[0].split(" ")[-1] not in shown


@pytest.mark.usefixtures("own_logging")
def test_fields_named_like_secrets_and_exceptions_are_masked(capsys: pytest.CaptureFixture[str]) -> None:
    setup_logging(LogSettings(format="json"))
    log = structlog.get_logger("test")
    try:
        raise ValueError(f"refused: {SECRETS[0]}")
    except ValueError:
        log.exception("call.failed", api_key="plain-value", password="open sesame", model_key="flux")
    logging.getLogger("some.library").warning("header %s", SECRETS[1])
    written = capsys.readouterr().err
    lines = [json.loads(line) for line in written.splitlines()]
    assert lines[0]["api_key"] == lines[0]["password"] == MASK
    assert lines[0]["model_key"] == "flux"
    assert "0123456789abcdef0123" not in written
    assert "eyJhbGci" not in written
