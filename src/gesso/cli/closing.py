"""Closing a listening socket without losing a connection.

What a kernel has accepted on our behalf but we have not yet picked up is reset when the socket closes, and a proxy
that has sent a POST on it may not try elsewhere. So the door is shut in two steps: newcomers' first packets are
dropped while those already inside the handshake are still picked up; then the socket closes. A newcomer repeats its
packet after a second, is refused, and knocks at the next server, having sent nothing.
"""

import contextlib
import ctypes
import os
import socket
import struct
import sys

_SO_ATTACH_FILTER = 26  # asm-generic/socket.h
# Classic BPF over a TCP header (linux/filter.h): (code, jump if true, jump if false, operand)
_DROP_NEWCOMERS = (
    (0x30, 0, 0, 13),  # load the byte of flags
    (0x54, 0, 0, 0x12),  # keep SYN and ACK
    (0x15, 0, 1, 0x02),  # SYN alone: somebody new
    (0x06, 0, 0, 0),  # drop
    (0x06, 0, 0, 0xFFFFFFFF),  # pass
)


def refuse_newcomers(descriptor: int) -> bool:
    """Let the listening TCP socket take no new connection, while those begun are completed.

    Whether the system could; where it could not (not Linux, a sandboxed kernel) closing has its old tiny gap.
    """
    if sys.platform != "linux":
        return False
    program = b"".join(struct.pack("HBBI", *instruction) for instruction in _DROP_NEWCOMERS)
    buffer = ctypes.create_string_buffer(program)
    filter_program = struct.pack("HP", len(_DROP_NEWCOMERS), ctypes.addressof(buffer))
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as listening:
        listening.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, filter_program)
        return True
    return False
