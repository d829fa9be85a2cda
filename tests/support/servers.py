"""Servers: which of them and which browser are here, and a PostgreSQL or MariaDB of a test's own."""

import functools
import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from tests.support import processes
from tests.support.processes import free_port, wait_for

DEBIAN_PYTHON = "/usr/bin/python3"
CONNECTIONS = 40  # as many as an own server allows
USERS = {"postgresql": "postgres", "mariadb": "mysql"}  # neither server runs as root
MODULES = "/usr/lib/apache2/modules"
# Of what setup.cfg names, all that serving a book needs.
PACKAGES = "flask, flask_babel, flask_sqlalchemy, flask_wtf, requests, waitress, dotenv, wcwidth"


def chromium() -> str | None:
    """Return the program; the one without a window takes a third less time."""
    return shutil.which("chromium-headless-shell") or shutil.which("chromium")


def apache_has(module: str) -> bool:
    """Whether Apache, that module and Debian's packages of Python are here."""
    is_here = shutil.which("apache2") is not None and Path(MODULES, f"mod_{module}.so").exists()
    return is_here and _debian_has_packages()


def has_uwsgi() -> bool:
    """Whether uWSGI is installed in the Python of the tests."""
    return importlib.util.find_spec("pyuwsgi") is not None


@functools.cache
def _debian_has_packages() -> bool:
    if not Path(DEBIAN_PYTHON).exists():
        return False
    asked = [DEBIAN_PYTHON, "-c", f"import ensurepip, venv, {PACKAGES}"]
    return subprocess.run(asked, capture_output=True, check=False).returncode == 0


# --- a database server that a test may stop: the one that all tests share goes on


class OwnServer:
    """A server in a folder of its own."""

    def __init__(self, mode: str, folder: Path) -> None:
        self.mode = mode
        self._folder = folder
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        scheme = "postgresql+psycopg://postgres" if mode == "postgresql" else "mysql+pymysql://root"
        self._server_url = f"{scheme}@127.0.0.1:{self._port}"
        self.url = f"{self._server_url}/book"

    def set_up(self) -> None:
        """Make its files, and an empty database."""
        command = _set_up_command(self.mode, self._folder)
        subprocess.run(command, user=USERS[self.mode], check=True, capture_output=True, cwd=self._folder)
        self.start()
        with self._engine().connect() as connection:
            connection.execute(text("CREATE DATABASE book"))

    def _engine(self) -> Engine:
        first = "postgres" if self.mode == "postgresql" else "mysql"
        url = f"{self._server_url}/{first}"
        return create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)

    def signal_all(self, number: signal.Signals) -> None:
        """Send a signal to it and to the processes that it has started."""
        assert self._process
        processes.signal_tree(self._process.pid, number)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        wait_for(self._is_up, 60, lambda: (self._folder / "log").read_text(errors="replace")[-2000:])

    def kill(self) -> None:
        """End it at once, as a power cut does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it as an administrator does, who does not wait for its clients."""
        self._end(signal.SIGINT if self.mode == "postgresql" else signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self._process:
            self._process.send_signal(how)
            self._process.wait(60)
            processes.unguard(self._process.pid)
            self._process = None

    def _is_up(self) -> bool:
        """Whether it answers. PostgreSQL ends if processes of a killed one live: then it starts again."""
        if self._process is None or self._process.poll() is not None:
            self._spawn()
        return self._answers()

    def _spawn(self) -> None:
        if self._process:
            processes.unguard(self._process.pid)
        command = _start_command(self.mode, self._folder, self._port)
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, user=USERS[self.mode], stdout=log, stderr=log, start_new_session=True
            )
        processes.guard(self._process.pid)

    def _answers(self) -> bool:
        try:
            with self._engine().connect():
                return True
        except DBAPIError:
            return False


@contextmanager
def own_server(mode: str, inside: Path | None = None) -> Iterator[OwnServer]:
    """Give a server with an empty database; its files are inside that folder."""
    folder = Path(tempfile.mkdtemp(prefix="guestbook-server-", dir=inside))
    shutil.chown(folder, USERS[mode])
    server = OwnServer(mode, folder)
    try:
        server.set_up()
        yield server
    finally:  # a PostgreSQL that is killed would leave memory in /dev/shm
        server.stop() if mode == "postgresql" else server.kill()
        shutil.rmtree(folder, ignore_errors=True)


def can_be_started(mode: str) -> bool:
    """Whether its programs are here, and we may become its user."""
    return os.geteuid() == 0 and _program(mode) is not None


def _program(mode: str) -> Path | None:
    if mode == "mariadb":
        found = shutil.which("mariadbd", path=f"{os.environ['PATH']}:/usr/sbin")
        return Path(found) if found else None
    return next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), reverse=True)), None)


def _set_up_command(mode: str, folder: Path) -> list[str]:
    program = _program(mode)
    if mode == "postgresql":
        return [
            str(program.with_name("initdb")),
            "-D",
            str(folder / "data"),
            "-A",
            "trust",
            "--no-sync",
            "--wal-segsize=1",
        ]
    options = ["--auth-root-authentication-method=normal", "--skip-test-db"]
    return ["mariadb-install-db", "--no-defaults", f"--datadir={folder}/data", *options]


def _start_command(mode: str, folder: Path, port: int) -> list[str]:
    program = str(_program(mode))
    if mode == "postgresql":
        settings = [f"unix_socket_directories={folder}", "listen_addresses=127.0.0.1", f"port={port}"]
        settings += ["max_wal_size=32MB", f"max_connections={CONNECTIONS}"]
        return [program, "-D", f"{folder}/data", *(part for one in settings for part in ("-c", one))]
    places = [f"--datadir={folder}/data", f"--socket={folder}/socket", f"--pid-file={folder}/pid"]
    limits = [f"--max-connections={CONNECTIONS}", "--innodb-log-file-size=8M"]
    return [program, "--no-defaults", *places, *limits, "--bind-address=127.0.0.1", f"--port={port}"]
