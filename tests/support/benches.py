"""Run `scripts/bench` in a process of its own, and read the tables that it prints."""

import subprocess
import sys

from tests.support import processes


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "scripts.benchmarks", *arguments]
    environ = processes.clean_environ()
    return subprocess.run(
        command, cwd=processes.ROOT, env=environ, capture_output=True, text=True, timeout=240
    )


def cells(printed: str) -> list[list[str]]:
    """The cells of all tables, without the lines below their heads."""
    lines = [line.split("|")[1:-1] for line in printed.splitlines() if line[:1] == "|"]
    return [[cell.strip() for cell in line] for line in lines if not line[0].startswith(" ---")]
