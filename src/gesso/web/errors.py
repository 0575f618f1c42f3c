"""Errors become answers here and nowhere else: RFC 9457 problems for machines, a helping page for people."""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gesso.core.errors import GessoError, NotSignedIn, TooManyRequests

log = structlog.get_logger()

API_PREFIXES = ("/api/", "/v1/")
ANY_BODY = (400, 403, 413)
"""What any request with a body may be answered: unreadable, from another site, too long."""
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
ErrorPage = Callable[[Request, int, "Problem"], Awaitable[Response]]


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    field: str
    message: str


class Problem(BaseModel):
    """A problem document (RFC 9457). Errors with facts carry more members, such as `retry_after`."""

    model_config = ConfigDict(extra="allow")

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    errors: list[FieldProblem] = Field(default_factory=list)


class ProblemResponse(JSONResponse):
    """A problem with its media type."""

    media_type = "application/problem+json"


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses=` of a route that may answer with these problems."""
    return {
        status: {
            "model": Problem,
            "content": {"application/problem+json": {}},
            "description": _TITLES[status],
        }
        for status in statuses
    }


_TITLES = {
    400: "The request cannot be read", 401: "Please sign in", 402: "Not enough left", 403: "You may not do this",
    404: "Not found", 405: "Not possible here", 409: "This clashes with something else",
    410: "Gone", 413: "Too large", 415: "This kind of content is not understood", 416: "No such part of the file",
    422: "Please check what you entered", 429: "Too many requests", 500: "Something went wrong",
    503: "Not available right now",
}  # fmt: skip


def wants_problem(request: Request) -> bool:
    """Whether the answer to an error is JSON: under the API, or when that is what was asked for."""
    return request.url.path.startswith(API_PREFIXES) or "application/json" in request.headers.get("accept", "")


def problem_of(error: GessoError) -> Problem:
    """The document of one of our errors."""
    return Problem(
        title=error.title, status=error.status, detail=error.detail, code=error.code,
        errors=[FieldProblem(field=field, message=message) for field, message in error.fields.items()],
        **error.facts,
    )  # fmt: skip


def install(app: FastAPI, error_page: ErrorPage) -> None:
    """Answer all errors of `app`; `error_page` draws the page for people."""

    async def answer(request: Request, problem: Problem, headers: dict[str, str] | None = None) -> Response:
        if wants_problem(request):
            return ProblemResponse(
                problem.model_dump(mode="json", exclude_none=True),
                status_code=problem.status,
                headers=headers,
            )
        response = await error_page(request, problem.status, problem)
        response.headers.update(headers or {})
        return response

    async def gone(request: Request, error: Exception) -> Response:
        """Who hung up in the middle of the body hears no answer, and it is nobody's failure."""
        return Response(status_code=499)

    async def ours(request: Request, error: Exception) -> Response:
        assert isinstance(error, GessoError)
        if isinstance(error, NotSignedIn) and not wants_problem(request):
            return _to_login(request)
        headers = {}
        if isinstance(error, TooManyRequests) and "retry_after" in error.facts:
            headers["Retry-After"] = str(max(1, round(float(error.facts["retry_after"]))))
        if isinstance(error, NotSignedIn):
            headers["WWW-Authenticate"] = "Bearer"
        return await answer(request, problem_of(error), headers)

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        fields = [FieldProblem(field=_field(item), message=_sentence(item)) for item in error.errors()]
        first = fields[0] if fields else None
        detail = f"{first.field}: {first.message}" if first and first.field else "The request cannot be read."
        return await answer(
            request,
            Problem(title=_TITLES[422], status=422, detail=detail, code="invalid_input", errors=fields),
        )

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        title = _TITLES.get(error.status_code, "Something went wrong")
        codes = {404: "not_found", 405: "method_not_allowed", 400: "unreadable", 413: "too_large"}
        headers = dict(error.headers or {})
        detail = "There is nothing at this address." if error.status_code == 404 else str(error.detail)
        if error.status_code == 405:
            headers["Allow"] = ", ".join(_allowed(request))
            detail = f"This address takes {headers['Allow']}."
        problem = Problem(
            title=title, status=error.status_code, code=codes.get(error.status_code, "error"), detail=detail
        )
        return await answer(request, problem, headers)

    async def unexpected(request: Request) -> Response:
        problem = Problem(
            title=_TITLES[500], status=500, code="internal",
            detail="This is our fault, and it has been written down. Nothing was charged. Please try again.",
        )  # fmt: skip
        return await answer(request, problem)

    app.add_exception_handler(GessoError, ours)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(ClientDisconnect, gone)
    app.add_middleware(_Unexpected, answer=unexpected)


class _Unexpected:
    """Answers what nobody expected. A middleware, since the framework's own place for it lies outside all others:
    the answer would come without security headers, and the log's line without the request's id."""

    def __init__(self, app: ASGIApp, *, answer: Callable[[Request], Awaitable[Response]]) -> None:
        self.app = app
        self.answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, noting)
        except Exception:
            # the route's pattern and not the address: that may hold a mailed token
            log.exception("request.failed", route=getattr(scope.get("route"), "path", None))
            if not begun and scope["type"] == "http":
                response = await self.answer(Request(scope, receive))
                # the server closes the connection over what is raised below: nobody may send another request on it
                response.headers["Connection"] = "close"
                await response(scope, receive, send)
            raise  # for the server, and for tests


def _allowed(request: Request) -> list[str]:
    """The methods of this address. The router's own answer names those of the first route only."""
    scope = {"type": "http", "path": request.scope["path"], "root_path": request.scope["root_path"], "headers": []}
    routes = request.app.routes
    return [
        method
        for method in _METHODS
        if any(route.matches({**scope, "method": method})[0] == Match.FULL for route in routes)
    ]


def _to_login(request: Request) -> Response:
    """To the log-in page and back afterwards; htmx is told in its own way."""
    htmx = "hx-request" in request.headers
    back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    target = "/login" if request.method != "GET" or htmx or back == "/" else f"/login?next={quote(back, safe='')}"
    if htmx:
        return Response(status_code=204, headers={"HX-Redirect": target})
    return RedirectResponse(target, status_code=303)


def _field(item: dict[str, Any]) -> str:
    """("body", "size", 0) → "size.0"; "body" when there is something wrong with the whole of it."""
    if item["type"] == "json_invalid":  # its location is a position in the text
        return "body"
    parts = [str(part) for part in item["loc"] if part not in ("body", "query", "path", "header", "form")]
    return ".".join(parts) or "body"


def _sentence(item: dict[str, Any]) -> str:
    """pydantic's message as a sentence."""
    kind, context = item["type"], item.get("ctx", {})
    if kind == "missing":
        return "This is required."
    if kind == "extra_forbidden":
        return "This field is not known here; leave it out."
    if kind == "json_invalid":
        return "The body is not valid JSON."
    if item["loc"] == ("body",) and kind in ("model_attributes_type", "model_type", "dict_type"):
        return "Send a JSON object, with Content-Type application/json."
    if kind == "string_too_long":
        return f"At most {context['max_length']} characters."
    if kind == "string_too_short":
        return f"At least {context['min_length']} characters."
    message = str(item["msg"]).removeprefix("Value error, ")
    return message[:1].upper() + message[1:].rstrip(".") + "."
