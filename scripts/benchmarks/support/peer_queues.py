"""Other task queues beside ours: their queue is full and their workers are up before the clock runs."""

import fcntl
import importlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

import click
from sqlalchemy import Engine, create_engine, make_url, text

from guestbook.lib import clock
from scripts.benchmarks.support import drain, rabbitmq_vhost, temp_book
from scripts.benchmarks.support.drain import Run
from scripts.benchmarks.support.peers import record
from scripts.benchmarks.support.process_usage import Figures, Meter

RABBITMQ = "amqp://guest:guest@127.0.0.1:5672"
POSTGRESQL = "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"
PORTS = {"rabbitmq": 5672, "postgresql": 5432}  # where a URL names none
PEERS = {
    "huey on SQLite": "huey_sqlite",
    "Celery on RabbitMQ": "celery_rabbitmq",
    "dramatiq on RabbitMQ": "dramatiq_rabbitmq",
    "procrastinate on PostgreSQL": "procrastinate_postgresql",
}
SETTLE = 0.5  # seconds for the workers to prefetch what they like to
DONE = (
    "SELECT count(*), max(finished_at) FROM deliveries JOIN attempts ON delivery_id = id"
    " WHERE status = 'processed' AND number = 1"
)


@dataclass(frozen=True)
class Peer:
    """A task queue that can be measured here."""

    name: str
    module: ModuleType
    rabbitmq: str
    postgresql: str

    @property
    def setup(self) -> str:
        """Return the set-up that was found to be its best."""
        return str(self.module.SETUP)

    @property
    def version(self) -> str:
        """Return `huey 3.5.4`."""
        package = self.module.__name__.rpartition(".")[2].partition("_")[0]
        return f"{package} {metadata.version(package)}"

    def measure(self, run: Run, processes: int) -> Figures:
        """Let so many of its processes do as much as a pass of ours."""
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            server = self.postgresql if "postgresql" in self.module.SERVERS else None
            url = stack.enter_context(temp_book.database_of(server, folder))
            engine = create_engine(url)
            stack.callback(engine.dispose)
            _prepare(engine, folder, run.count)
            environ = self._environ(run, folder, url)
            _do(self.module, "fill", environ)
            if "rabbitmq" in self.module.SERVERS and not rabbitmq_vhost.is_ours(self.rabbitmq):
                stack.callback(_do, self.module, "clear", environ)
            return self._work(run, processes, environ, folder, engine)

    def _work(
        self, run: Run, processes: int, environ: dict[str, str], folder: Path, engine: Engine
    ) -> Figures:
        before = run.received.value
        with (folder / "gate").open("w") as gate:
            fcntl.flock(gate, fcntl.LOCK_EX)
            with _workers(self.module.commands(processes), environ, folder) as workers:
                _until_up(self.name, workers, processes, folder)
                meter, began = Meter([worker.pid for worker in workers], self.module.SERVERS), clock.now()
                gate.close()  # which lets go of the lock
                drain.until(lambda: run.received.value - before >= run.count, self.name)
                drain.until(lambda: _recorded(engine)[0] >= run.count, self.name)
                count, last = _recorded(engine)
                figures = meter.figures((last - began).total_seconds())
        drain.check(count, run.count, "on record")
        drain.check(run.received.value - before, run.count, "received")
        return figures

    def _environ(self, run: Run, folder: Path, url: str) -> dict[str, str]:
        plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        settings = {
            "FOLDER": str(folder),
            "PORT": str(run.port),
            "COUNT": str(run.count),
            "WEBHOOKS": str(run.webhooks),
            "POSTGRESQL": plain,
            "RABBITMQ": self.rabbitmq,
            "QUEUE": f"guestbook_bench_{secrets.token_hex(4)}",
        }
        return {**os.environ, **{f"BENCH_{name}": value for name, value in settings.items()}}


@contextmanager
def found(rabbitmq: str, postgresql: str) -> Iterator[tuple[list[Peer], dict[str, str]]]:
    """Give the peers that can be measured here, and why the others cannot."""
    peers: list[Peer] = []
    skipped = {}
    away = {name for name, url in {"rabbitmq": rabbitmq, "postgresql": postgresql}.items() if _is_away(url)}
    with ExitStack() as stack:
        if "rabbitmq" not in away:
            rabbitmq = stack.enter_context(rabbitmq_vhost.vhost(rabbitmq))
        for name, file in PEERS.items():
            try:
                module = importlib.import_module(f"scripts.benchmarks.support.peers.{file}")
            except ImportError:
                skipped[name] = "not installed"
                continue
            if missing := away.intersection(module.SERVERS):
                skipped[name] = f"no {' and no '.join(missing)} there"
            else:
                peers.append(Peer(name, module, rabbitmq, postgresql))
        yield peers, skipped


def _is_away(url: str) -> bool:
    parts = urlsplit(url)
    port = parts.port or PORTS["rabbitmq" if parts.scheme.startswith("amqp") else "postgresql"]
    try:
        socket.create_connection((parts.hostname or "127.0.0.1", port), timeout=2).close()
    except OSError:
        return True
    return False


def _prepare(engine: Engine, folder: Path, count: int) -> None:
    """Store the deliveries that the tasks are to record."""
    ids = [secrets.token_hex(16) for _ in range(count)]
    (folder / "ids").write_text("\n".join(ids))
    with engine.begin() as connection:
        for table in record.TABLES:
            connection.exec_driver_sql(table)
        new = text("INSERT INTO deliveries (id, status, attempts) VALUES (:id, 'new', 0)")
        connection.execute(new, [{"id": one} for one in ids])


def _recorded(engine: Engine) -> tuple[int, datetime]:
    """Return how many are on record as processed and when the last one was."""
    with engine.connect() as connection:
        count, last = connection.execute(text(DONE)).one()
    return count, clock.from_text(last) if last else clock.now()


def _do(module: ModuleType, what: str, environ: dict[str, str]) -> None:
    file = module.__name__.rpartition(".")[2]
    command = [sys.executable, "-m", "scripts.benchmarks.support.peers", file, what]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise click.ClickException(f"{file} could not {what} its queue: {_end_of(done.stderr)}")


@contextmanager
def _workers(
    commands: list[list[str]], environ: dict[str, str], folder: Path
) -> Iterator[list["subprocess.Popen[bytes]"]]:
    """Give a peer's workers, who speak into a file; they are killed with their children."""
    workers = []
    try:
        with (folder / "said").open("w") as said:
            for command in commands:
                workers.append(
                    subprocess.Popen(command, env=environ, stdout=said, stderr=said, start_new_session=True)
                )
        yield workers
    finally:
        for worker in workers:
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()


def _until_up(name: str, workers: list["subprocess.Popen[bytes]"], processes: int, folder: Path) -> None:
    """Wait until each process has a task in its hands; a worker that ends instead has said why."""

    def up() -> bool:
        if any(worker.poll() is not None for worker in workers):
            raise click.ClickException(f"{name} has ended: {_end_of((folder / 'said').read_text())}")
        return len(list(folder.glob("up *"))) >= processes

    drain.until(up, name)
    time.sleep(SETTLE)


def _end_of(said: str) -> str:
    return (said.strip().splitlines() or ["it said nothing"])[-1]
