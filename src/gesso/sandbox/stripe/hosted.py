"""The pages customers see: checkout, the bank's own step, invoices, the portal. Plain forms, and no script at all."""

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from gesso.sandbox.stripe import paying, pdf, portal_pages
from gesso.sandbox.stripe.billing import pay
from gesso.sandbox.stripe.cards import BANKS
from gesso.sandbox.stripe.customers import default_method
from gesso.sandbox.stripe.desk import Desk
from gesso.sandbox.stripe.entry import Entry, Refused, read_method, test_cards
from gesso.sandbox.stripe.face import StripeFace
from gesso.sandbox.stripe.paper import FOLDER, fields_of, go, money, problem, show
from gesso.sandbox.stripe.payments import attempt, decline
from gesso.sandbox.stripe.store import Obj


async def answer(request: Request, face: StripeFace, path: str) -> Response:
    """The page under this address."""
    for pattern, handler in _COMPILED:
        if match := pattern.fullmatch(path):
            return await handler(request, face, **match.groupdict())
    return problem(face.base_url(request), 404, "Nothing here", "This page does not exist, or no longer.")


async def _asset(request: Request, face: StripeFace, name: str) -> Response:
    kind = "text/css" if name.endswith(".css") else "image/svg+xml"
    return FileResponse(FOLDER / name, media_type=kind, headers={"Cache-Control": "max-age=300"})


def _checkout_page(face: StripeFace, desk: Desk, session: Obj, entry: Entry, error: Refused | None) -> Response:
    recurring = next((one["price"]["recurring"] for one in session["_lines"] if one["price"]["recurring"]), None)
    trial = (session["_subscription_data"] or {}).get("trial_period_days")
    return show(
        "checkout.html", 200 if error is None else 402, session=session, lines=session["_lines"], entry=entry,
        error=error, recurring=recurring, trial=trial, cards=test_cards(), banks=BANKS, base=desk.base,
        bank_allowed="sepa_debit" in session["payment_method_types"],
    )  # fmt: skip


async def _pay(request: Request, face: StripeFace, name: str) -> Response:
    """GET shows the form, POST pays."""
    account = face.store.holder(name)
    if account is None:
        return problem(face.base_url(request), 404, "Nothing here", "This checkout does not exist.")
    desk = face.desk(request, account)
    session = desk.get(name, "checkout.session")
    if session["status"] == "expired":
        return problem(
            face.base_url(request),
            410,
            "This checkout has expired",
            "Go back to the shop and start again. Nothing was charged.",
        )
    if session["status"] == "complete":
        if request.method == "POST":
            return go(paying.return_url(session))
        return show("notice.html", title="You have already paid", words="There is nothing left to do here.",
                    link=paying.return_url(session), link_words="Back to the shop", base=desk.base)  # fmt: skip
    if request.method != "POST":
        return _checkout_page(face, desk, session, Entry(email=session["customer_email"] or ""), None)
    sent = await fields_of(request)
    entry = Entry.of(sent, email=session["customer_email"])
    try:
        with desk.open():
            session = desk.get(name, "checkout.session")  # another tab may have been quicker
            if session["status"] != "open":
                return go(f"{desk.base}/pay/{name}")
            method = read_method(desk, entry)
            result = paying.complete(desk, session, method, entry.details())
    except Refused as error:
        return _checkout_page(face, desk, session, entry, error)
    except paying.Declined as error:
        face.done(account)
        return _checkout_page(face, desk, session, entry, Refused(str(error), "number"))
    face.done(account)
    return go(result if isinstance(result, str) else paying.return_url(result))


async def _authenticate(request: Request, face: StripeFace, name: str) -> Response:
    """The bank asks whether it is really its customer who pays."""
    account = face.store.holder(name)
    desk = face.desk(request, account or "")
    sent = await fields_of(request) if request.method == "POST" else {}  # nothing below waits: two clicks are in line
    intent = desk.seek(name, "payment_intent")
    if intent is None or intent["status"] != "requires_action":
        return problem(
            face.base_url(request),
            410,
            "Nothing to confirm",
            "This payment was confirmed, refused or given up already.",
        )
    session = desk.seek(intent.get("_session"), "checkout.session")
    back = f"{desk.base}/pay/{session['id']}" if session else intent["next_action"]["redirect_to_url"]["return_url"]
    if request.method != "POST":
        return show("bank.html", intent=intent, base=desk.base)
    approved = sent.get("outcome") == "approve"
    if session is not None and session["status"] == "expired":
        return problem(
            face.base_url(request),
            410,
            "This checkout has expired",
            "Go back to the shop and start again. Nothing was charged.",
        )
    try:
        with desk.open():
            target = _confirmed(desk, intent, session, approved) or back
    except paying.Declined as error:
        face.done(account or "")
        assert session is not None
        waiting = session["_waiting"]["details"]
        entry = Entry(email=waiting["email"], name=waiting["name"])
        return _checkout_page(face, desk, session, entry, Refused(str(error), "number"))
    face.done(account or "")
    return go(target or desk.base)


def _confirmed(desk: Desk, intent: Obj, session: Obj | None, approved: bool) -> str | None:
    """Go on where the bank interrupted; where the customer goes next."""
    method = desk.get(intent["payment_method"], "payment_method")
    if not approved:
        intent = decline(desk, intent, method, "payment_intent_authentication_failure", None)
        if session is not None:
            raise paying.Declined(intent["last_payment_error"])
        return None
    if session is not None:
        done = paying.complete(desk, session, method, session["_waiting"]["details"], authenticated=True)
        return done if isinstance(done, str) else paying.return_url(done)
    invoice = desk.seek(intent.get("_invoice"), "invoice")
    if invoice is not None and invoice["status"] == "open":
        pay(desk, invoice, method, alone=False, authenticated=True)
    elif invoice is None:
        attempt(desk, intent, method, authenticated=True)
    return None


async def _invoice(request: Request, face: StripeFace, name: str) -> Response:
    """The invoice as a page; POST pays an open one with a card entered there, which becomes the usual one."""
    found = face.store.invoice_by_key(name)
    if found is None or found[1]["status"] == "draft":
        return problem(face.base_url(request), 404, "Nothing here", "This invoice does not exist.")
    account, invoice = found
    desk = face.desk(request, account)
    if request.method != "POST" or invoice["status"] != "open":
        return _invoice_page(desk, invoice, Entry(email=invoice["customer_email"] or ""), None)
    entry = Entry.of(await fields_of(request), email=invoice["customer_email"])
    try:
        with desk.open():
            invoice = desk.get(invoice["id"], "invoice")  # another tab may have been quicker
            if invoice["status"] != "open":
                return go(invoice["hosted_invoice_url"])
            method = portal_pages.keep_method(desk, invoice["customer"], read_method(desk, entry))
            invoice = pay(desk, invoice, method, alone=False)
    except Refused as error:
        return _invoice_page(desk, invoice, entry, error)
    face.done(account)
    intent = desk.get(invoice["_intent"], "payment_intent")
    if intent["status"] == "requires_action":
        return go(intent["next_action"]["redirect_to_url"]["url"])
    if invoice["status"] != "paid":
        return _invoice_page(desk, invoice, entry, Refused(intent["last_payment_error"]["message"], "number"))
    return go(invoice["hosted_invoice_url"])


def _invoice_page(desk: Desk, invoice: Obj, entry: Entry, error: Refused | None) -> Response:
    customer = desk.seek(invoice["customer"], "customer")
    method = default_method(desk, customer) if customer else None
    return show("invoice.html", 200 if error is None else 402, invoice=invoice, entry=entry, error=error,
                method=method, cards=test_cards(), base=desk.base)  # fmt: skip


async def _pdf(request: Request, face: StripeFace, name: str) -> Response:
    found = face.store.invoice_by_key(name)
    if found is None or found[1]["status"] == "draft":
        return problem(face.base_url(request), 404, "Nothing here", "This invoice does not exist.")
    invoice = found[1]
    rows = [(one["description"] or "", money(one["amount"], one["currency"])) for one in invoice["lines"]["data"]]
    issued = datetime.fromtimestamp(invoice["created"], UTC)
    totals = [(word, money(invoice[field], invoice["currency"])) for word, field in (
        ("Total", "total"), ("Amount due", "amount_due"), ("Amount paid", "amount_paid"))]  # fmt: skip
    data = pdf.document(f"Invoice {invoice['number']}", [
        f"Issued {issued:%-d %B %Y} by {invoice['account_name']}",
        f"To {invoice['customer_name'] or ''} {invoice['customer_email'] or ''}".strip(),
        f"Status: {invoice['status']}",
    ], [*rows, ("", ""), *totals])  # fmt: skip
    names = {"Content-Disposition": f'inline; filename="Invoice-{invoice["number"]}.pdf"'}
    return Response(data, media_type="application/pdf", headers=names)


_COMPILED: tuple[tuple[re.Pattern[str], Callable[..., Awaitable[Response]]], ...] = (
    (re.compile(r"assets/(?P<name>hosted\.css|icon\.svg)"), _asset),
    (re.compile(r"pay/(?P<name>cs_test_\w+)"), _pay),
    (re.compile(r"authenticate/(?P<name>pi_\w+)"), _authenticate),
    (re.compile(r"invoice/(?P<name>inv_\w+)"), _invoice),
    (re.compile(r"invoice/(?P<name>inv_\w+)/pdf"), _pdf),
    (re.compile(r"portal/(?P<name>bps_\w+)(?:/(?P<page>[\w/]*))?"), portal_pages.answer),
)
