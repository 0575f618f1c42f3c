"""Forms: what was typed stays, passwords do not, and each error says what to do."""

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, EmailStr, Field, field_validator

from gesso.core.errors import InvalidInput
from gesso.web.forms import blank, parse


class SignUp(BaseModel):
    email: EmailStr
    password: Annotated[str, Field(min_length=10, max_length=20)]
    name: str = "someone"
    age: Annotated[int | None, Field(ge=18, le=120)] = None
    news: bool = False
    kinds: list[str] = []
    plan: Literal["free", "pro"] = "free"

    @field_validator("name")
    @classmethod
    def _real(cls, name: str) -> str:
        if name == "admin":
            raise ValueError("Choose another name.")
        return name


GOOD = [("email", " ada@example.org "), ("password", " secret words ")]


def test_a_good_form_becomes_the_model() -> None:
    form = parse([*GOOD, ("kinds", "a"), ("kinds", "b"), ("news", "true"), ("age", "")], SignUp)
    assert form.ok
    assert form.value == SignUp(email="ada@example.org", password=" secret words ", kinds=["a", "b"], news=True)


def test_one_repeated_name_is_still_a_list() -> None:
    assert parse([*GOOD, ("kinds", "a")], SignUp).value.kinds == ["a"]


def test_what_was_typed_stays_but_never_a_password() -> None:
    form = parse([("email", "ada@"), ("password", "short"), ("name", "Ada <b>")], SignUp)
    assert not form.ok
    assert form.get("email") == "ada@"
    assert form.get("name") == "Ada <b>"
    assert "short" not in str(form.typed)


@pytest.mark.parametrize(
    ("change", "field", "sentence"),
    [
        (("email", ""), "email", "Fill this in."),
        (("email", "ada@"), "email", "An e-mail looks like name@site.com."),
        (("password", "short"), "password", "Use at least 10 characters."),
        (("password", "x" * 21), "password", "Use at most 20 characters."),
        (("age", "12"), "age", "Give 18 or more."),
        (("age", "121"), "age", "Give 120 or less."),
        (("age", "old"), "age", "Give a whole number."),
        (("name", "admin"), "name", "Choose another name."),
        (("plan", "gold"), "plan", "Choose 'free' or 'pro'."),
    ],
)
def test_errors_are_sentences_at_their_field(change: tuple[str, str], field: str, sentence: str) -> None:
    form = parse([*GOOD, change], SignUp)
    assert form.errors == {field: sentence}
    with pytest.raises(AssertionError):
        _ = form.value


def test_a_services_refusal_joins_the_form() -> None:
    form = parse(GOOD, SignUp)
    form.fail(InvalidInput("Taken.", fields={"email": "This e-mail has an account."}))
    form.fail(InvalidInput("Sign-up is closed."))
    assert form.errors == {"email": "This e-mail has an account.", "": "Sign-up is closed."}


def test_a_blank_form_has_values_and_no_errors() -> None:
    form = blank(name="Ada")
    assert form.ok
    assert (form.get("name"), form.get("email")) == ("Ada", "")
