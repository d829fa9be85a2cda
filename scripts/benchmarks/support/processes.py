"""Processes beside the bench: a server, a pass, and workers that begin together."""

import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

import click

from tests.support.processes import free_port

PATIENCE = 120.0  # seconds


def until(is_done: Callable[[], bool], who: str = "The work", *, every: float = 0.01) -> None:
    """Wait until it is done; end the bench if that takes too long."""
    deadline = time.monotonic() + PATIENCE
    while not is_done():
        if time.monotonic() > deadline:
            raise click.ClickException(f"{who} was not ready within {PATIENCE:.0f} seconds.")
        time.sleep(every)


FLASK = (sys.executable, "-m", "flask", "--app", "guestbook")
PASS = (*FLASK, "cron", "--stay", "--max-seconds", "600")
Environ = Mapping[str, str]
Process = subprocess.Popen[bytes]


@contextmanager
def running(
    command: Sequence[str], environ: Environ, output: IO[str] | int = subprocess.DEVNULL
) -> Iterator[Process]:
    """Run a command; when the block ends, it is killed with its children."""
    env = {**os.environ, **environ}
    process = subprocess.Popen(command, env=env, stdout=output, stderr=output, start_new_session=True)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def served(environ: Environ) -> Iterator[tuple[int, int]]:
    """Serve the book, as behind a proxy; give the port and the process id."""
    port = free_port()
    with running((*FLASK, "serve", f"--listen=127.0.0.1:{port}"), environ) as process:
        until(lambda: listens(port), "The server")
        yield port, process.pid


def listens(port: int) -> bool:
    """Whether a server listens there."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def workers(
    name: str, command: Sequence[str], environs: Sequence[Environ], folder: Path
) -> Iterator[tuple[list[int], IO[str]]]:
    """Start workers that wait at the start line; give their process ids and the lock that holds them."""
    printed = folder / "output"
    with (folder / "lock").open("w") as lock, printed.open("w") as output, ExitStack() as stack:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folders = [{**environ, "BENCH_FOLDER": str(folder)} for environ in environs]
        started = [stack.enter_context(running(command, environ, output)) for environ in folders]

        def is_ready() -> bool:
            if any(process.poll() is not None for process in started):
                raise click.ClickException(f"{name} has ended: {last_line(printed.read_text())}")
            return len(list(folder.glob("ready *"))) >= len(started)

        until(is_ready, name)
        try:
            yield [process.pid for process in started], lock
        except click.ClickException as error:
            raise click.ClickException(f"{error} {name}: {last_line(printed.read_text())}") from None


def last_line(output: str) -> str:
    """Return the end of a process's output."""
    return (output.strip().splitlines() or ["it printed nothing"])[-1]
