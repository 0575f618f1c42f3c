"""What a process loads when it starts: every start in production and in the tests pays for it."""

import json
import subprocess
import sys

HEAVY = ("alembic", "av", "numpy", "sqlalchemy")
"""Half a second of a core together. Migrations, films and thumbnails need them, and load them."""
LOADED = """
import gesso.cli.main, gesso.cli.serve, json, sys
web = set(sys.modules)
import gesso.worker
print(json.dumps([sorted(web), sorted(sys.modules)]))
"""


def test_no_start_loads_what_only_some_work_needs() -> None:
    told = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True).stdout
    web, worker = json.loads(told)
    assert not set(HEAVY) & set(worker)
    assert "pgqueuer" not in web and "pgqueuer" in worker
