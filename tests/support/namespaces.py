"""Networks of a test's own: a bridge, and machines that are plugged into it and out of it again.

Each network is that of a process which ends with this one, so nothing stays behind however a test ends, and
tests beside each other may use the same addresses. No route leads out of them; `offer` and `reach` carry
single ports across with socat.
"""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.processes import free_port, wait_for

NET = "10.213.7"
NETWORK = f"{NET}.0/24"
HUB = f"{NET}.1"  # where all that is offered can be had
# Without one of its own a bridge takes the lowest address of its ports. When that port is cut off, the others
# would send to an address that nobody has any more.
HUB_HARDWARE = "02:00:00:00:00:01"
PROGRAMS = ("hostname", "ip", "nsenter", "setpriv", "socat", "unshare")
TCP_USER_TIMEOUT = "setsockopt-int=6:18"  # the numbers of Linux's tcp.h


@cache
def can_be_made() -> bool:
    """Whether this user may make networks here, and the programs for it are there."""
    if not all(map(shutil.which, PROGRAMS)):
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
        self._inside: dict[int, list[str]] = {}  # what a command begins with on a machine

    def __enter__(self) -> "Lan":
        with ExitStack() as stack:
            self._hub = stack.enter_context(_network())
            _ip(self._hub, "link set lo up", f"link add lan address {HUB_HARDWARE} type bridge")
            _ip(self._hub, f"addr add {HUB}/24 dev lan", "link set lan up")
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def plug_in(self, number: int) -> list[str]:
        """Make the network of one more machine, at `address(number)`; return how a command on it begins."""
        self._inside[number] = inside = self._open.enter_context(_network())
        path = inside[-1].removeprefix("--net=")
        _ip(self._hub, f"link add port{number} type veth peer name eth0 netns {path}")
        _ip(self._hub, f"link set port{number} master lan up")
        _ip(inside, "link set lo up", f"addr add {address(number)}/24 dev eth0", "link set eth0 up")
        return inside

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
        life = f",keepalive,keepidle=1,keepintvl=1,{TCP_USER_TIMEOUT}:{lost_after}000" if lost_after else ""
        there = f"TCP-LISTEN:{port},bind={HUB},reuseaddr{life}"
        with self._carried((self._hub, there), ([], f"TCP:127.0.0.1:{port}")):
            yield HUB, port

    @contextmanager
    def reach(self, number: int, port: int) -> Iterator[int]:
        """Give a port of our 127.0.0.1 with which we reach that one of a machine."""
        here = free_port()
        listening = ([], f"TCP-LISTEN:{here},bind=127.0.0.1,reuseaddr")
        with self._carried(listening, (self._hub, f"TCP:{address(number)}:{port}")):
            yield here

    @contextmanager
    def _carried(
        self, listening: tuple[Sequence[str], str], calling: tuple[Sequence[str], str]
    ) -> Iterator[None]:
        """Carry connections between two networks through a socket that is a file, which belongs to none."""
        with ExitStack() as stack:
            middle = Path(stack.enter_context(TemporaryDirectory())) / "socket"
            stack.enter_context(_running(*calling[0], "socat", f"UNIX-LISTEN:{middle},fork", calling[1]))
            wait_for(middle.exists, 10)
            (there, opening) = listening
            stack.enter_context(_running(*there, "socat", f"{opening},fork", f"UNIX-CONNECT:{middle}"))
            port = int(opening.partition(":")[2].partition(",")[0])
            wait_for(lambda: _listens(there, port), 10)
            yield


def address(number: int) -> str:
    """Where a machine is found."""
    return f"{NET}.{100 + number}"


@contextmanager
def _network() -> Iterator[list[str]]:
    """Give how a command in a new network begins. The network ends with its process, and this with us."""
    with _running("unshare", "--net", "sh", "-c", "echo; exec cat", stdout=subprocess.PIPE) as process:
        assert process.stdout
        if not process.stdout.readline():
            raise PermissionError("no network can be made here")
        yield ["nsenter", f"--net=/proc/{process.pid}/ns/net"]


@contextmanager
def _running(*command: str, stdout: int = subprocess.DEVNULL) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a command, which the kernel kills when this process is gone."""
    dying = ("setpriv", "--pdeathsig", "KILL", *command)
    process = subprocess.Popen(dying, stdin=subprocess.PIPE, stdout=stdout, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _ip(inside: Sequence[str], *lines: str) -> None:
    """Let `ip` do this in that network; CalledProcessError where it may not."""
    subprocess.run(
        [*inside, "ip", "-batch", "-"], input="\n".join(lines), text=True, check=True, capture_output=True
    )


def _listens(inside: Sequence[str], port: int) -> bool:
    shown = subprocess.run([*inside, "ss", "-Hltn", f"sport = :{port}"], text=True, capture_output=True)
    return bool(shown.stdout)
