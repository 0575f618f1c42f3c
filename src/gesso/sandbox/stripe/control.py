"""The sandbox's own calls, under /stripe/_control: with the account's secret key, JSON in and out."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gesso.sandbox.faults import UnknownFault, from_header
from gesso.sandbox.stripe import clocks, endpoints, ledger
from gesso.sandbox.stripe.cycle import happen
from gesso.sandbox.stripe.desk import Desk, public
from gesso.sandbox.stripe.errors import StripeError, invalid, missing, unauthenticated
from gesso.sandbox.stripe.face import StripeFace
from gesso.sandbox.stripe.payments import open_dispute
from gesso.sandbox.stripe.store import Obj

CALLS = {
    "POST webhook": 'send events there: {"url": "http://…", "secret": "whsec_…"}; every event, from now on',
    "POST webhook/roll": 'a new secret for an endpoint {"id": "we_…"}; both sign for a day (two v1)',
    "POST faults": 'standing faults of deliveries: {"faults": "webhook-duplicate*3, webhook-reversed"}; "" ends them',
    "POST deliveries": '{"parallel": 4}: how many events go out at once (1: one after another, in order)',
    "POST retry": "try everything undelivered now, lost events too",
    "POST resend": '{"event": "evt_…"}: send an event once more, to every endpoint',
    "GET idle": "answers when everything due was tried once",
    "POST clock": '{"frozen_time": 1767225600}: a test clock for every customer who has none, now and later',
    "POST settle": '{"payment_intent": "pi_…"}: a bank debit ends now',
    "POST dispute": '{"charge": "ch_…"} or {"payment_intent": "pi_…"}: the cardholder disputes it',
    "POST dunning": '{"end": "cancel"}: what the last failed attempt does; cancel, unpaid or past_due',
    "GET ledger": "payments, refunds and disputes, and sums by customer; ?customer=cus_… for one",
}


async def answer(request: Request, face: StripeFace, path: str) -> Response:
    """One call."""
    handler = _HANDLERS.get(f"{request.method} {path}")
    try:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key.startswith(("sk_", "rk_")):
            raise unauthenticated(None)
        if handler is None:
            raise missing("control call", f"{request.method} {path}")
        account = face.welcome(key.strip())
        return await handler(face, face.desk(request, account), await _sent(request))
    except StripeError as error:
        return error.response("req_control")
    except UnknownFault as error:
        return invalid(str(error), "faults").response("req_control")


async def _sent(request: Request) -> Obj:
    body = await request.body()
    try:
        sent = json.loads(body) if body else dict(request.query_params)
    except ValueError as error:
        raise invalid("The body must be JSON.") from error
    if not isinstance(sent, dict):
        raise invalid("The body must be an object.")
    return sent


def _need(sent: Obj, name: str) -> Any:
    if name not in sent:
        raise invalid(f"Missing: {name}", name, "parameter_missing")
    return sent[name]


async def _webhook(face: StripeFace, desk: Desk, sent: Obj) -> Response:
    url, secret = str(_need(sent, "url")), str(_need(sent, "secret"))
    with desk.open():
        endpoint = endpoints.configure(desk, url, secret)
    return JSONResponse(public(endpoint))


async def _roll(face: StripeFace, desk: Desk, sent: Obj) -> Response:
    with desk.open():
        endpoint = endpoints.roll(desk, str(sent.get("id", endpoints.CONFIGURED)))
    return JSONResponse(public(endpoint))


async def _faults(face: StripeFace, desk: Desk, sent: Obj) -> Response:
    faults = from_header(str(_need(sent, "faults")), "submit")
    wrong = [fault.name for fault in faults if not fault.name.startswith("webhook-")]
    if wrong:
        raise invalid(f"Only deliveries have standing faults, not {wrong[0]}: send X-Sandbox-Fault.", "faults")
    with desk.open():
        desk.save(desk.settings() | {"faults": faults.to_json()})
    return JSONResponse({"faults": [fault.name for fault in faults]})


async def _deliveries(face: StripeFace, desk: Desk, sent: Obj) -> Response:
    parallel = _need(sent, "parallel")
    if not isinstance(parallel, int) or not 1 <= parallel <= 32:
        raise invalid("1 to 32 deliveries at once.", "parallel")
    with desk.open():
        desk.save(desk.settings() | {"parallel": parallel})
    return JSONResponse({"parallel": parallel})


async def _retry(face: StripeFace, desk: Desk, sent: Obj) -> Response:
    return JSONResponse({"retried": face.mail.retry_now(desk.account)})


async def _resend(face: StripeFace, desk: Desk, sent: Obj) -> Response:
    event = desk.get(str(_need(sent, "event")), "event", "event")
    hooks = [hook for hook in desk.find("webhook_endpoint") if hook["status"] == "enabled"]
    for hook in hooks:
        face.mail.resend(desk.account, event["id"], hook["id"])
    face.done(desk.account)
    return JSONResponse({"sent": len(hooks)})


async def _idle(face: StripeFace, desk: Desk, sent: Obj) -> Response:
    await face.mail.idle(desk.account)
    return JSONResponse({"idle": True})


async def _clock(face: StripeFace, desk: Desk, sent: Obj) -> Response:
    with desk.open():
        clock = clocks.create(desk, {"frozen_time": int(_need(sent, "frozen_time")), "name": "account"})
        desk.save(desk.settings() | {"clock": clock["id"]})
        for customer in desk.find("customer"):
            if not customer["test_clock"]:
                clocks.adopt(desk, clock, customer)
    face.done(desk.account)
    return JSONResponse(public(clock))


async def _settle(face: StripeFace, desk: Desk, sent: Obj) -> Response:
    intent = desk.get(str(_need(sent, "payment_intent")), "payment_intent", "payment_intent")
    if intent["status"] != "processing":
        raise invalid(f"This payment is {intent['status']}, not processing.", "payment_intent")
    with desk.open():
        happen(desk, intent)
    face.done(desk.account)
    return JSONResponse(public(desk.get(intent["id"], "payment_intent")))


async def _dispute(face: StripeFace, desk: Desk, sent: Obj) -> Response:
    name = sent.get("charge")
    if name is None:
        name = desk.get(str(_need(sent, "payment_intent")), "payment_intent", "payment_intent")["latest_charge"]
    charge = desk.get(str(name), "charge", "charge")
    if charge["status"] != "succeeded" or charge["disputed"]:
        raise invalid("Only a charge that succeeded, and was not disputed yet, can be disputed.", "charge")
    with desk.open():
        dispute = open_dispute(desk, charge)
    face.done(desk.account)
    return JSONResponse(public(dispute))


async def _dunning(face: StripeFace, desk: Desk, sent: Obj) -> Response:
    choice = _need(sent, "end")
    if choice not in ("cancel", "unpaid", "past_due"):
        raise invalid("cancel, unpaid or past_due.", "end")
    with desk.open():
        desk.save(desk.settings() | {"dunning": choice})
    return JSONResponse({"end": choice})


async def _ledger(face: StripeFace, desk: Desk, sent: Obj) -> Response:
    return JSONResponse(ledger.of(desk, sent.get("customer")))


_HANDLERS: dict[str, Callable[[StripeFace, Desk, Obj], Awaitable[Response]]] = {
    "POST webhook": _webhook, "POST webhook/roll": _roll, "POST faults": _faults, "POST deliveries": _deliveries,
    "POST retry": _retry, "POST resend": _resend, "GET idle": _idle, "POST clock": _clock, "POST settle": _settle,
    "POST dispute": _dispute, "POST dunning": _dunning, "GET ledger": _ledger,
}  # fmt: skip
