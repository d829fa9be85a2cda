"""Processes beside the bench: a server, a pass, and workers that begin together."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import IO

import click
from sqlalchemy import select

from guestbook.storage.database import db
from guestbook.storage.models import PASSES
from scripts.benchmarks.support import waiting

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
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    with running((*FLASK, "serve", f"--listen=127.0.0.1:{port}"), environ) as process:
        waiting.until(lambda: _listens(port), "The server")
        yield port, process.pid


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def draining(environ: Environ) -> Iterator[None]:
    """Run a pass on the book around us until the block ends."""
    begun = select(PASSES.c.id).limit(1)
    with running(PASS, environ):
        waiting.until(lambda: db.session.scalar(begun) is not None, "The pass", every=0.1)
        yield


class Workers:
    """Processes of `worker_main` that are ready, begin together and say when they are done."""

    def __init__(self, processes: Sequence["subprocess.Popen[str]"]) -> None:
        self._processes = processes
        self.pids = [process.pid for process in processes]
        self._wait_for("ready")

    def start(self) -> None:
        """Let all of them begin."""
        for process in self._processes:
            assert process.stdin
            process.stdin.write("start\n")
            process.stdin.flush()

    def wait(self) -> None:
        """Wait until all of them are done."""
        self._wait_for("done")

    def _wait_for(self, word: str) -> None:
        for process in self._processes:
            assert process.stdout
            if process.stdout.readline() != f"{word}\n":
                raise click.ClickException("A worker has ended early; its error is above.")


@contextmanager
def workers(arguments: Sequence[object], environs: Sequence[Environ]) -> Iterator[Workers]:
    """Give a worker for each environment; they are killed when the block ends."""
    command = [sys.executable, "-m", "scripts.benchmarks.support.worker_main", *map(str, arguments)]
    pipe = subprocess.PIPE
    processes: list[subprocess.Popen[str]] = []
    try:
        for environ in environs:
            env = {**os.environ, **environ}
            processes.append(subprocess.Popen(command, env=env, stdin=pipe, stdout=pipe, text=True))
        yield Workers(processes)
    finally:
        for process in processes:
            process.kill()
            process.communicate()
