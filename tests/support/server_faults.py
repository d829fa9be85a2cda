"""The ways in which a server fails, each a block: it is entered when the fault begins and left when it ends.

Each block gives a function that is to be called over and over meanwhile.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from random import Random
from signal import SIGCONT, SIGSTOP
from typing import Any

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from tests.support.rabbitmq import Node
from tests.support.servers import OwnServer
from tests.support.small_disk import SmallDisk

LONGEST_HALT = 0.3  # seconds
ALL = {
    "postgresql": "SELECT pid FROM pg_stat_activity WHERE datname = 'book'",
    "mariadb": "SELECT id FROM information_schema.processlist WHERE db = 'book'",
}
ITSELF = {"postgresql": "SELECT pg_backend_pid()", "mariadb": "SELECT connection_id()"}
END = {"postgresql": "SELECT pg_terminate_backend({})", "mariadb": "KILL {}"}
INTERRUPT = {"postgresql": "SELECT pg_cancel_backend({})", "mariadb": "KILL QUERY {}"}
Step = Callable[[], object]


@contextmanager
def killed(server: OwnServer | Node) -> Iterator[Step]:
    """It loses all that is not on the disk, and comes back."""
    server.kill()
    try:
        yield list
    finally:
        server.start()


@contextmanager
def stopped(server: OwnServer) -> Iterator[Step]:
    """An administrator stops it and starts it again."""
    server.stop()
    try:
        yield list
    finally:
        server.start()


@contextmanager
def frozen(server: OwnServer | Node) -> Iterator[Step]:
    """It accepts connections and says nothing."""
    server.signal_all(SIGSTOP)
    try:
        yield list
    finally:
        server.signal_all(SIGCONT)


@contextmanager
def halting(server: OwnServer, luck: Random) -> Iterator[Step]:
    """It halts for moments."""

    def halt() -> None:
        with frozen(server):
            time.sleep(luck.uniform(0, LONGEST_HALT))

    yield halt


@contextmanager
def full(server: OwnServer, disk: SmallDisk) -> Iterator[Step]:
    """Its disk has no room; it may end, and is started again."""
    disk.fill()
    try:
        yield list
    finally:
        disk.free()
        server.start()


@contextmanager
def ending_connections(server: OwnServer, luck: Random) -> Iterator[Step]:
    """It ends connections, or what they do just now."""

    def end() -> None:
        with _connected(server, "AUTOCOMMIT") as connection:
            for number in _others(connection, server.mode):
                if luck.random() < 0.5:
                    _run(connection, luck.choice((END, INTERRUPT))[server.mode].format(number))

    yield end


@contextmanager
def taking_connections(server: OwnServer) -> Iterator[Step]:
    """Others take all its connections, and those of the book end."""
    taken: dict[int, Connection] = {}
    engine = create_engine(server.url, poolclass=NullPool, isolation_level="AUTOCOMMIT")

    def take() -> None:
        with suppress(DBAPIError):  # There is none left.
            while True:
                one = engine.connect()
                taken[one.scalar(text(ITSELF[server.mode])) or 0] = one
        first = next(iter(taken.values()), None)
        for number in _others(first, server.mode) - taken.keys() if first else ():
            _run(first, END[server.mode].format(number))

    try:
        yield take
    finally:
        for one in taken.values():
            one.close()


@contextmanager
def held(server: OwnServer, level: str, *statements: str) -> Iterator[Step]:
    """Somebody has done this in a transaction and lets it stay open."""
    with _connected(server, level) as connection:
        for one in statements:
            connection.execute(text(one)).all()
        yield list


@contextmanager
def _connected(server: OwnServer, level: str) -> Iterator[Connection]:
    engine = create_engine(server.url, poolclass=NullPool, isolation_level=level)  # type: ignore[arg-type]  # a name of a level
    with engine.connect() as connection:
        yield connection


def _others(connection: Connection, mode: str) -> set[int]:
    numbers = set(connection.scalars(text(ALL[mode])))
    return numbers - {connection.scalar(text(ITSELF[mode]))}


def _run(connection: Connection, statement: Any) -> None:
    with suppress(DBAPIError):  # That connection has ended.
        connection.execute(text(statement))


READ = "SELECT count(*) FROM deliveries"
LOCK_WEBHOOK = "SELECT id FROM webhooks LIMIT 1 FOR UPDATE"
LOCK_DUE = "SELECT id FROM deliveries WHERE status = 'new' LIMIT 50 FOR UPDATE"
LOCK_COUNTS = "SELECT webhook_id FROM attempt_counts FOR UPDATE"  # Each record of an attempt changes one.
Fault = Callable[[Any, SmallDisk, Random], AbstractContextManager[Step]]
FAULTS: dict[str, tuple[float, Fault]] = {  # with their seconds
    "killed": (4, lambda server, *_: killed(server)),
    "frozen": (75, lambda server, *_: frozen(server)),
    "halting": (10, lambda server, _, luck: halting(server, luck)),
    "restarted": (3, lambda server, *_: stopped(server)),
    "disk full": (25, lambda server, disk, _: full(server, disk)),
    "connections ended": (10, lambda server, _, luck: ending_connections(server, luck)),
    "no connection left": (15, lambda server, *_: taking_connections(server)),
    "long reader": (20, lambda server, *_: held(server, "REPEATABLE READ", READ)),
    "webhook locked": (20, lambda server, *_: held(server, "READ COMMITTED", LOCK_WEBHOOK, LOCK_DUE)),
    "counts locked": (125, lambda server, *_: held(server, "READ COMMITTED", LOCK_COUNTS)),
}
OF_BROKER = ("killed", "frozen", "halting")
# By the point of kill_points.py at which the program is changed: what fails, for how many seconds, and the
# begin of what must come of it.
TWINS: dict[str, tuple[str, str, float, str]] = {
    "without_limit_on_silence": ("postgresql", "frozen", 140, "a pass ended with"),
    "without_fault_away": ("postgresql", "killed", 4, "a pass ended with 1"),
}
