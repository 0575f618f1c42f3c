"""Earlier versions of the product, out of this repository's history."""

import io
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

from parts import ClusterError

ROOT = Path(__file__).resolve().parents[2]
_VERSIONS = "src/gesso/db/migrations/versions"
_BUILT = "src/gesso/web/static/dist"


def _git(*arguments: str) -> bytes:
    try:
        return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, check=True).stdout  # noqa: S607
    except FileNotFoundError:
        raise ClusterError("git is missing: apt-get install git") from None
    except subprocess.CalledProcessError as error:
        raise ClusterError(f"git {arguments[0]}: {error.stderr.decode(errors='replace').strip()}") from None


def _newest(names: list[str]) -> str:
    """The number of the newest migration among file names."""
    return max((name[:4] for name in names if re.match(r"\d{4}_.*\.py$", name)), default="none")


def schema_at(revision: str) -> str:
    """The newest migration of a commit."""
    listed = _git("ls-tree", "--name-only", revision, f"{_VERSIONS}/").decode().splitlines()
    return _newest([Path(line).name for line in listed])


def schema_here() -> str:
    """The newest migration of the working tree."""
    return _newest([path.name for path in (ROOT / _VERSIONS).iterdir()])


def before_this_schema() -> str:
    """The last commit with another schema than the working tree's; HEAD~1 when all have the same."""
    here = schema_here()
    for commit in _git("log", "--format=%h", "--", _VERSIONS).decode().split():
        for candidate in (commit, f"{commit}~1"):
            if schema_at(candidate) != here:
                return _git("rev-parse", "--short", candidate).decode().strip()
    return _git("rev-parse", "--short", "HEAD~1").decode().strip()


def subject(revision: str) -> str:
    """The first line of a commit's message."""
    return _git("log", "-1", "--format=%s", revision).decode().strip()


def export(revision: str, folder: Path) -> Path:
    """Unpack a commit; returns the folder to import `gesso` from. Styles and scripts are those built last: what is
    built is not in the history, and the drill looks at answers, not at colours."""
    with tarfile.open(fileobj=io.BytesIO(_git("archive", revision, "src"))) as archive:
        archive.extractall(folder, filter="data")
    if (ROOT / _BUILT).exists():
        shutil.copytree(ROOT / _BUILT, folder / _BUILT, dirs_exist_ok=True)
    return folder / "src"
