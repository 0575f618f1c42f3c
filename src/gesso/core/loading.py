"""A start without needless work of the collector."""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """For the imports with which a process starts.

    They make a million objects that all stay. The collector would look through them a hundred times and find nothing,
    a sixth of all the time a start takes; what was loaded it need not look at later either.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()
