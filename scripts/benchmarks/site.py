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
    """Serve the book under waitress; give its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    command = [sys.executable, "-m", "waitress", "--threads=8", f"--listen=127.0.0.1:{port}", "--call"]
    with _running([*command, "guestbook:create_app"], app):
        deadline = time.monotonic() + 20
        while socket.socket().connect_ex(("127.0.0.1", port)) and time.monotonic() < deadline:
            time.sleep(0.05)
        yield port


@contextmanager
def draining(app: Flask) -> Iterator[None]:
    """Let a pass run beside, at full speed."""
    command = [sys.executable, "-m", "flask", "--app", "guestbook", "cron", "--max-seconds", "600", "--stay"]
    with _running(command, app):
        time.sleep(1.5)  # until it is at full speed
        yield


@contextmanager
def _running(command: list[str], app: Flask) -> Iterator[None]:
    environ = {**os.environ, **app.config["ENVIRON"]}
    process = subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL)  # waitress tells of its queue
    try:
        yield
    finally:
        process.terminate()
        process.wait()
