"""Where nginx is."""

import shutil

import pytest


def nginx_or_skip() -> str:
    """The program; skips the test on a machine without it."""
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip("nginx is not installed")
    return found
