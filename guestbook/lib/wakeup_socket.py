"""Wake a waiting process of this host: a Unix datagram socket in a folder, one for each that waits.

    waiting process: bind folder/wakeup-1a2b3c4d, poll ◀── one byte ── any process that uses the folder

It only saves time. A sender never waits and never fails, and nobody may rely on being woken.
"""

import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SOCKET_PREFIX = "wakeup-"


class WakeupSocket:
    """A socket that receives wake-ups. Raises OSError where there can be none.

    Examples are a folder that cannot be written, and a path that is too long for a socket.
    """

    def __init__(self, folder: Path) -> None:
        for path in _paths(folder):
            if _is_stale(path):
                with suppress(OSError):
                    path.unlink()
        self._path = folder / f"{SOCKET_PREFIX}{secrets.token_hex(4)}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            self._socket.bind(str(self._path))
            self._path.chmod(0o600)
        except OSError:
            self.close()
            raise

    def fileno(self) -> int:
        """Return the descriptor, which can be read once a wake-up has come."""
        return self._socket.fileno()

    def wake_own(self) -> None:
        """Wake the process itself, as a handler of a signal does."""
        with suppress(OSError):  # It is closed, or has wake-ups enough.
            self._socket.sendto(b"\0", str(self._path))

    def drain(self) -> None:
        """Forget the wake-ups that have come."""
        with suppress(OSError):  # the last one is BlockingIOError
            while self._socket.recv(1):
                pass

    def close(self) -> None:
        """Remove the socket."""
        self._socket.close()
        with suppress(OSError):
            self._path.unlink()


def send(folder: Path) -> None:
    """Wake all processes that wait in the folder."""
    if not (paths := _paths(folder)):
        return  # where cron starts the passes, nobody waits
    with suppress(OSError), _sender() as sender:
        for path in paths:
            with suppress(OSError):  # the process has died, has wake-ups enough, or is another user's
                sender.sendto(b"\0", str(path))


def somebody_waits(folder: Path) -> bool:
    """Whether a process of this host has a socket in the folder that we may wake."""
    for path in _paths(folder):
        with suppress(OSError), _sender() as sender:
            sender.connect(str(path))
            return True
    return False


def _is_stale(path: Path) -> bool:
    """Whether it is the socket of a process that was killed."""
    with _sender() as sender, suppress(OSError):
        try:
            sender.connect(str(path))
        except ConnectionRefusedError:
            return path.is_socket()
    return False


def _paths(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:  # Path.iterdir makes a path of each file
            return [folder / entry.name for entry in entries if entry.name.startswith(SOCKET_PREFIX)]
    except OSError:
        return []


@contextmanager
def _sender() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        yield sender
