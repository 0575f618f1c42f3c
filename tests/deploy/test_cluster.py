"""The whole cluster on this machine: one rolling restart of everything, under load, through nginx."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.front import nginx_or_skip

ROOT = Path(__file__).parents[2]


@pytest.mark.crash
def test_a_rolling_restart_loses_nothing() -> None:
    """The drill checks every claim itself and ends with 1 when one does not hold; here it is short."""
    nginx_or_skip()
    done = subprocess.run(
        [sys.executable, str(ROOT / "deploy" / "local-cluster"), "--short"], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Nothing was lost." in done.stdout and "wrong" not in done.stdout
