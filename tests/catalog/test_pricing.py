"""Prices are exact: integers in, integers out, rounded up once per output."""

from decimal import Decimal
from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gesso.catalog.pricing import estimate_cost, quote, usual_price
from gesso.catalog.rules import RuleError, check_against, parse_rule
from gesso.core.errors import InvalidInput
from tests.catalog.helpers import model

SIZE = {
    "type": "string", "default": "1024x1024",
    "oneOf": [{"const": "1024x1024"}, {"const": "2048x2048"}, {"const": "896x1120"}],
}  # fmt: skip
QUALITY = {"type": "string", "default": "standard", "oneOf": [{"const": "draft"}, {"const": "standard"}]}
DURATION = {"type": "integer", "default": 5, "oneOf": [{"const": 5}, {"const": 10}]}
EVERYTHING = {"size": SIZE, "quality": QUALITY, "duration": DURATION}

figures = st.decimals(min_value=0, max_value=1000, places=6, allow_nan=False).map(lambda d: f"{d:f}")
counts = st.integers(min_value=1, max_value=100)
sizes = st.sampled_from(["1024x1024", "2048x2048", "896x1120"])
durations = st.sampled_from([5, 10])
measures = st.lists(st.sampled_from(["megapixel", "second"]), unique=True)


def rules() -> st.SearchStrategy[dict[str, object]]:
    """Any rule over EVERYTHING."""
    return st.fixed_dictionaries(
        {"credits": figures, "per": measures},
        optional={
            "size": st.dictionaries(sizes, figures),
            "quality": st.dictionaries(st.sampled_from(["draft", "standard"]), figures),
            "duration": st.dictionaries(st.sampled_from(["5", "10"]), figures),
        },
    )


def test_a_flat_price_is_the_same_for_every_output() -> None:
    asks = quote(model(price={"credits": "2"}), {"prompt": "x"}, 3)
    assert [ask.credits for ask in asks] == [2_000_000] * 3
    assert {(ask.allowance, ask.uses) for ask in asks} == {("image", 1)}


def test_factors_and_megapixels_multiply() -> None:
    made = model(
        EVERYTHING,
        price={"credits": "0.5", "per": ["megapixel"], "size": {"2048x2048": "2"}, "quality": {"draft": "0.1"}},
    )
    large_draft = quote(made, {"size": "2048x2048", "quality": "draft"}, 1)[0].credits
    assert large_draft == ceil(Fraction(500_000) * 2048 * 2048 / 1_000_000 * 2 / 10)


def test_a_video_is_priced_by_its_seconds_and_takes_one_use() -> None:
    made = model(EVERYTHING, price={"credits": "1", "per": ["second"], "duration": {"10": "0.8"}}, kind="video")
    asks = quote(made, {"duration": 10}, 1)
    assert (asks[0].credits, asks[0].allowance, asks[0].uses) == (8_000_000, "video", 1)


def test_a_third_of_a_credit_is_rounded_up_and_never_divided_afterwards() -> None:
    made = model(EVERYTHING, price={"credits": "1", "size": {"1024x1024": "0.333333333333"}})
    asks = quote(made, {"size": "1024x1024"}, 3)
    assert [ask.credits for ask in asks] == [333_334] * 3


@given(rule=rules(), count=counts, size=sizes, duration=durations)
def test_price_is_exact_for_any_rule(rule: dict[str, object], count: int, size: str, duration: int) -> None:
    params = {"size": size, "quality": "draft", "duration": duration}
    asks = quote(model(EVERYTHING, price=rule), params, count)
    exact = Fraction(Decimal(str(rule["credits"]))) * 1_000_000
    width, height = (int(side) for side in size.split("x"))
    for measure in rule["per"]:  # type: ignore[attr-defined]
        exact *= Fraction(width * height, 1_000_000) if measure == "megapixel" else duration
    for name, choice in params.items():
        exact *= Fraction(Decimal(rule.get(name, {}).get(str(choice), "1")))  # type: ignore[attr-defined]
    assert all(type(ask.credits) is int for ask in asks)
    assert [ask.credits for ask in asks] == [ceil(exact)] * count


@given(rule=rules(), count=st.integers(min_value=1, max_value=99))
def test_more_never_costs_less(rule: dict[str, object], count: int) -> None:
    made = model(EVERYTHING, price=rule)
    params = {"size": "1024x1024", "quality": "standard", "duration": 5}
    fewer = sum(ask.credits for ask in quote(made, params, count))
    more = sum(ask.credits for ask in quote(made, params, count + 1))
    assert 0 <= fewer <= more


@given(rule=rules())
def test_a_rule_survives_its_own_json(rule: dict[str, object]) -> None:
    parsed = parse_rule(rule, "credits")
    again = parse_rule(parsed.to_json(), "credits")
    assert again == parsed
    assert again.to_json() == parsed.to_json()


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ({"credits": "-1"}, "negative"),
        ({"credits": Decimal("NaN")}, "finite"),
        ({"credits": Decimal("Infinity")}, "finite"),
        ({"credits": "inf"}, "finite"),
        ({"credits": "a lot"}, "not a number"),
        ({"credits": 0.1}, "exact"),
        ({"credits": True}, "exact"),
        ({"credits": "1e9"}, "above"),
        ({"credits": "0.0000000000001"}, "decimals"),
        ({}, "missing"),
        ("2", "table"),
        ({"credits": "1", "per": ["inch"]}, "unknown unit"),
        ({"credits": "1", "per": "megapixel"}, "unknown unit"),
        ({"credits": "1", "sise": {}}, "unknown member “sise”"),
        ({"credits": "1", "size": "2"}, "table of choice"),
        ({"credits": "1", "size": {"1024x1024": "-2"}}, "negative"),
        ({"usd": "1"}, "unknown member “usd”"),
    ],
)
def test_bad_rules_are_refused(rule: object, reason: str) -> None:
    with pytest.raises(RuleError, match=reason):
        parse_rule(rule, "credits")


@pytest.mark.parametrize(
    ("rule", "properties", "path"),
    [
        ({"credits": "1", "size": {"999x999": "2"}}, EVERYTHING, ("size", "999x999")),
        ({"credits": "1", "quality": {"draft": "2"}}, {"size": SIZE}, ("quality",)),
        ({"credits": "1", "per": ["megapixel"]}, {"size": {"oneOf": [{"const": "auto"}]}}, ("per",)),
        ({"credits": "1", "per": ["megapixel"]}, {}, ("per",)),
        ({"credits": "1", "per": ["second"]}, {}, ("per",)),
    ],
)
def test_a_rule_must_fit_the_models_settings(
    rule: object, properties: dict[str, object], path: tuple[str, ...]
) -> None:
    with pytest.raises(RuleError) as caught:
        check_against(parse_rule(rule, "credits"), properties)
    assert caught.value.path == path


def test_asking_for_none_or_for_no_size_is_refused_by_name() -> None:
    with pytest.raises(InvalidInput) as none:
        quote(model(), {"prompt": "x"}, 0)
    assert "count" in none.value.fields
    by_area = model(EVERYTHING, price={"credits": "1", "per": ["megapixel"]})
    with pytest.raises(InvalidInput) as sizeless:
        quote(by_area, {"prompt": "x"}, 1)
    assert "size" in sizeless.value.fields


def test_cost_is_in_micro_dollars_and_unknown_is_none() -> None:
    by_area = model(EVERYTHING, cost={"usd": "0.045", "per": ["megapixel"]})
    assert estimate_cost(by_area, {"size": "1024x1024"}) == 47_186  # 0.045 × 1.048576, rounded up
    assert estimate_cost(by_area, {}) is None
    assert estimate_cost(model(), {"prompt": "x"}) is None


def test_the_usual_price_is_that_of_the_defaults() -> None:
    made = model(EVERYTHING, price={"credits": "1", "size": {"1024x1024": "3"}})
    assert usual_price(made).to_json() == {"credits": "3", "allowances": {}, "outputs": [{"credits": "3"}]}
