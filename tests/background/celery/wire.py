"""A wire to the broker that breaks where a test wants it: after so many bytes, with a cut or in silence."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

PIECE = 256  # bytes that are passed on at once, so that the break is where it should be
FOR_EVER = 10**12  # bytes


@dataclass
class Wire:
    """Passes bytes on in both ways, up to a number in each; then all connections are cut, or stand still."""

    port: int
    to: int  # the broker's port
    there: int = FOR_EVER  # bytes
    back: int = FOR_EVER
    cuts: bool = True
    _broken: threading.Event = field(default_factory=threading.Event)
    _sockets: list[socket.socket] = field(default_factory=list)

    def url(self, url: str) -> str:
        """Lead the URL of a broker through this wire."""
        return url.replace(f":{self.to}/", f":{self.port}/")

    @property
    def is_broken(self) -> bool:
        """Whether the number of bytes was reached."""
        return self._broken.is_set()

    def serve(self, listener: socket.socket) -> None:
        """Take connections until the listener is closed."""
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            with suppress(OSError):
                far = socket.create_connection(("127.0.0.1", self.to))
                self._sockets += [near, far]
                for one in ((near, far, "there"), (far, near, "back")):
                    threading.Thread(target=self._pass_on, args=one, daemon=True).start()

    def close(self) -> None:
        """Cut all connections."""
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _pass_on(self, source: socket.socket, sink: socket.socket, way: str) -> None:
        with suppress(OSError):
            while piece := source.recv(PIECE):
                if self._broken.is_set():
                    continue  # taken, and gone
                sink.sendall(piece)
                left = getattr(self, way) - len(piece)
                setattr(self, way, left)
                if left <= 0:
                    self._broken.set()
                    if self.cuts:
                        self.close()
        if not self._broken.is_set():
            for one in (source, sink):
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)


@contextmanager
def laid(to: int, *, there: int = FOR_EVER, back: int = FOR_EVER, cuts: bool = True) -> Iterator[Wire]:
    """Give a wire to that port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        wire = Wire(listener.getsockname()[1], to, there, back, cuts)
        thread = threading.Thread(target=wire.serve, args=(listener,), daemon=True)
        thread.start()
        try:
            yield wire
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            wire.close()
            thread.join(5)
