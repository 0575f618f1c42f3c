"""A bucket on loopback (moto's server in this process), and a proxy before it that behaves badly when asked to."""

import asyncio
import contextlib
import logging
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

import httpx2
from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer
from pydantic import SecretStr

from gesso.core.ids import new_id
from gesso.core.settings import StorageSettings
from gesso.media.storage import Storage

KEY, SECRET = "AKIAFORTESTS", "a secret of the bucket / with + odd signs"
REGION = "eu-central-1"

Mode = Literal["pass", "refuse", "hang", "busy", "broken", "cut", "slow", "denied"]
_SAID: dict[str, tuple[bytes, bytes]] = {
    "busy": (b"503 Slow Down", b"SlowDown"),
    "broken": (b"500 Internal Server Error", b"InternalError"),
    "denied": (b"403 Forbidden", b"SignatureDoesNotMatch"),
}
_CUT_AFTER = 1000
"""Bytes of an answer, its head included, that come through in the mode `cut`."""


@contextlib.contextmanager
def moto_server() -> Iterator[str]:
    """An S3 that checks no signatures; gives its address."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@dataclass
class Bucket:
    """A bucket of its own. `endpoint` may be that of a proxy."""

    endpoint: str
    name: str = field(default_factory=lambda: f"files-{new_id().hex}")
    prefix: str = "site one/ü"

    def make(self) -> "Bucket":
        assert httpx2.put(f"{self.endpoint}/{self.name}").status_code == 200
        return self

    @property
    def url(self) -> str:
        return f"s3://{self.name}/{self.prefix}"

    def settings(self, **changes: object) -> StorageSettings:
        given: dict[str, object] = {
            "url": self.url, "endpoint": self.endpoint, "allow_http": True, "region": REGION, "access_key_id": KEY,
            "secret_access_key": SecretStr(SECRET),
        }  # fmt: skip
        return StorageSettings(**given | changes)  # type: ignore[arg-type]

    def environment(self) -> dict[str, str]:
        """The same for a command."""
        return {
            "GESSO_STORAGE_URL": self.url, "GESSO_STORAGE_ENDPOINT": self.endpoint, "GESSO_STORAGE_ALLOW_HTTP": "true",
            "GESSO_STORAGE_REGION": REGION, "GESSO_STORAGE_ACCESS_KEY_ID": KEY,
            "GESSO_STORAGE_SECRET_ACCESS_KEY": SECRET,
        }  # fmt: skip

    def storage(self, **changes: object) -> Storage:
        return Storage.from_url(self.url, self.settings(**changes))

    def overwrite(self, key: str, data: bytes) -> None:
        """Change an object behind everybody's back."""
        s3_backends[DEFAULT_ACCOUNT_ID]["aws"].put_object(self.name, f"{self.prefix}/{key}", data)

    def keys(self) -> list[str]:
        """What is really there, uploads in parts that never ended included."""
        bucket = s3_backends[DEFAULT_ACCOUNT_ID]["aws"].get_bucket(self.name)
        return sorted(bucket.keys) + sorted(bucket.multiparts)


class Proxy:
    """Stands before an S3 and passes everything on, until `mode` says otherwise; that cuts what is open."""

    def __init__(self, target: str) -> None:
        self.target = target
        self._mode: Mode = "pass"
        self._writers: set[asyncio.StreamWriter] = set()
        self.heads: list[bytes] = []
        """The head of the first request of each connection."""
        self.url = ""

    @property
    def mode(self) -> Mode:
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        self._mode = mode
        for writer in self._writers:
            writer.transport.abort()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Proxy"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            self.mode = "refuse"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            await self._answer(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # somebody hung up, or the test is over
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._mode == "refuse":
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            return
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        if self._mode in _SAID:
            status, code = _SAID[self._mode]
            body = b'<?xml version="1.0"?><Error><Code>' + code + b"</Code><Message>No.</Message></Error>"
            await reader.readexactly(_length(head))
            writer.write(
                b"HTTP/1.1 %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (status, len(body), body)
            )
            await writer.drain()
            return
        if self._mode == "hang":
            await reader.read()  # until the other side gives up
            return
        parts = urlsplit(self.target)
        onward_reader, onward = await asyncio.open_connection(parts.hostname, parts.port)
        self._writers.add(onward)
        onward.write(head)
        try:
            await asyncio.gather(self._pipe(reader, onward), self._return(onward_reader, writer))
        finally:
            self._writers.discard(onward)
            onward.transport.abort()

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError

    async def _return(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._mode == "cut":
            writer.write(await reader.read(_CUT_AFTER))
            await writer.drain()
            raise ConnectionResetError
        if self._mode == "slow":
            while data := await reader.read(1):
                writer.write(data)
                await writer.drain()
                await asyncio.sleep(0.02)
        await self._pipe(reader, writer)


def _length(head: bytes) -> int:
    lines = [line.partition(b":")[2] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return int(lines[0]) if lines else 0
