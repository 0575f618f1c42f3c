"""The embedded server: paths with spaces, several users, kill −9 of anything, restart in the same folder."""

import asyncio
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from gesso.db.embedded import EmbeddedPostgres

pytestmark = pytest.mark.crash


@pytest.fixture
def folder(shared_folder: Path, request: pytest.FixtureRequest) -> Path:
    """A folder with a space in its name that the server's user may enter."""
    path = shared_folder / f"embedded {request.node.name[:40]}"
    path.mkdir()
    return path


@pytest.fixture
def server(folder: Path) -> Iterator[EmbeddedPostgres]:
    embedded = EmbeddedPostgres(folder, ("fsync=off",))
    embedded.start()
    yield embedded
    embedded.close()


async def ask(server: EmbeddedPostgres, sql: str = "SELECT 1") -> object:
    connection = await asyncpg.connect(server.url())
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


def postgres_pid(folder: Path) -> int:
    return int(json.loads((folder / "server.json").read_text())["pid"])


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def until(condition: object, seconds: float = 60) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        await asyncio.sleep(0.05)


async def test_a_second_user_finds_it_and_the_last_one_ends_it(folder: Path) -> None:
    first, second = EmbeddedPostgres(folder), EmbeddedPostgres(folder)
    first.start()
    second.start()
    pid = postgres_pid(folder)
    first.close()
    await asyncio.sleep(2)
    assert await ask(second) == 1
    assert postgres_pid(folder) == pid
    second.close()
    await until(lambda: not alive(pid))
    third = EmbeddedPostgres(folder)
    third.start()
    assert await ask(third) == 1
    third.close()


async def test_starting_many_at_once_makes_one_server(folder: Path) -> None:
    users = [EmbeddedPostgres(folder) for _ in range(6)]
    await asyncio.gather(*(asyncio.to_thread(user.start) for user in users))
    assert len({user.url() for user in users}) == 1
    assert await ask(users[-1]) == 1
    for user in users:
        user.close()


async def test_a_killed_server_comes_back_on_its_port_with_its_rows(server: EmbeddedPostgres, folder: Path) -> None:
    connection = await asyncpg.connect(server.url())
    await connection.execute("CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)")
    await connection.close()
    before, url = postgres_pid(folder), server.url()
    os.kill(before, signal.SIGKILL)
    await until(lambda: server.running() and postgres_pid(folder) != before)
    assert server.url() == url
    assert await ask(server, "SELECT n FROM kept") == 7


async def test_a_killed_supervisor_takes_the_server_along_and_a_new_one_takes_over(
    server: EmbeddedPostgres, folder: Path
) -> None:
    before = postgres_pid(folder)
    os.kill(parent_of(before), signal.SIGKILL)
    await until(lambda: not alive(before))
    await asyncio.to_thread(server.start)
    assert await ask(server) == 1


async def test_a_killed_user_leaves_nothing_running(folder: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from gesso.db.embedded import EmbeddedPostgres\n"
        "EmbeddedPostgres(Path(sys.argv[1])).start(); kept = EmbeddedPostgres(Path(sys.argv[1])); kept.start()\n"
        "print('up', flush=True); time.sleep(600)"
    )
    user = subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE)
    assert user.stdout is not None
    assert await asyncio.to_thread(user.stdout.readline) == b"up\n"
    pid = postgres_pid(folder)
    user.kill()
    user.wait()
    await until(lambda: not alive(pid))


async def test_strangers_cannot_read_the_cluster_and_need_the_password(server: EmbeddedPostgres, folder: Path) -> None:
    assert stat.S_IMODE((folder / "data").stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "password").stat().st_mode) == 0o600
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(server.url().replace("gesso:", "gesso:x", 1))


async def test_it_runs_under_a_folder_that_only_its_owner_may_enter(folder: Path) -> None:
    """As root the server is another user, who cannot enter: the cluster moves to /var/lib. Else nothing is special."""
    inside = folder / "closed" / "data folder"
    inside.mkdir(parents=True)
    (folder / "closed").chmod(0o700)
    for _ in range(2):  # the second time the folder was removed to start afresh
        server = EmbeddedPostgres(inside, ("fsync=off",))
        server.start()
        assert await ask(server, "SELECT count(*) FROM pg_tables WHERE tablename = 'left_over'") == 0
        await ask(server, "CREATE TABLE left_over ()")
        place = Path(str(await ask(server, "SHOW data_directory")))
        pid = postgres_pid(inside)
        server.close()
        await until(lambda pid=pid: not alive(pid))
        await asyncio.sleep(0.3)
        shutil.rmtree(inside)
        inside.mkdir()
    if os.geteuid() == 0:
        shutil.rmtree(place.parent)
