"""Other task queues beside ours: their queue is full and their workers are up before the clock runs."""

import importlib
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

import click
from sqlalchemy import Engine, create_engine, make_url, text

from scripts.benchmarks.support import processes, rabbitmq_vhost, redis_keys, temp_book
from scripts.benchmarks.support.arrivals import Arrival
from scripts.benchmarks.support.delivery_run import Run
from scripts.benchmarks.support.peers import job, node, record
from scripts.benchmarks.support.process_usage import Usage

RABBITMQ = "amqp://guest:guest@127.0.0.1:5672"
POSTGRESQL = "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"
REDIS = "redis://127.0.0.1:6379"
PORTS = {"rabbitmq": 5672, "postgresql": 5432, "redis": 6379}  # where a URL names none
PEERS = {
    "huey on SQLite": "huey_sqlite",
    "Celery on RabbitMQ": "celery_rabbitmq",
    "dramatiq on RabbitMQ": "dramatiq_rabbitmq",
    "dramatiq on Redis": "dramatiq_redis",
    "honker on SQLite": "honker_sqlite",
    "procrastinate on PostgreSQL": "procrastinate_postgresql",
    "graphile-worker on PostgreSQL": "graphile_worker_postgresql",
    "pg-boss on PostgreSQL": "pg_boss_postgresql",
    "BullMQ on Redis": "bullmq_redis",
}
PREFETCH = 0.5  # seconds for the workers to prefetch tasks


@dataclass(frozen=True)
class Peer:
    """A task queue that can be measured here."""

    name: str
    module: ModuleType
    servers: Mapping[str, str]  # their URLs

    @property
    def setup(self) -> str:
        """Return the set-up that was found to be its best."""
        return str(self.module.SETUP)

    @property
    def version(self) -> str:
        """Return `huey 3.5.4`."""
        if hasattr(self.module, "VERSION"):
            return str(self.module.VERSION)
        package = self.module.__name__.rpartition(".")[2].partition("_")[0]
        return f"{package} {metadata.version(package)}"

    def measure(self, run: Run, number: int) -> Usage:
        """Let so many of its processes do as much as a pass of ours."""
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            server = self.servers["postgresql"] if "postgresql" in self.module.SERVERS else None
            url = stack.enter_context(temp_book.new_database(server, folder))
            engine = create_engine(url)
            stack.callback(engine.dispose)
            wanted = _prepare(engine, folder, run)
            environ = self._environ(run, folder, url)
            if "redis" in self.module.SERVERS:
                stack.callback(redis_keys.remove, self.servers["redis"], environ["BENCH_QUEUE"])
            _fill(self.module, environ)
            usage = self._work(run, number, environ, folder, engine)
            run.check([engine], wanted)
            return usage

    def _work(self, run: Run, number: int, environ: dict[str, str], folder: Path, engine: Engine) -> Usage:
        run.receiver.reset()
        commands = self.module.commands(number)
        environs = [environ] * len(commands)
        with processes.workers(self.name, commands, environs, folder, number) as (pids, lock):
            time.sleep(PREFETCH)
            return run.usage_until_recorded(pids, lock, [engine], self.module.SERVERS)

    def _environ(self, run: Run, folder: Path, url: str) -> dict[str, str]:
        plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        settings = {
            "FOLDER": str(folder),
            "COUNT": str(run.count),
            "POSTGRESQL": plain,
            "RABBITMQ": self.servers["rabbitmq"],
            "REDIS": self.servers["redis"],
            "SECRET": job.SECRET.decode(),
            "BODY": job.BODY,
            "CONCURRENCY": str(node.CONCURRENCY),
            "QUEUE": f"bench_{secrets.token_hex(4)}",  # a killed worker leaves messages in the one before
        }
        return {**os.environ, **{f"BENCH_{name}": value for name, value in settings.items()}}


@contextmanager
def found(servers: Mapping[str, str]) -> Iterator[tuple[list[Peer], dict[str, str]]]:
    """Give the peers that can be measured here with the servers at these URLs, and why the others cannot."""
    peers: list[Peer] = []
    skipped = {}
    away = {name for name, url in servers.items() if _is_away(name, url)}
    with ExitStack() as stack:
        if "rabbitmq" not in away:
            try:
                vhost = stack.enter_context(rabbitmq_vhost.vhost(servers["rabbitmq"]))
                servers = {**servers, "rabbitmq": vhost}
            except click.ClickException:
                away.add("rabbitmq")
        for name, file in PEERS.items():
            try:
                module = importlib.import_module(f"scripts.benchmarks.support.peers.{file}")
            except ImportError:
                skipped[name] = "not installed"
                continue
            if missing := away.intersection(module.SERVERS):
                skipped[name] = f"no {' and no '.join(missing)} there"
            else:
                peers.append(Peer(name, module, servers))
        yield peers, skipped


def _is_away(name: str, url: str) -> bool:
    parts = urlsplit(url)
    address = parts.hostname or "127.0.0.1", parts.port or PORTS[name]
    try:
        socket.create_connection(address, timeout=2).close()
    except OSError:
        return True
    return False


def _prepare(engine: Engine, folder: Path, run: Run) -> list[Arrival]:
    """Store the deliveries that the tasks are to record, and write id and URL of each to a file."""
    made = [(f"/hooks/{number % run.webhooks}", secrets.token_hex(16)) for number in range(run.count)]
    lines = [f"{one} http://127.0.0.1:{run.port}{path}" for path, one in made]
    (folder / "deliveries").write_text("\n".join(lines))
    with engine.begin() as connection:
        for table in record.TABLES:
            connection.exec_driver_sql(table)
        new = text("INSERT INTO deliveries (id, status, attempts) VALUES (:id, 'new', 0)")
        connection.execute(new, [{"id": one} for _, one in made])
    return made


def _fill(module: ModuleType, environ: dict[str, str]) -> None:
    command = [sys.executable, "-c", f"from {module.__name__} import fill; fill()"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise click.ClickException(
            f"{module.__name__} could not fill its queue: {processes.last_line(done.stderr)}"
        )
