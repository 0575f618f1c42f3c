"""The command line: everything an operator does outside the panel."""

from gesso.core.loading import loading


def main() -> None:
    """Entry point of the `gesso` command."""
    with loading():
        from gesso.cli.main import app
    app()
