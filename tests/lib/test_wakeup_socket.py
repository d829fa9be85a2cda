"""A wake-up reaches every process that waits, and costs the sender nothing, whoever listens."""

import os
import select
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from guestbook.lib import wakeup_socket
from guestbook.lib.wakeup_socket import WakeupSocket


@pytest.fixture
def waiting(tmp_path: Path) -> Iterator[WakeupSocket]:
    with_socket = WakeupSocket(tmp_path)
    yield with_socket
    with_socket.close()


def is_woken(one: WakeupSocket) -> bool:
    return bool(select.select([one], [], [], 0)[0])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def killed(folder: Path) -> None:
    """Let a process wait, and kill it."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        WakeupSocket(folder)
        os.write(write, b"x")
        signal.pause()
    os.read(read, 1)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(read)
    os.close(write)


def test_all_that_wait_are_woken(waiting: WakeupSocket, tmp_path: Path) -> None:
    other = WakeupSocket(tmp_path)
    assert not is_woken(waiting)
    wakeup_socket.send(tmp_path)
    assert is_woken(waiting)
    assert is_woken(other)
    other.close()
    waiting.drain()
    wakeup_socket.send(tmp_path)
    assert is_woken(waiting)


def test_its_file_is_for_its_owner_and_goes_at_the_end(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        one = WakeupSocket(tmp_path)
    finally:
        os.umask(before)
    (path,) = tmp_path.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert wakeup_socket.somebody_waits(tmp_path)
    one.close()
    assert names(tmp_path) == []
    assert not wakeup_socket.somebody_waits(tmp_path)


def test_a_killed_process_does_not_count_and_the_next_one_clears_its_file(
    waiting: WakeupSocket, tmp_path: Path
) -> None:
    (mine,) = names(tmp_path)
    killed(tmp_path)
    assert len(names(tmp_path)) == 2
    for _ in range(2000):  # a flood stops no sender and is forgotten at once
        wakeup_socket.send(tmp_path)
    assert is_woken(waiting)
    waiting.drain()
    assert not is_woken(waiting)
    other = WakeupSocket(tmp_path)
    assert len(names(tmp_path)) == 2
    assert mine in names(tmp_path)
    other.close()
    wakeup_socket.send(tmp_path)
    assert is_woken(waiting)


def test_to_send_where_there_is_no_socket_does_nothing(tmp_path: Path) -> None:
    wakeup_socket.send(tmp_path)
    wakeup_socket.send(tmp_path / "missing")
    (tmp_path / f"{wakeup_socket.SOCKET_PREFIX}0").write_text("a file of another kind")
    wakeup_socket.send(tmp_path)
    assert not wakeup_socket.somebody_waits(tmp_path)
    WakeupSocket(tmp_path).close()
    assert names(tmp_path) == [f"{wakeup_socket.SOCKET_PREFIX}0"]


def test_a_path_that_is_too_long_or_missing_has_no_socket(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    for folder in (long, tmp_path / "missing"):
        with pytest.raises(OSError, match=r"too long|No such file"):
            WakeupSocket(folder)
    assert names(long) == []
    wakeup_socket.send(long)
