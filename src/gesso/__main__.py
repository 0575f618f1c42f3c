"""`python -m gesso`: the same as the `gesso` command."""

from gesso.cli import main

main()
