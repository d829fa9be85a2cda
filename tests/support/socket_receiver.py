"""Raw socket servers: receivers that do exactly what they are told, well or badly."""

import contextlib
import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from itertools import repeat

import trustme

Behaviour = Callable[[socket.socket], None]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
PAUSE = 0.02  # seconds between the drops of a receiver that drips


class SocketReceiver(contextlib.AbstractContextManager["SocketReceiver"]):
    """Serves every connection on a thread of its own with one behaviour, and keeps the requests it read."""

    def __init__(self, behave: Behaviour | None = None, *, tls: ssl.SSLContext | None = None) -> None:
        self.behave = behave or self.answer_all
        self.tls = tls
        self.requests: list[bytes] = []
        self.connections = 0
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._start(self._accept)

    @property
    def url(self) -> str:
        """The address of a webhook on this receiver."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}/hook"

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up on everybody and wait for the threads."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for conn in list(self._open):
            with contextlib.suppress(OSError):
                conn.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()

    def answer_all(self, conn: socket.socket) -> None:
        """Answer every request of the connection with 200."""
        while request := read_request(conn):
            self.requests.append(request)
            conn.sendall(OK)

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                conn, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.add(conn)
            self._start(self._serve, conn)

    def _serve(self, conn: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError):  # ValueError: TLS that was hung up on
            if self.tls:
                self._open.discard(conn)
                conn = self.tls.wrap_socket(conn, server_side=True, do_handshake_on_connect=False)
                self._open.add(conn)
            self.behave(conn)
        self._open.discard(conn)
        conn.close()


def server_context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    """What a receiver needs to speak TLS with this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def read_request(conn: socket.socket) -> bytes:
    """Return one whole request, or b"" when the sender has hung up."""
    data = b""
    while b"\r\n\r\n" not in data:
        if not (more := conn.recv(65536)):
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\ncontent-length: *(\d+)", head)
    while len(body) < (int(length[1]) if length else 0):
        if not (more := conn.recv(65536)):
            return b""
        body += more
    return head + b"\r\n\r\n" + body


def wait_for_hang_up(conn: socket.socket) -> None:
    while conn.recv(65536):
        pass


def hold(*parts: bytes, reads: bool = True, ends: bool = False) -> Behaviour:
    """Read a request, say this, then nothing more."""

    def behave(conn: socket.socket) -> None:
        if reads:
            read_request(conn)
        conn.sendall(b"".join(parts))
        if ends:
            conn.shutdown(socket.SHUT_WR)
        wait_for_hang_up(conn)

    return behave


def say(*parts: bytes) -> Behaviour:
    """Read a request, say this, hang up."""
    return hold(*parts, ends=True)


def blurt(*parts: bytes) -> Behaviour:
    """Say this without waiting for a request, then nothing more."""
    return hold(*parts, reads=False)


def _paced(start: bytes, drops: Iterable[bytes], end: bytes = b"", pause: float = PAUSE) -> Behaviour:
    """Read a request, say the start, then each drop after a pause, and the end."""

    def behave(conn: socket.socket) -> None:
        read_request(conn)
        conn.sendall(start)
        for drop in drops:
            conn.sendall(drop)
            threading.Event().wait(pause)
        conn.sendall(end)

    return behave


def drip(start: bytes, drop: bytes) -> Behaviour:
    """Read a request, say the start, then a drop every now and then, for ever."""
    return _paced(start, repeat(drop))


def spell(text: bytes, rest: bytes = b"") -> Behaviour:
    """Read a request, then spell the text out, a byte every now and then."""
    return _paced(b"", [bytes((byte,)) for byte in text], rest)


def flood(start: bytes, unit: bytes, end: bytes = b"") -> Behaviour:
    """Read a request, say the start, then the unit as fast as it can, 64 MB of it, and the end."""
    return _paced(start, [unit * max(1, 65536 // len(unit))] * 1024, end, pause=0)


def silent(conn: socket.socket) -> None:
    """Take everything, say nothing."""
    wait_for_hang_up(conn)


def never_reading(conn: socket.socket) -> None:
    """Take nothing; only the end of the connection wakes it."""
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    threading.Event().wait(3)


def close_at_once(conn: socket.socket) -> None:
    """Hang up before the request can be read."""


def reset(conn: socket.socket) -> None:
    """Read the request, then break the connection off."""
    read_request(conn)
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@contextlib.contextmanager
def never_accepting() -> Iterator[str]:
    """A URL whose connections wait in the backlog."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/hook"


@contextlib.contextmanager
def nobody() -> Iterator[str]:
    """A URL whose port nobody listens on and nobody else gets meanwhile."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{holder.getsockname()[1]}/hook"
