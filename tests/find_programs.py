"""Finds the programs that tests drive: `python -m tests.find_programs` installs or names what is missing.

Without Chromium the browser tests cannot run, and that is an error. nginx and pgbouncer serve a few tests of
deployment, which are skipped without them.
"""

import os
import shutil
import subprocess
import sys

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PACKAGES = {"chromium": "chromium", "nginx": "nginx-light", "pgbouncer": "pgbouncer"}
"""Program → its package on Debian and Ubuntu."""
_SYSTEM = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))


def chromium() -> str | None:
    """Path of a Chromium: GESSO_CHROMIUM, or the first known name on PATH."""
    given = os.environ.get("GESSO_CHROMIUM")
    return given or next((path for name in BROWSERS if (path := shutil.which(name))), None)


def program(name: str) -> str | None:
    """Path of a server program, also where only root's PATH would find it."""
    return shutil.which(name, path=_SYSTEM)


def missing() -> list[str]:
    """Names of the programs that are not there."""
    found = {"chromium": chromium(), "nginx": program("nginx"), "pgbouncer": program("pgbouncer")}
    return [name for name, path in found.items() if path is None]


def main() -> None:
    """As root on Debian or Ubuntu install them; elsewhere say in one line what to do."""
    if (names := missing()) and shutil.which("apt-get") and os.geteuid() == 0:
        print(f"Installing {', '.join(names)} for the tests …", flush=True)
        subprocess.run(["apt-get", "update", "-qq"], check=False, stdout=subprocess.DEVNULL)
        subprocess.run(
            ["apt-get", "install", "-y", "-qq", *(PACKAGES[name] for name in names)],
            check=False,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        )
    if names := missing():
        packages = " ".join(PACKAGES[name] for name in names)
        if "chromium" in names:
            sys.exit(
                f"The browser tests need Chromium: apt-get install {packages} (or set GESSO_CHROMIUM to its path)."
            )
        print(f"Some tests of deployment will be skipped; to run them: apt-get install {packages}", flush=True)


if __name__ == "__main__":
    main()
