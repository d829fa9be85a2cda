"""The app of a test on a real server."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import waitress
from flask import Flask


@contextmanager
def reserved_port() -> Iterator[socket.socket]:
    """Give a socket with a port of its own, before there is an app that must know its address."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        yield listening


def address(listening: socket.socket) -> str:
    """Return the address of a site on that socket, without a slash at the end."""
    return f"http://127.0.0.1:{listening.getsockname()[1]}"


@contextmanager
def serving(app: Flask, listening: socket.socket, threads: int = 4) -> Iterator[None]:
    """Serve an app with waitress in a thread of this process."""
    server = waitress.create_server(app, sockets=[listening], threads=threads)
    thread = threading.Thread(target=server.run)
    thread.start()
    yield
    with suppress(OSError):  # its loop may wake by itself, and close before the pull
        server.trigger.pull_trigger(partial(_close, server))
    thread.join(10)
    assert not thread.is_alive()


def _close(server: Any) -> None:
    server.close()
    for connection in list(server.active_channels.values()):  # a client may keep one open for ever
        connection.handle_close()
