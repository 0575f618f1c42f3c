"""The Stripe face as ASGI endpoints: the API under /v1, the hosted pages, and the sandbox's own control calls."""

import asyncio
import hashlib
import json
import time
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gesso.sandbox.face import Ground
from gesso.sandbox.faults import Faults, UnknownFault, from_header, from_secret
from gesso.sandbox.stripe import about, api, clocks, control, hosted
from gesso.sandbox.stripe.desk import VERSION
from gesso.sandbox.stripe.errors import IDEMPOTENCY, INVALID, StripeError, invalid, struck, unauthenticated
from gesso.sandbox.stripe.face import StripeFace
from gesso.sandbox.stripe.form import Params, checked, nested
from gesso.sandbox.stripe.shown import answer
from gesso.sandbox.stripe.store import new_id
from gesso.sandbox.transport import strike_after

_KEEP_ANSWERS_SECONDS = 24 * 3600
_LONGEST_BODY = 1_000_000
_STAGES = {"GET": "status", "DELETE": "cancel"}


def face(ground: Ground) -> StripeFace:
    """The Stripe face."""
    made = StripeFace(ground, about.page())

    async def endpoint(request: Request) -> Response:
        path = request.path_params["path"]
        if path.startswith("v1/"):
            return await _api(request, made, path)
        if path.startswith("_control/"):
            return await control.answer(request, made, path.removeprefix("_control/"))
        return await hosted.answer(request, made, path)

    made.routes.append(Route(f"{made.prefix}/{{path:path}}", endpoint, methods=["GET", "HEAD", "POST", "DELETE"]))
    return made


async def _api(request: Request, face: StripeFace, path: str) -> Response:
    request_id = new_id("req", 14)
    try:
        response = await _answer(request, face, path, request_id)
    except StripeError as error:
        response = error.response(request_id)
    except UnknownFault as error:
        response = invalid(str(error), "X-Sandbox-Fault").response(request_id)
    response.headers.setdefault("Request-Id", request_id)
    response.headers.setdefault("Stripe-Version", VERSION)
    return response


def authenticate(request: Request) -> str:
    """The secret key. Raises StripeError."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    key = key.strip()
    if scheme.lower() != "bearer" or not key.startswith(("sk_", "rk_")) or key.endswith("wrong"):
        raise unauthenticated(key if scheme.lower() == "bearer" else None)
    return key


async def _answer(request: Request, face: StripeFace, path: str, request_id: str) -> Response:
    key = authenticate(request)
    account = face.welcome(key)
    version = request.headers.get("stripe-version", VERSION)
    if version != VERSION:
        raise invalid(f"Invalid Stripe API version: {version}. This sandbox speaks {VERSION} only.")
    method = "GET" if request.method == "HEAD" else request.method
    idempotency = request.headers.get("idempotency-key") if method != "GET" else None
    if idempotency and len(idempotency) > 255:
        raise invalid("Idempotency keys must be 255 characters or fewer.", None)
    body = await request.body()
    faults = from_secret(key.rpartition("_")[2]) + from_header(
        request.headers.get("x-sandbox-fault"), _STAGES.get(method, "submit")
    )
    stage = _STAGES.get(method, "submit")
    marker = f"{account} {method} {path}"
    if (answered := struck(faults, stage, marker, face.tally, face.pace.hang_seconds, request_id)) is not None:
        return answered
    found = api.call(method, path)
    if found is None:
        said = f"Unrecognized request URL ({method}: /{path}). Please see https://stripe.com/docs or we can help at https://support.stripe.com/."
        raise StripeError(404, INVALID, said)
    if len(body) > _LONGEST_BODY:
        raise StripeError(413, INVALID, "The request is too large.")
    pairs = parse_qsl(body.decode("utf-8", "replace") or request.url.query, keep_blank_values=True)
    digest = hashlib.sha256(f"{method} {path}\n".encode() + body).hexdigest()
    if idempotency and (old := _known(face, account, idempotency, digest)) is not None:
        return old
    if idempotency and (account, idempotency) in face.busy:
        said = "There is currently another in-progress request using this Idempotent Key."
        raise StripeError(409, IDEMPOTENCY, said, code="idempotency_key_in_use")
    params = checked(nested(pairs), found[1])
    busy = (account, idempotency or request_id)
    face.busy.add(busy)
    try:
        if (slow := faults.get("slow")) is not None:
            await asyncio.sleep(slow.number(10))
        response = _carried_out(request, face, account, found, params, faults, request_id, idempotency, digest)
    finally:
        face.busy.discard(busy)
    face.done(account)
    return strike_after(faults, stage, marker, face.tally, response)


def _carried_out(
    request: Request, face: StripeFace, account: str, found: tuple[api.Handler, object, dict[str, str]],
    params: Params, faults: Faults, request_id: str, idempotency: str | None, digest: str,
) -> Response:  # fmt: skip
    """Do it, and keep the answer for its idempotency key. Refusals of what was not even begun are not kept."""
    handler, _, names = found
    expand = params.pop("expand", [])
    desk = face.desk(request, account, faults, request_id, idempotency)
    kept = True
    try:
        with desk.open():
            made = handler(desk, params, **names)
            response: Response = JSONResponse(answer(desk, made, expand))
    except StripeError as error:
        response = error.response(request_id)
        kept = error.kept
    if idempotency and kept:
        face.store.db.execute(
            "INSERT OR REPLACE INTO stripe_answer VALUES (?, ?, ?, ?, ?, ?, ?)",
            (account, idempotency, digest, response.status_code, request_id, bytes(response.body),
             time.time() + _KEEP_ANSWERS_SECONDS),
        )  # fmt: skip
    if clock := _advancing(found, response):
        face.time.let_pass(account, clock)
    return response


def _advancing(found: tuple[api.Handler, object, dict[str, str]], response: Response) -> str | None:
    """The clock that was just told to go on."""
    return found[2]["name"] if found[0] is clocks.advance and response.status_code == 200 else None


def _known(face: StripeFace, account: str, key: str, digest: str) -> Response | None:
    """The answer that was given for this idempotency key before. Raises StripeError for other parameters."""
    row = face.store.db.execute(
        "SELECT * FROM stripe_answer WHERE account = ? AND key = ? AND kept_until > ?", (account, key, time.time())
    ).fetchone()
    if row is None:
        return None
    if row["digest"] != digest:
        said = (
            "Keys for idempotent requests can only be used with the same parameters they were first used with. Try "
            f"using a key other than '{key}' if you meant to execute a different request."
        )
        raise StripeError(400, IDEMPOTENCY, said)
    headers = {"Idempotent-Replayed": "true", "Original-Request": row["request_id"]}
    return JSONResponse(json.loads(row["body"]), row["status"], headers=headers)
