"""The form of a model: texts to facts and back, and what is wrong told by line. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import BaseModel, Field

from gesso.admin.typed import at_lines, json_object, shown
from gesso.catalog.edits.models import ModelFacts, ModelRefused
from gesso.catalog.items import Connection, Kind, Model
from gesso.catalog.rules import FACTOR_TABLES, MEASURES, Rule, choices_of
from gesso.core.errors import GessoError, InvalidInput
from gesso.web.forms import Form, blank

EXAMPLE = "example_"
"""Names of the fields that say what the live example is of begin so."""
PRICED = ("size", "aspect_ratio", "quality", "duration")

Amount = Annotated[str, Field(max_length=30)]


class ModelForm(BaseModel):
    """A model as it is typed."""

    name: Annotated[str, Field(max_length=80)]
    description: Annotated[str, Field(max_length=300)] = ""
    connection: str
    upstream: Annotated[str, Field(max_length=300)]
    capabilities: str
    price_amount: Amount = ""
    price_per: list[str] = []
    price_factors: str = ""
    cost_amount: Amount = ""
    cost_per: list[str] = []
    cost_factors: str = ""
    wire: str = ""
    tags: str = ""
    fallbacks: str = ""
    outputs_per_call: Annotated[int, Field(ge=1, le=100)] = 1
    typical_seconds: Annotated[int, Field(ge=1, le=86_400)]
    enabled: bool = False
    free: bool = False
    below_cost: bool = False

    def facts(self) -> ModelFacts:
        """As the service takes it. Raises InvalidInput naming field and line."""
        wrong: dict[str, str] = {}

        def read(parse: Any, *args: Any) -> Any:
            try:
                return parse(*args)
            except GessoError as error:
                wrong.update(error.fields)
                return None

        capabilities = read(json_object, self.capabilities, "capabilities")
        wire = read(json_object, self.wire, "wire")
        price = read(rule_of, "credits", "price", self.price_amount, self.price_per, self.price_factors)
        cost = read(rule_of, "usd", "cost", self.cost_amount, self.cost_per, self.cost_factors)
        if wrong:
            raise InvalidInput(" ".join(wrong.values()), fields=wrong)
        return ModelFacts(
            name=self.name, description=self.description, connection=self.connection, upstream=self.upstream,
            capabilities=capabilities, price=price, cost=cost, wire=wire, tags=words(self.tags),
            fallbacks=words(self.fallbacks), outputs_per_call=self.outputs_per_call,
            typical_seconds=self.typical_seconds, enabled=self.enabled,
        )  # fmt: skip


class NewModelForm(ModelForm):
    """A new one also says what it is called in addresses, and what it makes."""

    key: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,62}$")]
    kind: Kind


def words(text: str) -> tuple[str, ...]:
    """“fast, photo” → ("fast", "photo"), each once."""
    return tuple(dict.fromkeys(part for part in (part.strip() for part in text.split(",")) if part))


def rule_of(unit: str, field: str, amount: str, per: Iterable[str], factors: str) -> dict[str, Any] | None:
    """A rule as JSON from an amount, what it counts, and factor lines; None without an amount. Raises InvalidInput."""
    tables = _factors(field, factors)
    if not amount:
        if tables:
            raise InvalidInput("Give an amount too.", fields={f"{field}_amount": "Give an amount too."})
        return None
    rule: dict[str, Any] = {unit: _figure(amount, f"{field}_amount", "Give a number, such as 1.5.")}
    if measures := [measure for measure in MEASURES if measure in per]:
        rule["per"] = measures
    return rule | tables


def _factors(field: str, text: str) -> dict[str, dict[str, str]]:
    """Lines such as “size 2048x2048 = 2”: table → choice → factor."""
    tables: dict[str, dict[str, str]] = {}
    where = f"{field}_factors"
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        left, equals, right = line.partition("=")
        name, _, choice = left.strip().partition(" ")
        if not equals or not choice.strip() or name not in FACTOR_TABLES:
            reason = f"Line {number}: write it as “size 2048x2048 = 2”; it begins with {', '.join(FACTOR_TABLES)}."
            raise InvalidInput(reason, fields={where: reason})
        figure = _figure(right.strip(), where, f"Line {number}: “{right.strip()[:20]}” is no number.")
        tables.setdefault(name, {})[choice.strip()] = figure
    return tables


def _figure(text: str, field: str, reason: str) -> str:
    try:
        figure = Decimal(text)
    except InvalidOperation:
        raise InvalidInput(reason, fields={field: reason}) from None
    if not figure.is_finite() or figure < 0:
        reason = f"{reason.rpartition(':')[0]}: " if reason.startswith("Line") else ""
        reason += "It must be nothing or more: nobody is paid for asking."
        raise InvalidInput(reason, fields={field: reason})
    return text


def factor_lines(rule: Rule | None) -> str:
    """A rule's factors as they are typed."""
    if rule is None:
        return ""
    return "\n".join(
        f"{name} {choice} = {factor}"
        for name in FACTOR_TABLES
        for choice, factor in rule.source.get(name, {}).items()
    )  # fmt: skip


def filled(model: Model, connection: Connection | None) -> Form[Any]:
    """The form of a stored model."""
    return blank(
        name=model.name, description=model.description, connection=connection.key if connection else "",
        upstream=model.upstream, capabilities=shown(model.capabilities), wire=shown(model.wire),
        price_amount=model.price.source["credits"] if model.price else "",
        price_per=list(model.price.source.get("per", [])) if model.price else [],
        price_factors=factor_lines(model.price),
        cost_amount=model.cost.source["usd"] if model.cost else "",
        cost_per=list(model.cost.source.get("per", [])) if model.cost else [],
        cost_factors=factor_lines(model.cost),
        tags=", ".join(model.tags), fallbacks=", ".join(model.fallbacks), outputs_per_call=model.outputs_per_call,
        typical_seconds=model.typical_seconds, enabled="true" if model.enabled else "",
    )  # fmt: skip


def tell(form: Form[Any], error: GessoError) -> None:
    """Put what is wrong where it was typed: rules at their amount, mistakes inside a document by line."""
    fields = dict(error.fields)
    if isinstance(error, ModelRefused):
        for name, problems in error.places.items():
            fields[name] = at_lines(form.get(name), problems)
    for name in ("price", "cost"):
        if name in fields:
            fields[f"{name}_amount"] = fields.pop(name)
    if fields:
        form.errors |= fields
    else:
        form.errors[""] = error.detail


@dataclass(frozen=True, slots=True)
class ExampleField:
    """A setting that the price may depend on, as the live example offers it. Without choices: a number."""

    name: str
    label: str
    value: Any
    choices: tuple[Any, ...]
    minimum: int | None = None
    maximum: int | None = None


def example_fields(model: Model, typed: Mapping[str, Any]) -> tuple[ExampleField, ...]:
    """Size, quality and the like, and how many, with what was chosen so far or the model's defaults."""
    fields = []
    for name in (*PRICED, "count"):
        prop = model.settings.get(name)
        if prop is None:
            continue
        choices = choices_of(prop)
        value = _value(typed.get(EXAMPLE + name), prop, choices)
        label = {"aspect_ratio": "Shape", "count": "How many"}.get(name, name.capitalize())
        fields.append(ExampleField(name, label, value, choices, prop.get("minimum"), prop.get("maximum")))
    return tuple(fields)


def _value(text: Any, prop: Mapping[str, Any], choices: tuple[Any, ...]) -> Any:
    default = prop.get("default", prop.get("minimum"))
    if not isinstance(text, str) or not text:
        return default
    if choices:
        return next((choice for choice in choices if str(choice) == text), default)
    try:
        return min(max(int(text), prop.get("minimum", 1)), prop.get("maximum", 100))
    except ValueError:
        return default
