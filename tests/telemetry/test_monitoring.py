"""Rules, dashboard and page speak of metrics that the running product has, by names and labels it gives them."""

import json
import re
from pathlib import Path

import pytest
import yaml

from tests.telemetry.conftest import Told

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "deploy" / "monitoring"
_SUFFIXES = re.compile(r"_(?:bucket|count|sum)$")
_NAME = re.compile(r"\b(?:gesso|process)_[a-z_]+[a-z]\b")


@pytest.fixture(scope="module")
def families(told: Told) -> dict[str, str]:
    """Every metric of web and worker, and its type."""
    found = {}
    for text in told.exposed().values():
        found |= dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    return found


def expressions() -> list[str]:
    rules = yaml.safe_load((MONITORING / "alerts.yaml").read_text())
    alerts = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    assert len(alerts) == 10
    panels = json.loads((MONITORING / "dashboard.json").read_text())["panels"]
    return alerts + [target["expr"] for panel in panels for target in panel.get("targets", ())]


def test_every_metric_asked_for_exists(families: dict[str, str]) -> None:
    for expression in expressions():
        named = _NAME.findall(expression)
        assert named, expression
        for name in named:
            known = name in families or families.get(_SUFFIXES.sub("", name)) == "histogram"
            assert known, f"{name} in: {expression}"
            if families.get(name) == "histogram":
                raise AssertionError(f"{name} is a histogram, and has no value of its own: {expression}")
        assert expression.count("(") == expression.count(")")


def test_every_alert_says_what_to_do_and_stands_on_the_page() -> None:
    page = (ROOT / "docs" / "monitoring.md").read_text()
    for group in yaml.safe_load((MONITORING / "alerts.yaml").read_text())["groups"]:
        for rule in group["rules"]:
            assert rule["annotations"]["summary"] and rule["annotations"]["action"]
            assert f"`{rule['alert']}`" in page


def test_the_page_lists_exactly_the_metrics_there_are(families: dict[str, str]) -> None:
    page = (ROOT / "docs" / "monitoring.md").read_text()
    listed = set(re.findall(r"^\| `(gesso_[a-z_]+)`", page, re.MULTILINE))
    assert listed == {name for name in families if name.startswith("gesso_")}
