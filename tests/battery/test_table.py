"""docs/providers.md tells what is tested."""

from tests.battery.table import DOCUMENT, placed


def test_the_table_in_the_docs_is_what_the_battery_declares() -> None:
    document = DOCUMENT.read_text()
    assert placed(document) == document, "write it anew: python -m tests.battery"
