"""What every answer carries and every request must show, at the rim, before any of our code is asked."""

from collections.abc import Iterable
from uuid import UUID

import structlog
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gesso.core.ids import new_id
from gesso.web.errors import Problem, ProblemResponse
from gesso.web.hosts import PROBES, HostRule

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data: blob:", "font-src 'self'",
        "connect-src 'self'", "media-src 'self' blob:", "manifest-src 'self'", "form-action 'self'", "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)  # fmt: skip
FILE_POLICY = "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox"
"""For people's files, opened by themselves: whatever a browser takes one for, nothing in it runs, and it belongs to no
origin. The style is what browsers put around a picture."""

SMALL_BODY_BYTES = 2**20
"""The most a request without files may carry: parsing more would hold up everybody else."""
FORM_BYTES = 2**18
"""The same for an urlencoded form, which costs most to read: a megabyte of percent signs takes half a second."""


def content_security_policy(files_origin: str | None) -> str:
    """The policy, with pictures and films also from `files_origin`: the bucket, where browsers fetch from it."""
    if files_origin is None:
        return CONTENT_SECURITY_POLICY
    return CONTENT_SECURITY_POLICY.replace("img-src 'self'", f"img-src 'self' {files_origin}").replace(
        "media-src 'self'", f"media-src 'self' {files_origin}"
    )


_HEADERS = (
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    (
        "permissions-policy",
        "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), hid=(), magnetometer=(),"
        " microphone=(), midi=(), payment=(), serial=(), usb=()",
    ),
    # whoever wants to be kept says so; what says nothing may hold somebody's
    ("cache-control", "private, no-store"),
)
_HSTS = ("strict-transport-security", "max-age=31536000")
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class SecurityMiddleware:
    """Request ids, security headers, whose name was asked for, a cap on bodies, and the cross-site check.

    Cross-site requests are refused by what browsers say of themselves (Sec-Fetch-Site, else Origin), so no
    token has to travel through forms. That holds without a cookie too: else another site could sign a visitor
    into an account of its own. Programs send neither header and pass, as do the `exempt` paths: webhooks,
    which prove themselves by a signature.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        origin: str,
        secure: bool,
        max_body_bytes: int,
        exempt: Iterable[str] = (),
        files_origin: str | None = None,
        host_rule: HostRule | None = None,
    ) -> None:
        """`max_body_bytes` is for forms with files and for `exempt` paths; else SMALL_BODY_BYTES or FORM_BYTES hold."""
        self.app = app
        headers = [("content-security-policy", content_security_policy(files_origin)), *_HEADERS]
        headers += [_HSTS] if secure else []
        self.headers = [(name.encode(), value.encode()) for name, value in headers]
        self.origin = origin
        self.secure = secure
        self.max_body_bytes = max_body_bytes
        self.exempt = tuple(exempt)
        self.host_rule = host_rule

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = _request_id(headers.get("x-request-id"))
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._add_headers(message, request_id)
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            limit = self._body_limit(scope, headers)
            refusal = self._refusal(scope, headers, limit)
            if refusal is not None:
                await refusal(scope, receive, send_with_headers)
                return
            await self.app(scope, _capped(receive, limit), send_with_headers)

    def _add_headers(self, message: Message, request_id: str) -> None:
        """Add what the answer does not say itself. Names in an ASGI message are in lower case."""
        given = list(message.get("headers", ()))
        if self.secure:
            given = [
                (name, value + b"; Secure" if name == b"set-cookie" and b"; secure" not in value.lower() else value)
                for name, value in given
            ]
        present = {name for name, _ in given}
        given += [header for header in self.headers if header[0] not in present]
        given.append((b"x-request-id", request_id.encode()))
        message["headers"] = given

    def _body_limit(self, scope: Scope, headers: Headers) -> int:
        kind = headers.get("content-type", "").lower()
        if kind.startswith("multipart/form-data") or scope["path"].startswith(self.exempt):
            return self.max_body_bytes
        limit = FORM_BYTES if kind.startswith("application/x-www-form-urlencoded") else SMALL_BODY_BYTES
        return min(limit, self.max_body_bytes)

    def _refusal(self, scope: Scope, headers: Headers, limit: int) -> ProblemResponse | None:
        length, host = headers.get("content-length", "0"), headers.get("host", "")
        if not (length.isascii() and length.isdigit() and len(length) < 16) or int(length) > limit:
            return _problem(413, "too_large", "Too large", _too_large(limit))
        if self._foreign_host(scope, headers):
            detail = "This site is not known by that name. Its operator sets GESSO_BASE_URL and GESSO_EXTRA_HOSTS."
            return _problem(421, "unknown_host", "Not this site", detail)
        if scope["method"] in _SAFE_METHODS or scope["path"].startswith(self.exempt):
            return None
        if self._from_here(headers, host):
            return None
        return _problem(403, "cross_site", "You may not do this", "The request came from another site.")

    def _foreign_host(self, scope: Scope, headers: Headers) -> bool:
        if self.host_rule is None or scope["path"] in PROBES:
            return False
        hosts = headers.getlist("host")
        return len(hosts) != 1 or not self.host_rule(hosts[0])

    def _from_here(self, headers: Headers, host: str) -> bool:
        """Whether one of our own pages, or no page at all, made the request."""
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        if site is not None:
            return site in ("same-origin", "none")
        if origin is None:
            return True  # not a browser: browsers send Origin with every unsafe cross-site request
        if origin == self.origin:
            return True
        scheme, _, name = origin.partition("://")
        return bool(name) and name == host and (scheme == "https" or not self.secure)


def _problem(status: int, code: str, title: str, detail: str) -> ProblemResponse:
    return ProblemResponse(
        Problem(status=status, code=code, title=title, detail=detail).model_dump(mode="json"),
        status_code=status,
    )


def _too_large(limit: int) -> str:
    words = f"{limit // 2**20} MB" if limit >= 2**20 else f"{limit // 2**10} kB"
    return f"A request like this may carry at most {words}."


def _request_id(given: str | None) -> str:
    """The caller's id when it is a UUID, so that traces join up; else a new one."""
    try:
        return str(UUID(given)) if given else str(new_id())
    except ValueError:
        return str(new_id())


def _capped(receive: Receive, limit: int) -> Receive:
    """A chunked body names no length: stop reading at the limit."""
    seen = 0

    async def capped() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            raise HTTPException(413, _too_large(limit))
        return message

    return capped
