"""Peers on Node: where their packages are, and how their programs start.

BENCH_NODE_MODULES names the folder that npm has made:
npm install --prefix DIR graphile-worker pg-boss bullmq ioredis undici pg; BENCH_NODE_MODULES=DIR/node_modules
"""

import importlib.util
import json
import shutil
import subprocess
from pathlib import Path

from scripts.benchmarks.support.peers import job

FOLDER = Path(__file__).parent
SHARED = ("undici", "pg")
CONCURRENCY = 32  # tasks at once in a process, each on a connection of its own


class Program:
    """A program of this folder; raises ImportError where something of it is not installed."""

    def __init__(self, name: str, *packages: str) -> None:
        if not shutil.which("node") or not importlib.util.find_spec("psycopg"):
            raise ImportError("Node or psycopg")
        if not job.setting("NODE_MODULES"):
            raise ImportError("BENCH_NODE_MODULES")
        for package in (*packages, *SHARED):
            if not _description(package).is_file():
                raise ImportError(package)
        self._command = ["node", str(FOLDER / name)]
        self.version = f"{packages[0]} {json.loads(_description(packages[0]).read_text())['version']}"

    def fill(self) -> None:
        """Put all deliveries into the queue."""
        subprocess.run([*self._command, "fill"], check=True)

    def commands(self, processes: int) -> list[list[str]]:
        """Return the commands of so many workers."""
        return [[*self._command, "work"]] * processes


def _description(package: str) -> Path:
    return Path(job.setting("NODE_MODULES"), package, "package.json")
