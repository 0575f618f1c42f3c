"""The sandbox as a process: it starts, it paints, and nothing of it is left when it goes, however it goes."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.sandbox.conftest import Customer


def children(pid: int) -> set[int]:
    """All processes below one."""
    below = {int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
    return below.union(*(children(p) for p in below)) if below else below


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


async def until_up(http: httpx2.AsyncClient, origin: str) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                assert (await http.get(f"{origin}/healthz")).status_code == 200
            except httpx2.ConnectError:
                await asyncio.sleep(0.05)
            else:
                return


@pytest.fixture
def started() -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"GESSO_SANDBOX_QUEUE_SECONDS": "0", "GESSO_SANDBOX_PAINT_SECONDS": "0"}
    process = subprocess.Popen([sys.executable, "-m", "gesso.sandbox", "--port", str(port)], env=environment)
    yield process, f"http://127.0.0.1:{port}"
    if process.poll() is None:
        process.kill()
    process.wait()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
async def test_nothing_is_left(
    started: tuple[subprocess.Popen[bytes], str], how: signal.Signals, http: httpx2.AsyncClient
) -> None:
    process, origin = started
    await until_up(http, origin)
    async with asyncio.timeout(30):
        fal = Customer(http, origin)
        assert (await fal.result(await fal.submit())).status_code == 200
        painters = children(process.pid)
        assert painters, "painting happens in processes of its own"
        os.kill(process.pid, how)
        await asyncio.to_thread(process.wait, 10)
        while any(alive(pid) for pid in painters):
            await asyncio.sleep(0.05)


async def test_a_killed_painter_is_replaced(
    started: tuple[subprocess.Popen[bytes], str], http: httpx2.AsyncClient
) -> None:
    process, origin = started
    await until_up(http, origin)
    fal = Customer(http, origin)
    await fal.result(await fal.submit())
    painters = [p for p in children(process.pid) if b"spawn_main" in Path(f"/proc/{p}/cmdline").read_bytes()]
    assert painters
    for painter in painters:
        os.kill(painter, signal.SIGKILL)
    assert (await fal.result(await fal.submit())).status_code == 200


def test_painters_do_not_run_their_parent_s_main_module_again(tmp_path: Path) -> None:
    script = tmp_path / "unguarded.py"
    script.write_text(
        "import asyncio\n"
        "from gesso.sandbox.studio import Order, Studio\n"
        "print('started')\n"
        "async def main():\n"
        "    studio = Studio(1)\n"
        "    print(len(await studio.paint(Order('dunes', 1, 64, 64, 'png'))) > 1000)\n"
        "    await studio.close()\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["started", "True"]
