"""Named places where a test can let the process die. Inert unless GESSO_CRASH_AT names one of them.

`GESSO_CRASH_AT=attempt.started` dies the first time, `attempt.started*3` the third time this process gets there.
"""

import os
import signal
from collections import Counter

_reached: Counter[str] = Counter()


def reach(name: str) -> None:
    """Die here, as if the power had failed, when the environment asks for it."""
    wanted = os.environ.get("GESSO_CRASH_AT")
    if wanted is None:
        return
    point, _, times = wanted.partition("*")
    if point == name:
        _reached[name] += 1
        if _reached[name] >= int(times or 1):
            os.kill(os.getpid(), signal.SIGKILL)
