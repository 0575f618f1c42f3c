"""The command line: everything an operator does outside the panel."""

from gesso.cli.main import main

__all__ = ["main"]
