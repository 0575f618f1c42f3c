"""An audit that could not ask is never taken for one that found nothing."""

import json

import pytest

from tests.security.audit import CLEAN, NOT_MADE, VULNERABLE, of_npm, of_python

SKIPPED = {"name": "a", "skip_reason": "Dependency not found on PyPI and could not be audited: a (1)"}
FINE = {"name": "b", "version": "1", "vulns": []}
WEAK = {"name": "c", "version": "1", "vulns": [{"id": "PYSEC-2026-1"}]}


@pytest.mark.parametrize(
    ("packages", "code"),
    [
        ([FINE], CLEAN),
        ([FINE, SKIPPED], NOT_MADE),
        ([SKIPPED], NOT_MADE),
        ([], NOT_MADE),
        ([WEAK, SKIPPED], VULNERABLE),
    ],
)
def test_a_python_report(packages: list[dict[str, object]], code: int) -> None:
    assert of_python(json.dumps({"dependencies": packages, "fixes": []})).code == code


@pytest.mark.parametrize("broken", ["", "null", "[]", "No known vulnerabilities found", '{"error": {}}'])
def test_no_report_is_no_audit(broken: str) -> None:
    assert of_python(broken).code == of_npm(broken).code == NOT_MADE


def test_an_npm_report() -> None:
    counted = {"metadata": {"vulnerabilities": {"total": 0}}, "vulnerabilities": {}}
    weak = {"metadata": {"vulnerabilities": {"total": 1}}, "vulnerabilities": {"x": {"severity": "high"}}}
    unreachable = {"message": "405 Method Not Allowed", "statusCode": 405, "error": {"summary": "", "detail": ""}}
    assert [of_npm(json.dumps(one)).code for one in (counted, weak, unreachable)] == [CLEAN, VULNERABLE, NOT_MADE]
