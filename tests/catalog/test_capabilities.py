"""What a model accepts, said so that a person understands."""

import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gesso.catalog.allowed import check_model
from gesso.catalog.capabilities import check, form_fields, from_form
from gesso.catalog.editions import load_edition
from gesso.catalog.items import Model, Plan
from gesso.catalog.schema import problems
from gesso.core.errors import InvalidInput, PlanLimit
from gesso.core.ids import new_id
from tests.catalog.helpers import COUNT, PROMPT, model

STUDIO = {made.key: made for made in load_edition("studio").models}
LIGHTNING = STUDIO["juggernaut-lightning"]
EDIT = STUDIO["seedream-edit"]
PICTURE = "0190a3b4-0000-7000-8000-000000000000"


def refused(
    made: Model, params: dict[str, Any], plan: Plan | None = None, plans: tuple[Plan, ...] = ()
) -> dict[str, str]:
    """The messages by field."""
    with pytest.raises(InvalidInput) as caught:
        check(made, params, plan, plans)
    assert caught.value.detail
    return caught.value.fields


def test_defaults_are_filled_in() -> None:
    assert check(LIGHTNING, {"prompt": "a lake", "seed": None}) == {
        "prompt": "a lake", "size": "1024x1024", "count": 1, "steps": 4, "output_format": "jpeg",
    }  # fmt: skip


def test_what_was_given_stays_as_it_is() -> None:
    given_params = {"prompt": "  a lake ", "steps": 12, "seed": 2**32 - 1, "count": 4, "negative_prompt": "haze"}
    cleaned = check(LIGHTNING, given_params)
    assert {name: cleaned[name] for name in given_params} == given_params


@pytest.mark.parametrize(
    ("params", "field", "message"),
    [
        ({"prompt": "x", "steps": 40}, "steps", "between 1 and 12 for Juggernaut Lightning; you sent 40."),
        ({"prompt": "x", "steps": 4.0}, "steps", "Steps must be a whole number; you sent 4.0."),
        ({"prompt": "x", "steps": True}, "steps", "Steps must be a whole number; you sent true."),
        ({"prompt": "x", "seed": "7"}, "seed", "Seed must be a whole number; you sent “7”."),
        ({"prompt": "x", "seed": -1}, "seed", "Seed must be between 0 and 4,294,967,295 for"),
        ({"prompt": "x", "seed": 10**400}, "seed", "you sent a very large number."),
        ({"prompt": "x", "count": 0}, "count", "between 1 and 4 for Juggernaut Lightning; you sent 0."),
        ({"prompt": "x", "count": 10_000}, "count", "you sent 10000."),
        ({}, "prompt", "Say what you would like to see."),
        ({"prompt": ""}, "prompt", "Say what you would like to see."),
        ({"prompt": " \n "}, "prompt", "Say what you would like to see."),
        ({"prompt": "x" * 2001}, "prompt", "at most 2,000 characters for Juggernaut Lightning; yours has 2,001."),
        ({"prompt": ["x"]}, "prompt", "Prompt must be text; you sent a list."),
        ({"prompt": "a\x00b"}, "prompt", "Prompt holds a character that cannot be stored. Remove it."),
        ({"prompt": "\ud800"}, "prompt", "Prompt holds a character that cannot be stored. Remove it."),
        ({"prompt": "x", "size": "5x5"}, "size", "Size must be one of 1024x1024, 896x1120,"),
        ({"prompt": "x", "aspect_ratio": "1:1"}, "aspect_ratio", "takes size, not aspect_ratio. Choose size out of"),
        ({"prompt": "x", "step": 4}, "step", "has no setting “step”. Did you mean “steps”?"),
        ({"prompt": "x", "loras": []}, "loras", "It takes prompt, negative_prompt, size, style, count,"),
        ({"prompt": "x", "\x00\ud800": 1}, "\x00\ud800", "has no setting"),
    ],
)  # fmt: skip
def test_refusals_name_field_limit_and_way_out(params: dict[str, Any], field: str, message: str) -> None:
    fields = refused(LIGHTNING, params)
    assert message in fields[field]
    fields[field].encode()  # can be sent


def test_every_wrong_field_gets_its_message() -> None:
    assert set(refused(LIGHTNING, {"prompt": "", "steps": 99, "size": 3, "nonsense": 1})) == {
        "prompt", "steps", "size", "nonsense",
    }  # fmt: skip


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_a_number_is_refused(value: float) -> None:
    assert "guidance" in refused(STUDIO["photo-flux"], {"prompt": "x", "guidance": value})


def test_references_are_ids_and_bounded() -> None:
    assert check(EDIT, {"prompt": "x", "references": [PICTURE]})["references"] == [PICTURE]
    assert refused(EDIT, {"prompt": "x"})["references"] == "Seedream Edit needs a picture to work from. Add one."
    assert "needs a picture" in refused(EDIT, {"prompt": "x", "references": []})["references"]
    assert "“abc” is none" in refused(EDIT, {"prompt": "x", "references": ["abc"]})["references"]
    assert "given twice" in refused(EDIT, {"prompt": "x", "references": [PICTURE, PICTURE]})["references"]
    many = [str(new_id()) for _ in range(11)]
    assert (
        "at most 10 reference pictures; you sent 11" in refused(EDIT, {"prompt": "x", "references": many})["references"]
    )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
names = st.sampled_from([*LIGHTNING.settings, *EDIT.settings]) | st.text(max_size=10)


# how long a busy machine takes to draw an example says nothing about the check
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(params=st.dictionaries(names, json_values, max_size=6), made=st.sampled_from(list(STUDIO.values())))
def test_anything_is_either_accepted_as_it_is_or_refused_with_sentences(params: dict[str, Any], made: Model) -> None:
    try:
        cleaned = check(made, params)
    except InvalidInput as error:
        assert error.fields
        assert all(message.strip() for message in error.fields.values())
        error.detail.encode()
    else:
        assert set(cleaned) <= set(made.settings)
        assert all(cleaned[name] == value for name, value in params.items() if value is not None)
        assert check(made, cleaned) == cleaned


# ── plans ────────────────────────────────────────────────────────────────────────────────────────

FREE = Plan(
    id=new_id(), key="free", name="Free", max_count=2,
    limits={"steps": 20, "quality": ("draft",), "seed": False, "guidance": 5},
)  # fmt: skip
PRO = Plan(id=new_id(), key="pro", name="Pro", max_count=8)
PLANNED = model(
    {
        "count": {**COUNT, "maximum": 8},
        "steps": {"type": "integer", "minimum": 1, "maximum": 50, "default": 28},
        "quality": {
            "type": "string", "default": "standard",
            "oneOf": [{"const": name, "title": name.title()} for name in ("draft", "standard", "ultra")],
        },
        "seed": {"type": "integer", "minimum": 0, "maximum": 2**32 - 1},
    }
)  # fmt: skip


def test_a_plans_limits_lower_the_defaults() -> None:
    cleaned = check(PLANNED, {"prompt": "x"}, FREE, (FREE, PRO))
    assert (cleaned["steps"], cleaned["quality"], cleaned["count"]) == (20, "draft", 1)
    assert check(PLANNED, {"prompt": "x"}, PRO, (FREE, PRO))["steps"] == 28


@pytest.mark.parametrize(
    ("params", "field", "message"),
    [
        ({"count": 3}, "count", "Pictures can be at most 2 on the Free plan; you sent 3. Pro opens it."),
        ({"steps": 21}, "steps", "Steps can be at most 20 on the Free plan; you sent 21. Pro opens it."),
        ({"quality": "ultra"}, "quality", "Quality must be draft on the Free plan; you sent “ultra”. Pro opens it."),
        ({"seed": 7}, "seed", "Seed cannot be changed on the Free plan. Pro opens it."),
    ],
)
def test_what_a_plan_forbids_names_the_plan_that_opens_it(params: dict[str, Any], field: str, message: str) -> None:
    assert refused(PLANNED, {"prompt": "x", **params}, FREE, (FREE, PRO))[field] == message
    check(PLANNED, {"prompt": "x", **params}, PRO, (FREE, PRO))


def test_locked_choices_stay_visible_and_impossible_ones_are_left_out() -> None:
    fields = {field.name: field for field in form_fields(PLANNED, FREE, (FREE, PRO))}
    assert [(choice.value, choice.locked_by) for choice in fields["quality"].choices] == [
        ("draft", None), ("standard", "Pro"), ("ultra", "Pro"),
    ]  # fmt: skip
    assert [choice.locked_by for choice in fields["count"].choices] == [None] * 2 + ["Pro"] * 6
    assert (fields["steps"].maximum, fields["steps"].default, fields["seed"].locked_by) == (20, 20, "Pro")
    alone = {field.name: field for field in form_fields(PLANNED, FREE, (FREE,))}
    assert [choice.value for choice in alone["count"].choices] == [1, 2]


BASIC = Plan(id=new_id(), key="basic", name="Basic", limits={"steps": 20}, advanced=False, models=("sketcher",))
FOLDED = model(
    {
        "steps": {"type": "integer", "minimum": 1, "maximum": 50, "default": 28},
        "guidance": {"type": "number", "minimum": 1, "maximum": 9, "default": 3.5},
        "negative_prompt": {"type": "string", "maxLength": 100},
        "raw": {"type": "boolean", "default": False, "x-advanced": True},
        "strength": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.5},
    }
)  # fmt: skip


def test_without_advanced_what_is_under_the_fold_keeps_its_default_but_for_what_limits_name() -> None:
    plans = (BASIC, PRO)
    for name, value in (("guidance", 4), ("negative_prompt", "fog"), ("raw", True)):
        with pytest.raises(PlanLimit) as caught:
            check(FOLDED, {"prompt": "x", name: value}, BASIC, plans)
        assert caught.value.fields[name].endswith("cannot be changed on the Basic plan. Pro opens it.")
        assert caught.value.facts == {"plan": "basic", "opened_by": "pro"}
        check(FOLDED, {"prompt": "x", name: value}, PRO, plans)
    at_default = {"prompt": "x", "guidance": 3.5, "negative_prompt": "", "raw": False, "steps": 12, "strength": 0.9}
    assert check(FOLDED, at_default, BASIC, plans)["steps"] == 12
    fields = {field.name: field for field in form_fields(FOLDED, BASIC, plans)}
    assert {name: field.locked_by for name, field in fields.items() if field.locked_by} == {
        "guidance": "Pro", "negative_prompt": "Pro", "raw": "Pro",
    }  # fmt: skip
    assert (fields["steps"].maximum, fields["steps"].raised_by) == (20, "Pro")
    assert {field.name for field in form_fields(FOLDED, BASIC, (BASIC,))} == {"prompt", "count", "steps", "strength"}


def test_a_wrong_value_beside_a_locked_one_is_no_matter_of_the_plan_alone() -> None:
    with pytest.raises(InvalidInput) as caught:
        check(FOLDED, {"prompt": "x", "raw": True, "strength": 7}, BASIC, (BASIC, PRO))
    assert not isinstance(caught.value, PlanLimit)
    assert set(caught.value.fields) == {"raw", "strength"}


def test_a_model_of_another_plan_is_refused_with_the_plan_that_has_it() -> None:
    check_model(FOLDED, PRO, (BASIC, PRO))
    with pytest.raises(PlanLimit, match=r"Painter is not part of the Basic plan. Pro opens it.") as caught:
        check_model(FOLDED, BASIC, (BASIC, PRO))
    assert caught.value.facts["opened_by"] == "pro"
    with pytest.raises(PlanLimit, match=r"Choose another model") as caught:
        check_model(FOLDED, BASIC, (BASIC,))
    assert caught.value.facts["opened_by"] is None


# ── forms ────────────────────────────────────────────────────────────────────────────────────────


def test_every_setting_has_a_control() -> None:
    kinds = {field.name: field.kind for made in STUDIO.values() for field in form_fields(made)}
    assert kinds == {
        "prompt": "text", "negative_prompt": "text", "size": "size", "aspect_ratio": "size", "count": "count",
        "steps": "slider", "guidance": "slider", "strength": "slider", "seed": "seed", "raw": "switch",
        "output_format": "segmented", "references": "references",
        "style": "text", "quality": "segmented", "duration": "segmented", "motion": "slider", "noise": "slider",
        "framing": "segmented",
    }  # fmt: skip


def test_sizes_carry_the_shape_to_draw() -> None:
    size = next(field for field in form_fields(LIGHTNING) if field.name == "size")
    assert [(choice.label, choice.aspect, choice.pixels) for choice in size.choices][:3] == [
        ("1:1", (1, 1), (1024, 1024)), ("4:5", (4, 5), (896, 1120)), ("3:4", (3, 4), (864, 1152)),
    ]  # fmt: skip
    for made in STUDIO.values():
        for field in form_fields(made):
            for choice in field.choices:
                if choice.pixels:
                    assert choice.label.removesuffix(" large") == f"{choice.aspect[0]}:{choice.aspect[1]}"  # type: ignore[index]
                    assert all(side % 16 == 0 for side in choice.pixels)


def test_a_forms_texts_become_typed_values() -> None:
    typed = from_form(
        STUDIO["flux-ultra"],
        {
            "prompt": "a lake", "count": "2", "seed": "", "strength": "0.25", "raw": "on",
            "references": ["", PICTURE], "csrf": "ignored",
        },
    )  # fmt: skip
    assert typed == {
        "prompt": "a lake", "count": 2, "strength": 0.25, "raw": True, "references": [PICTURE],
    }  # fmt: skip
    assert check(STUDIO["flux-ultra"], typed)["count"] == 2


def test_a_forms_nonsense_reaches_the_check_as_it_is() -> None:
    typed = from_form(LIGHTNING, {"prompt": "a lake", "steps": "many", "count": "2.5"})
    assert refused(LIGHTNING, typed) == {
        "steps": "Steps must be a whole number; you sent “many”.",
        "count": "Pictures must be a whole number; you sent “2.5”.",
    }


# ── schemas ──────────────────────────────────────────────────────────────────────────────────────


def schema(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object", "additionalProperties": False, "required": ["prompt"],
        "properties": {"prompt": PROMPT, "count": COUNT, **properties},
    }  # fmt: skip


def test_the_models_schemas_are_sound() -> None:
    for made in STUDIO.values():
        assert list(problems(made.capabilities)) == []


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("text", "must be a JSON Schema of type object"),
        (schema(steps={"type": "integer", "minimum": "one"}), "not valid JSON Schema"),
        ({**schema(), "additionalProperties": True}, "additionalProperties = false"),
        ({**schema(), "required": ["promt"]}, "requires “promt”"),
        ({**schema(), "properties": {"prompt": PROMPT}}, "“count” is missing"),
        (schema(count={**COUNT, "minimum": 0}), "count needs minimum = 1"),
        (schema(count={**COUNT, "maximum": 1000}), "count needs minimum = 1 and a maximum"),
        (schema(count={"type": "integer", "minimum": 1, "maximum": 4}), "“count” needs a default"),
        (schema(prompt={"type": "string"}), "prompt needs maxLength"),
        (schema(steps={"minimum": 1}), "“steps” needs a type"),
        (schema(steps={"type": "number"}), "must be of type integer"),
        (schema(steps={"type": "integer", "maximum": 12, "default": 28}), "the default of “steps” does not fit"),
        (schema(steps={"type": "integer", "default": 4.0}), "the default of “steps” does not fit"),
        (schema(size={"type": "string", "default": "big", "enum": ["big"]}), "size needs choices such as 1024x768"),
        (schema(size={"type": "string"}), "size needs choices"),
        (schema(aspect_ratio={"type": "string", "default": "0:1", "enum": ["0:1"]}), "aspect_ratio needs choices"),
        (schema(quality={"type": "string", "default": "x"}), "quality needs choices"),
        (schema(seed={"type": "integer", "minimum": 0, "maximum": 2**40}), "seed needs minimum = 0"),
        (schema(references={"type": "array", "maxItems": 2, "items": {"type": "string"}}), "references needs"),
        (schema(Steps={"type": "integer"}), "not a usable name"),
        (schema(style={"type": "string", "oneOf": [{"title": "Ink"}]}), "every choice needs a const"),
        (
            schema(
                size={"type": "string", "default": "1x1", "enum": ["1x1"]},
                aspect_ratio={"type": "string", "default": "1:1", "enum": ["1:1"]},
            ),
            "either size or aspect_ratio",
        ),
    ],
)  # fmt: skip
def test_unsound_schemas_are_refused(bad: object, reason: str) -> None:
    assert any(reason in text for _, text in problems(bad)), list(problems(bad))
