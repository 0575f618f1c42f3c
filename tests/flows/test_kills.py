"""kill −9 of web, worker and database under load, in the product as people start it: nothing lost, nothing twice."""

import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import asyncpg
import httpx2
import psutil
import pytest
from chaos.people import ENDED, Crowd, ask_for, insistently, sign_up

from gesso.core.ids import new_id
from gesso.credits import service as credits
from gesso.db import Database
from gesso.db.embedded import EmbeddedPostgres

pytestmark = [pytest.mark.crash, pytest.mark.xdist_group("processes")]

ASKED = 8
PICTURES_EACH = 2


@dataclass
class Up:
    """`gesso up` in a folder of its own."""

    folder: Path
    url: str
    process: subprocess.Popen[bytes]

    def part(self, *words: str) -> psutil.Process:
        """The child whose command line has all of `words`."""
        for child in psutil.Process(self.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if all(word in child.cmdline() for word in words):
                    return child
        raise AssertionError(f"no process {words}")

    def postgres(self) -> int:
        return int(json.loads((self.folder / "postgres" / "server.json").read_text())["pid"])

    async def ready(self) -> None:
        async with httpx2.AsyncClient(timeout=5) as client, asyncio.timeout(60):
            while True:
                assert self.process.poll() is None, "gesso up ended"
                with contextlib.suppress(httpx2.HTTPError):
                    if (await client.get(f"{self.url}/readyz")).status_code == 200:
                        return
                await asyncio.sleep(0.2)


@pytest.fixture
async def up(shared_folder: Path) -> AsyncIterator[Up]:
    folder = shared_folder / f"kills {new_id().hex[-6:]}"
    folder.mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ, "GESSO_DATA_DIR": str(folder), "GESSO_PORT": str(port),
        "GESSO_SANDBOX_QUEUE_SECONDS": "0.2", "GESSO_SANDBOX_PAINT_SECONDS": "0.5",
    }  # fmt: skip
    environment.pop("DATABASE_URL", None)
    with (folder / "up.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "gesso", "up"], env=environment, stdout=log, stderr=log)
    found = Up(folder, f"http://127.0.0.1:{port}", process)
    try:
        await found.ready()
        yield found
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


async def test_nothing_is_lost_and_nothing_charged_twice(up: Up) -> None:
    async with httpx2.AsyncClient(base_url=up.url, timeout=10) as client:
        crowd = Crowd(client, random.Random(1))
        ada = await sign_up(crowd)

        async def submit(number: int) -> str:
            body = {"model": "flux-schnell", "prompt": f"dunes at dawn, view {number}", "count": PICTURES_EACH}
            send = partial(ask_for, crowd, ada, "POST", "/api/generate/image", key=f"picture-{number}", body=body)
            answer = await insistently(crowd, send)
            assert answer.status_code == 202, answer.text
            return str(answer.json()["id"])

        async def kill() -> None:
            await asyncio.sleep(0.6)
            up.part("work").kill()
            await asyncio.sleep(1.5)
            up.part("serve").kill()
            await asyncio.sleep(1.5)
            os.kill(up.postgres(), signal.SIGKILL)
            await asyncio.sleep(2.5)
            up.part("work").kill()

        *ids, _ = await asyncio.gather(*(submit(number) for number in range(ASKED)), kill())
        assert len(set(ids)) == ASKED

        async def ended(generation: object) -> dict[str, object]:
            async with asyncio.timeout(90):
                while True:
                    look = partial(ask_for, crowd, ada, "GET", f"/api/generate/status/{generation}")
                    answer = await insistently(crowd, look)
                    if answer.json()["status"] in ENDED:
                        return dict(answer.json())
                    await asyncio.sleep(0.3)

        found = await asyncio.gather(*(ended(generation) for generation in ids))
    delivered = sum(len(one["assets"]) for one in found)  # type: ignore[arg-type]
    charged = sum(float(one["charged"]["credits"]) for one in found)  # type: ignore[index]
    assert charged == delivered
    assert delivered >= ASKED  # kills may cost what was between asking and noting, never most of it
    await check_behind(up, delivered)


async def check_behind(up: Up, delivered: int) -> None:
    """The books agree with the pictures, no hold is left, every file is there."""
    server = EmbeddedPostgres(up.folder / "postgres")
    server.start()
    owner = await asyncpg.connect(server.url("gesso"))
    db = Database(server.url("gesso"), secret=(up.folder / "secret_key").read_text().strip())
    try:
        assert await owner.fetchval("SELECT count(*) FROM asset WHERE source = 'generated'") == delivered
        assert await owner.fetchval("SELECT count(*) FROM credit_hold WHERE state = 'open'") == 0
        assert await owner.fetchval("SELECT sum(amount) FROM credit_journal WHERE kind = 'capture'") == (
            delivered * 1_000_000
        )
        assert await owner.fetchval("SELECT count(*) FROM attempt WHERE state IN ('started', 'submitted')") == 0
        keys = [row["storage_key"] for row in await owner.fetch("SELECT storage_key FROM asset")]
        assert all((up.folder / "files" / key).exists() for key in keys)
        async with db.elevated("test: verify") as tx:
            assert await credits.verify(tx) == ()
    finally:
        await owner.close()
        await db.close()
        server.close()
