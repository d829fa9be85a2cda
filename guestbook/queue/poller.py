"""Look for work without writing: is anything due, has anybody written, when is something due next?"""

import logging
import math
import sqlite3
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from select import POLLIN, poll
from typing import Any

from sqlalchemy import Connection, Engine, Row, select
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from guestbook.lib import clock
from guestbook.lib.current_process import StopFlag
from guestbook.lib.rate_counters import SHORT_SLOT_WAIT
from guestbook.lib.wakeup_socket import WakeupSocket
from guestbook.storage import database, engines, plain_sql, sqlite_file
from guestbook.storage.models import FIRST_DUE, FIRST_INBOUND_DUE, Source, Webhook
from guestbook.storage.models.delivery import LONGEST_SLOT_WAIT

# Seconds between two looks of a pass that waits. On SQLite one costs some microseconds until somebody has
# written, but milliseconds where a core has to wake up for it; on a server it is a query over the network.
SQLITE_POLL, SERVER_POLL = 0.25, 0.5
LONGEST_REST = 5.0  # After so many seconds a pass on a file looks anyhow, also for another host over it.
STOP_LOOK = 0.25  # seconds between two looks whether to stop
log = logging.getLogger(__name__)


class Poller:
    """A connection that only reads. Use it as a context manager.

    It looks at no webhook whose id is in `but`. With `wakes` it can be woken while it rests. When a server
    has ended the connection, or it is old, the next look takes another one.
    """

    def __init__(self, engine: Engine, *, but: Collection[str] = (), wakes: bool = False) -> None:
        self._engine = engine
        self._but = but
        self._wakes = wakes
        self._wakeups: Wakeups | None = None
        self._is_file = engine.dialect.name == "sqlite"
        self._connect()
        self._version = self._mark = self.version()
        self._due: datetime | None = None  # The last look returned this.
        self._next_slot: datetime | None = None  # Only rate limits hold these back.

    def __enter__(self) -> "Poller":
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        # A frozen server would not answer ROLLBACK. There is no connection if none could be made anew.
        if isinstance(error, DBAPIError) and not (self._is_file or self.connection.closed):
            self.connection.invalidate()
        self._close()

    def anything_due(self, now: datetime) -> bool:
        """Whether a delivery is due to a webhook that may be sent to."""
        next_due = self.next_due(now)
        return next_due is not None and next_due <= now

    def next_due(self, now: datetime | None = None) -> datetime | None:
        """Return when the next delivery may be sent, or None when none waits."""
        rows = [row for row in self._look() if row.due_at and row.id not in self._but]
        now = now or clock.now()
        latest = now + LONGEST_SLOT_WAIT  # A later slot is from a clock jump.
        slots = (row.next_slot_at if (row.next_slot_at or now) <= latest else None for row in rows)
        dues = (max(row.due_at, row.paused_until or row.due_at) for row in rows)
        waiting = list(zip(dues, slots, strict=True))
        self._next_slot = min((slot for due, slot in waiting if slot and due <= now < slot), default=None)
        self._due = min((max(due, slot or due) for due, slot in waiting), default=None)
        return self._due

    def slot_opens_soon(self) -> bool:
        """Whether, at the last look, a rate limit alone held back a delivery, and for a short time."""
        soon = clock.now() + timedelta(seconds=SHORT_SLOT_WAIT)
        return self._next_slot is not None and self._next_slot <= soon

    def mark(self) -> None:
        """Remember the state of the SQLite file now, after a write of our own."""
        self._mark = self.version()

    def others_wrote(self) -> bool:
        """Whether somebody else has written to the SQLite file since `mark`; always False on a server."""
        return bool(self.version() != self._mark)

    def rest(
        self,
        until: float,
        stop: StopFlag,
        *,
        other_due: Callable[[], datetime | None] = lambda: None,
        ends: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Wait until something may be due, until that moment of the monotonic clock, or until stop is set.

        Call `next_due` before. `other_due` says when other work is due, and `ends` whether to wait no longer.
        Return whether somebody woke us: then there is something to do, and a look would only take time.
        """
        interval, stop_look = self._intervals(stop)
        now, wake = time.monotonic(), self._moment(other_due())
        look_at = now + interval
        until = min(until, now + LONGEST_REST) if self._is_file else until
        while now < min(wake, until) and not stop.is_set() and not ends():
            seconds = min(wake, until, look_at, now + stop_look) - now
            if self._wakeups is None:
                stop.wait(seconds)
            elif self._wakeups.wait(seconds):
                return True
            now = time.monotonic()
            if look_at <= now < wake:
                if not self._is_file or self.version() != self._version:
                    self.next_due()
                    wake = self._moment(other_due())
                look_at = time.monotonic() + interval
        return False

    def _intervals(self, stop: StopFlag) -> tuple[float, float]:
        """Return the seconds between two looks for work, and between two looks whether to stop."""
        socket = self._wakeups.socket if self._wakeups and self._is_file else None
        if not socket:
            return SQLITE_POLL if self._is_file else SERVER_POLL, STOP_LOOK
        stop.wake = socket.wake_own  # A signal wakes us as those do who write to the file.
        return LONGEST_REST, LONGEST_REST

    def _connect(self) -> None:
        self.connection, self._connected_at = self._engine.connect(), time.monotonic()
        if self._wakes:
            self._wakeups = Wakeups(self.connection)

    def _close(self) -> None:
        if self._wakeups:
            self._wakeups.close()
        self._wakeups = None
        self.connection.close()

    def _look(self) -> Sequence[Row[Any]]:
        """Read what waits, if need be over a new connection. That may take as long as a write is retried."""
        if not self._is_file and time.monotonic() - self._connected_at >= engines.RENEW_AFTER:
            return database.repeat(self._look_anew)
        try:
            return self._read_waiting()
        except DBAPIError as error:
            if self._is_file or not database.is_away(error):
                raise
            log.info("The database has ended a connection, so another one is made.")
        return database.repeat(self._look_anew)

    def _look_anew(self) -> Sequence[Row[Any]]:
        with suppress(SQLAlchemyError):  # It may be closed already.
            self.connection.invalidate()
            self._close()
        self._connect()
        return self._read_waiting()

    def _read_waiting(self) -> Sequence[Row[Any]]:
        if self._wakeups:
            self._wakeups.drain()
        self._version = self.version()
        rows = self.connection.execute(_WAITING).all()
        self.connection.commit()  # It wrote nothing, as in `database.read`.
        return rows

    def _moment(self, other_due: datetime | None) -> float:
        """Return when the next work is due, on the monotonic clock."""
        due = min(filter(None, (self._due, other_due)), default=None)
        return math.inf if due is None else time.monotonic() + (due - clock.now()) / timedelta(seconds=1)

    def version(self) -> Any:
        """Return SQLite's number that changes when another connection commits; 0 on a server."""
        return self._ask_file("PRAGMA data_version")[0]

    def newest_from_visitors(self) -> Any:
        """Return what names the newest comment and inbound webhook in a SQLite file; on a server a constant.

        A comment that a pass makes of an inbound webhook counts too.
        """
        return self._ask_file(_NEWEST)

    def _ask_file(self, question: str) -> Any:
        """Return the row that answers, past SQLAlchemy, which would take longer; on a server a zero."""
        if not self._is_file:
            return (0,)
        raw = plain_sql.sqlite_connection(self.connection)
        try:
            sqlite_file.check(self.connection.info)
            return raw.execute(question).fetchone()
        except sqlite3.Error as error:  # SQLAlchemy would raise it like this.
            raise OperationalError(question, None, error) from error


def next_inbound_due(engine: Engine) -> datetime | None:
    """Return when something of an enabled source is due, or comes due as its lease ends."""
    dues = database.read_with_retry(engine, lambda connection: connection.scalars(_INBOUND_WAITING).all())
    return min(filter(None, dues), default=None)


_WAITING = select(Webhook.id, FIRST_DUE.label("due_at"), Webhook.paused_until, Webhook.next_slot_at)
_WAITING = _WAITING.where(Webhook.sends())
_INBOUND_WAITING = select(FIRST_INBOUND_DUE).where(Source.disabled_at.is_(None))
# Not by id: one of a clock that ran ahead would hide all that follow.
_NEWEST = "SELECT (SELECT max(rowid) FROM comments), (SELECT max(rowid) FROM inbound_events)"


class Wakeups:
    """The wake-ups for one pass. Between its looks the connection must have no transaction open."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._listening: Any = None  # This is the driver's connection, if it is psycopg's.
        self._heard = False  # A NOTIFY came while the connection was in use.
        self._poll = poll()
        if connection.dialect.name == "postgresql":
            self._listen()
        self.socket: WakeupSocket | None = None
        folder = database.wakeup_folder(connection)
        with suppress(OSError):
            self.socket = WakeupSocket(folder) if folder else None
        if self.socket:
            self._poll.register(self.socket, POLLIN)

    def wait(self, seconds: float) -> bool:
        """Wait for a wake-up, for so many seconds at most; return whether one has come."""
        return self._heard or bool(self._poll.poll(max(0.0, seconds) * 1000))

    def drain(self) -> None:
        """Forget the wake-ups so far: a look that follows sees what they announced."""
        if self.socket:
            self.socket.drain()
        if raw := self._listening:
            try:
                raw.pgconn.consume_input()
                while raw.pgconn.notifies():
                    pass
            except raw.OperationalError as error:
                raise OperationalError(f"LISTEN {database.CHANNEL}", None, error) from error
        self._heard = False

    def close(self) -> None:
        """Let nobody wake us any more."""
        if self.socket:
            self.socket.close()
        if self._listening and not self._connection.invalidated:
            self._listening.remove_notify_handler(self._hear)
            with suppress(SQLAlchemyError):  # A lost connection has no LISTEN any more.
                self._connection.exec_driver_sql(f"UNLISTEN {database.CHANNEL}")
                self._connection.commit()

    def _listen(self) -> None:
        self._connection.exec_driver_sql(f"LISTEN {database.CHANNEL}")
        self._connection.commit()
        self._listening = self._connection.connection.dbapi_connection
        self._listening.add_notify_handler(self._hear)
        self._poll.register(self._listening, POLLIN)

    def _hear(self, _notify: Any) -> None:
        self._heard = True
