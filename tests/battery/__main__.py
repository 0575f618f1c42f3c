"""`python -m tests.battery`: write the tables into docs/providers.md."""

from tests.battery.table import DOCUMENT, placed

if __name__ == "__main__":
    DOCUMENT.write_text(placed(DOCUMENT.read_text()))
