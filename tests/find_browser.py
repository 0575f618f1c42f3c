"""Finds the Chromium that the browser tests drive: `python -m tests.find_browser` installs or names what is missing."""

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def chromium() -> str | None:
    """Path of a Chromium: GESSO_CHROMIUM, or the first known name on PATH."""
    given = os.environ.get("GESSO_CHROMIUM")
    return given or next((path for name in NAMES if (path := shutil.which(name))), None)


def main() -> None:
    """As root on Debian or Ubuntu install it; elsewhere say in one line what to do."""
    if chromium():
        return
    if shutil.which("apt-get") and os.geteuid() == 0:
        print("Installing chromium for the browser tests …", flush=True)
        subprocess.run(["apt-get", "update", "-qq"], check=False, stdout=subprocess.DEVNULL)
        subprocess.run(
            ["apt-get", "install", "-y", "-qq", "chromium"],
            check=False,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        )
    if not chromium():
        sys.exit("The browser tests need Chromium: apt-get install chromium (or set GESSO_CHROMIUM to its path).")


if __name__ == "__main__":
    main()
