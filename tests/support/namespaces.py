"""Networks of a test's own: a bridge, and machines that are plugged into it and out of it again.

They have no names. Descriptors of this process and the processes inside keep them alive, so the kernel
removes them with the last of those, however a test ends, and tests beside each other may use the same
addresses. No route leads out of them; `offer` and `reach` carry single ports across.
"""

import ctypes
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from typing import Any, TypeVar

from tests.system.hosts.forward import Forward

NET = "10.213.7"
NETWORK = f"{NET}.0/24"
HUB = f"{NET}.1"  # where all that is offered can be had
# Without one of its own a bridge takes the lowest address of its ports. When that port is cut off, the others
# would send to an address that nobody has any more.
HUB_HARDWARE = "02:00:00:00:00:01"
NEW_NET, NEW_UTS = 0x40000000, 0x04000000  # CLONE_NEWNET and CLONE_NEWUTS of sched.h

T = TypeVar("T")
_libc = ctypes.CDLL(None, use_errno=True)


@cache
def can_be_made() -> bool:
    """Whether this user may make networks here, and `ip` is there to set them up."""
    if shutil.which("ip") is None:
        return False
    try:
        with Lan() as lan:
            lan.plug_in(1)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


class Lan:
    """A bridge in a network of its own. Use it as a context manager."""

    def __init__(self) -> None:
        self._open = ExitStack()

    def __enter__(self) -> "Lan":
        with ExitStack() as stack:
            self._hub = stack.enter_context(_network())
            _ip(self._hub, "link set lo up", f"link add lan address {HUB_HARDWARE} type bridge")
            _ip(self._hub, f"addr add {HUB}/24 dev lan", "link set lan up")
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def plug_in(self, number: int) -> int:
        """Make the network of one more machine, at `address(number)`; return its descriptor."""
        network = self._open.enter_context(_network())
        path = f"/proc/{os.getpid()}/fd/{network}"
        _ip(self._hub, f"link add port{number} type veth peer name eth0 netns {path}")
        _ip(self._hub, f"link set port{number} master lan up")
        _ip(network, "link set lo up", f"addr add {address(number)}/24 dev eth0", "link set eth0 up")
        return network

    def cut(self, number: int) -> None:
        """Take its cable out of the bridge: what it sends goes nowhere, and nobody tells it."""
        _ip(self._hub, f"link set port{number} nomaster")

    def plug_back(self, number: int) -> None:
        """Put the cable back in."""
        _ip(self._hub, f"link set port{number} master lan")

    @contextmanager
    def offer(self, port: int, lost_after: int | None = None) -> Iterator[tuple[str, int]]:
        """Let the machines reach this port of our 127.0.0.1; give its address among them.

        A machine that was silent for so many seconds is taken for lost, if that is given.
        """
        listener = within(self._hub, lambda: socket.create_server((HUB, 0), backlog=1024))
        with Forward(listener, socket.socket, ("127.0.0.1", port), lost_after):
            yield listener.getsockname()

    @contextmanager
    def reach(self, number: int, port: int) -> Iterator[int]:
        """Give a port of our 127.0.0.1 by which we reach that one of a machine."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        with Forward(listener, lambda: within(self._hub, socket.socket), (address(number), port)):
            yield int(listener.getsockname()[1])


def address(number: int) -> str:
    """Where a machine is found."""
    return f"{NET}.{100 + number}"


def within(network: int, do: Callable[[], T]) -> T:
    """Do it in that network, with this thread alone; what it opens or starts there stays there."""
    before = _this_one()
    try:
        _check(_libc.setns(network, NEW_NET))
        return do()
    finally:
        _check(_libc.setns(before, NEW_NET))
        os.close(before)


def move_to(network: int) -> None:
    """Put this process, which has no other threads, and all that it starts into that network."""
    _check(_libc.setns(network, NEW_NET))


def take_name(name: str) -> None:
    """Give this process, and those that it starts, a host name of its own."""
    _check(_libc.unshare(NEW_UTS))
    socket.sethostname(name)


@contextmanager
def _network() -> Iterator[int]:
    """Give the descriptor of a new network."""
    made: list[int] = []

    def make() -> None:
        with suppress(OSError):
            _check(_libc.unshare(NEW_NET))
            made.append(_this_one())

    thread = threading.Thread(target=make)  # which ends in there, so that nobody has to come back
    thread.start()
    thread.join()
    if not made:
        raise PermissionError("no network can be made here")
    try:
        yield made[0]
    finally:
        os.close(made[0])


def _this_one() -> int:
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _ip(network: int, *lines: str) -> None:
    """Let `ip` do this in that network; CalledProcessError where it may not."""
    options: dict[str, Any] = {"input": "\n".join(lines), "text": True, "check": True, "capture_output": True}
    within(network, lambda: subprocess.run(["ip", "-batch", "-"], **options))


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
