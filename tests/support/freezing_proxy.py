"""A TCP proxy before a database server, which freezes as a stopped server does: it accepts, and is silent."""

import socket
import threading
from contextlib import AbstractContextManager, suppress

from sqlalchemy import make_url

from tests.support import databases

LONGEST = 20  # seconds of silence, so that a test fails in place of hanging


class FreezingProxy(AbstractContextManager["FreezingProxy"]):
    """Forwards each connection to the server of a database's URL, until it freezes."""

    def __init__(self, url: str) -> None:
        there = make_url(url)
        mode = "postgresql" if there.get_backend_name() == "postgresql" else "mariadb"
        self._server = there.host or "127.0.0.1", there.port or databases.PORTS[mode]
        self._flows = threading.Event()
        self._flows.set()
        self._words: list[bytes] = []
        self._swallows = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = [self._listener]
        self._threads: list[threading.Thread] = []
        self.url = there.set(host="127.0.0.1", port=self._listener.getsockname()[1]).render_as_string(
            hide_password=False
        )
        self._start(self._accept)

    def __exit__(self, *_: object) -> None:
        self._flows.set()
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()
        for one in self._open:
            one.close()

    @property
    def is_frozen(self) -> bool:
        return not self._flows.is_set()

    def freeze(self) -> None:
        """Be silent from now on, and keep what is sent."""
        self._flows.clear()

    def freeze_at(self, *words: bytes, swallows: bool) -> None:
        """Be silent from a statement on: one with the last word, after those with the others.

        The server gets it now, or with `swallows` after the thaw.
        """
        self._words, self._swallows = [*words], swallows

    def thaw(self) -> None:
        """Forward everything, also what was sent meanwhile."""
        self._words = []
        self._flows.set()

    def _start(self, target: object, *given: object) -> None:
        thread = threading.Thread(target=target, args=given, daemon=True)  # type: ignore[arg-type]  # all of ours
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):  # It is closed.
            while True:
                client, _ = self._listener.accept()
                self._open.append(client)
                self._start(self._connect, client)

    def _connect(self, client: socket.socket) -> None:
        self._flows.wait(LONGEST)
        server = socket.create_connection(self._server)
        for one in (client, server):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._open.append(server)
        self._start(self._forward, server, client, False)
        self._forward(client, server, True)

    def _forward(self, source: socket.socket, target: socket.socket, is_to_server: bool) -> None:
        with suppress(OSError):  # One side has hung up.
            while part := source.recv(65536):
                self._flows.wait(LONGEST)
                if is_to_server and self._words and self._words[0] in part:
                    self._words.pop(0)
                    if not self._words:
                        self.freeze()
                        if self._swallows:
                            self._flows.wait(LONGEST)
                target.sendall(part)
        self._flows.wait(LONGEST)  # A frozen server does not hear that its client has gone.
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)
