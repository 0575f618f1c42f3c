"""From a TOML file to an Edition, strictly."""

import hashlib
import re
import tomllib
from collections.abc import Collection, Mapping
from decimal import Decimal
from functools import partial
from pathlib import Path

from gesso.catalog.editions import sections
from gesso.catalog.editions.edition import Edition, Face
from gesso.catalog.editions.positions import lines_of
from gesso.catalog.editions.tables import Document, EditionError, Problem, Table
from gesso.catalog.items import Connection, Model, Plan

_FOLDER = Path(__file__).resolve().parents[2] / "editions"
_AT_LINE = re.compile(r"\s*\(at line (\d+), column \d+\)")
_MAX_BYTES = 2**20


def edition_names() -> tuple[str, ...]:
    """The editions that come with gesso."""
    return tuple(sorted(file.stem for file in _FOLDER.glob("*.toml")))


def load_edition(name_or_path: str) -> Edition:
    """An edition by its name, or the one in the file at a path that ends in `.toml`.

    Raises EditionError with every problem's line and reason.
    """
    if not name_or_path.endswith(".toml"):
        if name_or_path not in edition_names():
            known = ", ".join(edition_names())
            raise EditionError(name_or_path, [Problem(1, f"there is no such edition; known: {known}")])
        name_or_path = str(_FOLDER / f"{name_or_path}.toml")
    file = Path(name_or_path)
    try:
        with file.open("rb") as opened:
            data = opened.read(_MAX_BYTES + 1)
    except OSError as error:
        raise EditionError(file.name, [Problem(1, f"cannot be read: {error.strerror}")]) from None
    return parse_edition(data, file.name)


def parse_edition(data: bytes, file: str) -> Edition:
    """An edition from a file's bytes; `file` is its name, for messages and as the edition's name.

    Raises EditionError.
    """
    if len(data) > _MAX_BYTES:
        raise EditionError(file, [Problem(1, "is larger than 1 MiB")])
    try:
        text = data.decode()
        values = tomllib.loads(text, parse_float=Decimal)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise EditionError(file, [Problem(line, "is not UTF-8 text")]) from None
    except tomllib.TOMLDecodeError as error:
        raise EditionError(file, [_syntax(error, text)]) from None
    document = Document(lines_of(text))
    edition = _read(Table(document, (), values), file.removesuffix(".toml"), hashlib.sha256(data).hexdigest())
    if document.problems:
        raise EditionError(file, document.problems)
    return edition


def _syntax(error: tomllib.TOMLDecodeError, text: str) -> Problem:
    message = str(error)
    at = _AT_LINE.search(message)
    line = int(at[1]) if at else text.count("\n") + 1
    return Problem(line, f"not valid TOML: {_AT_LINE.sub('', message).removesuffix(' (at end of document)')}")


def _read(root: Table, name: str, file_hash: str) -> Edition:
    root.document.shared = sections.read_shared(root)
    face = sections.read_face(root, name)
    connections = sections.read_all(root, "connections", sections.read_connection)
    by_key = {key: connection for key, (connection, _) in connections.items()}
    models = sections.read_all(root, "models", partial(sections.read_model, connections=by_key))
    plans = sections.read_all(root, "plans", sections.read_plan)
    packs = sections.read_all(root, "packs", sections.read_pack)
    presets = sections.read_all(root, "style_presets", sections.read_style_preset)
    chains = sections.read_chains(root, {key: model for key, (model, _) in models.items()})
    root.finish()
    _check_fallbacks(models)
    _check_plan_models(plans, models)
    _check_adults(face, connections)
    _check_defaults(root, face, {key: model for key, (model, _) in models.items()}, plans)
    return Edition(
        face=face,
        file_hash=file_hash,
        connections=tuple(by_key.values()),
        models=tuple(model for model, _ in models.values()),
        plans=tuple(plan for plan, _ in plans.values()),
        packs=tuple(pack for pack, _ in packs.values()),
        style_presets=tuple(preset for preset, _ in presets.values()),
        chains=chains,
    )


def _check_adults(face: Face, connections: Mapping[str, tuple[Connection, Table]]) -> None:
    for connection, table in connections.values():
        if connection.adult and not face.policy.adult:
            table.wrong("adapter", f"“{connection.adapter}” has adult models, and the content policy here is general")


def _check_fallbacks(models: Mapping[str, tuple[Model, Table]]) -> None:
    for key, (model, table) in models.items():
        for index, fallback in enumerate(model.fallbacks):
            other = models.get(fallback)
            if fallback == key:
                table.wrong("fallbacks", "a model cannot be its own fallback", index)
            elif other is None:
                table.wrong("fallbacks", f"there is no model “{fallback}”", index)
            elif other[0].kind != model.kind:
                table.wrong("fallbacks", f"“{fallback}” makes {other[0].kind}, not {model.kind}", index)


def _check_plan_models(plans: Mapping[str, tuple[Plan, Table]], models: Collection[str]) -> None:
    for plan, table in plans.values():
        for index, model in enumerate(plan.models):
            if model not in models:
                table.wrong("models", f"there is no model “{model}”", index)


def _check_defaults(root: Table, face: Face, models: Mapping[str, Model], plans: Collection[str]) -> None:
    defaults = root.table("defaults")
    if face.defaults.plan and face.defaults.plan not in plans:
        defaults.wrong("plan", f"there is no plan “{face.defaults.plan}”")
    model = models.get(face.defaults.model)
    if face.defaults.model and model is None:
        defaults.wrong("model", f"there is no model “{face.defaults.model}”")
    elif model is not None and not model.enabled:
        defaults.wrong("model", f"the default model “{model.key}” is not enabled")
