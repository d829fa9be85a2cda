"""The works around a book: relays and Celery workers as processes, which can be killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import amqp
import pytest

from tests.support import processes
from tests.support.book import Book
from tests.support.forks import Command, Forks
from tests.support.killed_passes import ALONE
from tests.support.processes import ROOT, free_port, wait_for
from tests.support.rabbitmq import Vhost
from tests.support.receiver import Receiver

DELIVERIES = "guestbook.deliveries"  # the queues
INBOX = "guestbook.inbound"
# SQLite alone unless the database could make a difference.
ON_TWO = pytest.mark.parametrize("environ", ["sqlite-wal", "postgresql"], indirect=True)
ON_THREE = pytest.mark.parametrize("environ", ["sqlite-wal", "postgresql", "mariadb"], indirect=True)
CELERY = str(Path(sys.executable).with_name("celery"))
START_LIMIT = 30.0  # seconds


class Worker:
    """A Celery worker in a process of its own, in which its threads are too."""

    def __init__(self, process: "Command | subprocess.Popen[bytes]", output: Callable[[], str]) -> None:
        self._process = process
        self._output = output
        processes.guard(process.pid)

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self._output()

    @property
    def complaints(self) -> list[str]:
        """The lines of its output that say that something is wrong."""
        words = ("ERROR/", "CRITICAL/", "Traceback")
        return [line for line in self.output.splitlines() if any(word in line for word in words)]

    @property
    def is_alive(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End it by SIGKILL, with the processes of its pool."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        processes.unguard(self._process.pid)

    def terminate(self) -> None:
        """Ask it by SIGTERM to end what it has in hand and no more."""
        self._process.terminate()

    def wait(self, seconds: float = 30) -> int:
        """Wait for its end and return its exit code, minus the signal's number when one ended it."""
        return self._process.wait(seconds)

    def stop(self) -> None:
        """End it as an administrator does; it must end well."""
        self.terminate()
        assert self.wait() == 0, self.output


@dataclass
class Works:
    """A book, its broker, and what is started for them."""

    book: Book
    vhost: Vhost
    forks: Forks
    environ: dict[str, str]
    folder: Path
    started: list[Worker] = field(default_factory=list)

    def webhooks(self, receiver: Receiver, count: int) -> list[str]:
        """Add so many webhooks, each at a path of its own, and return the paths."""
        paths = [f"/{number}" for number in range(count)]
        for path in paths:
            self.book.webhook(receiver.url(path))
        return paths

    def published(self, receiver: Receiver, count: int = 1) -> str:
        """Add a webhook, store so many events, and let a relay publish them; return the webhook's id."""
        webhook_id = self.book.webhook(receiver.url())
        self.book.publish(count)
        self.relay()
        return webhook_id

    def take_messages(self, count: int = 1, queue: str = DELIVERIES) -> list[amqp.Message]:
        """Take so many messages out of a queue; each can be put back, and often."""
        taken = [self.vhost.take(queue) for _ in range(count)]
        return [amqp.Message(one.body, **one.properties) for one in taken if one]

    @property
    def broker_that_is_away(self) -> str:
        """The URL of a broker at a port where nobody listens, as after a kill but without a new start."""
        return self.vhost.url.replace(f":{self.vhost.node.port}/", f":{free_port()}/")

    def relay(self, *options: str, code: int = 0, **settings: str) -> Command:
        """Run a relay to its end."""
        running = self.start_relay(*options, **settings)
        assert running.wait() == code, running.printed
        return running

    def start_relay(self, *options: str, **settings: str) -> Command:
        """Start a relay; GUESTBOOK_ settings may be added."""
        return self.forks.start(self.with_settings(**settings), "relay", *options)

    def with_settings(self, **settings: str) -> dict[str, str]:
        """The environment with GUESTBOOK_ settings added."""
        return self.environ | {f"GUESTBOOK_{name}": value for name, value in settings.items()}

    def start_worker(self, concurrency: int = 8, pool: str = "threads", **settings: str) -> Worker:
        """Start a worker, which may take a moment to listen."""
        number = len(self.started) + 1
        command = ["worker", "--pool", pool, *ALONE, "--concurrency", str(concurrency)]
        command += ["--loglevel", "WARNING", "--hostname", f"{number}@test"]
        environ = self.with_settings(**settings)
        worker = self._run(environ, command, number) if pool == "prefork" else self._forked(environ, command)
        self.started.append(worker)
        return worker

    def _forked(self, environ: dict[str, str], command: list[str]) -> Worker:
        running = self.forks.start_celery(environ, *command)
        return Worker(running, lambda: running.printed)

    def _run(self, environ: dict[str, str], command: list[str], number: int) -> Worker:
        """Run the program as its users do, which takes seconds to import what it needs."""
        output = self.folder / f"worker{number}"
        with output.open("ab") as printed:
            process = subprocess.Popen(
                [CELERY, "--app", "guestbook.worker", *command],
                cwd=ROOT,
                env={"PATH": os.environ["PATH"], "HOME": str(self.folder), **environ},
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=printed,
                start_new_session=True,
            )
        return Worker(process, lambda: output.read_text(errors="replace"))

    @contextmanager
    def worker(self, concurrency: int = 8, pool: str = "threads", **settings: str) -> Iterator[Worker]:
        """Give a worker that listens; it must be alive in the end, or have been stopped and ended well."""
        before = self.vhost.consumers(INBOX)
        worker = self.start_worker(concurrency, pool, **settings)
        wait_for(lambda: self._listens(worker, before), START_LIMIT, lambda: worker.output)
        yield worker
        assert worker.is_alive or worker.wait() == 0, worker.output
        worker.kill()

    def _listens(self, worker: Worker, before: int) -> bool:
        assert worker.is_alive, worker.output
        return self.vhost.consumers(INBOX) > before

    @contextmanager
    def staying_relay(self) -> Iterator[Command]:
        """Give a relay that publishes at once what becomes due; it must end well."""
        relay = self.start_relay("--stay")
        yield relay
        wait_for(
            relay.catches_sigterm, 20, lambda: relay.printed
        )  # before that, the signal would end it at once
        relay.terminate()
        assert relay.wait() == 0, relay.printed

    def wait_until_final(self, count: int, seconds: float = 30) -> None:
        """Wait until so many deliveries are processed and no other waits."""
        wait_for(lambda: self.book.statuses() == {"processed": count}, seconds, self.show)

    def wait_until_empty(self) -> None:
        """Wait until neither queue has a message, nor a worker one in hand."""
        wait_for(lambda: self.vhost.depth(DELIVERIES) + self.vhost.depth(INBOX) == 0, 20, self.show)

    def rest(self, seconds: float = 0.5) -> None:
        """Give what should not happen a moment to happen."""
        time.sleep(seconds)

    def show(self) -> str:
        """What is helpful to see when a test fails."""
        said = "\n".join(worker.output[-3000:] for worker in self.started)
        return f"{self.book.statuses()} {self.book.deliveries()[:3]} {said}"

    def end(self) -> None:
        """Kill the workers that are left."""
        for worker in self.started:
            worker.kill()
