"""Connections that would otherwise stay for ever: no head, half a body, nobody reading the answer, too many at once.

uvicorn waits without end for the rest of a request and for a reader. This protocol, its own with a watch on it, sets
bounds in time and memory, so that somebody who keeps a server waiting gets less out of it than they put in. A proxy in
front does most of this too; a site without one is not defenceless.

    no whole head within `head_seconds`                       408, closed
    a head of more than HEAD_BYTES                            431, closed
    a body, or a reader, slower than SLOWEST bytes a second   cut off, looked at every `stall_seconds`
    a body that goes on after the answer                      cut off after LINGER_BYTES or `stall_seconds`
    more than PIPELINE requests sent ahead                    400, closed
    more than `per_address` connections of one address        closed (trusted proxies: any number)

A request that arrives whole in one piece, as nearly all do, costs no timer.
"""

import asyncio
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gesso.web.networks import network_of, plain_address

log = structlog.get_logger()

HEAD_BYTES = 64 * 1024
"""A prompt of 2,000 characters in an address takes up to 24,000 bytes."""
_HEADER_COSTS = 32
"""What a header takes beside its text, as in HTTP/2 (RFC 9113 §6.5.2): two thousand empty ones are a large head too."""
SLOWEST = 1024
"""Bytes a second below which a sender or reader counts as standing still."""
LINGER_BYTES = 32 * 2**20
"""Read and dropped after an early answer, so that a browser which is still sending gets to read why."""
PIPELINE = 16
UNSENT_BYTES = 128 * 1024
"""How much of an answer the kernel takes ahead of the network, so that ten thousand slow readers fit into memory and
their progress can be seen."""


@dataclass
class Watch:
    """What one server's connections share. `head_seconds` and `stall_seconds` as in WebSettings."""

    head_seconds: float
    stall_seconds: float
    per_address: int
    proxies: Sequence[str]
    open: Counter[str] = field(default_factory=Counter)
    """Connections by network, proxies' left out."""

    def __post_init__(self) -> None:
        self._proxies = tuple(map(ip_network, self.proxies))

    def enter(self, host: str) -> tuple[str, bool]:
        """Under what a new connection of `host` is counted ("" for a proxy's), and whether it may stay."""
        address = plain_address(host)
        if address is not None and any(ip_address(address) in proxy for proxy in self._proxies):
            return "", True
        network = network_of(address)
        self.open[network] += 1
        return network, self.open[network] <= self.per_address

    def leave(self, network: str) -> None:
        """Forget a connection that was counted."""
        if network:
            self.open[network] -= 1
            if not self.open[network]:
                del self.open[network]


def watched(watch: Watch) -> type[HttpToolsProtocol]:
    """The protocol class for uvicorn's `http` setting; all its connections share `watch`."""
    return type("WatchedProtocol", (_WatchedProtocol,), {"watch": watch})


class _HeadTooLarge(Exception):
    """Ends the parsing."""


_HEAD_TOO_LARGE, _TOO_LATE = b"431 Request Header Fields Too Large", b"408 Request Timeout"


class _WatchedProtocol(HttpToolsProtocol):
    watch: Watch

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._network = ""
        self._head_bytes = 0
        """What has come since the last head or message ended: more than the parser tells of."""
        self._head_size = 0
        self._head_too_large = False
        self._in_head = True
        self._in_body = False
        self._moved = 0
        self._timer: asyncio.TimerHandle | None = None
        self._reader_timer: asyncio.TimerHandle | None = None

    # --- the connection ---

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._network, welcome = self.watch.enter(self.client[0] if self.client else "")
        if not welcome:
            log.warning("web.too_many_connections", network=self._network)
            transport.abort()
            return
        sock = transport.get_extra_info("socket")
        with suppress(OSError, AttributeError):  # not TCP, or not Linux
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
        self._wait(self.watch.head_seconds, self._head_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._stop_watching_reader()
        self.watch.leave(self._network)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._head_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_head and self._head_bytes > HEAD_BYTES:  # one endless line, of which the parser tells nothing yet
            self._close_with(_HEAD_TOO_LARGE)
        elif self._timer is None:
            self._begin_to_wait()

    def _begin_to_wait(self) -> None:
        """For the rest of what has come in part."""
        if self._in_body:
            self._moved = 0
            self._wait(self.watch.stall_seconds, self._look_at_sender)
        elif self._in_head or self.cycle is None or self.cycle.response_complete:
            # part of a head, or blank lines before one
            self._wait(self.watch.head_seconds, self._head_is_late)

    # --- the head ---

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head_size = True, 0

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._head_size += len(name) + len(value) + _HEADER_COSTS
        if self._head_size + len(self.url) > HEAD_BYTES:
            self._head_too_large = True
            raise _HeadTooLarge

    def on_headers_complete(self) -> None:
        if len(self.pipeline) >= PIPELINE:
            raise ValueError("too many requests sent ahead")
        self._in_head, self._in_body, self._head_bytes = False, True, 0
        self._stop_waiting()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """The parser gave up."""
        if self._head_too_large:
            self._close_with(_HEAD_TOO_LARGE)
        else:
            super().send_400_response(msg)

    def _head_is_late(self) -> None:
        self._timer = None
        if self.transport.is_closing():
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self._cut_off("began another request and does not end it")
        elif self._head_bytes:
            self._close_with(_TOO_LATE)
        else:
            self.transport.close()

    def _close_with(self, status: bytes) -> None:
        self.transport.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        self.transport.close()

    # --- the body ---

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        self._moved += len(body)
        if self._moved > LINGER_BYTES and self.cycle.response_complete:
            self._cut_off("sends on after the answer")

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_body, self._head_bytes = False, 0
        self._stop_waiting()

    def _look_at_sender(self) -> None:
        self._timer = None
        if self.transport.is_closing():
            return
        ours_to_move = self.flow.read_paused or self.cycle.waiting_for_100_continue
        if self.cycle.response_complete or (self._moved < SLOWEST * self.watch.stall_seconds and not ours_to_move):
            self._cut_off("sends too slowly")
            return
        self._moved = 0
        self._wait(self.watch.stall_seconds, self._look_at_sender)

    # --- the reader ---

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_reader()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_watching_reader()

    def _watch_reader(self) -> None:
        unsent = self.transport.get_write_buffer_size()
        self._reader_timer = self.loop.call_later(self.watch.stall_seconds, self._look_at_reader, unsent)

    def _look_at_reader(self, unsent: int) -> None:
        self._reader_timer = None
        if unsent - self.transport.get_write_buffer_size() < SLOWEST * self.watch.stall_seconds:
            self._cut_off("reads too slowly")
        else:
            self._watch_reader()

    # --- what all need ---

    def _cut_off(self, reason: str) -> None:
        log.info("web.cut_off", reason=reason, network=self._network)
        self.transport.abort()

    def _wait(self, seconds: float, then: Callable[[], None]) -> None:
        self._stop_waiting()
        self._timer = self.loop.call_later(seconds, then)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _stop_watching_reader(self) -> None:
        if self._reader_timer is not None:
            self._reader_timer.cancel()
            self._reader_timer = None
