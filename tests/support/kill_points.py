"""The points at which a forked command kills itself, by SIGKILL, in the middle of its work.

The name of a function here is the name of the point.
"""

import json
import os
import re
import resource
import signal
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from itertools import count
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any, NoReturn
from wsgiref.simple_server import make_server

from sqlalchemy import Connection, Engine, event

from guestbook.background import whole_pass
from guestbook.inbound import event_actions, event_processor, verify_and_decide
from guestbook.lib import clock, http_server, ids
from guestbook.outbound import delivery_dispatcher, pause_and_disable
from guestbook.outbound.attempt_recorder import Tally
from guestbook.outbound.delivery_dispatcher import Dispatcher
from guestbook.outbound.worker_pool import WorkerPool
from guestbook.queue import claims
from guestbook.storage import backup, database_errors, engines, restore, row_changes, sqlite_file, table_copy
from guestbook.storage.database_errors import Fault
from guestbook.storage.models import DELIVERIES

CHANGE_OF_TABLES = re.compile(r"\s*(CREATE|ALTER|DROP|(INSERT INTO|UPDATE) alembic_version)\b")
WRITE = re.compile(r"\s*(CREATE|DROP|INSERT|UPDATE|DELETE|LOCK)\b")
BATCH = 5  # rows that a prune removes at once here


def die() -> NoReturn:
    """Be gone, with nothing flushed, closed or rolled back."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("nobody survives SIGKILL")


def die_after(owner: Any, name: str, when: Callable[..., object]) -> None:
    """Die after a call of that function of which this is true: of its result, and its arguments."""
    real = getattr(owner, name)

    def call(*values: Any, **options: Any) -> Any:
        result = real(*values, **options)
        return die() if when(result, *values) else result

    setattr(owner, name, call)


def die_after_statement(when: Callable[[Connection, str], object]) -> None:
    """Die after a statement of which this is true."""

    def look(connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        if when(connection, statement):
            die()

    event.listen(Engine, "after_cursor_execute", look)


def before_claim_commits() -> None:
    """Die when the rows are signed and nothing is committed."""
    die_after(claims, "lease", lambda leased, *_: leased)


def after_claim() -> None:
    """Die when the claim is committed and no thread has it yet."""
    load = WorkerPool.load

    def die_with_work(self: Any, key: str, tasks: Iterable[Any], *more: Any) -> None:
        if work := list(tasks):
            die()
        load(self, key, work, *more)

    WorkerPool.load = die_with_work  # type: ignore[method-assign]  # in this process alone


def after_post() -> None:
    """Die when the receiver has answered and no transaction has begun to say so."""
    die_after(WorkerPool, "collect", lambda outcomes, _: any(one.started_at for one in outcomes))


def inside_acknowledgement() -> None:
    """Die when the delivery and its attempt are written in the transaction, before the webhook's health."""
    pause_and_disable.record_health = lambda *_: die()


def after_acknowledgement() -> None:
    """Die right after the acknowledgement's commit."""
    die_after(Tally, "add", lambda _, _tally, other: other.processed)


def between_batches_of_prune() -> None:
    """Die when the first bite is committed."""

    class Clock:
        monotonic = staticmethod(whole_pass.time.monotonic)
        sleep = staticmethod(lambda _seconds: die())

    row_changes.BATCH_SIZE = BATCH
    whole_pass.time = Clock  # type: ignore[assignment]  # in this process alone


def inside_prune() -> None:
    """Die when a bite's rows are deleted in the transaction."""
    row_changes.BATCH_SIZE = BATCH
    die_after_statement(lambda _, statement: statement.startswith("DELETE FROM deliveries"))


def after_inbox_claim() -> None:
    """Die when a batch of the inbox is leased and nothing is judged yet."""
    verify_and_decide.decide = lambda *_, **__: die()  # type: ignore[assignment]  # in this process alone


def inside_inbox_action() -> None:
    """Die when the comment is written in the transaction, and its event is not finished."""
    die_after(event_actions, "write_comment", lambda *_: True)


def over_poison() -> None:
    """Die over one event, as a process does that runs out of memory."""
    deciding = verify_and_decide.decide

    def decide_or_die(event: Any, *values: Any, **options: Any) -> Any:
        return die() if b"poison" in event.body else deciding(event, *values, **options)

    verify_and_decide.decide = decide_or_die


def inside_backup() -> None:
    """Die when the backup is written and has not been read again."""
    backup.verify = lambda *_: die()


def inside_copy() -> None:
    """Die when the second portion of deliveries is written in the transaction of migrate-to."""
    second = (portion == 2 for portion in count(1))
    die_after(table_copy, "_insert", lambda _, _on, table, *__: table.name == "deliveries" and next(second))


def inside_upgrade() -> None:
    """Die after so many changes of the tables or the version, as GUESTBOOK_TEST_CHANGES has it."""
    changes, most = count(1), int(os.environ["GUESTBOOK_TEST_CHANGES"])

    def is_last(connection: Connection, statement: str) -> bool:
        is_backup = backup.UNFINISHED in str(connection.engine.url.database)
        return bool(CHANGE_OF_TABLES.match(statement)) and not is_backup and next(changes) >= most

    die_after_statement(is_last)


def inside_exchange() -> None:
    """Die when the damaged file has its second name, and is still at its path."""
    die_after(sqlite_file, "_keep", lambda *_: True)


def inside_restore() -> None:
    """Die after so many statements that write to the book, as GUESTBOOK_TEST_CHANGES has it.

    With 0 die right before the last commit.
    """
    writes, most = count(1), int(os.environ["GUESTBOOK_TEST_CHANGES"])

    def is_book(connection: Connection) -> bool:
        name = str(connection.engine.url.database)
        return restore.STAGING_FOLDER not in name and backup.UNFINISHED not in name

    def die_before_commit(connection: Connection) -> None:
        if is_book(connection) and list(Path(os.environ["GUESTBOOK_DATA_DIR"]).glob("backups/*.db")):
            die()

    if most:
        die_after_statement(lambda at, sql: WRITE.match(sql) and is_book(at) and next(writes) == most)
    else:
        event.listen(Engine, "commit", die_before_commit)


CALLS = {
    *("open", "write", "flush", "fsync", "rename", "replace", "unlink", "mkdir", "rmdir", "flock", "close"),
    *("connect", "send", "sendall", "recv", "recv_into"),
    *("execute", "executemany", "executescript", "commit", "rollback", "backup"),
}


def at_a_call() -> None:
    """Die at a call that concerns a file, a socket or a database, as GUESTBOOK_TEST_CALL has it.

    Its two words are a number and seconds: die so long after so many begins and ends of such calls. Who comes
    to an end writes their number to stderr. GUESTBOOK_TEST_TWIN names a function here that plants a defect.
    """
    words = os.environ["GUESTBOOK_TEST_CALL"].split()
    wanted, delay, moments, end = int(words[0]), float(words[1]), count(1), os._exit

    def look(frame: FrameType, what: str, called: Any) -> None:
        code = frame.f_code
        if what.startswith("c_"):
            name = "" if isinstance(called.__self__, str) else called.__name__
        else:  # Its own C code makes no such events.
            name = code.co_name if "psycopg" in code.co_filename else ""
        if name in CALLS and next(moments) == wanted:
            if not delay:
                die()
            threading.Timer(delay, die).start()

    def tell_and_end(code: int) -> NoReturn:
        os.write(2, f"\n{next(moments) - 1}".encode())
        end(code)

    if twin := os.environ.get("GUESTBOOK_TEST_TWIN"):
        globals()[twin]()
    # The tokens of all leases shall name the process.
    names = SimpleNamespace(new=lambda: f"{os.getpid()}.{ids.new()}")
    consumer = sys.modules.get("guestbook.background.celery.delivery_consumer")
    for module in filter(None, (delivery_dispatcher, event_processor, consumer)):
        vars(module)["ids"] = names
    os._exit = tell_and_end
    threading.setprofile(look)
    sys.setprofile(look)


def recorded_first() -> None:
    """Call a delivery processed when it is claimed, before its request."""
    lease = claims.lease

    def lease_and_finish(connection: Any, table: Any, *values: Any, **terms: Any) -> set[str]:
        leased = lease(connection, table, *values, **terms)
        if table is DELIVERIES and leased:
            claims.finish(connection, table, leased, "processed", finished_at=terms["now"])
        return leased

    claims.lease = lease_and_finish


def without_lease() -> None:
    """Let what was claimed be due at once, as if nobody had it."""
    lease = claims.lease
    claims.lease = lambda *values, **terms: lease(*values, **terms | {"until": terms["now"]})


def without_order() -> None:
    """Claim a delivery while an earlier one about its comment waits."""
    claims.ONLY_NEXT = ""


def measured() -> None:
    """Do not die, but write to stdout at the end what memory and claims have cost."""
    begin, claim, tidy = Dispatcher.__init__, Dispatcher.claim, whole_pass.prune
    at_start: list[float] = []
    costs: list[float] = []  # milliseconds a row, claim by claim

    def begin_measured(self: Dispatcher, *values: Any, **options: Any) -> None:
        begin(self, *values, **options)
        at_start.append(_memory("VmRSS"))

    def claim_measured(self: Dispatcher, connection: Connection) -> Any:
        began = time.thread_time()  # SQLite works in this thread
        claimed = claim(self, connection)
        if rows := sum(len(tasks) for _, tasks, *_ in claimed):
            costs.append((time.thread_time() - began) * 1000 / rows)
        return claimed

    def tidy_and_tell(*values: Any, **options: Any) -> int:
        fifth = len(costs) // 5
        early, late = statistics.median(costs[:fifth]), statistics.median(costs[-fifth:])
        print(json.dumps({"grown": _memory("VmHWM") - at_start[0], "early": early, "late": late}))
        return tidy(*values, **options)

    Dispatcher.__init__ = begin_measured  # type: ignore[method-assign]  # in this process alone
    Dispatcher.claim = claim_measured  # type: ignore[method-assign]  # in this process alone
    whole_pass.prune = tidy_and_tell


def without_threads() -> None:
    """Do not die, but serve one request after the other, where no thread can be started."""

    def start(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    def listening(app: Any, *, listen: str, **_: Any) -> tuple[Any, str]:
        server: Any = make_server("127.0.0.1", int(listen.rpartition(":")[2]), app)
        server.run = server.serve_forever
        return server, listen

    threading.Thread.start = start  # type: ignore[method-assign]  # in this process alone
    http_server.listening = listening


def by_another_user() -> None:
    """Run as the user of GUESTBOOK_TEST_USER."""
    home = Path(os.environ["HOME"])  # where the command writes down its name
    for path in (home, *home.iterdir()):
        path.chmod(0o777)
    os.setgid(int(os.environ["GUESTBOOK_TEST_USER"]))
    os.setuid(int(os.environ["GUESTBOOK_TEST_USER"]))


def limited() -> None:
    """Run where the host limits files, memory or threads, as GUESTBOOK_TEST_LIMIT has it: `files 40`."""
    kind, number = os.environ["GUESTBOOK_TEST_LIMIT"].split()
    limits = {"files": resource.RLIMIT_NOFILE, "memory": resource.RLIMIT_AS, "threads": resource.RLIMIT_NPROC}
    if kind == "threads":  # root has as many as it likes, and other processes of one's own count too
        by_another_user()
    resource.setrlimit(limits[kind], (int(number), int(number)))


APART = timedelta(seconds=30)


def clock_ahead() -> None:
    """Run on a machine whose clock is ahead."""
    now = clock.now
    clock.now = lambda: now() + APART


def clock_behind() -> None:
    """Run on a machine whose clock is behind."""
    now = clock.now
    clock.now = lambda: now() - APART


def small_batches() -> None:
    """Take so few inbound events at a time that each of four machines comes to some of a small number."""
    event_processor.BATCH = 5


def _memory(line: str) -> float:
    """Return the MB of `VmRSS`, in use now, or `VmHWM`, the most that was ever in use."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{line}:")[2].split()[0]) / 1024


def without_limit_on_silence() -> None:
    """Wait for a server that freezes as long as it takes."""
    engines.limit_silence = lambda *_: None


def without_fault_away() -> None:
    """Take each error of a server for a fault of the program."""
    database_errors.fault_of = lambda _error: Fault.BROKEN
