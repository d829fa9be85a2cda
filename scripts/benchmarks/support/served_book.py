"""A book that is served, and a pass beside it, as processes of their own."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask


@contextmanager
def serving(app: Flask) -> Iterator[int]:
    """Serve the book; give its port."""
    with served(app) as (port, _):
        yield port


@contextmanager
def served(app: Flask) -> Iterator[tuple[int, int]]:
    """Serve the book, as behind a proxy; give its port and the number of its process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    command = [sys.executable, "-m", "flask", "--app", "guestbook", "serve", f"--listen=127.0.0.1:{port}"]
    with _running(command, app) as number:
        deadline = time.monotonic() + 20
        while socket.socket().connect_ex(("127.0.0.1", port)) and time.monotonic() < deadline:
            time.sleep(0.05)
        yield port, number


@contextmanager
def draining(app: Flask) -> Iterator[None]:
    """Let a pass run beside, at full speed."""
    command = [sys.executable, "-m", "flask", "--app", "guestbook", "cron", "--max-seconds", "600", "--stay"]
    with _running(command, app):
        time.sleep(1.5)  # until it is at full speed
        yield


def environ_of(app: Flask) -> dict[str, str]:
    """Return the environment for a process of that book."""
    return {**os.environ, **app.config["ENVIRON"]}


@contextmanager
def _running(command: list[str], app: Flask) -> Iterator[int]:
    process = subprocess.Popen(  # the server says where it listens
        command, env=environ_of(app), stderr=subprocess.DEVNULL
    )
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait()
