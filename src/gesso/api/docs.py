"""The API's reference page, drawn on the server from the OpenAPI document: no script, no outside host."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request, Response

from gesso.web.render import page

router = APIRouter(include_in_schema=False)
_METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True, slots=True)
class Field:
    """One parameter or member of a body."""

    name: str
    type: str
    required: bool
    text: str
    place: str


@dataclass(frozen=True, slots=True)
class Answer:
    """One documented answer."""

    status: str
    text: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    id: str
    method: str
    path: str
    title: str
    text: str
    fields: tuple[Field, ...]
    answers: tuple[Answer, ...]


@router.get("/api/docs")
async def reference(request: Request) -> Response:
    """The reference, grouped by tag."""
    document = request.app.openapi()
    groups: dict[str, list[Operation]] = {}
    for operation, tag in _operations(document):
        groups.setdefault(tag, []).append(operation)
    return await page(request, "api/docs.html", groups=groups, version=document["info"]["version"])


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[Operation, str]]:
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                found = item[method]
                tag = (found.get("tags") or ["Other"])[0]
                yield _operation(document, path, method, found), tag[:1].upper() + tag[1:]


def _operation(document: Mapping[str, Any], path: str, method: str, found: Mapping[str, Any]) -> Operation:
    fields = [_parameter(document, parameter) for parameter in found.get("parameters", ())]
    for media in found.get("requestBody", {}).get("content", {}).values():
        fields.extend(_members(document, media.get("schema", {}), "body"))
    title, _, text = found.get("description", "").partition("\n\n")
    answers = tuple(_answer(document, status, answer) for status, answer in found.get("responses", {}).items())
    return Operation(
        id=found["operationId"], method=method.upper(), path=path, title=title, text=text.strip(),
        fields=tuple(fields), answers=answers,
    )  # fmt: skip


def _parameter(document: Mapping[str, Any], parameter: Mapping[str, Any]) -> Field:
    schema = parameter.get("schema", {})
    return Field(
        name=parameter["name"], type=_type(document, schema), required=parameter.get("required", False),
        text=parameter.get("description") or schema.get("description", ""), place=parameter["in"],
    )  # fmt: skip


def _answer(document: Mapping[str, Any], status: str, answer: Mapping[str, Any]) -> Answer:
    problem = int(status) >= 400 if status.isdigit() else True
    schema: Mapping[str, Any] = next(
        (media["schema"] for media in answer.get("content", {}).values() if "schema" in media), {}
    )
    fields = () if problem else tuple(_members(document, schema, "answer"))
    return Answer(status=status, text=answer.get("description", ""), fields=fields)


def _members(document: Mapping[str, Any], schema: Mapping[str, Any], place: str) -> Iterator[Field]:
    resolved = _resolve(document, schema)
    required = set(resolved.get("required", ()))
    for name, member in resolved.get("properties", {}).items():
        inner = _resolve(document, member)
        yield Field(
            name=name, type=_type(document, member), required=name in required,
            text=member.get("description") or inner.get("description", ""), place=place,
        )  # fmt: skip


def _resolve(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    found: Any = document
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    resolved: Mapping[str, Any] = found
    return resolved


def _type(document: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """A schema in a few words: "text", "list of whole number", "image or video"."""
    if "$ref" in schema:
        name = str(schema["$ref"]).rsplit("/", 1)[-1]
        inner = _resolve(document, schema)
        return _type(document, inner) if inner.get("type") != "object" else name
    if "const" in schema:
        return str(schema["const"])
    if "enum" in schema:
        return " or ".join(str(value) for value in schema["enum"])
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            return " or ".join(dict.fromkeys(_type(document, one) for one in schema[choice]))
    if schema.get("type") == "array":
        return f"list of {_type(document, schema.get('items', {}))}"
    if schema.get("format") in ("uuid", "date-time", "binary"):
        return {"uuid": "id", "date-time": "time", "binary": "file"}[str(schema["format"])]
    names = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
    kind = str(schema.get("type", "anything"))
    return names.get(kind, kind)
