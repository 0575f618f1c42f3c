"""Listening to an adapter that writes, over a wire that the test plays."""

import asyncio
from collections.abc import Callable

from gesso.providers.errors import ProviderError
from gesso.providers.exchange import recording
from gesso.providers.text import TextEnd, TextRequest, Writer
from tests.providers.loopback import Loopback, Reply, loopback

HEAD = b"HTTP/1.1 200 X\r\nContent-Type: text/event-stream\r\n"


def chunked(*frames: str, cut: bool = False) -> Reply:
    """A streamed answer, each frame in a chunk of its own; `cut` leaves the last chunk of the transfer out."""

    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        for body in (frame.encode() for frame in frames):
            writer.write(f"{len(body):x}\r\n".encode() + body + b"\r\n")
            await writer.drain()
        if not cut:
            writer.write(b"0\r\n\r\n")

    return Reply(stream=write)


async def heard_from(
    adapter_for: Callable[[str], Writer], reply: Reply, request: TextRequest, secret: str
) -> tuple[list[str], TextEnd | ProviderError, Loopback]:
    """Pieces, and how it ended. Proves that one request was sent, and that the key, which holds `secret`, stays in."""
    pieces: list[str] = []
    end: TextEnd | ProviderError | None = None
    async with loopback(lambda _: reply) as server:
        adapter = adapter_for(server.url)
        with recording() as records:
            try:
                async for part in adapter.write(request, "client-key"):
                    assert end is None, "something came after the end"
                    if isinstance(part, TextEnd):
                        end = part
                    else:
                        pieces.append(part)
            except ProviderError as error:
                end = error
        await adapter.aclose()
    assert len(server.seen) == 1
    assert all(pieces) and end is not None
    assert secret not in repr(records)
    if isinstance(end, ProviderError):
        assert secret not in f"{end.message} {end.note}"
    return pieces, end, server


async def parts_of_a_slow_stream(
    adapter_for: Callable[[str], Writer], request: TextRequest, first: str, rest: str
) -> list[str | TextEnd]:
    """What is written of a stream whose `rest` is held back until something of `first` was passed on."""
    go_on = asyncio.Event()

    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"Connection: close\r\n\r\n" + first.encode())
        await writer.drain()
        await go_on.wait()
        writer.write(rest.encode())

    async with loopback(lambda _: Reply(stream=write)) as server:
        adapter = adapter_for(server.url)
        parts = []
        async with asyncio.timeout(60):
            async for part in adapter.write(request, "k"):
                parts.append(part)
                go_on.set()
        await adapter.aclose()
    return parts
