"""The product as people start it, telling everything to a receiver on loopback, with canaries in every secret."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import pytest

from gesso.core.ids import new_id
from tests.telemetry.receiver import Receiver, receiving

T = TypeVar("T")

KEY = "5e0cf1d2-canary:canarykey0123456789canarykey"
PROMPT = "a lighthouse canaryprompt at dusk"
PASSWORD = "canarypassword, first light"
EMAIL = "canarymail"
TOKEN = "canarytoken-for-the-collector"
CANARIES = ("canarykey", "canaryprompt", "canarypassword", "canarymail", "canarytoken", "canaryquery")


def until(what: Callable[[], T], seconds: float = 60) -> T:
    """The first true answer."""
    deadline = time.monotonic() + seconds
    while True:
        found = what()
        if found:
            return found
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.2)


@dataclass
class Told:
    """The running product, and whoever it tells."""

    folder: Path
    url: str
    receiver: Receiver
    log: Path

    def lines(self) -> list[dict[str, Any]]:
        """The structured lines of all processes."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def exposed(self) -> dict[str, str]:
        """The metrics of each process, by its role."""
        found = {}
        for note in sorted((self.folder / "metrics").glob("*.json")):
            (target,) = json.loads(note.read_text())
            answer = httpx2.get(
                f"http://{target['targets'][0]}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=20
            )
            assert answer.status_code == 200, answer.text
            found[target["labels"]["role"]] = answer.text
        return found

    def person(self, **headers: str) -> "Person":
        """Somebody who has just signed up."""
        client = httpx2.Client(base_url=self.url, timeout=30, headers=headers)
        body = {"email": f"{EMAIL}.{new_id().hex}@example.test", "name": "Ada", "password": PASSWORD}
        assert client.post("/api/auth/signup", json=body).status_code == 201
        return Person(client)


@dataclass
class Person:
    """Somebody signed in."""

    http: httpx2.Client

    def ask(self, prompt: str = PROMPT, **body: Any) -> httpx2.Response:
        given = {"model": "flux-schnell", "prompt": prompt, "count": 1, **body}
        return self.http.post("/api/generate/image?source=canaryquery", json=given)

    def made(self, prompt: str = PROMPT, **body: Any) -> tuple[str, str]:
        """(generation's id, request's id) of one that has come to its end."""
        answer = self.ask(prompt, **body)
        assert answer.status_code == 202, answer.text
        generation = answer.json()["id"]
        until(lambda: self.http.get(f"/api/generate/status/{generation}").json()["finished_at"])
        return generation, answer.headers["x-request-id"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def told(shared_folder: Path) -> Iterator[Told]:
    """`gesso up` with a key for the sandbox, traces, reports, product events and metrics."""
    folder = shared_folder / f"told {new_id().hex[-6:]}"
    folder.mkdir()
    port, sandbox = free_port(), free_port()
    (folder / "sandbox.port").write_text(str(sandbox))
    kept = {
        name: value for name, value in os.environ.items()
        if not name.startswith(("GESSO_", "DATABASE_", "OTEL_", "FAL_")) and not name.lower().endswith("_proxy")
    }  # fmt: skip
    with receiving() as receiver, (folder / "up.log").open("wb") as log:
        environment = kept | {
            "GESSO_DATA_DIR": str(folder), "GESSO_PORT": str(port), "GESSO_LOG_FORMAT": "json",
            "GESSO_SANDBOX_QUEUE_SECONDS": "0", "GESSO_SANDBOX_PAINT_SECONDS": "0",
            "FAL_KEY": KEY, "FAL_BASE_URL": f"http://127.0.0.1:{sandbox}/fal",
            "GESSO_METRICS_PORT": str(free_port()), "GESSO_METRICS_TOKEN": TOKEN,
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "OTEL_BSP_SCHEDULE_DELAY": "300",
            "SENTRY_DSN": receiver.url.replace("://", "://publickey@") + "/1",
            "POSTHOG_API_KEY": "phc_project", "POSTHOG_HOST": receiver.url,
        }  # fmt: skip
        process = subprocess.Popen([sys.executable, "-m", "gesso", "up"], env=environment, stdout=log, stderr=log)
        try:
            url = f"http://127.0.0.1:{port}"
            until(lambda: process.poll() is not None or _ready(url), 90)
            yield Told(folder, url, receiver, folder / "up.log")
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def _ready(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/readyz", timeout=5).status_code == 200
    except httpx2.HTTPError:
        return False
