"""The portal's pages: what a customer has, and changing it."""

import time
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from gesso.sandbox.stripe import schedules, subscriptions
from gesso.sandbox.stripe.customers import default_method, take
from gesso.sandbox.stripe.desk import Desk
from gesso.sandbox.stripe.entry import Entry, Refused, read_method, test_cards
from gesso.sandbox.stripe.errors import StripeError
from gesso.sandbox.stripe.face import StripeFace
from gesso.sandbox.stripe.invoices import preview
from gesso.sandbox.stripe.paper import fields_of, go, problem, show
from gesso.sandbox.stripe.store import Obj

_ENDED = ("canceled", "incomplete_expired")
_INTERVALS = ("day", "week", "month", "year")


def keep_method(desk: Desk, customer_name: str, method: Obj) -> Obj:
    """A card the customer entered becomes theirs, and the one that pays from now on, for subscriptions too."""
    customer = desk.get(customer_name, "customer")
    method = take(desk, method, customer)
    settings = customer["invoice_settings"] | {"default_payment_method": method["id"]}
    desk.changed("customer.updated", customer, customer | {"invoice_settings": settings})
    for subscription in desk.find("subscription", customer=customer_name):
        if subscription["status"] not in _ENDED:
            after = subscription | {"default_payment_method": method["id"]}
            desk.changed("customer.subscription.updated", subscription, after)
    return method


async def answer(request: Request, face: StripeFace, name: str, page: str | None) -> Response:
    """The page of a session."""
    account = face.store.holder(name)
    desk = face.desk(request, account or "")
    session = desk.seek(name, "billing_portal.session")
    if session is None or session["_until"] < time.time():
        return problem(desk.base, 410, "This link has expired", "Go back and open the billing page again.")
    visit = Visit(desk, session, await fields_of(request) if request.method == "POST" else None)
    try:
        with desk.open():
            response = visit.answer([part for part in (page or "").split("/") if part])
    except StripeError as error:
        response = problem(desk.base, error.status, "That did not work", str(error))
    face.done(account or "")
    return response


class Visit:
    """One request to the portal; `sent` is its form, None when it only looks."""

    def __init__(self, desk: Desk, session: Obj, sent: Any) -> None:
        self.desk = desk
        self.session = session
        self.sent = sent
        self.url = session["url"]
        self.features = desk.get(session["configuration"], "billing_portal.configuration")["features"]

    def answer(self, parts: list[str]) -> Response:
        match parts:
            case []:
                return self._start()
            case ["home"]:
                return self._home()
            case ["method"] if self.features["payment_method_update"]["enabled"]:
                return self._method()
            case ["cancel", name] if self.features["subscription_cancel"]["enabled"]:
                return self._cancel(self._own(name))
            case ["resume", name] if self.features["subscription_cancel"]["enabled"]:
                return self._resume(self._own(name))
            case ["update", name] if self.features["subscription_update"]["enabled"]:
                return self._plans(self._own(name))
            case ["update", name, price] if self.features["subscription_update"]["enabled"]:
                return self._confirm(self._own(name), price)
        return problem(self.desk.base, 404, "Nothing here", "This page does not exist.")

    def _own(self, name: str) -> Obj:
        subscription = self.desk.get(name, "subscription")
        if subscription["customer"] != self.session["customer"]:
            raise StripeError(404, "invalid_request_error", "There is no such subscription.")
        return subscription

    def _show(self, name: str, status: int = 200, **values: Any) -> Response:
        back = self.session["return_url"]
        return show(name, status, base=self.desk.base, url=self.url, back=back, features=self.features, **values)

    def _start(self) -> Response:
        """The home page, or where the session's flow begins."""
        flow = self.session["flow"]
        if flow is None:
            return self._home()
        kind = flow["type"]
        if kind == "payment_method_update":
            return go(f"{self.url}/method")
        part = flow[kind]
        if kind == "subscription_update_confirm":
            price = part["items"][0].get("price")
            return go(f"{self.url}/update/{part['subscription']}/{price}")
        return go(f"{self.url}/{kind.removeprefix('subscription_')}/{part['subscription']}")

    def _done(self) -> Response:
        """After a change: as the flow says, else the home page."""
        flow = self.session["flow"]
        after: Obj = flow["after_completion"] if flow else {"type": "portal_homepage"}
        if after["type"] == "redirect":
            return go(after["redirect"]["return_url"])
        if after["type"] == "hosted_confirmation":
            words = (after["hosted_confirmation"] or {}).get("custom_message") or "Your change has been made."
            return self._show("notice.html", title="Done", words=words, link=self.session["return_url"],
                              link_words="Back")  # fmt: skip
        return go(f"{self.url}/home")

    def _home(self) -> Response:
        customer = self.desk.get(self.session["customer"], "customer")
        rows = [s for s in self.desk.find("subscription", customer=customer["id"]) if s["status"] not in _ENDED]
        invoices = [i for i in self.desk.find("invoice", customer=customer["id"]) if i["status"] != "draft"]
        usual = default_method(self.desk, customer, rows[0] if rows else None)
        return self._show("portal.html", customer=customer, plans=[self._plan(row) for row in rows],
                          method=usual, invoices=invoices[:24])  # fmt: skip

    def _plan(self, subscription: Obj) -> Obj:
        """A subscription with what the page says of it."""
        item = subscription["items"]["data"][0]
        product = self.desk.get(item["price"]["product"], "product")
        schedule = self.desk.seek(subscription["schedule"], "subscription_schedule")
        later = None
        if schedule is not None:
            coming = [p for p in schedule["phases"] if p["start_date"] >= schedule["current_phase"]["end_date"]]
            if coming:
                price = self.desk.get(coming[0]["items"][0]["price"], "price")
                later = {"name": self.desk.get(price["product"], "product")["name"], "at": coming[0]["start_date"]}
        return {"subscription": subscription, "item": item, "product": product, "later": later}

    def _method(self) -> Response:
        customer = self.desk.get(self.session["customer"], "customer")
        entry = Entry.of(self.sent or {}, email=customer["email"] or "customer@example.com")
        error = None
        if self.sent is not None:
            try:
                keep_method(self.desk, customer["id"], read_method(self.desk, entry))
            except Refused as refused:
                error = refused
            else:
                return self._done()
        return self._show("portal_method.html", 402 if error else 200, entry=entry, error=error, cards=test_cards())

    def _cancel(self, subscription: Obj) -> Response:
        feature = self.features["subscription_cancel"]
        if self.sent is None:
            return self._show("portal_cancel.html", plan=self._plan(subscription), now=feature["mode"] == "immediately",
                              reasons=feature["cancellation_reason"])  # fmt: skip
        if subscription["schedule"]:
            schedules.release(self.desk, {}, subscription["schedule"])
        feedback = {"feedback": self.sent.get("reason") or None}
        if feature["mode"] == "immediately":
            prorate = feature["proration_behavior"] != "none"
            params = {"prorate": prorate, "invoice_now": feature["proration_behavior"] == "always_invoice",
                      "cancellation_details": feedback}  # fmt: skip
            subscriptions.cancel(self.desk, params, subscription["id"])
        else:
            params = {"cancel_at": "min_period_end", "cancellation_details": feedback}
            subscriptions.update(self.desk, params, subscription["id"])
        return self._done()

    def _resume(self, subscription: Obj) -> Response:
        if self.sent is None:
            return self._show("portal_resume.html", plan=self._plan(subscription))
        if subscription["schedule"]:
            schedules.release(self.desk, {}, subscription["schedule"])
        else:
            subscriptions.update(self.desk, {"cancel_at": "", "cancel_at_period_end": False}, subscription["id"])
        return self._done()

    def _plans(self, subscription: Obj) -> Response:
        allowed = []
        for product in self.features["subscription_update"]["products"]:
            for name in product["prices"]:
                price = self.desk.get(name, "price")
                if price["active"]:
                    allowed.append((self.desk.get(price["product"], "product"), price))
        return self._show("portal_plans.html", plan=self._plan(subscription), allowed=allowed)

    def _confirm(self, subscription: Obj, name: str) -> Response:
        feature = self.features["subscription_update"]
        if not any(name in product["prices"] for product in feature["products"]):
            raise StripeError(400, "invalid_request_error", "This plan cannot be chosen here.")
        price = self.desk.get(name, "price")
        plan = self._plan(subscription)
        later = self._waits(plan["item"]["price"], price)
        items = [{"id": plan["item"]["id"], "price": name}]
        details = {"items": items, "proration_behavior": feature["proration_behavior"]}
        if feature["billing_cycle_anchor"]:
            details["billing_cycle_anchor"] = {"type": feature["billing_cycle_anchor"]}
        if self.sent is None:
            invoice = None
            if not later:
                invoice = preview(self.desk, {"subscription": subscription["id"], "subscription_details": details})
            product = self.desk.get(price["product"], "product")
            return self._show(
                "portal_confirm.html", plan=plan, product=product, price=price, later=later, invoice=invoice
            )
        if subscription["cancel_at"]:
            subscriptions.update(self.desk, {"cancel_at": ""}, subscription["id"])
        if subscription["schedule"]:
            schedules.release(self.desk, {}, subscription["schedule"])
        if later:
            self._schedule(subscription, plan["item"], name)
        else:
            subscriptions.update(self.desk, details, subscription["id"])
        return self._done()

    def _waits(self, old: Obj, new: Obj) -> bool:
        """Whether the configuration wants this change at the end of the period."""
        conditions = {c["type"] for c in self.features["subscription_update"]["schedule_at_period_end"]["conditions"]}
        before, after = (_INTERVALS.index(p["recurring"]["interval"]) for p in (old, new))
        if "shortening_interval" in conditions and after < before:
            return True
        return "decreasing_item_amount" in conditions and after == before and new["unit_amount"] < old["unit_amount"]

    def _schedule(self, subscription: Obj, item: Obj, price: str) -> None:
        schedule = schedules.create(self.desk, {"from_subscription": subscription["id"]})
        first = schedule["phases"][0]
        now = {"items": [{"price": item["price"]["id"], "quantity": item["quantity"]}],
               "start_date": first["start_date"], "end_date": first["end_date"]}  # fmt: skip
        then = {"items": [{"price": price, "quantity": item["quantity"]}], "proration_behavior": "none"}
        schedules.update(self.desk, {"phases": [now, then], "end_behavior": "release"}, schedule["id"])
