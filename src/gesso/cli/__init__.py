"""The command line: everything an operator does outside the panel."""

import atexit
import os
import sys

from gesso.core.loading import loading


def main() -> None:
    """Entry point of the `gesso` command."""
    code: list[int] = []
    atexit.register(_leave, code)  # the first to be registered is the last to be called
    with loading():
        from gesso.cli.main import app
    try:
        app()
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            code.append(end.code or 0)
        raise


def _leave(code: list[int]) -> None:
    """End with the command's own code, before the interpreter is taken apart.

    The file store's client has threads of its own. One that comes back to Python meanwhile aborts the process (SIGABRT;
    before Python 3.14, https://github.com/python/cpython/issues/87135): a command that had done its work would fail.
    """
    if code:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code[0])
