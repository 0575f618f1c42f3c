"""What is somebody else's: by their ids, by the operator's routes, by their browser."""

import asyncio
import json
import uuid
from decimal import Decimal
from typing import Any

from attack.score import Attack, Force
from attack.site import Json, Person, Site

EVIL = "https://evil.example"


async def attacks(site: Site, force: Force) -> list[Attack]:
    """All of them, against Vera, who has a plan, a pack and a picture."""
    vera = await site.person("vera")
    session = await site.subscribed(vera)
    await site.bought(vera)
    made = await vera.made("a glass lagoon", count=2)
    before = await _state(site, vera)
    mallory = await site.person("mallory")
    await site.bought(mallory)
    found = [
        await _ids(mallory, vera, made, session, force), await _money(site, mallory, vera),
        await _operators(mallory, vera, force), await _cross_site(site, vera, force),
    ]  # fmt: skip
    after = await _state(site, vera)
    for attack in found:
        attack.must(after == before, f"Vera's things are not as they were: {before} and {after}")
    return found


async def _state(site: Site, person: Person) -> Json:
    """What somebody has."""
    on = (await person.http.get("/api/user/subscription")).json()
    media = (await person.http.get("/api/media")).json()["items"]
    return {
        "balance": await person.settled(), "subscription": on,
        "pictures": [(one["id"], one["favourite"]) for one in media],
        "invoices": len((await person.http.get("/api/payments/billing-history")).json()["items"]),
        "generations": len((await person.http.get("/api/generate")).json()["items"]),
        "purchases": await site.rows(
            "SELECT id, state, checkout_ref FROM purchase WHERE workspace_id = $1", person.workspace
        ),
    }  # fmt: skip


async def _ids(mallory: Person, vera: Person, made: Json, session: str, force: Force) -> Attack:
    """Every route that takes an id, with Vera's; with what helps, where something may."""
    attack = Attack("ids of another workspace's generation, picture, checkout")
    generation, asset = made["id"], made["assets"][0]["id"]
    routes: list[tuple[str, str, Json]] = [
        ("GET", f"/api/generate/status/{generation}", {}), ("POST", f"/api/generate/{generation}/cancel", {}),
        ("POST", f"/api/generate/{generation}/rerun", {"json": {}}), ("GET", f"/generations/{generation}/card", {}),
        ("POST", f"/generations/{generation}/cancel", {}), ("POST", f"/generations/{generation}/rerun", {"data": {}}),
        ("GET", f"/api/media/{asset}", {}), ("DELETE", f"/api/media/{asset}", {}),
        ("POST", f"/api/media/{asset}/restore", {}), ("PUT", f"/api/media/{asset}/favourite", {}),
        ("DELETE", f"/api/media/{asset}/favourite", {}), ("GET", f"/gallery/{asset}", {}),
        ("POST", f"/gallery/{asset}/favourite", {}), ("POST", f"/gallery/{asset}/delete", {}),
        ("GET", f"/billing/return?session_id={session}", {}),
        *(("GET", f"/media/{asset}/{variant}", {}) for variant in ("original", "320", "640", "1280")),
    ]  # fmt: skip
    helps: list[Json] = [
        {}, {"x-workspace-id": str(vera.workspace)}, {"x-forwarded-user": vera.email, "x-user-id": str(uuid.uuid4())},
        {"x-original-url": "/api/auth/me", "x-http-method-override": "GET"},
    ]  # fmt: skip
    for method, path, sent in routes:
        for headers in force.of(helps):
            joined = "&" if "?" in path else "?"
            for address in (path, f"{path}{joined}workspace_id={vera.workspace}"):
                answer = await mallory.http.request(method, address, headers=headers, **sent)
                attack.saw(answer, won=answer.status_code not in (403, 404, 422, 204), what=f"{method} {address}")
    for verb in ("download", "delete", "favourite"):
        answer = await mallory.http.post(f"/gallery/selection/{verb}", data={"pick": asset})
        attack.saw(answer, won=asset in answer.text or answer.content[:2] == b"PK", what=verb)
    for body in ({"references": [asset]}, {"rerun_of": generation}, {"workspace_id": str(vera.workspace)}):
        answer = await mallory.ask(**body)
        attack.saw(answer, won=answer.status_code == 202, what=str(body))
    return attack


async def _money(site: Site, mallory: Person, vera: Person) -> Attack:
    """Vera's invoices, subscription and purchases."""
    attack = Attack("ids of another workspace's invoice, subscription, purchase")
    found: list[str] = []
    for table in ("invoice", "subscription", "purchase", "credit_lot"):
        rows = await site.rows(f"SELECT id FROM {table} WHERE workspace_id = $1", vera.workspace)
        found += [str(row["id"]) for row in rows]
    refs = await site.rows("SELECT ref FROM invoice WHERE workspace_id = $1", vera.workspace)
    theirs = [*found, str(vera.workspace)]
    for one in (*theirs, *(row["ref"] for row in refs)):
        answer = await mallory.http.get("/api/payments/billing-history", params={"cursor": one})
        shown = answer.json().get("items", []) if answer.status_code == 200 else []
        attack.saw(answer, won=any(item["id"] in found for item in shown), what=f"cursor {one}")
        for path in ("/api/payments/invoices/", "/billing/invoices/", "/api/payments/subscriptions/", "/api/credits/"):
            answer = await mallory.http.get(f"{path}{one}")
            attack.saw(answer, won=answer.status_code < 400, what=f"{path}{one}")
    bodies: list[Json] = [
        {name: one} for name in ("id", "subscription", "subscription_id", "workspace_id", "customer") for one in theirs
    ]
    for body in bodies:
        answer = await mallory.http.post("/api/payments/cancel-subscription", json=body)
        attack.saw(answer, won=answer.status_code < 400, what=str(body))
    for path, form in (
        ("/billing/cancel", {"why": "price"}), ("/billing/resume", {}), ("/billing/change", {"plan": "pro"}),
    ):  # fmt: skip
        for more in theirs:
            answer = await mallory.http.post(path, data={**form, "workspace_id": more, "subscription_id": more})
            attack.saw(answer, won=answer.status_code < 400, what=path)
    portal = await mallory.http.post("/billing/portal", data={"customer": refs[0]["ref"]})
    attack.saw(portal, won=vera.email in portal.text)
    history = (await mallory.http.get("/api/payments/billing-history")).json()["items"]
    attack.must(not {item["id"] for item in history} & set(found), "Mallory's history shows Vera's invoices")
    return attack


async def _operators(mallory: Person, vera: Person, force: Force) -> Attack:
    """Every operator's route of the API, and the panel's pages of money."""
    attack = Attack("operator routes as a user")
    spec = (await mallory.http.get("/api/openapi.json")).json()
    values = {"workspace_id": str(mallory.workspace), "key": "pro", "user_id": str(uuid.uuid4())}
    gift: Json = {
        "direction": "give", "unit": "credit", "amount": "500", "reason": "because", "plan": "house", "operator": True,
        "month_cents": 1, "price_cents": 1,
    }  # fmt: skip
    asked = [(method.upper(), path) for path, methods in spec["paths"].items() for method in methods
             if path.startswith("/api/admin/")]  # fmt: skip
    pages = ["/admin", "/admin/workspaces", f"/admin/workspaces/{vera.workspace}", "/admin/packs", "/admin/plans",
             "/admin/plans/pro", "/admin/users", "/admin/audit", "/admin/connections"]  # fmt: skip
    asked += [("GET", page) for page in pages]
    asked += [("POST", f"/admin/workspaces/{mallory.workspace}/{what}") for what in ("credits", "plan")]
    asked += [("POST", "/admin/packs/credits-250"), ("POST", "/admin/plans/pro"), ("POST", "/admin/packs/new")]
    for method, path in force.of(asked):
        for name, value in values.items():
            path = path.replace(f"{{{name}}}", value)
        sent: Json = {} if method in ("GET", "DELETE") else {"data" if path.startswith("/admin") else "json": gift}
        answer = await mallory.http.request(method, path, **sent)
        attack.saw(answer, won=answer.status_code != 404, what=f"{method} {path}")
    attack.must(await mallory.balance() == 58, "an operator's route has given credits")
    attack.must((await mallory.http.get("/api/user/subscription")).json()["plan"] == "free", "and a plan")
    return attack


async def _cross_site(site: Site, vera: Person, force: Force) -> Attack:
    """Another site's page makes Vera's browser send what costs money or ends her plan."""
    attack = Attack("paying routes from another site (CSRF)")
    port = site.product.url.rpartition(":")[2]
    origins: list[dict[str, str]] = [
        {"origin": EVIL}, {"origin": "null"}, {"origin": EVIL, "referer": site.product.url},
        {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"},
        {"origin": site.product.url, "sec-fetch-site": "cross-site"}, {"origin": f"http://127.0.0.1.evil.example:{port}"},
        {"origin": "http://127.0.0.1:1"}, {"origin": f"{site.product.url}.evil.example"}, {"host": "evil.example"},
        {"host": "evil.example", "origin": "http://evil.example"}, {"origin": ""},
    ]  # fmt: skip
    forms: list[tuple[str, dict[str, Any]]] = [
        ("/billing/subscribe", {"plan": "pro"}), ("/billing/packs", {"pack": "credits-250"}), ("/billing/portal", {}),
        ("/billing/change", {"plan": "pro", "moment": "0"}), ("/billing/cancel", {"why": "price"}),
        ("/billing/resume", {}), ("/create", {"model": "sketch", "prompt": "x", "count": "4"}),
        ("/api/payments/purchase-tokens", {"pack": "credits-250"}), ("/api/payments/cancel-subscription", {}),
        ("/api/payments/create-subscription", {"plan": "pro"}),
        ("/api/generate/image", {"model": "sketch", "prompt": "x", "count": 4}),
    ]  # fmt: skip
    for path, form in forms:
        for headers in force.of(origins):
            kinds: list[Json] = [{"data": form}, {"content": json.dumps(form)}]
            for sent in kinds:
                answer = await vera.http.post(path, headers={"content-type": "text/plain", **headers}
                                              if "content" in sent else headers, **sent)  # fmt: skip
                attack.saw(answer, won=answer.status_code not in (403, 415, 421, 400), what=f"{path} {headers}")
    for path in ("/billing/cancel", "/billing/resume", "/billing/change?plan=pro", "/api/payments/cancel-subscription"):
        answer = await vera.http.get(path, headers={"sec-fetch-site": "cross-site"})
        attack.saw(answer)  # to look is allowed; it changes nothing, as is seen afterwards
    await asyncio.sleep(0)
    attack.must(await vera.settled() > Decimal(0), "Vera's credits are gone")
    return attack
