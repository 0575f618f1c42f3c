"""What the composer on the Create page shows. Pure: the catalogue and what was typed in, frozen values out.

Nothing typed is lost: what a
model does not take stays in the form unseen, so that going back to another model finds it again.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from gesso.catalog.allowed import model_opener, opens
from gesso.catalog.capabilities import Choice, Field, form_fields, label_of
from gesso.catalog.costs import usual_words
from gesso.catalog.items import Model, Plan
from gesso.catalog.styles import SETTING as STYLE
from gesso.catalog.styles import takes_styles
from gesso.catalog.views import sample_url
from gesso.core.errors import InvalidInput
from gesso.generation.quotes import Quote
from gesso.generation.rooms import Room
from gesso.generation.styling import StyleCard
from gesso.generation.typed import Typed, form_text, text_of, texts_of
from gesso.media.models import Asset
from gesso.media.views import media_url, title_of

ControlKind = Literal["segmented", "select", "slider", "number", "text", "switch", "size", "seed"]

CARDS = 6
"""More models than this do not all stand in the composer."""
CARDS_SHOWN = 4
_SEGMENTS = 6
_SHORT_LABEL = 5
_PLACED = frozenset({"prompt", "references"})
"""Drawn at their own places, not among the controls."""
_WORDY = frozenset({"text"})


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A model to choose, that makes `kind`. `facts`: "1 credit · 9 s", or that it cannot be used now. `plan` opens a
    locked one."""

    key: str
    name: str
    text: str
    facts: str
    sample: str
    checked: bool
    plan: str = ""
    kind: str = "image"


@dataclass(frozen=True, slots=True)
class Option:
    """One choice of a control. `shape` is width and height to draw; `pixels` "896 × 1,152"."""

    value: str
    label: str
    checked: bool
    locked_by: str
    shape: tuple[int, int] | None = None
    pixels: str = ""


@dataclass(frozen=True, slots=True)
class Control:
    """One of the model's own controls. `percent` is where a slider's knob stands, `mode` what keypad a phone shows."""

    name: str
    kind: ControlKind
    label: str
    help: str
    value: str
    default: str
    error: str
    options: tuple[Option, ...] = ()
    low: str = ""
    high: str = ""
    step: str = "any"
    percent: float = 0.0
    max_length: int = 0
    locked_by: str = ""
    raised_by: str = ""

    @property
    def chosen(self) -> Option | None:
        """The option that is on."""
        return next((option for option in self.options if option.checked), None)

    @property
    def words(self) -> bool:
        """Whether its options need more than the room of "16:9"."""
        return any(len(option.label) > _SHORT_LABEL for option in self.options)

    @property
    def changed(self) -> bool:
        """Whether it stands elsewhere than where it begins."""
        return self.value != self.default


@dataclass(frozen=True, slots=True)
class Slot:
    """A picture to work from."""

    id: UUID
    src: str
    alt: str


@dataclass(frozen=True, slots=True)
class References:
    """The pictures to work from: those chosen and how many may be."""

    label: str
    help: str
    slots: tuple[Slot, ...]
    least: int
    most: int
    error: str
    max_megabytes: int

    @property
    def full(self) -> bool:
        return len(self.slots) >= self.most


@dataclass(frozen=True, slots=True)
class Composer:
    """Everything the composer shows. `hidden` are values that are kept but not drawn."""

    room: Room
    key: str
    open: bool
    fold_open: bool
    fold_wanted: str
    prompt: str
    prompt_help: str
    prompt_max: int
    cards: tuple[ModelCard, ...]
    more: tuple[ModelCard, ...]
    model: ModelCard
    main: tuple[Control, ...]
    advanced: tuple[Control, ...]
    references: References | None
    hidden: tuple[tuple[str, str], ...]
    quote: Quote
    errors: Mapping[str, str]
    labels: Mapping[str, str]
    notice: str
    styles: tuple[StyleCard, ...] = ()
    closed: str = ""
    """What to know before asking: the chosen model cannot be used now, and what happens instead."""
    grown: int = 0
    """How many more models there are for somebody who confirms to be an adult."""

    @property
    def style(self) -> str:
        """The style that is chosen, by key."""
        return next((card.key for card in self.styles if card.checked), "")

    @property
    def changed(self) -> int:
        """How many of the advanced controls were changed."""
        return sum(control.changed for control in self.advanced)

    @property
    def summary(self) -> dict[str, str]:
        """What is wrong, in the form's order, to stand after the field's name: "Steps" and "must be between …"."""
        order = [name for name in self.labels if name in self.errors]
        order += [name for name in self.errors if name not in self.labels]
        return {name: self.errors[name].removeprefix(f"{self.labels.get(name, '')} ") for name in order}

    @property
    def chips(self) -> tuple[tuple[str, str], ...]:
        """What a phone shows of the folded-away choices: (control, words)."""
        shown = [
            (control.name, f"{control.label} {chosen.label}" if chosen.label.isdecimal() else chosen.label)
            for control in self.main
            if (chosen := control.chosen) and control.name != "count"
        ]  # a bare number says nothing without its name
        count = next((control for control in self.main if control.name == "count"), None)
        if count is not None and len(count.options) > 1:
            words = self.room.one if count.value == "1" else self.room.many
            shown.append(("count", f"{count.value} {words}"))
        return tuple(shown)


def model_cards(
    models: Sequence[Model],
    chosen: Model,
    measured: Mapping[str, float] | None = None,
    closed: Collection[UUID] = (),
    plan: Plan | None = None,
    plans: Sequence[Plan] = (),
    *,
    by_plan: bool = False,
) -> tuple[ModelCard, ...]:
    """All models as cards, in their order. One without a price cannot be used and has none; one that `plan` does not
    have is locked.

    `measured`: seconds that recent runs took, by model; without one the catalogue's word counts. `closed`: connections
    that take no calls now. `by_plan`: uses of the plan pay, and not credits.
    """
    cards = []
    for model in models:
        try:
            price = usual_words(model, by_plan=by_plan)
        except InvalidInput:
            price = "Price by size"
        seconds = max(1, round((measured or {}).get(model.key, model.typical_seconds)))
        usable = model.connection_id not in closed or _stand_in(model, models, closed)
        about = "~" if model.kind == "video" else ""  # else it would pass for the video's length
        facts = f"{price} · {about}{seconds} s" if usable else "Not available now"
        cards.append(
            ModelCard(
                model.key, model.name, model.description, facts, sample_url(model) or "", model is chosen,
                _opened_by(model, plan, plans), model.kind,
            )
        )  # fmt: skip
    return tuple(cards)


def _opened_by(model: Model, plan: Plan | None, plans: Sequence[Plan]) -> str:
    if plan is None or opens(plan, model):
        return ""
    found = model_opener(plans, model)
    return found.name if found is not None else ""


def closed_words(chosen: Model, models: Sequence[Model], closed: Collection[UUID]) -> str:
    """What to tell before anything is asked of a model whose connection takes no calls; "" when it does."""
    if chosen.connection_id not in closed:
        return ""
    other = _stand_in(chosen, models, closed)
    if other is not None:
        return f"{chosen.name} is not available at the moment. {other.name} stands in for it, at no higher price."
    if any(model.connection_id not in closed for model in models):
        return f"{chosen.name} is not available at the moment. Choose another model; what fails costs nothing."
    return "Nothing can be made at the moment. We know and are on it; what fails costs nothing."


def _stand_in(model: Model, models: Sequence[Model], closed: Collection[UUID]) -> Model | None:
    """The first fallback that takes calls."""
    return next(
        (one for key in model.fallbacks for one in models if one.key == key and one.connection_id not in closed), None
    )


def first_cards(cards: tuple[ModelCard, ...], everything: bool) -> tuple[ModelCard, ...]:
    """Those that stand in the composer; the chosen one is always among them."""
    if everything or len(cards) <= CARDS:
        return cards
    shown = cards[:CARDS_SHOWN]
    chosen = next((card for card in cards if card.checked), None)
    return shown if chosen is None or chosen in shown else (*shown[:-1], chosen)


def controls(
    model: Model, typed: Typed, errors: Mapping[str, str], plan: Plan, plans: Sequence[Plan]
) -> tuple[tuple[Control, ...], tuple[Control, ...]]:
    """The model's controls: those in sight (the shape first, the number of pictures last), and the advanced ones."""
    placed = _PLACED | ({STYLE} if takes_styles(model) else set())
    fields = [field for field in form_fields(model, plan, plans) if field.name not in placed and not _only_one(field)]
    drawn = [(field, _control(field, typed, errors)) for field in fields]
    main = [control for field, control in drawn if not field.advanced]
    main.sort(key=lambda control: (control.kind != "size", control.name == "count"))
    advanced = [control for field, control in drawn if field.advanced]
    advanced.sort(key=lambda control: (control.kind not in ("slider", "number"), control.kind in _WORDY))
    return tuple(main), tuple(advanced)


def _only_one(field: Field) -> bool:
    """Whether it is the number of outputs of a model that makes one at a time: there is nothing to choose."""
    return field.kind == "count" and len(field.choices) == 1


def reference_part(
    model: Model, typed: Typed, found: Mapping[UUID, Asset], errors: Mapping[str, str], max_bytes: int
) -> References | None:
    """The part for pictures to work from; None for a model that takes none."""
    prop = model.settings.get("references")
    if prop is None:
        return None
    slots = tuple(
        Slot(asset.id, media_url(asset.id, 320), title_of(asset))
        for text in texts_of(typed, "references")
        if (asset := found.get(UUID(text))) is not None
    )
    return References(
        label=label_of("references", prop),
        help=str(prop.get("description", "")),
        slots=slots,
        least=prop.get("minItems", 0),
        most=prop.get("maxItems", 10),
        error=errors.get("references", ""),
        max_megabytes=max_bytes // 2**20,
    )


def left_over(model: Model, typed: Typed) -> tuple[tuple[str, str], ...]:
    """Pictures to work from, words to leave out and a style that this model does not take, kept for one that does."""
    kept = ((name, text) for name in ("references", "negative_prompt", STYLE) for text in texts_of(typed, name))
    return tuple(pair for pair in kept if pair[0] not in model.settings)


# --- one control ---------------------------------------------------------------------------------------


def _control(field: Field, typed: Typed, errors: Mapping[str, str]) -> Control:
    default = form_text(field.default) if field.default is not None else ""
    typed_text = text_of(typed, field.name)
    value = typed_text if typed_text or (field.name in typed and field.kind in ("text", "seed")) else default
    return Control(
        name=field.name,
        kind=_kind(field),
        label=field.label,
        help=field.help,
        value=value,
        default=default,
        error=errors.get(field.name, ""),
        options=tuple(_option(choice, value) for choice in field.choices),
        low=form_text(field.minimum),
        high=form_text(field.maximum),
        step=form_text(field.step) or "any",
        percent=_percent(field, value),
        max_length=field.max_length or 0,
        locked_by=field.locked_by or "",
        raised_by=field.raised_by or "",
    )


def _kind(field: Field) -> ControlKind:
    if field.kind == "count":
        return "segmented" if len(field.choices) <= _SEGMENTS else "select"
    if field.kind == "references":
        raise ValueError("references are drawn at their own place")
    return field.kind


def _option(choice: Choice, value: str) -> Option:
    pixels = f"{choice.pixels[0]:,} × {choice.pixels[1]:,}" if choice.pixels else ""
    text = form_text(choice.value)
    return Option(text, choice.label, text == value, choice.locked_by or "", choice.aspect, pixels)


def _percent(field: Field, value: str) -> float:
    low, high = field.minimum, field.maximum
    if low is None or high is None or high <= low:
        return 0.0
    try:
        return round(min(max((float(value) - low) / (high - low), 0.0), 1.0) * 100, 2)
    except ValueError:
        return 0.0
