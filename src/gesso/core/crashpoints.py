"""Named places where a test can let the process die. Inert unless GESSO_CRASH_AT names one of them."""

import os
import signal


def reach(name: str) -> None:
    """Die here, as if the power had failed, when the environment says GESSO_CRASH_AT=`name`."""
    if os.environ.get("GESSO_CRASH_AT") == name:
        os.kill(os.getpid(), signal.SIGKILL)
