"""The guestbook from outside: a copy of the checkout, processes, and a visitor who comes over HTTP."""

import atexit
import os
import random
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import cache
from pathlib import Path
from tempfile import gettempdir
from typing import Any, TypeVar
from urllib.parse import urlencode

import html5lib
import psutil

from tests.support import databases, visitor

ROOT = Path(__file__).parents[2]
T = TypeVar("T")
SERVER_PORTS = range(10_000, 20_000)  # Linux takes higher ones for outgoing connections
# Each process hands out each one once.
_shuffled_ports = iter(random.SystemRandom().sample(SERVER_PORTS, len(SERVER_PORTS)))


def copy_of_the_checkout(to: Path) -> Path:
    """Copy what a clone of this tree would hold, changes that are not committed yet included."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    there = (name for name in listed.stdout.split("\0") if name and os.path.lexists(ROOT / name))
    to.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "--archive", "--parents", "--target-directory", to, *there], cwd=ROOT, check=True)
    for folder in (ROOT / "guestbook").rglob("__pycache__"):  # or each copy would compile all of it
        shutil.copytree(folder, to / folder.relative_to(ROOT), dirs_exist_ok=True)
    return to


def clean_environ(**more: str) -> dict[str, str]:
    """This process's environment without any setting of a guestbook."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GUESTBOOK_")}
    return kept | more


@contextmanager
def started(command: list[str], **options: Any) -> Iterator["Started"]:
    """Start a process in a group of its own, as a terminal does; whatever is left at the end is killed."""
    databases.no_process()
    options |= {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, start_new_session=True, **options) as process:
        one = Started(process)
        guard(process.pid)
        try:
            yield one
        finally:
            for number in one.members():
                with suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)
            unguard(process.pid)


class Started:
    """A process and those that it has started."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdout
        self.process = process
        self._pipe = process.stdout.fileno()
        self._read = b""
        os.set_blocking(self._pipe, False)

    def output(self) -> str:
        """What it has printed so far."""
        with suppress(BlockingIOError):
            while part := os.read(self._pipe, 65536):
                self._read += part
        return self._read.decode(errors="replace")

    def members(self, word: str = "") -> list[int]:
        """The processes of its group that live, those with the word in their command line."""
        return [number for number, line in group(self.process.pid) if word in line]

    def signal_all(self, number: int) -> None:
        """What a terminal does at Ctrl-C: every process of the group gets the signal."""
        os.killpg(self.process.pid, number)


def group(leader: int) -> list[tuple[int, str]]:
    """The living processes of a group, with their command lines."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                state, _, pgrp = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
                line = (folder / "cmdline").read_text().replace("\0", " ")
            except OSError:
                continue  # it has ended
            if int(pgrp) == leader and state != "Z":
                found.append((int(folder.name), line))
    return found


def signal_tree(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process and to those that it has started."""
    parent = psutil.Process(pid)
    for one in (parent, *parent.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            one.send_signal(number)


def free_port() -> int:
    """Return a port that nobody uses, for a server that is yet to start.

    The kernel's own choice (port 0) might be taken again before the server starts, also by a connection.
    """
    for port in _shuffled_ports:
        with suppress(OSError):
            socket.create_server(("127.0.0.1", port)).close()
            return port
    raise AssertionError("no port is free")


def wait_for(what: Callable[[], T], seconds: float = 20, or_show: Callable[[], object] = str) -> T:
    """Ask until the answer is true, and return it; a question that costs much is asked less often."""
    begun = time.monotonic()
    end = begun + seconds
    while not (answer := what()):
        now = time.monotonic()
        assert now < end, f"Not within {seconds} s. {or_show()}"
        time.sleep(min(max(0.01, 2 * (now - begun)), 1))
        begun = time.monotonic()
    return answer


def quickest(seconds: Callable[[], float], enough: float) -> float:
    """Measure until one is short enough, a few times at most; return the shortest."""
    shortest = seconds()
    for _ in range(4):
        if shortest < enough:
            break
        shortest = min(shortest, seconds())
    return shortest


def wait_for_row(data: Path, query: str, seconds: float = 20, or_show: Callable[[], object] = str) -> None:
    """Wait until the query finds something in a SQLite book: a command would start Python for each look."""

    def is_there() -> bool:
        with closing(sqlite3.connect(data / "guestbook.db")) as book:
            return book.execute(query).fetchone() is not None

    wait_for(is_there, seconds, or_show)


def given_away(folder: Path) -> dict[str, str]:
    """Give the data folder to a user who runs nothing else, where we may."""
    if os.geteuid() != 0:
        return {}
    user = 60_000 + os.getpid() % 5000
    for parent in folder.parents:
        if parent.is_relative_to(gettempdir()) and parent != Path(gettempdir()):
            parent.chmod(0o755)
    for path in (folder, *folder.iterdir()):
        os.chown(path, user, user)
    return {"GUESTBOOK_TEST_USER": str(user)}


# --- a visitor


class _Unfollowed(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


def browser(*handlers: urllib.request.BaseHandler) -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(urllib.request.ProxyHandler({}), _Unfollowed(), *handlers)


_opener = browser()


def fetch(
    url: str, form: dict[str, str] | None = None, opener: Any = _opener, seconds: float = 20
) -> tuple[int, str]:
    """Return status and text; with a form it is a POST. Redirects are not followed."""
    data = urlencode(form).encode() if form is not None else None
    try:
        with opener.open(url, data, timeout=seconds) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def answers(url: str) -> bool:
    try:
        return fetch(url)[0] == 200
    except (urllib.error.URLError, ConnectionError):
        return False


def sign(base_url: str, **typed: str) -> int:
    """Open the book, fill in the form, send it; return the status."""
    page = html5lib.parse(fetch(base_url)[1], namespaceHTMLElements=False)
    form = visitor.fields(page) | visitor.GREETING | typed
    return fetch(f"{base_url}/comments", form)[0]


def set_up(output: str, password: str) -> str:
    """Open the link that a first start has printed, send the form; return the link."""
    [link] = re.findall(r"^Set up your book within 30 minutes at (\S+)$", output, re.MULTILINE)
    page = html5lib.parse(fetch(link)[1], namespaceHTMLElements=False)
    typed = {name: visitor.fields(page)[name] for name in ("title", "address")}
    form = typed | {"password": password, "moderation": "suspicious"}
    assert fetch(link, form)[0] == 303
    return str(link)


def log_in(base_url: str, password: str, own: Any = None) -> int:
    """Log in with this browser, or with one of its own, which keeps cookies; return the status."""
    own = own or browser(urllib.request.HTTPCookieProcessor())
    page = html5lib.parse(fetch(f"{base_url}/admin/login", opener=own)[1], namespaceHTMLElements=False)
    form = visitor.fields(page) | {"password": password}
    return fetch(f"{base_url}/admin/login", form, own)[0]


# --- what tests start ends with pytest, even where that is killed

GUARD = """
import os, signal, sys
groups = set()
for line in sys.stdin:
    (groups.add if line.startswith("+") else groups.discard)(int(line[1:]))
for number in groups:
    try:
        os.killpg(number, signal.SIGKILL)
    except OSError:
        pass
"""


def guard(group: int) -> None:
    """Kill that process group when this process ends, however that comes."""
    _tell(f"+{group}")


def unguard(group: int) -> None:
    """Leave a group alone that has ended: its number may become another's."""
    _tell(f"-{group}")


def _tell(line: str) -> None:
    stdin = _guard().stdin
    stdin.write(line + "\n")
    stdin.flush()


@cache
def _guard() -> "subprocess.Popen[str]":
    """Start a process that sees the end of this one by the end of its input."""
    command = [sys.executable, "-S", "-c", GUARD]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, start_new_session=True)
    atexit.register(process.communicate)
    return process
