"""Writes docs/settings.md from the settings classes: `python docs/settings.py`."""

import ast
import inspect
from pathlib import Path
from typing import get_args

from pydantic_settings import BaseSettings

from gesso.core.settings import SETTINGS_CLASSES, env_name

HEAD = """# Settings

All settings are environment variables. They are read once at the start; a value that cannot work stops it with a
sentence. An empty variable counts as not set. This page is written by `python docs/settings.py` and tested.
"""


def main() -> None:
    sections = [HEAD, *(_section(owner) for owner in SETTINGS_CLASSES)]
    (Path(__file__).parent / "settings.md").write_text("\n".join(sections))


def _section(owner: type[BaseSettings]) -> str:
    words = _field_docs(owner)
    lines = [f"## {owner.__name__.removesuffix('Settings')}", "", inspect.getdoc(owner) or "", ""]
    lines += ["| variable | type | default | meaning |", "|---|---|---|---|"]
    for name, field in owner.model_fields.items():
        default = "" if field.default is None else f"`{field.default}`"
        lines.append(f"| `{env_name(owner, name)}` | {_type(field.annotation)} | {default} | {words[name]} |")
    return "\n".join(lines) + "\n"


def _type(annotation: object) -> str:
    arguments = get_args(annotation)
    if arguments and all(isinstance(one, str) for one in arguments):
        return " or ".join(arguments)
    names = [getattr(one, "__name__", str(one)) for one in (arguments or (annotation,)) if one is not type(None)]
    plain = {"SecretStr": "secret", "str": "text", "int": "whole number", "float": "number", "bool": "true or false"}
    return ", ".join(plain.get(name, name.lower()) for name in names)


def _field_docs(owner: type[BaseSettings]) -> dict[str, str]:
    """The docstring under each field."""
    body = ast.parse(inspect.getsource(owner)).body[0]
    assert isinstance(body, ast.ClassDef)
    docs = {}
    for before, after in zip(body.body, body.body[1:], strict=False):
        if isinstance(before, ast.AnnAssign) and isinstance(before.target, ast.Name) and isinstance(after, ast.Expr):
            assert isinstance(after.value, ast.Constant)
            docs[before.target.id] = " ".join(str(after.value.value).split())
    return docs


if __name__ == "__main__":
    main()
