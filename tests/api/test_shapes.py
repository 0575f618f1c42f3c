"""The frozen shapes of the API: which members there are, and what they hold."""

import re
from datetime import datetime
from typing import Any
from uuid import UUID

import httpx2

from gesso.core.ids import new_id
from gesso.core.money import OutputPrice, Price
from gesso.generation.schemas import PriceJson
from tests.api.people import MODEL, Person
from tests.cast import PASSWORD

DECIMAL = re.compile(r"-?\d+(\.\d{1,6})?")
ASSET = {"id", "kind", "url", "thumbnails", "width", "height", "media_type", "size_bytes", "seed"}


def is_price(price: Any) -> bool:
    """{"credits": "4", "allowances": {}, "outputs": [{"credits": "1"}, …]}, members exactly these."""
    assert set(price) == {"credits", "allowances", "outputs"}
    assert DECIMAL.fullmatch(price["credits"]) and isinstance(price["allowances"], dict)
    for output in price["outputs"]:
        assert set(output) in ({"credits"}, {"credits", "allowances"}) and DECIMAL.fullmatch(output["credits"])
    return True


async def test_signing_up_in_and_out(stranger: httpx2.AsyncClient) -> None:
    email = f"ada.{new_id().hex}@example.test"
    account = {"email": email, "password": PASSWORD, "name": "Ada"}
    made = await stranger.post("/api/auth/signup", json=account)
    assert made.status_code == 201
    cookie = made.headers["set-cookie"].lower()
    assert cookie.startswith("gesso_session=") and "httponly" in cookie and "samesite=lax" in cookie
    me = made.json()
    assert set(me) == {"user", "workspace", "role"} and me["role"] == "admin"
    assert set(me["user"]) == {"id", "email", "name", "email_verified", "is_operator"}
    assert set(me["workspace"]) == {"id", "name", "plan"}
    assert (await stranger.get("/api/auth/me")).json() == me
    assert (await stranger.post("/api/auth/logout")).status_code == 204
    assert (await stranger.get("/api/auth/me")).status_code == 401
    again = await stranger.post("/api/auth/login", json={"email": email, "password": PASSWORD})
    assert again.status_code == 200 and again.json() == me
    asked = await stranger.post("/api/auth/reset-password", json={"email": email})
    assert asked.status_code == 202 and set(asked.json()) == {"detail"}


async def test_models(ada: Person) -> None:
    answer = (await ada.http.get("/api/models")).json()
    assert set(answer) == {"items"}
    first = answer["items"][0]
    assert {"key", "kind", "name", "capabilities", "price"} <= set(first)
    assert (first["key"], first["kind"]) == (MODEL, "image")
    assert first["capabilities"]["type"] == "object" and "prompt" in first["capabilities"]["properties"]
    assert is_price(first["price"])
    wire = str(answer).lower()
    assert "fal-ai" not in wire and "rundiffusion" not in wire and "upstream" not in wire


async def test_estimate_submit_status_cancel(ada: Person) -> None:
    asked = {"model": MODEL, "prompt": "four boats", "count": 4, "size": "1280x720"}
    told = (await ada.http.post("/api/generate/estimate", json={"kind": "image", **asked})).json()
    four = {"credits": "4", "allowances": {}, "outputs": [{"credits": "1"}] * 4}
    assert told["price"] == four and told["balance"] == "100" and told["enough"] is True
    answer = await ada.http.post("/api/generate/image", json=asked, headers={"Idempotency-Key": "boats"})
    assert answer.status_code == 202
    submitted = answer.json()
    assert set(submitted) == {"id", "status", "model", "price"}
    assert UUID(submitted["id"]).version == 7
    assert (submitted["status"], submitted["model"], submitted["price"]) == ("queued", MODEL, four)

    done = await ada.until(submitted["id"], lambda status: status["status"] == "succeeded")
    frozen = {
        "id", "status", "progress", "queue_position", "eta_seconds", "price", "charged", "warnings", "error", "assets",
    }  # fmt: skip
    assert frozen <= set(done)
    assert done["price"] == done["charged"] == four
    assert (done["progress"], done["queue_position"], done["eta_seconds"], done["error"]) == (1, None, None, None)
    assert isinstance(done["warnings"], list) and len(done["assets"]) == 4
    seed = done["assets"][0]["seed"]
    for index, asset in enumerate(done["assets"]):
        assert set(asset) >= ASSET
        assert set(asset["thumbnails"]) == {"320", "640", "1280"}
        assert (asset["kind"], asset["width"], asset["height"], asset["seed"]) == ("image", 1280, 720, seed + index)
        assert asset["media_type"] == "image/jpeg" and asset["size_bytes"] > 1000
        for url in (asset["url"], *asset["thumbnails"].values()):
            assert (await ada.http.get(url)).status_code == 200

    running = (await ada.submit("sandbox:slow=20 boats")).json()["id"]
    cancelled = await ada.http.post(f"/api/generate/{running}/cancel")
    assert cancelled.status_code == 200 and cancelled.json()["status"] == "cancelled"
    assert cancelled.json()["charged"]["credits"] == "0" and is_price(cancelled.json()["charged"])


async def test_media_and_credits(ada: Person) -> None:
    done = await ada.made(count=2)
    first = (await ada.http.get("/api/media", params={"limit": 1})).json()
    assert set(first) == {"items", "next"} and len(first["items"]) == 1 and isinstance(first["next"], str)
    second = (await ada.http.get("/api/media", params={"limit": 1, "cursor": first["next"]})).json()
    assert second["next"] is None
    assert {first["items"][0]["id"], second["items"][0]["id"]} == {asset["id"] for asset in done["assets"]}
    asset = (await ada.http.get(f"/api/media/{done['assets'][0]['id']}")).json()
    assert set(asset) >= ASSET and asset["charged"] == {"credits": "1"}
    assert (await ada.http.delete(f"/api/media/{asset['id']}")).status_code == 204
    assert (await ada.http.get(f"/api/media/{asset['id']}")).status_code == 404

    wallet = (await ada.http.get("/api/credits")).json()
    assert set(wallet) == {"balance", "held", "allowances", "lots"}
    assert (wallet["balance"], wallet["held"], wallet["allowances"]) == ("98", "0", {})
    assert {"id", "unit", "remaining", "amount", "source", "scope", "expires_at"} == set(wallet["lots"][0])
    history = (await ada.http.get("/api/credits/history")).json()
    assert set(history) == {"items", "next"}
    spent, granted = history["items"]
    assert (spent["credits"], spent["outputs"], spent["subject_id"]) == ("-2", 2, done["id"])
    assert granted["credits"] == "100" and datetime.fromisoformat(granted["created_at"]).tzinfo is not None


async def test_usage_stats(ada: Person) -> None:
    await ada.made(count=2)
    stats = (await ada.http.get("/api/user/usage-stats", params={"days": 7})).json()
    assert set(stats) == {
        "from", "to", "step", "time_zone", "plan", "balance", "held", "allowances", "received", "expired", "taken_back",
        "total", "before", "by_kind", "by_model", "by_member", "steps",
    }  # fmt: skip
    total = stats["total"]
    assert set(total) == {
        "requests", "succeeded", "failed", "success_rate", "seconds", "mean_seconds", "outputs", "outputs_failed",
        "credits", "allowance_uses",
    }  # fmt: skip
    spent = [line for line in (await ada.http.get("/api/credits/history")).json()["items"] if line["kind"] == "spend"]
    assert (total["credits"], stats["balance"], stats["received"]) == (
        spent[0]["credits"].removeprefix("-"),
        "98",
        "100",
    )
    assert (total["requests"], total["succeeded"], total["outputs"], total["success_rate"]) == (1, 1, 2, 1)
    assert total["seconds"] == total["mean_seconds"] > 0
    assert set(stats["plan"]) == {"key", "name", "renews_at"} and (stats["step"], stats["time_zone"]) == ("day", "UTC")
    shares = [stats[name][0]["figures"] for name in ("by_kind", "by_model", "by_member", "steps")]
    assert shares == [total] * 4
    assert (stats["by_kind"][0]["kind"], stats["by_model"][0]["model"]) == ("image", MODEL)
    rows = (await ada.http.get("/dashboard/usage.csv?days=7")).text.splitlines()
    assert rows[1].split(",")[-2:] == [total["credits"], "0"] and len(rows) == 2
    asked = (await ada.http.get("/dashboard/history.csv?days=7&kind=image")).text.splitlines()
    assert len(asked) == 2 and asked[1].split(",")[6:11] == ["succeeded", "2", "2", "2", "2"]
    assert len((await ada.http.get("/dashboard/history.csv?days=7&kind=video")).text.splitlines()) == 1


def test_an_output_an_allowance_pays_for_costs_no_credits() -> None:
    price = Price((OutputPrice(0, {"image": 1}), OutputPrice(200_000)))
    assert PriceJson.of(price).model_dump(mode="json") == {
        "credits": "0.2", "allowances": {"image": 1},
        "outputs": [{"credits": "0", "allowances": {"image": 1}}, {"credits": "0.2"}],
    }  # fmt: skip
