"""ComfyUI asks for no key. A bearer token is what a proxy before it would look at: `wrong` (or `…:wrong`) is refused,
`fault-…` (or `…:fault-…`) asks for a fault."""

from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from gesso.sandbox.faults import Faults, Tally, from_secret
from gesso.sandbox.transport import proxy_page, strike_before

_NOBODYS = ("", "wrong")


@dataclass(frozen=True)
class Caller:
    """Who calls. `hint`: the last four characters of a token, empty without one; the token itself is not kept."""

    hint: str = ""
    faults: Faults = field(default_factory=Faults)


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
    return Caller(word[-4:], from_secret(word))


def struck(faults: Faults, stage: str, words: str, tally: Tally, hang_seconds: float) -> Response | None:
    """The answer of a fault that keeps a request from being carried out, as aiohttp or a proxy says it; or None."""
    own = [fault for fault in faults.transport(stage) if fault.name in ("429", "500")]
    for fault in own:
        if not tally.strikes(fault, words):
            continue
        if fault.name == "500":
            return trouble()
        retry = {} if fault.argument is None else {"Retry-After": fault.argument}
        return HTMLResponse(proxy_page("429 Too Many Requests"), 429, headers=retry)
    return strike_before(Faults(fault for fault in faults if fault not in own), stage, words, tally, hang_seconds)


def trouble() -> Response:
    """aiohttp's answer when a handler raises."""
    return PlainTextResponse("500 Internal Server Error\n\nServer got itself in trouble", 500)
