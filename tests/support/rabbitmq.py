"""A RabbitMQ of the test's own: Debian's programs as a process that can be killed and started again.

    with open_node(folder) as node:
        node.start()
        vhost = node.vhost()
        … vhost.url …  # what GUESTBOOK_BROKER_URL wants
        node.kill()
        node.start()  # durable queues and persistent messages are still there

Its folders, ports, cookie and epmd are its own, so it runs beside the system's broker and beside
those of other test processes.
"""

import json
import os
import random
import secrets
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import amqp

from tests.support import processes
from tests.support.processes import browser, started, wait_for

# The one in PATH becomes another user and works in that user's folders alone.
SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
# Below those that connections get: one of them could take the port of a broker that is dead for a moment.
PORTS = range(20000, 32000, 4)
START_LIMIT = 60.0  # seconds; it takes three on an idle machine
GUEST = "guest"  # user and password of a fresh broker, for this machine alone


class Node:
    """A broker over a folder."""

    def __init__(self, folder: Path, ports: tuple[int, int, int, int]) -> None:
        self.folder = folder
        self.port, self.management_port, self._distribution_port, self.epmd_port = ports
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it over what it has stored, and wait until it serves."""
        assert self._process is None, "it runs already"
        with (self.folder / "output").open("ab") as output:
            options: Any = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": subprocess.STDOUT}
            self._process = subprocess.Popen(
                [str(SERVER)], env=self._environ(), cwd=self.folder, start_new_session=True, **options
            )
        processes.guard(self._process.pid)
        wait_for(self._serves, START_LIMIT, self.log)

    def kill(self) -> None:
        """End the broker by SIGKILL, with all that it has started; what is on the disk stays."""
        assert self._process, "it does not run"
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        processes.unguard(self._process.pid)
        self._process = None
        wait_for(lambda: not self._listens(), 10)

    def signal_all(self, number: signal.Signals) -> None:
        """Send a signal to the broker and to all that it has started."""
        assert self._process, "it does not run"
        processes.signal_tree(self._process.pid, number)

    @property
    def runs(self) -> bool:
        """Whether it was started and not killed."""
        return self._process is not None

    def log(self) -> str:
        """Return what it has printed."""
        return (self.folder / "output").read_text(errors="replace")

    def vhost(self) -> "Vhost":
        """Make a world of its own for one test: nobody sees the queues of another."""
        vhost = Vhost(self, f"test-{secrets.token_hex(4)}")
        self.ask("PUT", f"vhosts/{vhost.name}", {"default_queue_type": "classic"})
        self.ask("PUT", f"permissions/{vhost.name}/{GUEST}", {"configure": ".*", "write": ".*", "read": ".*"})
        return vhost

    def ask(self, method: str, path: str, document: object = None) -> Any:
        """Make a call to the management API and return its answer, None where that is empty."""
        url = f"http://127.0.0.1:{self.management_port}/api/{path}"
        data = None if document is None else json.dumps(document).encode()
        request = urllib.request.Request(url, data, method=method)
        request.add_header("Content-Type", "application/json")
        request.add_header("Authorization", "Basic Z3Vlc3Q6Z3Vlc3Q=")  # guest:guest
        with browser().open(request, timeout=20) as response:
            body = response.read()
        return json.loads(body) if body else None

    def _environ(self) -> dict[str, str]:
        only_here = "-kernel inet_dist_use_interface {127,0,0,1}"
        frugal = "+S 1:1 +A 4 +sbwt none +sbwtdcpu none +sbwtdio none"  # no thread waits by computing
        return {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "RUNNING_UNDER_SYSTEMD": "1",  # no shell stays between us and the broker
            "HOME": str(self.folder),  # where the cookie is
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "none"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.folder / "none.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_NODENAME": f"test{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"{only_here} {frugal}",
            "ERL_EPMD_PORT": str(self.epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }

    def _serves(self) -> bool:
        assert self._process.poll() is None, self.log()
        return self._listens() and self._greets()

    def _listens(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=5):
            return True
        return False

    def _greets(self) -> bool:
        with suppress(OSError), closing(connect(self.port, "/")):
            return True
        return False


class Vhost:
    """One test's part of a broker."""

    def __init__(self, node: Node, name: str) -> None:
        self.node = node
        self.name = name
        self.url = f"amqp://{GUEST}:{GUEST}@127.0.0.1:{node.port}/{name}"

    def depth(self, queue: str) -> int:
        """Return how many messages a queue has, those included that a worker has in hand; 0 without it."""
        with self.channel() as channel:
            try:
                ready = int(channel.queue_declare(queue, passive=True).message_count)
            except amqp.NotFound:
                return 0
        # This alone would do, but that a broker which has just started knows nothing of what is ready.
        rows = self.node.ask("GET", f"queues/{self.name}?disable_stats=true&enable_queue_totals=true")
        return max([ready, *(row["messages"] for row in rows if row["name"] == queue)])

    def consumers(self, queue: str) -> int:
        """Return how many workers listen to a queue."""
        with self.channel() as channel:
            try:
                return int(channel.queue_declare(queue, passive=True).consumer_count)
            except amqp.NotFound:
                return 0

    def purge(self, queue: str) -> int:
        """Lose all that waits in a queue; return how much that was."""
        with self.channel() as channel:
            return int(channel.queue_purge(queue))

    def take(self, queue: str) -> amqp.Message | None:
        """Take one message out of a queue."""
        with self.channel() as channel:
            return channel.basic_get(queue, no_ack=True)

    def put(self, queue: str, *messages: amqp.Message) -> None:
        """Put messages into a queue as anybody could, and wait until the broker has them."""
        with self.channel() as channel:
            channel.confirm_select()
            for message in messages:
                channel.basic_publish_confirm(message, exchange="", routing_key=queue)

    def drop(self) -> None:
        """Remove it with its queues; the connections to it end."""
        self.node.ask("DELETE", f"vhosts/{quote(self.name)}")

    @contextmanager
    def channel(self) -> Iterator[amqp.Channel]:
        """Give a channel of a connection of its own."""
        with closing(connect(self.node.port, self.name)) as connection:
            yield connection.channel()


def connect(port: int, vhost: str) -> amqp.Connection:
    """Connect; raise OSError while the broker is not there."""
    connection = amqp.Connection(f"127.0.0.1:{port}", GUEST, GUEST, virtual_host=vhost, connect_timeout=5)
    connection.connect()
    return connection


def is_here() -> bool:
    """Whether Debian's rabbitmq-server is installed."""
    return SERVER.exists()


@contextmanager
def open_node(folder: Path) -> Iterator[Node]:
    """Give a node that is not started yet; in the end nothing of it runs."""
    node = Node(folder, _free_ports())
    (folder / "plugins").write_text("[rabbitmq_management].")
    (folder / "rabbitmq.conf").write_text(
        f"listeners.tcp.local = 127.0.0.1:{node.port}\n"
        "management.tcp.ip = 127.0.0.1\n"
        f"management.tcp.port = {node.management_port}\n"
        "log.console.level = warning\n"
        "disk_free_limit.absolute = 1MB\n"
    )
    with _epmd(node.epmd_port):
        try:
            yield node
        finally:
            if node.runs:
                node.kill()


@contextmanager
def _epmd(port: int) -> Iterator[None]:
    """Run Erlang's directory of nodes in the foreground; otherwise the broker would leave one behind."""
    command = ["epmd", "-port", str(port), "-address", "127.0.0.1"]
    with started(command):
        yield


def _free_ports() -> tuple[int, int, int, int]:
    """Find four ports in a row that nobody has."""
    for first in random.SystemRandom().sample(PORTS, len(PORTS)):
        with suppress(OSError):
            for port in range(first, first + 4):
                socket.create_server(("127.0.0.1", port)).close()
            return first, first + 1, first + 2, first + 3
    raise AssertionError("no four ports in a row are free")
