"""A sandbox with a folder forgets nothing when killed: jobs go on, files stay, the bill adds up, webhooks come."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.sandbox.conftest import Customer
from tests.sandbox.server import serving
from tests.sandbox.test_process import children, until_up

pytestmark = pytest.mark.crash


@dataclass
class Process:
    """A sandbox on one port and folder, started as often as one likes."""

    port: int
    environment: dict[str, str]
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self, http: httpx2.AsyncClient) -> None:
        command = [sys.executable, "-m", "gesso.sandbox", "--port", str(self.port)]
        self.running.append(subprocess.Popen(command, env=self.environment))
        await until_up(http, self.origin)

    async def kill(self) -> None:
        self.running[-1].send_signal(signal.SIGKILL)
        await asyncio.to_thread(self.running[-1].wait, 10)


@pytest.fixture
def lasting(tmp_path: Path, listener: str) -> Iterator[Process]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {
        "GESSO_SANDBOX_FOLDER": str(tmp_path / "kept"), "GESSO_SANDBOX_PAINTERS": "0",
        "GESSO_SANDBOX_QUEUE_SECONDS": "0", "GESSO_SANDBOX_PAINT_SECONDS": "0",
        "GESSO_SANDBOX_WEBHOOK_ORIGIN": listener,
    }  # fmt: skip
    process = Process(port, os.environ | settings)
    yield process
    for one in process.running:
        with contextlib.suppress(ProcessLookupError):
            one.kill()
        one.wait()


TOLD: list[str] = []


@pytest.fixture
async def listener() -> AsyncIterator[str]:
    """Takes webhooks of any name."""
    TOLD.clear()

    async def take(request: Request) -> Response:
        TOLD.append((await request.json())["request_id"])
        return Response(status_code=200)

    async with serving(Starlette(routes=[Route("/{path:path}", take, methods=["POST"])])) as origin:
        yield origin


async def test_a_killed_sandbox_goes_on_where_it_was(lasting: Process, http: httpx2.AsyncClient) -> None:
    await lasting.start(http)
    fal = Customer(http, lasting.origin)
    done = await fal.submit()
    before = await fal.result(done)
    url = before.json()["images"][0]["url"]
    picture = (await http.get(url)).content
    under_way = await fal.submit("sandbox:slow=1", params={"fal_webhook": "https://a.name.elsewhere/told?call=7"})
    waiting = await fal.submit("sandbox:queue=3")
    assert children(lasting.running[-1].pid) == set(), "without painters there are no processes to paint"
    await lasting.kill()
    await lasting.start(http)
    assert (await fal.get(done.json()["response_url"])).json() == before.json()
    assert (await http.get(url)).content == picture
    for submitted in (under_way, waiting):
        assert (await fal.result(submitted)).status_code == 200
    async with asyncio.timeout(20):
        while [under_way.json()["request_id"]] != TOLD:
            await asyncio.sleep(0.02)
    await lasting.kill()
    await lasting.start(http)
    bill = (await http.get(f"{lasting.origin}/_bill")).json()
    assert bill["totals"]["by_status"] == {"done": 3} and bill["totals"]["jobs"] == 3
    assert bill["totals"]["cost_micro_usd"] == sum(line["cost_micro_usd"] for line in bill["jobs"]) > 0
    hooks = {line["request_id"]: line["webhook"] for line in bill["jobs"]}
    assert hooks[under_way.json()["request_id"]] == "https://a.name.elsewhere/told?call=7"
    assert [under_way.json()["request_id"]] == TOLD, "what was told is not told again"


@pytest.mark.parametrize("point", ["sandbox.accepted", "sandbox.painted", "sandbox.finished"])
async def test_a_job_is_billed_once_wherever_it_was_cut_off(
    lasting: Process, http: httpx2.AsyncClient, point: str
) -> None:
    lasting.environment["GESSO_CRASH_AT"] = point
    await lasting.start(http)
    fal = Customer(http, lasting.origin)
    with contextlib.suppress(httpx2.HTTPError):
        await fal.submit()
    assert await asyncio.to_thread(lasting.running[-1].wait, 20) == -signal.SIGKILL
    del lasting.environment["GESSO_CRASH_AT"]
    await lasting.start(http)
    async with asyncio.timeout(20):
        while (bill := (await http.get(f"{lasting.origin}/_bill")).json())["totals"]["by_status"] != {"done": 1}:
            await asyncio.sleep(0.02)
    assert bill["totals"]["cost_micro_usd"] == bill["jobs"][0]["cost_micro_usd"] > 0
