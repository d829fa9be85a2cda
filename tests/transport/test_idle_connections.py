"""Connections that wait for their next request: no more than the host allows, and the newest."""

import errno

import pytest

from guestbook.transport import Transport, connections
from tests.support.socket_receiver import SocketReceiver
from tests.transport.conftest import failure


def made(transport: Transport, *receivers: SocketReceiver) -> list[int]:
    """Send something to each in turn; return how many connections each has got since."""
    before = [receiver.connections for receiver in receivers]
    for receiver in receivers:
        assert transport.post(receiver.url, {}, b"{}").status == 200
    return [receiver.connections - count for receiver, count in zip(receivers, before, strict=True)]


def test_the_connection_that_waits_longest_is_closed_when_there_are_too_many(transport: Transport) -> None:
    with SocketReceiver() as one, SocketReceiver() as two:
        assert made(transport, one, two) == [1, 1]
        assert made(transport, one, two) == [0, 0]
        transport.limit(connections=1)
        assert made(transport, two) == [0], "the newest was kept"
        assert made(transport, one, two) == [1, 1]
        transport.limit(connections=0)
        assert made(transport, two, two) == [2, 2]


@pytest.mark.parametrize("shortage", [OSError(errno.EMFILE, "Too many open files"), MemoryError()])
def test_half_of_them_are_closed_when_the_host_allows_no_more(
    transport: Transport, monkeypatch: pytest.MonkeyPatch, shortage: Exception
) -> None:
    def connect(*_: object) -> None:
        raise shortage

    with SocketReceiver() as one, SocketReceiver() as two:
        made(transport, one, two)
        with monkeypatch.context() as patched:
            patched.setattr(connections, "_connect", connect)
            assert failure(transport, "http://127.0.0.1:20000/").limit
        assert made(transport, two) == [0]
        assert made(transport, one) == [1]
