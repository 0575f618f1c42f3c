"""A provider whose jobs can be found again by their unsigned notice alone, through the whole product."""

import asyncio
from pathlib import Path
from typing import Any

import httpx2

from gesso.core.ids import new_id
from tests.cli.homes import Home
from tests.conftest import SECRET
from tests.generation.house import House
from tests.media.pictures import picture


async def knock(house: House, task_id: str, call: Any) -> int:
    body = {"code": 200, "data": {"taskId": task_id, "resultJson": '{"resultUrls":["http://169.254.169.254/"]}'}}
    async with httpx2.AsyncClient(base_url=house.url) as client:
        params = {"call": str(call)} if call else {}
        return (await client.post("/api/webhooks/kie", params=params, json=body)).status_code


async def test_a_lost_job_comes_home_by_its_notice_and_by_nobody_elses(house: House) -> None:
    ada, before = await house.person(), set(await house.bill())
    status = await ada.made("dunes sandbox:small sandbox:drop", model="flux2-pro")
    assert (status["status"], status["error"]["code"]) == ("failed", "uncertain")
    (attempt,) = await house.attempts(status["id"])
    (task_id,) = set(await house.bill()) - before
    assert (await house.bill())[task_id]["provider"] == "kie" and attempt["provider_cost_micro_usd"] == 25_000
    for stranger in (None, new_id()):
        assert await knock(house, task_id, stranger) == 403
    assert await knock(house, task_id, attempt["client_key"]) == 202
    late = await ada.until(status["id"], lambda status: status["assets"])
    assert len(late["assets"]) == 1 and late["charged"]["credits"] == "0" and await ada.wallet() == ("100", "0")
    async with asyncio.timeout(25):
        while (await house.attempts(status["id"]))[0]["cost_state"] != "actual":
            await asyncio.sleep(0.05)
    assert await house.wrong() == ()


async def test_a_picture_of_the_users_own_is_changed_for_what_it_costs(house: House) -> None:
    ada = await house.person()
    uploaded = await ada.http.post("/api/media/uploads", files={"file": ("a.png", picture(), "image/png")})
    done = await ada.made(
        "snow on it sandbox:small", model="seedream-45", references=[uploaded.json()["id"]], aspect_ratio="3:2"
    )
    assert (done["status"], done["error"], done["charged"]["credits"]) == ("succeeded", None, "2")
    (attempt,) = await house.attempts(done["id"])
    line = (await house.bill())[attempt["operation"]["id"]]
    assert (line["endpoint"], line["cost_micro_usd"]) == ("seedream/4.5-edit", attempt["provider_cost_micro_usd"])
    assert await house.wrong() == ()


async def test_the_connection_is_tested_from_the_command_line(house: House, tmp_path: Path) -> None:
    url = house.settings.database.url
    assert url is not None
    given = {"DATABASE_URL": url.get_secret_value(), "GESSO_SECRET_KEY": SECRET,
             "GESSO_SANDBOX_URL": house.sandbox_url}  # fmt: skip
    told = await asyncio.to_thread(Home(tmp_path).typed, "connection", "test", "kie", **given)
    assert told.returncode == 0, told.stderr
    assert "The key is accepted; it has" in told.stdout and "credits, about $" in told.stdout
