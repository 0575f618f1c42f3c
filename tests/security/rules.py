"""Every route of the product, what is sent to it, and who may ask for it. A new route needs a line here."""

from dataclasses import dataclass, field
from typing import Any, Literal

from gesso.core.ids import new_id
from tests.cast import PASSWORD
from tests.media.pictures import picture

Access = Literal["public", "stranger", "session", "admin", "owned", "made", "personal", "operator", "signature"]
"""public: anybody · stranger: who is not signed in; others are led on · session: whoever is signed in ·
admin: who is an admin of their workspace · owned: an id of
the workspace, for its members · made: an id of what one member made, for that one and the workspace's admins ·
personal: an id of one person · operator: who runs the site · signature: who proves themselves by what they send."""

API = {"model": "juggernaut-lightning", "prompt": "a lighthouse", "count": 1}
FORM = {"model": "juggernaut-lightning", "prompt": "a lighthouse", "count": "1"}
FILM = {"model": "kling", "prompt": "waves"}
MAIL = "nobody.at.all@example.test"


@dataclass(frozen=True)
class Rule:
    """`ok`: the status for who may. `sent`: what goes along. `values`: for the names in the path."""

    access: Access
    ok: int = 200
    sent: dict[str, Any] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)


PICTURE = picture(48, 48)
FILE = {"files": {"file": ("a.png", PICTURE, "image/png")}}
ID = "{id}"
FAL = {"key": "fal"}
ONE = {"key": str(API["model"])}
NOIR = {"key": "noir"}
FREE, FIFTY = {"key": "free"}, {"key": "credits-50"}
NEVER = str(new_id())
NO_LINE = {"event_id": str(new_id())}
NO_SUBSCRIPTION = {"subscription_id": NEVER}
RULES: dict[str, Rule] = {
    "GET /api/openapi.json": Rule("public"),
    "GET /healthz": Rule("public"),
    "GET /readyz": Rule("public", 503),  # no worker here
    "GET /metrics": Rule("public", 404),  # no token set here
    "GET /api/docs": Rule("public"),
    "GET /": Rule("public"),
    "GET /start": Rule("public", 303),
    "GET /brand.css": Rule("public"),
    "GET /samples/{file}": Rule("public", 404, values={"file": "0" * 64 + ".webp"}),
    "GET /static": Rule("public", values={"": "/pictures/still-mint.webp"}),
    "GET /brand.svg": Rule("public"),
    "GET /manifest.webmanifest": Rule("public"),
    "GET /.well-known/security.txt": Rule("public", 404),  # no contact set here
    # --- becoming somebody ---
    "POST /api/auth/signup": Rule("public", 422, {"json": {}}),
    "POST /api/auth/login": Rule("public", 401, {"json": {"email": MAIL, "password": "no such password"}}),
    "POST /api/auth/logout": Rule("public", 204),
    "POST /api/auth/reset-password": Rule("public", 422, {"json": {"email": "x"}}),
    "POST /api/auth/reset-password/confirm": Rule("public", 422, {"json": {"token": "x" * 43, "password": PASSWORD}}),
    "GET /signup": Rule("stranger", 200),
    "GET /login": Rule("stranger", 200),
    "POST /signup": Rule("public", 422),
    "POST /login": Rule("public", 422),
    "POST /logout": Rule("public", 303),
    "GET /reset": Rule("public"),
    "POST /reset": Rule("public", 422),
    "GET /reset/{token}": Rule("public", 410, values={"token": "x" * 43}),
    "POST /reset/{token}": Rule("public", 410, {"data": {"password": PASSWORD}}, {"token": "x" * 43}),
    "GET /confirm-email/{token}": Rule("public", values={"token": "x" * 43}),
    "POST /confirm-email/{token}": Rule("public", 410, values={"token": "x" * 43}),
    "POST /api/webhooks/{connection_key}": Rule("signature", values={"connection_key": "fal"}),
    # --- for whoever is signed in, about themselves ---
    "GET /api/auth/me": Rule("session"),
    "GET /api/auth/age": Rule("session", 404),  # this site has no models for adults
    "PUT /api/auth/age": Rule("session", 404, {"json": {"adult": True}}),
    "DELETE /api/auth/age": Rule("session", 404),
    "GET /api/models": Rule("session"),
    "GET /api/credits": Rule("session"),
    "GET /api/credits/history": Rule("session"),
    "GET /api/events": Rule("session"),
    "GET /api/generate": Rule("session"),
    "POST /api/generate/estimate": Rule("session", 200, {"json": {"kind": "image", **API}}),
    "POST /api/generate/image": Rule("session", 202, {"json": API}),
    "POST /api/generate/video": Rule("session", 202, {"json": {"model": "kling", "prompt": "waves"}}),
    "GET /api/prompts/prices": Rule("session"),
    "POST /api/prompts/improve": Rule("session", 503, {"json": {"prompt": "a lighthouse"}}),  # no model answers here
    "GET /api/media": Rule("session"),
    "GET /api/media/by/month": Rule("session"),
    "GET /styles": Rule("session"),  # in development only
    "POST /api/media/uploads": Rule("session", 201, FILE),
    "GET /shell/credits": Rule("session"),
    "GET /create": Rule("session"),
    "GET /create/composer": Rule("session", 303),
    "GET /create/runs": Rule("session"),
    "POST /create/controls": Rule("session", 200, {"data": FORM}),
    "POST /create/estimate": Rule("session", 200, {"data": FORM}),
    "POST /create": Rule("session", 303, {"data": FORM}),
    "GET /video": Rule("session"),
    "GET /video/composer": Rule("session", 303),
    "GET /video/runs": Rule("session"),
    "POST /video/controls": Rule("session", 200, {"data": FILM}),
    "POST /video/estimate": Rule("session", 200, {"data": FILM}),
    "POST /video": Rule("session", 303, {"data": FILM}),
    "GET /gallery": Rule("session"),
    "GET /dashboard": Rule("session"),
    "GET /dashboard/history": Rule("session", 200, {"params": {"before": str(new_id())}}),
    "GET /dashboard/history.csv": Rule("session"),
    "GET /dashboard/usage.csv": Rule("session"),
    "GET /api/user/usage-stats": Rule("session"),
    "GET /pricing": Rule("public"),
    "GET /billing": Rule("admin"),
    "GET /billing/return": Rule("session", 404, {"params": {"session_id": "cs_none"}}),
    "GET /billing/change": Rule("admin", 303, {"params": {"plan": "pro"}}),
    "GET /billing/cancel": Rule("admin", 303),
    "POST /billing/subscribe": Rule("admin", 422, {"data": {"plan": "no-such-plan"}}),
    "POST /billing/packs": Rule("admin", 422, {"data": {"pack": "no-such-pack"}}),
    "POST /billing/portal": Rule("admin", 409),
    "POST /billing/change": Rule("admin", 409, {"data": {"plan": "pro"}}),
    "POST /billing/cancel": Rule("admin", 409),
    "POST /billing/resume": Rule("admin", 409),
    "POST /api/payments/create-subscription": Rule("admin", 422, {"json": {"plan": "no-such-plan"}}),
    "POST /api/payments/purchase-tokens": Rule("admin", 422, {"json": {"pack": "no-such-pack"}}),
    "POST /api/payments/cancel-subscription": Rule("admin", 409),
    "GET /api/payments/billing-history": Rule("admin"),
    "GET /api/user/subscription": Rule("session"),
    "POST /api/payments/webhook": Rule("signature"),
    "GET /settings": Rule("session"),
    "POST /settings/name": Rule("session", 303, {"data": {"name": "A Name"}}),
    "POST /settings/email": Rule("session", 422, {"data": {"email": MAIL, "current_password": "not the password"}}),
    "POST /settings/confirm-email": Rule("session", 303),
    "GET /settings/password": Rule("session"),
    "POST /settings/password": Rule(
        "session", 422, {"data": {"current_password": "not the password", "password": PASSWORD}}
    ),
    "GET /settings/sessions": Rule("session"),
    "POST /settings/sessions/others/end": Rule("session", 303),
    "GET /create/steps": Rule("session"),
    "POST /create/steps/hide": Rule("session", 303),
    "GET /settings/age": Rule("session", 404),  # this site has no models for adults
    "POST /settings/age": Rule("session", 404),
    "POST /settings/age/withdraw": Rule("session", 404),
    "GET /settings/provider-keys": Rule("session", 404),  # no plan of this site has own keys
    "POST /settings/provider-keys": Rule("session", 404, {"data": {"on": "true"}}),
    "POST /settings/provider-keys/{provider}": Rule("session", 404, {"data": {"api_key": "x"}}, {"provider": "fal"}),
    "POST /settings/provider-keys/{provider}/test": Rule("session", 404, values={"provider": "fal"}),
    "POST /settings/provider-keys/{provider}/remove": Rule("session", 404, values={"provider": "fal"}),
    "GET /api/provider-keys": Rule("session", 404),
    "PUT /api/provider-keys": Rule("session", 404, {"json": {"use": True}}),
    "PUT /api/provider-keys/{provider}": Rule("session", 404, {"json": {"api_key": "x"}}, {"provider": "fal"}),
    "POST /api/provider-keys/{provider}/test": Rule("session", 404, values={"provider": "fal"}),
    "DELETE /api/provider-keys/{provider}": Rule("session", 404, values={"provider": "fal"}),
    # --- with an id of something ---
    "GET /api/generate/status/{generation_id}": Rule("made", values={"generation_id": ID}),
    "POST /api/generate/{generation_id}/cancel": Rule("made", values={"generation_id": ID}),
    "POST /api/generate/{generation_id}/rerun": Rule("made", 202, {"json": {}}, {"generation_id": ID}),
    "GET /generations/{generation_id}/card": Rule("made", values={"generation_id": ID}),
    "POST /generations/{generation_id}/cancel": Rule("made", 303, values={"generation_id": ID}),
    "POST /generations/{generation_id}/rerun": Rule("made", 303, {"data": {}}, {"generation_id": ID}),
    "GET /api/media/{asset_id}": Rule("owned", values={"asset_id": ID}),
    "POST /api/prompts/describe": Rule("owned", 503, {"json": {"asset_id": ID}}),
    "DELETE /api/media/{asset_id}": Rule("owned", 204, values={"asset_id": ID}),
    "POST /api/media/{asset_id}/restore": Rule("owned", values={"asset_id": ID}),
    "PUT /api/media/{asset_id}/favourite": Rule("owned", values={"asset_id": ID}),
    "DELETE /api/media/{asset_id}/favourite": Rule("owned", values={"asset_id": ID}),
    "GET /media/{asset_id}/{variant}": Rule("owned", values={"asset_id": ID, "variant": "original"}),
    "GET /gallery/{asset_id}": Rule("owned", values={"asset_id": ID}),
    "POST /gallery/{asset_id}/favourite": Rule("owned", 303, values={"asset_id": ID}),
    "POST /gallery/{asset_id}/delete": Rule("owned", 303, values={"asset_id": ID}),
    "POST /gallery/selection/{verb}": Rule("owned", 303, {"data": {"pick": ID}}, {"verb": "download"}),
    "POST /gallery/restore/{moment}": Rule("owned", 303, values={"moment": ID}),
    "POST /settings/sessions/{session_id}/end": Rule("personal", 303, values={"session_id": ID}),
    # --- for those who run the site ---
    "GET /admin/outbox": Rule("operator"),
    "GET /admin": Rule("operator"),
    "GET /admin/connections": Rule("operator"),
    "GET /admin/connections/new": Rule("operator"),
    "POST /admin/connections/new": Rule("operator", 422),
    "POST /admin/connections/order": Rule("operator", 303, {"data": {"up": "fal"}}),
    "POST /admin/connections/test": Rule("operator"),
    "GET /admin/connections/{key}": Rule("operator", values=FAL),
    "POST /admin/connections/{key}": Rule("operator", 303, {"data": {"name": "fal", "answers": "sandbox"}}, FAL),
    "POST /admin/connections/{key}/enabled": Rule("operator", 303, {"data": {"enabled": "true"}}, FAL),
    "POST /admin/connections/{key}/test": Rule("operator", values=FAL),
    "POST /admin/connections/{key}/resume": Rule("operator", 303, values=FAL),
    "POST /admin/connections/{key}/delete": Rule("operator", 409, values=FAL),  # models use it
    "GET /admin/models": Rule("operator"),
    "GET /admin/models/new": Rule("operator"),
    "POST /admin/models/new": Rule("operator", 422),
    "POST /admin/models/example": Rule("operator", 422),
    "POST /admin/models/order": Rule("operator", 303, {"data": {"up": API["model"]}}),
    "GET /admin/models/{key}": Rule("operator", values=ONE),
    "POST /admin/models/{key}": Rule("operator", 422, values=ONE),
    "POST /admin/models/{key}/example": Rule("operator", 422, values=ONE),
    "POST /admin/models/{key}/enabled": Rule("operator", 303, {"data": {"enabled": "true"}}, ONE),
    "GET /admin/models/{key}/remove": Rule("operator", values=ONE),
    "POST /admin/models/{key}/remove": Rule("operator", 404, values={"key": "no-such-model"}),
    "POST /admin/models/{key}/sample": Rule("operator", 422, values=ONE),
    "POST /admin/models/{key}/sample/remove": Rule("operator", 303, values=ONE),
    "GET /admin/styles": Rule("operator"),
    "GET /admin/styles/new": Rule("operator"),
    "POST /admin/styles/new": Rule("operator", 422),
    "POST /admin/styles/order": Rule("operator", 303, {"data": {"up": "noir"}}),
    "GET /admin/styles/{key}": Rule("operator", values=NOIR),
    "POST /admin/styles/{key}": Rule("operator", 422, values=NOIR),
    "POST /admin/styles/{key}/enabled": Rule("operator", 303, {"data": {"enabled": "true"}}, NOIR),
    "POST /admin/styles/{key}/remove": Rule("operator", 404, values={"key": "no-such-style"}),
    "POST /admin/styles/{key}/sample": Rule("operator", 422, values=NOIR),
    "POST /admin/styles/{key}/sample/remove": Rule("operator", 303, values=NOIR),
    "GET /admin/users": Rule("operator"),
    "GET /admin/users/{user_id}": Rule("operator", values={"user_id": ID}),
    "POST /admin/users/{user_id}/sessions/end": Rule("operator", 303, values={"user_id": ID}),
    "POST /admin/users/{user_id}/sessions/{session_id}/end": Rule(
        "operator", 404, values={"user_id": ID, "session_id": NEVER}
    ),
    "POST /admin/users/{user_id}/operator": Rule("operator", 422, values={"user_id": ID}),
    "POST /admin/users/{user_id}/disabled": Rule("operator", 303, {"data": {"disabled": "true"}}, {"user_id": ID}),
    "POST /admin/users/{user_id}/reset": Rule("operator", 303, values={"user_id": ID}),
    "POST /admin/users/{user_id}/confirm": Rule("operator", 303, values={"user_id": ID}),
    "GET /admin/workspaces": Rule("operator"),
    "GET /admin/workspaces/{workspace_id}": Rule("operator", values={"workspace_id": ID}),
    "POST /admin/workspaces/{workspace_id}/credits": Rule("operator", 422, values={"workspace_id": ID}),
    "POST /admin/workspaces/{workspace_id}/plan": Rule(
        "operator", 303, {"data": {"plan": "free"}}, {"workspace_id": ID}
    ),
    "GET /admin/subscriptions": Rule("operator"),
    "GET /admin/subscriptions/{subscription_id}": Rule("operator", 404, values=NO_SUBSCRIPTION),
    "POST /admin/subscriptions/{subscription_id}/read-again": Rule("operator", 404, values=NO_SUBSCRIPTION),
    "POST /admin/subscriptions/{subscription_id}/cancel": Rule("operator", 404, values=NO_SUBSCRIPTION),
    "POST /admin/subscriptions/{subscription_id}/resume": Rule("operator", 404, values=NO_SUBSCRIPTION),
    "GET /admin/webhooks": Rule("operator"),
    "GET /admin/webhooks/{event_id}": Rule("operator", 404, values=NO_LINE),
    "POST /admin/webhooks/{event_id}/replay": Rule("operator", 404, values=NO_LINE),
    "POST /admin/webhooks/replay-failed": Rule("operator", 303),
    "GET /api/admin/subscriptions": Rule("operator"),
    "GET /api/admin/subscriptions/{subscription_id}": Rule("operator", 404, values=NO_SUBSCRIPTION),
    "POST /api/admin/subscriptions/{subscription_id}/read-again": Rule("operator", 404, values=NO_SUBSCRIPTION),
    "POST /api/admin/subscriptions/{subscription_id}/cancel": Rule("operator", 404, values=NO_SUBSCRIPTION),
    "POST /api/admin/subscriptions/{subscription_id}/resume": Rule("operator", 404, values=NO_SUBSCRIPTION),
    "GET /api/admin/webhook-events": Rule("operator"),
    "GET /api/admin/webhook-events/{event_id}": Rule("operator", 404, values=NO_LINE),
    "POST /api/admin/webhook-events/{event_id}/replay": Rule("operator", 404, values=NO_LINE),
    "POST /api/admin/webhook-events/replay-failed": Rule("operator", 202),
    "GET /admin/plans": Rule("operator"),
    "GET /admin/plans/new": Rule("operator"),
    "POST /admin/plans/new": Rule("operator", 422),
    "POST /admin/plans/order": Rule("operator", 303, {"data": {"up": "free"}}),
    "GET /admin/plans/{key}": Rule("operator", values=FREE),
    "POST /admin/plans/{key}": Rule("operator", 422, values=FREE),
    "POST /admin/plans/{key}/offered": Rule("operator", 303, {"data": {"enabled": "true"}}, FREE),
    "GET /admin/plans/{key}/remove": Rule("operator", values=FREE),
    "POST /admin/plans/{key}/remove": Rule("operator", 409, values=FREE),  # new workspaces begin on it
    "GET /admin/packs": Rule("operator"),
    "GET /admin/packs/new": Rule("operator"),
    "POST /admin/packs/new": Rule("operator", 422),
    "POST /admin/packs/order": Rule("operator", 303, {"data": {"up": "credits-50"}}),
    "GET /admin/packs/{key}": Rule("operator", values=FIFTY),
    "POST /admin/packs/{key}": Rule("operator", 422, values=FIFTY),
    "POST /admin/packs/{key}/offered": Rule("operator", 303, {"data": {"enabled": "true"}}, FIFTY),
    "POST /admin/packs/{key}/remove": Rule("operator", 404, values={"key": "no-such-pack"}),
    "GET /admin/audit": Rule("operator"),
    "GET /admin/audit.csv": Rule("operator"),
    "GET /api/admin/users": Rule("operator"),
    "GET /api/admin/users/{user_id}": Rule("operator", values={"user_id": ID}),
    "DELETE /api/admin/users/{user_id}/sessions": Rule("operator", values={"user_id": ID}),
    "DELETE /api/admin/users/{user_id}/sessions/{session_id}": Rule(
        "operator", 404, values={"user_id": ID, "session_id": NEVER}
    ),
    "PUT /api/admin/users/{user_id}/operator": Rule("operator", 422, {"json": {}}, {"user_id": ID}),
    "PUT /api/admin/users/{user_id}/disabled": Rule("operator", 200, {"json": {"disabled": True}}, {"user_id": ID}),
    "POST /api/admin/users/{user_id}/reset-password": Rule("operator", 202, values={"user_id": ID}),
    "POST /api/admin/users/{user_id}/confirm-email": Rule("operator", values={"user_id": ID}),
    "GET /api/admin/workspaces": Rule("operator"),
    "GET /api/admin/workspaces/{workspace_id}": Rule("operator", values={"workspace_id": ID}),
    "POST /api/admin/workspaces/{workspace_id}/credits": Rule("operator", 422, {"json": {}}, {"workspace_id": ID}),
    "PUT /api/admin/workspaces/{workspace_id}/plan": Rule(
        "operator", 200, {"json": {"plan": "free"}}, {"workspace_id": ID}
    ),
    "GET /api/admin/plans": Rule("operator"),
    "POST /api/admin/plans": Rule("operator", 422, {"json": {}}),
    "PUT /api/admin/plans/order": Rule("operator", 200, {"json": {"keys": ["free"]}}),
    "GET /api/admin/plans/{key}": Rule("operator", values=FREE),
    "PUT /api/admin/plans/{key}": Rule("operator", 422, {"json": {}}, FREE),
    "PUT /api/admin/plans/{key}/hidden": Rule("operator", 200, {"json": {"hidden": False}}, FREE),
    "DELETE /api/admin/plans/{key}": Rule("operator", 409, values=FREE),
    "GET /api/admin/packs": Rule("operator"),
    "POST /api/admin/packs": Rule("operator", 422, {"json": {}}),
    "PUT /api/admin/packs/order": Rule("operator", 200, {"json": {"keys": ["credits-50"]}}),
    "PUT /api/admin/packs/{key}": Rule("operator", 422, {"json": {}}, FIFTY),
    "PUT /api/admin/packs/{key}/hidden": Rule("operator", 200, {"json": {"hidden": False}}, FIFTY),
    "DELETE /api/admin/packs/{key}": Rule("operator", 404, values={"key": "no-such-pack"}),
    "GET /api/admin/audit": Rule("operator"),
    "GET /admin/chains": Rule("operator"),
    "POST /admin/chains/{key}": Rule("operator", 422, {"data": {"total_seconds": "0"}}, {"key": "text"}),
    "POST /admin/chains/{key}/forget": Rule("operator", 303, values={"key": "text"}),
    "GET /api/admin/chains": Rule("operator"),
    "PUT /api/admin/chains/{key}": Rule("operator", 422, {"json": {}}, {"key": "text"}),
    "DELETE /api/admin/chains/{key}": Rule("operator", values={"key": "text"}),
    "GET /admin/bills": Rule("operator"),
    "GET /admin/deletions": Rule("operator"),
    "GET /admin/deletions.csv": Rule("operator"),
    "GET /admin/moderation": Rule("operator"),
    "GET /admin/moderation/{event_id}/pictures/{asset_id}": Rule("operator", 404, values=NO_LINE | {"asset_id": ID}),
    "POST /admin/moderation/{event_id}/keep": Rule("operator", 404, values=NO_LINE),
    "POST /admin/moderation/{event_id}/take-down": Rule("operator", 303, values=NO_LINE),  # told in the page: no reason
    "POST /admin/moderation/{event_id}/undo": Rule("operator", 404, values=NO_LINE),
    "GET /api/admin/moderation": Rule("operator"),
    "POST /api/admin/moderation/{event_id}/keep": Rule("operator", 404, values=NO_LINE),
    "POST /api/admin/moderation/{event_id}/take-down": Rule("operator", 422, {"json": {}}, NO_LINE),
    "POST /api/admin/moderation/{event_id}/undo": Rule("operator", 404, values=NO_LINE),
    "GET /admin/jobs": Rule("operator"),
    "GET /admin/jobs/{generation_id}": Rule("operator", values={"generation_id": ID}),
    "POST /admin/jobs/{generation_id}/look": Rule("operator", 303, values={"generation_id": ID}),
    "POST /admin/jobs/{generation_id}/retry": Rule("operator", 303, values={"generation_id": ID}),
    "POST /admin/jobs/{generation_id}/cancel": Rule("operator", 303, values={"generation_id": ID}),
    "GET /api/admin/connections": Rule("operator"),
    "POST /api/admin/connections": Rule("operator", 422, {"json": {}}),
    "PUT /api/admin/connections/order": Rule("operator", 200, {"json": {"keys": ["fal"]}}),
    "GET /api/admin/connections/{key}": Rule("operator", values=FAL),
    "PUT /api/admin/connections/{key}": Rule("operator", 200, {"json": {"name": "fal", "sandbox": True}}, FAL),
    "PUT /api/admin/connections/{key}/enabled": Rule("operator", 200, {"json": {"enabled": True}}, FAL),
    "PUT /api/admin/connections/{key}/key": Rule("operator", 422, {"json": {}}, FAL),
    "POST /api/admin/connections/{key}/test": Rule("operator", values=FAL),
    "POST /api/admin/connections/{key}/resume": Rule("operator", values=FAL),
    "DELETE /api/admin/connections/{key}": Rule("operator", 409, values=FAL),
    "GET /api/admin/models": Rule("operator"),
    "POST /api/admin/models": Rule("operator", 422, {"json": {}}),
    "PUT /api/admin/models/order": Rule("operator", 200, {"json": {"keys": [API["model"]]}}),
    "GET /api/admin/models/{key}": Rule("operator", values=ONE),
    "PUT /api/admin/models/{key}": Rule("operator", 422, {"json": {}}, ONE),
    "PUT /api/admin/models/{key}/enabled": Rule("operator", 200, {"json": {"enabled": True}}, ONE),
    "DELETE /api/admin/models/{key}": Rule("operator", 404, values={"key": "no-such-model"}),
    "PUT /api/admin/models/{key}/sample": Rule("operator", 200, FILE, ONE),
    "DELETE /api/admin/models/{key}/sample": Rule("operator", values=ONE),
    "GET /api/admin/styles": Rule("operator"),
    "POST /api/admin/styles": Rule("operator", 422, {"json": {}}),
    "PUT /api/admin/styles/order": Rule("operator", 200, {"json": {"keys": ["noir"]}}),
    "PUT /api/admin/styles/{key}": Rule("operator", 422, {"json": {}}, NOIR),
    "DELETE /api/admin/styles/{key}": Rule("operator", 404, values={"key": "no-such-style"}),
    "PUT /api/admin/styles/{key}/sample": Rule("operator", 200, FILE, NOIR),
    "DELETE /api/admin/styles/{key}/sample": Rule("operator", values=NOIR),
    "GET /api/admin/jobs": Rule("operator"),
    "GET /api/admin/jobs/{generation_id}": Rule("operator", values={"generation_id": ID}),
    "POST /api/admin/jobs/{generation_id}/look": Rule("operator", values={"generation_id": ID}),
    "POST /api/admin/jobs/{generation_id}/retry": Rule("operator", 409, values={"generation_id": ID}),
    "POST /api/admin/jobs/{generation_id}/cancel": Rule("operator", values={"generation_id": ID}),
}


def filled(rule: Rule, path: str, identity: str) -> tuple[str, dict[str, Any]]:
    """The address, and what is sent."""
    for name, value in rule.values.items():
        path = path + value if name == "" else path.replace(f"{{{name}}}", value)
    sent = dict(rule.sent)
    for kind in ("data", "json"):
        if kind in sent:
            sent[kind] = {
                name: value.replace(ID, identity) if isinstance(value, str) else value
                for name, value in sent[kind].items()
            }
    return path.replace(ID, identity), sent
