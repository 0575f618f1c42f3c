"""Forms sent by browsers: to a pydantic model, or back to the page with what was typed and what is wrong."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, get_origin

from fastapi import Request
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gesso.core.errors import GessoError

Model = TypeVar("Model", bound=BaseModel)

# Never sent back into a page.
_SECRET = ("password", "api_key")


@dataclass(slots=True)
class Form(Generic[Model]):
    """One sent form. `model` is None while there are errors.

    Templates read `typed` (name → text as typed, or a list for repeated names; no passwords and keys) and `errors`
    (name → one sentence). Errors that belong to no field stand under "".
    """

    model: Model | None = None
    typed: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether the form can be acted on."""
        return not self.errors

    @property
    def value(self) -> Model:
        """The checked model. Only after `ok`."""
        assert self.model is not None and self.ok, "the form has errors"
        return self.model

    def fail(self, error: GessoError) -> None:
        """Take over what a service found wrong; its sentence goes to the top when it names no field."""
        self.errors |= error.fields or {"": error.detail}

    def get(self, name: str, default: Any = "") -> Any:
        """What was typed into `name`."""
        return self.typed.get(name, default)


def blank(**values: Any) -> Form[Any]:
    """A form nobody has sent yet, with these values in it."""
    return Form(typed=values)


async def read(request: Request, model: type[Model], *, max_fields: int = 100) -> Form[Model]:
    """Parse a urlencoded or multipart form into `model`.

    Text is stripped, except passwords. A field left empty counts as not given, so that defaults and
    “optional” mean what they say. Repeated names become lists where the model asks for one.
    """
    async with request.form(max_fields=max_fields, max_files=0) as data:
        pairs = [(name, value) for name, value in data.multi_items() if isinstance(value, str)]
    return parse(pairs, model)


def parse(pairs: list[tuple[str, str]], model: type[Model]) -> Form[Model]:
    """`read` without the request."""
    lists = {name for name, info in model.model_fields.items() if _is_list(info.annotation)}
    given: dict[str, Any] = {}
    for name, value in pairs:
        text = value if _secret(name) else value.strip()
        if name in lists:
            given.setdefault(name, []).append(text)
        else:
            given[name] = text
    form: Form[Model] = Form(typed={name: value for name, value in given.items() if not _secret(name)})
    try:
        form.model = model.model_validate({name: value for name, value in given.items() if value != ""})
    except ValidationError as error:
        form.errors = field_errors(error)
    return form


def field_errors(error: ValidationError) -> dict[str, str]:
    """The first complaint per field, as a sentence that says what to do."""
    found: dict[str, str] = {}
    for problem in error.errors(include_url=False, include_input=False):
        name = str(problem["loc"][0]) if problem["loc"] else ""
        found.setdefault(name, sentence(problem))
    return found


def sentence(problem: ErrorDetails | Mapping[str, Any]) -> str:
    """One pydantic error in words. The limit stands in the sentence."""
    facts = problem.get("ctx") or {}
    match problem["type"]:
        case "missing":
            return "Fill this in."
        case "string_too_short":
            return f"Use at least {_count(facts['min_length'], 'character')}."
        case "string_too_long":
            return f"Use at most {_count(facts['max_length'], 'character')}."
        case "too_short":
            return f"Choose at least {facts['min_length']:,}."
        case "too_long":
            return f"Choose at most {facts['max_length']:,}."
        case "int_parsing" | "int_type" | "int_from_float":
            return "Give a whole number."
        case "float_parsing" | "float_type" | "decimal_parsing":
            return "Give a number."
        case "greater_than_equal":
            return f"Give {facts['ge']:,} or more."
        case "less_than_equal":
            return f"Give {facts['le']:,} or less."
        case "greater_than":
            return f"Give more than {facts['gt']:,}."
        case "less_than":
            return f"Give less than {facts['lt']:,}."
        case "literal_error" | "enum":
            return f"Choose {facts['expected']}."
        case "value_error" if "reason" in facts or "email" in problem["msg"]:  # pydantic's EmailStr
            return "An e-mail looks like name@site.com."
        case "value_error" if "error" in facts:
            return str(facts["error"])
        case "extra_forbidden":
            return "This is not a field of the form."
        case _:
            return f"{problem['msg'].removeprefix('Value error, ').rstrip('.')}."


def _count(amount: int, thing: str) -> str:
    return f"{amount:,} {thing}{'' if amount == 1 else 's'}"


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) in (list, tuple, set, frozenset)


def _secret(name: str) -> bool:
    return any(word in name for word in _SECRET)
