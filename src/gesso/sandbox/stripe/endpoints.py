"""Events and the endpoints they are sent to."""

import time

from gesso.sandbox.stripe import form, signing
from gesso.sandbox.stripe.desk import VERSION, Desk
from gesso.sandbox.stripe.errors import invalid
from gesso.sandbox.stripe.form import Params, group
from gesso.sandbox.stripe.mail import ROLL_SECONDS
from gesso.sandbox.stripe.shown import paged
from gesso.sandbox.stripe.store import Obj, new_id

CONFIGURED = "we_configured"
ENDPOINT = group(
    "connect", url_=form.url, enabled_events_=form.Each(form.text), api_version=form.text, metadata=form.metadata,
    description=form.clearable, expand=form.EXPAND,
)  # fmt: skip
ENDPOINT_UPDATE = group(
    url=form.url, enabled_events=form.Each(form.text), disabled=form.flag, metadata=form.metadata,
    description=form.clearable, expand=form.EXPAND,
)  # fmt: skip
ENDPOINTS = group(**form.PAGE)
EVENTS = group(type=form.text, types=form.Each(form.text), delivery_success=form.flag, **form.PAGE)
RETRY = group(webhook_endpoint=form.text, expand=form.EXPAND)


def create(desk: Desk, params: Params) -> Obj:
    """POST /v1/webhook_endpoints. Its secret is told this once."""
    version = params.get("api_version", VERSION)
    if version != VERSION:
        raise invalid(f"This sandbox renders events in {VERSION} only, not in {version}.", "api_version")
    if not params["enabled_events"]:
        raise invalid("You must select at least one event.", "enabled_events")
    endpoint = desk.save(_endpoint(new_id("we"), params["url"], params["enabled_events"], signing.new_secret(), {
        "description": params.get("description"), "metadata": form.merged({}, params.get("metadata", {})),
        "api_version": params.get("api_version"),
    }))  # fmt: skip
    return endpoint | {"secret": endpoint["_secret"]}


def _endpoint(name: str, url: str, events: list[str], secret: str, more: Obj) -> Obj:
    return {
        "id": name, "object": "webhook_endpoint", "api_version": VERSION, "application": None,
        "created": int(time.time()), "description": None, "enabled_events": events, "livemode": False,
        "metadata": {}, "status": "enabled", "url": url, "_secret": secret,
    } | more  # fmt: skip


def configure(desk: Desk, url: str, secret: str) -> Obj:
    """The endpoint that was set up from outside: every event goes there, signed with this secret."""
    return desk.save(_endpoint(CONFIGURED, url, ["*"], secret, {"description": "set up by configuration"}))


def update(desk: Desk, params: Params, name: str) -> Obj:
    """POST /v1/webhook_endpoints/{id}."""
    endpoint = desk.get(name, "webhook_endpoint")
    new = endpoint | {k: params[k] for k in ("url", "enabled_events", "description") if k in params}
    if "disabled" in params:
        new["status"] = "disabled" if params["disabled"] else "enabled"
    if "metadata" in params:
        new["metadata"] = form.merged(endpoint["metadata"], params["metadata"])
    return desk.save(new)


def delete(desk: Desk, params: Params, name: str) -> Obj:
    """DELETE /v1/webhook_endpoints/{id}."""
    desk.remove(desk.get(name, "webhook_endpoint"))
    return {"id": name, "object": "webhook_endpoint", "deleted": True}


def roll(desk: Desk, name: str) -> Obj:
    """A new secret; the old one signs too for a day."""
    endpoint = desk.get(name, "webhook_endpoint")
    old = {"_old_secret": endpoint["_secret"], "_old_until": int(time.time()) + ROLL_SECONDS}
    endpoint = desk.save(endpoint | old | {"_secret": signing.new_secret()})
    return endpoint | {"secret": endpoint["_secret"]}


def events(desk: Desk, params: Params) -> Obj:
    """GET /v1/events. `delivery_success=false`: those some endpoint has not taken."""
    wanted = params.get("types") or ([params["type"]] if "type" in params else [])
    all_rows = desk.store.each(desk.account, "event", since=params.get("ending_before"))
    rows = [row for row in all_rows if not wanted or any(_fits(row["type"], word) for word in wanted)]
    if (success := params.get("delivery_success")) is not None:
        late = _undelivered(desk)
        rows = [row for row in rows if (row["id"] in late) is not success]
    page = paged(rows, params, "/v1/events")
    waiting = _undelivered(desk)
    return page | {"data": [row | {"pending_webhooks": waiting.get(row["id"], 0)} for row in page["data"]]}


def _fits(kind: str, word: str) -> bool:
    return kind == word or (word.endswith("*") and kind.startswith(word[:-1]))


def _undelivered(desk: Desk) -> dict[str, int]:
    rows = desk.store.db.execute(
        "SELECT event, count(*) AS n FROM stripe_delivery WHERE account = ? AND state <> 'done' GROUP BY event",
        (desk.account,),
    )
    return {row["event"]: row["n"] for row in rows}


def event(desk: Desk, params: Params, name: str) -> Obj:
    """GET /v1/events/{id}."""
    found = desk.get(name, "event")
    return found | {"pending_webhooks": _undelivered(desk).get(name, 0)}
