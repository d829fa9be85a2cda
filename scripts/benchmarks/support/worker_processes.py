"""Processes that begin together: each says when it is ready, waits for the word, and says when it is done."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import click

Process = subprocess.Popen[str]


@contextmanager
def ready(arguments: Sequence[object], environs: Sequence[Mapping[str, str]]) -> Iterator[list[Process]]:
    """Give a worker for each environment, imported and set up; they are killed where the block ends."""
    command = [sys.executable, "-m", "scripts.benchmarks.support.worker_main", *map(str, arguments)]
    processes: list[Process] = []
    try:
        for environ in environs:
            env = {**os.environ, **environ}
            pipe = subprocess.PIPE
            processes.append(subprocess.Popen(command, env=env, stdin=pipe, stdout=pipe, text=True))
        hear(processes, "ready")
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def go(processes: Sequence[Process]) -> None:
    """Let all of them begin."""
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()


def hear(processes: Sequence[Process], word: str) -> None:
    """Wait until each of them has said the word."""
    for process in processes:
        assert process.stdout
        if process.stdout.readline() != f"{word}\n":
            raise click.ClickException("A worker has ended early; what it said stands above.")
