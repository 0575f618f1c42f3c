"""A box of one's own through the whole product: from a request to a stored film or picture, on its private address."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from gesso.catalog.registry import CHANNEL
from gesso.catalog.service import add_connection
from gesso.core.ids import new_id
from gesso.core.sealed import Sealer
from tests.conftest import SECRET
from tests.generation.house import House, Person
from tests.media.pictures import picture
from tests.providers.comfyui_workflows import PICTURE_WIRE, WAN_WIRE

_PROMPT = {"type": "string", "minLength": 1, "maxLength": 500}
_REFERENCES = {
    "type": "array", "items": {"type": "string", "format": "uuid"}, "minItems": 1, "maxItems": 1, "uniqueItems": True,
}  # fmt: skip
_ONE = {"type": "integer", "minimum": 1, "maximum": 1, "default": 1}


async def put_on_offer(house: House, kind: str, wire: Mapping[str, Any], **settings: Any) -> str:
    """A model on a box without a key, behind all others, which other tests choose from; its key."""
    key = f"box-{new_id().hex[-8:]}"
    properties = {"prompt": _PROMPT, "count": _ONE, "references": _REFERENCES, **settings}
    capabilities = {
        "type": "object", "properties": properties, "required": ["prompt", "references"], "additionalProperties": False,
    }  # fmt: skip
    async with house.db.elevated("test: a box") as tx:
        connection = await add_connection(
            tx, Sealer(SECRET), key=key, adapter="comfyui", base_url=f"{house.sandbox_url}/comfyui"
        )
        await tx.execute_raw(
            "INSERT INTO model (id, key, kind, connection_id, upstream, name, capabilities, price, cost, wire,"
            " typical_seconds, enabled, origin, position)"
            " VALUES ($1, $2, $3, $4, 'house', $2, $5, $6, $7, $8, 20, true, 'operator', 10000)",
            new_id(), key, kind, connection.id, capabilities, {"credits": "2"}, {"usd": "0.05"},
            json.loads(json.dumps(wire)),
        )  # fmt: skip
        tx.notify_after_commit(CHANNEL, {})
    return key


async def made(ada: Person, kind: str, **body: Any) -> dict[str, Any]:
    """How a generation ended. Processes that have not heard of a new model yet refuse it: again then."""
    async with asyncio.timeout(60):
        while True:
            answer = await ada.http.post(f"/api/generate/{kind}", json={"count": 1, **body})
            if answer.status_code == 202:
                done = await ada.ended(UUID(answer.json()["id"]))
                if (done["error"] or {}).get("code") != "model_gone":
                    return done
            else:
                assert answer.status_code in (404, 422), answer.text
            await asyncio.sleep(0.1)


async def upload(ada: Person) -> str:
    answer = await ada.http.post("/api/media/uploads", files={"file": ("a.png", picture(), "image/png")})
    assert answer.status_code in (200, 201), answer.text
    return str(answer.json()["id"])


async def test_a_film_from_a_picture_of_ones_own(house: House) -> None:
    ada = await house.person()
    size = {"type": "string", "default": "96x64"}
    key = await put_on_offer(
        house, "video", WAN_WIRE | {"micro_usd_per_second": 300}, size=size, duration={"type": "integer", "default": 1}
    )
    done = await made(ada, "video", model=key, prompt="waves roll in", references=[await upload(ada)], duration=1)
    assert (done["status"], done["error"]) == ("succeeded", None)
    [asset] = done["assets"]
    assert (asset["kind"], asset["width"], asset["height"]) == ("video", 96, 64)
    [attempt] = await house.attempts(done["id"])
    assert attempt["operation"]["id"] == str(attempt["client_key"]), "our key is the job's id"
    assert attempt["cost_state"] == "actual" and 0 < attempt["provider_cost_micro_usd"] < 50_000
    line = (await house.bill())[attempt["operation"]["id"]]
    assert (line["provider"], line["status"]) == ("comfyui", "done")
    assert await ada.wallet() == ("98", "0") and await house.wrong() == ()


async def test_an_answer_that_is_lost_is_found_again_and_paid_once(house: House) -> None:
    ada = await house.person()
    key = await put_on_offer(house, "image", PICTURE_WIRE | {"micro_usd_per_second": 0})
    before = set(await house.bill())
    done = await made(ada, "image", model=key, prompt="in ink sandbox:drop", references=[await upload(ada)])
    assert (done["status"], len(done["assets"])) == ("succeeded", 1)
    [attempt] = await house.attempts(done["id"])
    assert (attempt["provider_cost_micro_usd"], attempt["cost_state"]) == (0, "actual")
    assert set(await house.bill()) - before == {str(attempt["client_key"])}, "it was queued once"
    assert await ada.wallet() == ("98", "0") and await house.wrong() == ()


async def test_a_box_that_restarted_costs_nothing_and_nothing_is_sent_again(house: House) -> None:
    ada = await house.person()
    key = await put_on_offer(house, "image", PICTURE_WIRE)
    done = await made(ada, "image", model=key, prompt="in ink sandbox:lost", references=[await upload(ada)])
    assert (done["status"], done["error"]["code"]) == ("failed", "rejected_gone")
    assert len(await house.attempts(done["id"])) == 1
    assert await ada.wallet() == ("100", "0") and await house.wrong() == ()
