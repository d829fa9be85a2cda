"""Sockets with a budget: one deadline and one allowance of bytes for everything in an attempt.

A socket's own time-out starts again with each received byte, so a slow receiver could hold them for ever.
"""

import os
import socket
import ssl
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from guestbook.transport.addresses import AddressPolicy, Lookups
from guestbook.transport.failure import TransportError

RECEIVED_BODY_LIMIT = 16 * 1024  # bytes of a receiver's body that are kept
BESIDE_BODY_LIMIT = 48 * 1024  # bytes that may be received besides the kept body
TIMEOUT_SLACK = 0.02  # seconds that a socket's time-out may be off: setting it is a system call

# The stages of an attempt. Each is also the reason word when the deadline comes in it.
CONNECTING = "connect_timeout"
HANDSHAKING = "tls_timeout"
SENDING = "send_timeout"
WAITING = "timeout"
AT_PROXY = "proxy_failed"


class AttemptBudget:
    """The limits of one attempt in time, bytes and addresses, and the stage that it has reached."""

    __slots__ = ("body_limit", "bytes_left", "deadline", "lookups", "policy", "sent", "stage")

    def __init__(
        self, seconds: float, policy: AddressPolicy, lookups: Lookups, body_limit: int = RECEIVED_BODY_LIMIT
    ) -> None:
        self.deadline = time.monotonic() + seconds
        self.body_limit = body_limit
        self.bytes_left = body_limit + BESIDE_BODY_LIMIT
        self.policy = policy
        self.lookups = lookups
        self.stage = CONNECTING
        self.sent = False

    def left(self) -> float:
        """Return the seconds left; raises TransportError when there are none."""
        seconds = self.deadline - time.monotonic()
        if seconds <= 0:
            raise self.error(self.stage)
        return seconds

    def take(self, count: int) -> None:
        """Subtract received bytes; raises TransportError when there were too many."""
        self.bytes_left -= count
        if self.bytes_left < 0:
            raise self.error("response_too_large")

    def error(self, reason: str, detail: str = "") -> TransportError:
        """Return an error that says whether anything was sent."""
        return TransportError(reason, detail, sent=self.sent)


# A socket outlives attempts and changes threads; the attempt that uses it is the thread's current one.
current: ContextVar[AttemptBudget] = ContextVar("current")


class BudgetSocket(socket.socket):
    """A socket that checks the current budget before and after each call that may wait."""

    def settimeout(self, value: float | None) -> None:
        """Do nothing: only the budget sets time-outs."""

    def sendall(self, data: Any, flags: int = 0) -> None:
        budget = current.get()
        budget.left()
        budget.sent = True
        # First comes what the system takes without waiting. Sockets with time-outs do not block. `send` would
        # wait with `poll` first, and hand Python's global lock to another thread twice.
        try:
            sent = os.write(self.fileno(), data)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            _in_time(self, super().sendall, data[sent:], flags, sends=True)

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        count: int = _in_time(self, super().recv_into, buffer, nbytes, flags)
        current.get().take(count)
        return count

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        data: bytes = _in_time(self, super().recv, bufsize, flags)
        current.get().take(len(data))
        return data


class BudgetTLSSocket(ssl.SSLSocket):
    """The same over TLS; `recv` and `recv_into` both end in `read`, `sendall` in `send`."""

    def settimeout(self, value: float | None) -> None:
        """Do nothing: only the budget sets time-outs."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            _in_time(self, super().do_handshake, block)
        except TransportError:
            self.close()  # ssl itself closes after an OSError only
            raise

    def send(self, data: Any, flags: int = 0) -> int:
        sent: int = _in_time(self, super().send, data, flags, sends=True)
        return sent

    def read(self, length: int = 1024, buffer: Any = None) -> Any:
        result = _in_time(self, super().read, length, buffer)
        current.get().take(len(result) if buffer is None else result)
        return result


def _in_time(sock: socket.socket, call: Callable[..., Any], *arguments: Any, sends: bool = False) -> Any:
    """Make a call that may wait, with the time that is left as the time-out; raises TransportError."""
    budget = current.get()
    left = budget.left()
    timeout = sock.gettimeout()
    if timeout is None or not -TIMEOUT_SLACK < timeout - left < TIMEOUT_SLACK:
        socket.socket.settimeout(sock, left)
    budget.sent |= sends
    try:
        return call(*arguments)
    except TimeoutError:
        raise budget.error(budget.stage) from None
