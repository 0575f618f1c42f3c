"""What every answer carries and every unsafe request must show."""

from collections.abc import Iterable
from urllib.parse import urlsplit
from uuid import UUID

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gesso.core.ids import new_id
from gesso.web.errors import Problem, ProblemResponse

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data: blob:", "font-src 'self'",
        "connect-src 'self'", "media-src 'self' blob:", "manifest-src 'self'", "form-action 'self'", "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)  # fmt: skip


def content_security_policy(files_origin: str | None) -> str:
    """The policy, with pictures and films also from `files_origin`: the bucket, where browsers fetch from it."""
    if files_origin is None:
        return CONTENT_SECURITY_POLICY
    return CONTENT_SECURITY_POLICY.replace("img-src 'self'", f"img-src 'self' {files_origin}").replace(
        "media-src 'self'", f"media-src 'self' {files_origin}"
    )


_HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()"),
)
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class SecurityMiddleware:
    """Request ids, security headers, a cap on bodies, and the cross-site check.

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
    ) -> None:
        self.app = app
        self.headers = (("Content-Security-Policy", content_security_policy(files_origin)), *_HEADERS)
        self.origin = origin
        self.secure = secure
        self.max_body_bytes = max_body_bytes
        self.exempt = tuple(exempt)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = _request_id(headers.get("x-request-id"))
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                outgoing = MutableHeaders(scope=message)
                for name, value in self.headers:
                    outgoing.setdefault(name, value)
                outgoing["X-Request-Id"] = request_id
                if self.secure:
                    outgoing.setdefault("Strict-Transport-Security", "max-age=31536000")
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            refusal = self._refusal(scope, headers)
            if refusal is not None:
                await refusal(scope, receive, send_with_headers)
                return
            await self.app(scope, _capped(receive, self.max_body_bytes), send_with_headers)

    def _refusal(self, scope: Scope, headers: Headers) -> ProblemResponse | None:
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > self.max_body_bytes:
            limit = f"{self.max_body_bytes // 2**20} MB"
            return _problem(413, "too_large", "Too large", f"A request may carry at most {limit}.")
        if scope["method"] in _SAFE_METHODS or scope["path"].startswith(self.exempt):
            return None
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        if site is not None:
            allowed = site in ("same-origin", "none")
        elif origin is not None:
            allowed = origin == self.origin or urlsplit(origin).netloc == headers.get("host")
        else:
            allowed = True  # not a browser: browsers send Origin with every unsafe cross-site request
        if allowed:
            return None
        return _problem(403, "cross_site", "You may not do this", "The request came from another site.")


def _problem(status: int, code: str, title: str, detail: str) -> ProblemResponse:
    return ProblemResponse(
        Problem(status=status, code=code, title=title, detail=detail).model_dump(mode="json"),
        status_code=status,
    )


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
            raise HTTPException(413, f"A request may carry at most {limit // 2**20} MB.")
        return message

    return capped
