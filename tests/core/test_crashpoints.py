"""Crash points kill the process where, and when, the environment says; otherwise they do nothing."""

import os
import signal
import subprocess
import sys

import pytest

SCRIPT = """
from gesso.core import crashpoints
for step in range(1, 5):
    crashpoints.reach("other")
    crashpoints.reach("here")
    print(step, flush=True)
"""


@pytest.mark.parametrize(
    ("wanted", "steps", "code"),
    [(None, 4, 0), ("elsewhere", 4, 0), ("here", 0, -signal.SIGKILL), ("here*3", 2, -signal.SIGKILL)],
)
def test_a_process_dies_at_the_named_place_the_nth_time(wanted: str | None, steps: int, code: int) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "GESSO_CRASH_AT"}
    if wanted is not None:
        environment["GESSO_CRASH_AT"] = wanted
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True)
    assert (len(done.stdout.split()), done.returncode) == (steps, code)
