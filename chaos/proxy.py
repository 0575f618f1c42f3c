"""A loopback proxy that can be told to misbehave: reset connections, or let silence fall for a while."""

import asyncio
import contextlib
import itertools
import socket
import struct
from collections.abc import AsyncIterator, Sequence

PATIENCE_SECONDS = 3.0
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER with no time to linger: closing sends RST instead of FIN."""


class Proxy:
    """Passes bytes between clients and `targets` (ports of loopback), each connection to the next target in turn."""

    def __init__(self, targets: Sequence[int]) -> None:
        self._targets = itertools.cycle(targets)
        self._connections: dict[asyncio.StreamWriter, asyncio.StreamWriter] = {}
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.port = 0
        self.resets = 0

    @classmethod
    @contextlib.asynccontextmanager
    async def opened(cls, targets: Sequence[int]) -> AsyncIterator["Proxy"]:
        proxy = cls(targets)
        server = await asyncio.start_server(proxy._serve, "127.0.0.1", 0)
        proxy.port = server.sockets[0].getsockname()[1]
        try:
            yield proxy
        finally:
            server.close()
            proxy.reset_all()
            await server.wait_closed()

    def reset_all(self) -> int:
        """Break every connection that is open, in both directions, without a goodbye. How many there were."""
        broken = len(self._connections)
        for pair in list(self._connections.items()):
            for writer in pair:
                _break(writer)
        self.resets += broken
        return broken

    def hold(self) -> None:
        """Pass nothing on from here: a network that swallows packets."""
        self._flowing.clear()

    def flow(self) -> None:
        """End of `hold`: what was swallowed arrives, late."""
        self._flowing.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            upstream = await self._connect()
        except OSError:
            _break(writer)  # nobody listens there: as if the client had reached it
            return
        self._connections[writer] = upstream[1]
        try:
            await asyncio.gather(self._pass(reader, upstream[1]), self._pass(upstream[0], writer))
        except asyncio.CancelledError:
            return  # the run was interrupted; nobody waits for this task
        finally:
            self._connections.pop(writer, None)
            for one in (writer, upstream[1]):
                one.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """To whoever answers first; like any balancer it waits a moment for one that is just starting again."""
        loop = asyncio.get_running_loop()
        until = loop.time() + PATIENCE_SECONDS
        while True:
            try:
                return await asyncio.open_connection("127.0.0.1", next(self._targets))
            except OSError:
                if loop.time() > until:
                    raise
            await asyncio.sleep(0.05)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()
            if writer.can_write_eof() and not writer.is_closing():
                writer.write_eof()
            return
        _break(writer)  # a reset on one side is a reset on the other


def _break(writer: asyncio.StreamWriter) -> None:
    raw = writer.get_extra_info("socket")
    if raw is not None and not writer.is_closing():
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
