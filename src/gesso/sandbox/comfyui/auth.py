"""ComfyUI asks for no key. A bearer token is what a proxy before it would look at: `wrong` (or `…:wrong`) is refused,
`fault-…` (or `…:fault-…`) asks for a fault."""

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from gesso.sandbox.caller import Caller
from gesso.sandbox.faults import Fault, Faults, Tally, from_secret
from gesso.sandbox.transport import proxy_page, strike_before

_NOBODYS = ("", "wrong")


def admitted(request: Request) -> Caller | Response:
    """The caller, or a proxy's 401. Raises UnknownFault for a token that asks for one."""
    header = request.headers.get("authorization")
    if header is None:
        return Caller()
    scheme, _, token = header.partition(" ")
    word = token.strip().rpartition(":")[2]
    if scheme.lower() != "bearer" or word in _NOBODYS:
        headers = {"WWW-Authenticate": 'Bearer realm="box"'}
        return HTMLResponse(proxy_page("401 Authorization Required"), 401, headers=headers)
    return Caller(hint=word[-4:], faults=from_secret(word))


def struck(faults: Faults, stage: str, words: str, tally: Tally, hang_seconds: float) -> Response | None:
    """The answer of a fault that keeps a request from being carried out, as aiohttp or a proxy says it; or None."""
    return strike_before(faults, stage, words, tally, hang_seconds, _shaped)


def _shaped(fault: Fault) -> Response:
    if fault.name == "500":
        return trouble()
    retry = {} if fault.argument is None else {"Retry-After": fault.argument}
    return HTMLResponse(proxy_page("429 Too Many Requests"), 429, headers=retry)


def trouble() -> Response:
    """aiohttp's answer when a handler raises."""
    return PlainTextResponse("500 Internal Server Error\n\nServer got itself in trouble", 500)
