"""Models whose wire data their adapter cannot use are not switched on, whoever wants it."""

import pytest

from gesso.catalog.edits.models import ModelFacts, ModelRefused, build
from gesso.catalog.items import Connection
from gesso.catalog.service import add_connection, set_model_enabled
from gesso.core.errors import InvalidInput
from gesso.core.ids import new_id
from gesso.db import Database
from tests.catalog.helpers import COUNT, PROMPT, SEALER, seed_studio
from tests.providers.comfyui_workflows import WIRE

CAPABILITIES = {
    "type": "object", "properties": {"prompt": PROMPT, "count": COUNT}, "required": ["prompt"],
    "additionalProperties": False,
}  # fmt: skip
BROKEN = {**WIRE, "places": {"prompt": "66.text"}}
BOX = Connection(id=new_id(), key="box", adapter="comfyui", name="Box", base_url="http://10.0.0.5:8188")


def facts(wire: dict[str, object], *, enabled: bool) -> ModelFacts:
    price = {"credits": "1"}
    return ModelFacts("House", "", "box", "sdxl", CAPABILITIES, price=price, wire=wire, enabled=enabled)


def test_a_model_is_saved_unfinished_only_while_it_is_off() -> None:
    with pytest.raises(ModelRefused) as caught:
        build("house", "image", facts(BROKEN, enabled=True), [BOX], [])
    assert "no place 66.text" in caught.value.fields["wire"]
    assert build("house", "image", facts(BROKEN, enabled=False), [BOX], []).wire == BROKEN
    assert build("house", "image", facts(WIRE, enabled=True), [BOX], []).enabled


async def test_an_unfinished_model_cannot_be_switched_on(fresh_db: Database) -> None:
    await seed_studio(fresh_db)
    async with fresh_db.elevated("test") as tx:
        box = await add_connection(tx, SEALER, key="box", adapter="comfyui", base_url=BOX.base_url)
        await tx.execute_raw(
            "UPDATE model SET connection_id = $1, wire = $2, enabled = false WHERE key = 'flux-ultra'", box.id, BROKEN
        )
        with pytest.raises(InvalidInput, match=r"no place 66\.text"):
            await set_model_enabled(tx, "flux-ultra", True)
        await tx.execute_raw("UPDATE model SET wire = $1 WHERE key = 'flux-ultra'", WIRE)
        await set_model_enabled(tx, "flux-ultra", True)
        assert await tx.fetchval("SELECT enabled FROM model WHERE key = 'flux-ultra'")
