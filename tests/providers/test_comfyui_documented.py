"""The model in docs/providers.md: it is read as an edition's and asked of a box, so that what is copied works."""

import asyncio
import re
import tomllib
import uuid
from importlib.resources import files
from pathlib import Path

import pytest

from gesso.catalog.editions import parse_edition
from gesso.catalog.editions.tables import EditionError
from gesso.providers.base import ConnectionConfig, Done, MediaRequest, Pending
from gesso.providers.comfyui.adapter import ComfyAdapter
from tests.sandbox.server import running_sandbox

DOCUMENT = Path(__file__).parents[2] / "docs" / "providers.md"
STUDIO = (files("gesso") / "editions" / "studio.toml").read_text()


def documented() -> str:
    section = DOCUMENT.read_text().partition("\n## ComfyUI\n")[2].partition("\n## ")[0]
    found = re.search(r"```toml\n(.*?)```", section, re.DOTALL)
    assert found is not None
    return found[1]


async def test_the_documented_model_works() -> None:
    edition = parse_edition(f"{STUDIO}\n{documented()}".encode(), "test.toml")
    model = next(model for model in edition.models if model.key == tomllib.loads(documented())["models"][0]["key"])
    options = {"steps": 6, "guidance": 5.5}
    request = MediaRequest(
        "image", model.upstream, "a lighthouse", "fog", seed=4, width=64, height=64, options=options, wire=model.wire
    )
    async with running_sandbox() as origin, asyncio.timeout(30):
        box = ComfyAdapter(ConnectionConfig(base_url=f"{origin}/comfyui"))
        operation = await box.submit(request, str(uuid.uuid4()))
        while isinstance(outcome := await box.poll(operation), Pending):
            await asyncio.sleep(0.02)
        await box.aclose()
    assert isinstance(outcome, Done) and outcome.warnings == () and outcome.cost_micro_usd == 0
    assert outcome.files[0].data is not None and outcome.seed == 4


def test_a_slip_in_it_is_told_by_line() -> None:
    text = f"{STUDIO}\n{documented()}".replace('seed = "3.seed"', 'seed = "3.sead"')
    with pytest.raises(EditionError) as caught:
        parse_edition(text.encode(), "test.toml")
    [problem] = caught.value.problems
    assert "no place 3.sead" in problem.reason and "wire" in text.splitlines()[problem.line - 1]
