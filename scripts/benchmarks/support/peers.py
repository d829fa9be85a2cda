"""Other task queues beside ours, all on Node: their queue is full and their workers are up before the clock.

Each program in `peers/` is tuned for a machine with two cores and shares the task in `job.mjs`.
The help of `scripts/bench deliver` says how to install them.
"""

import json
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import click
from sqlalchemy import Engine, create_engine, make_url, text

from scripts.benchmarks.support import processes, receivers, temp_book
from scripts.benchmarks.support.deliveries import Run
from scripts.benchmarks.support.process_usage import Usage
from scripts.benchmarks.support.receivers import Arrival, Behaviour
from tests.support import databases

REDIS_PORT = 6379
PROGRAMS = Path(__file__).parents[1] / "peers"
SHARED = ("undici", "pg")
# Tasks at once in a process, and connections for them: other numbers, and pipelining, are slower.
CONCURRENCY, CONNECTIONS = 64, 32
PREFETCH = 0.5  # seconds for the workers to prefetch tasks
# Their columns are ours as far as an attempt is concerned, without an index beside the keys.
TABLES = (
    "CREATE TABLE deliveries (id VARCHAR(32) PRIMARY KEY, status VARCHAR(9), attempts INTEGER,"
    " finished_at VARCHAR(24), last_status_code INTEGER)",
    "CREATE TABLE attempts (delivery_id VARCHAR(32), number INTEGER, triggered_by VARCHAR(12),"
    " started_at VARCHAR(24), milliseconds INTEGER, status_code INTEGER, error VARCHAR(300),"
    " request_headers TEXT, response_headers TEXT, response_body TEXT, PRIMARY KEY (delivery_id, number))",
)


@dataclass(frozen=True)
class Peer:
    """A task queue: its program, its packages and the servers that it needs."""

    name: str
    program: str
    packages: tuple[str, ...]
    servers: tuple[str, ...] = ("postgresql",)

    @property
    def version(self) -> str:
        """Return `pg-boss 10.4.2`."""
        return f"{self.packages[0]} {json.loads(_description(self.packages[0]).read_text())['version']}"

    def missing(self) -> str:
        """Return what it lacks here, or an empty text."""
        has_node = shutil.which("node") and os.environ.get("BENCH_NODE_MODULES")
        if not has_node or not all(_description(one).is_file() for one in (*self.packages, *SHARED)):
            return "not installed"
        is_up = {"postgresql": databases.is_up("postgresql"), "redis": processes.listens(REDIS_PORT)}
        away = [name for name in self.servers if not is_up[name]]
        return f"no {' and no '.join(away)} there" if away else ""

    def measure(self, run: Run, number: int) -> Usage:
        """Let so many of its processes do as much as a pass of ours."""
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            receiver = stack.enter_context(receivers.running(Behaviour(delay=run.delay)))
            url = stack.enter_context(temp_book.new_database(databases.server("postgresql"), folder))
            engine = create_engine(url)
            stack.callback(engine.dispose)
            wanted = _prepare(engine, folder, run, receiver.ports[0])
            environ = {**os.environ, **_settings(run, folder, url)}
            self._do("fill", environ)
            stack.callback(self._do, "clean", environ)
            begun = processes.workers(self.name, self._command("work"), [environ] * number, folder)
            with begun as (pids, lock):
                time.sleep(PREFETCH)
                usage = run.usage_until_recorded(receiver, pids, lock, engine, self.servers)
            receivers.check(receiver.memories()[0], wanted)
            return usage

    def _command(self, what: str) -> list[str]:
        return ["node", str(PROGRAMS / self.program), what]

    def _do(self, what: str, environ: Mapping[str, str]) -> None:
        done = subprocess.run(self._command(what), env=environ, capture_output=True, text=True)
        if done.returncode:
            raise click.ClickException(f"{self.name}, {what}: {processes.last_line(done.stderr)}")


PEERS = (
    Peer("graphile-worker on PostgreSQL", "graphile_worker.mjs", ("graphile-worker",)),
    Peer("pg-boss on PostgreSQL", "pg_boss.mjs", ("pg-boss",)),
    Peer("BullMQ on Redis", "bullmq.mjs", ("bullmq", "ioredis"), ("redis", "postgresql")),
)


def _description(package: str) -> Path:
    return Path(os.environ["BENCH_NODE_MODULES"], package, "package.json")


def _prepare(engine: Engine, folder: Path, run: Run, port: int) -> list[Arrival]:
    """Store the deliveries that the tasks are to record, and write id and URL of each to a file."""
    made = [(f"/hooks/{number % run.webhooks}", secrets.token_hex(16)) for number in range(run.count)]
    lines = [f"{one} http://127.0.0.1:{port}{path}" for path, one in made]
    (folder / "deliveries").write_text("\n".join(lines))
    with engine.begin() as connection:
        for table in TABLES:
            connection.exec_driver_sql(table)
        new = text("INSERT INTO deliveries (id, status, attempts) VALUES (:id, 'new', 0)")
        connection.execute(new, [{"id": one} for _, one in made])
    return made


def _settings(run: Run, folder: Path, url: str) -> dict[str, str]:
    settings = {
        "FOLDER": str(folder),
        "COUNT": str(run.count),
        "POSTGRESQL": make_url(url).set(drivername="postgresql").render_as_string(hide_password=False),
        "REDIS": f"redis://127.0.0.1:{REDIS_PORT}",
        "SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "BODY": '{"type":"comment.created","data":"' + "x" * 560 + '"}',
        "CONCURRENCY": str(CONCURRENCY),
        "CONNECTIONS": str(CONNECTIONS),
        "QUEUE": f"bench_{secrets.token_hex(4)}",  # a killed worker leaves messages in the one before
    }
    return {f"BENCH_{name}": value for name, value in settings.items()}
