"""Credits: exact, both ways, and never divided."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gesso.core.errors import InvalidInput
from gesso.core.money import OutputPrice, Price, format_credits, parse_credits


@given(st.integers(-(10**18), 10**18))
def test_every_amount_survives_its_text(micro: int) -> None:
    text = format_credits(micro)
    assert parse_credits(text) == micro
    assert "." not in text or not text.endswith("0")


@pytest.mark.parametrize("text", ["", "one", "0.0000001", "NaN", "Infinity", "1e400", "1,5"])
def test_what_is_no_exact_amount_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_credits(text)


def test_a_price_has_one_shape() -> None:
    price = Price.of([OutputPrice(1_000_000), OutputPrice(0, {"image": 1}), OutputPrice(200_000)])
    assert price.to_json() == {
        "credits": "1.2",
        "allowances": {"image": 1},
        "outputs": [{"credits": "1"}, {"credits": "0", "allowances": {"image": 1}}, {"credits": "0.2"}],
    }
    assert Price.from_json(price.to_json()) == price
