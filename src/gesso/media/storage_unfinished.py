"""What is left in a local folder of writes that ended with their process: half a file beside its place.

The library writes to `original#1`, or the next number that is free, and renames. Such a name is no key: the
library never lists it, and no sweep over keys would find it. Other stores leave nothing that can be seen.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

_BESIDE = re.compile(r".+#\d+")


def remove_unfinished(folder: Path, before: datetime) -> tuple[int, int]:
    """Remove what was last written before a moment; (files, bytes). Blocking: run it in a thread.

    Links are not followed. Raises OSError when the folder cannot be read.
    """
    files = size = 0
    for path in _beside(folder):
        try:
            state = path.lstat()
            if datetime.fromtimestamp(state.st_mtime, UTC) < before:
                path.unlink()
                files, size = files + 1, size + state.st_size
        except FileNotFoundError:
            continue  # it was finished, or given up, in this moment
    return files, size


def _beside(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.is_symlink():
            continue
        if path.is_dir():
            yield from _beside(path)
        elif _BESIDE.fullmatch(path.name):
            yield path
