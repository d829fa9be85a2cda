"""Look for work without writing: is anything due, has anybody written, when is something due next?"""

import sqlite3
import time
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.exc import OperationalError

from guestbook.lib import clock
from guestbook.lib.sliding_log import SHORT_SLOT_WAIT
from guestbook.lib.stop_flag import StopFlag
from guestbook.storage import file_identity
from guestbook.storage.models import FIRST_DUE, FIRST_INBOUND_DUE, Source, Webhook
from guestbook.storage.models.webhook import LONGEST_SLOT_WAIT

SQLITE_POLL = 0.005  # seconds; one look at the file's data_version costs some microseconds
SERVER_POLL = 0.1  # seconds; one look is a query over the network


class Poller:
    """A connection that only reads. Use it as a context manager.

    It looks at no webhook whose id is in `but`.
    """

    def __init__(self, engine: Engine, *, but: Collection[str] = ()) -> None:
        self.connection = engine.connect()
        self._but = but
        self._is_file = engine.dialect.name == "sqlite"
        self._version = self._mark = self.version()
        self._next_slot: datetime | None = None  # of webhooks that only their rate limit holds back

    def __enter__(self) -> "Poller":
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def anything_due(self, now: datetime) -> bool:
        """Whether a delivery is due to a webhook that may be sent to."""
        next_due = self.next_due(now)
        return next_due is not None and next_due <= now

    def next_due(self, now: datetime | None = None) -> datetime | None:
        """Return when the next delivery may be sent, or None when none waits."""
        self._version = self.version()
        rows = self.connection.execute(_WAITING).all()
        self.connection.rollback()
        now = now or clock.now()
        waiting = [
            (max(row.due_at, row.paused_until or row.due_at), _slot(row, now))
            for row in rows
            if row.due_at and row.id not in self._but
        ]
        self._next_slot = min((slot for due, slot in waiting if slot and due <= now < slot), default=None)
        return min((max(due, slot or due) for due, slot in waiting), default=None)

    def slot_opens_soon(self) -> bool:
        """Whether, at the last look, a rate limit alone held back a delivery, and for a short time."""
        return self._next_slot is not None and self._next_slot <= clock.now() + timedelta(
            seconds=SHORT_SLOT_WAIT
        )

    def mark(self) -> None:
        """Remember the state of the SQLite file now, after a write of our own."""
        self._mark = self.version()

    def others_wrote(self) -> bool:
        """Whether somebody else has written to the SQLite file since `mark`; always False on a server."""
        return bool(self.version() != self._mark)

    def rest(
        self, until: float, stop: StopFlag, *, since: Any = None, wake_at: datetime | None = None
    ) -> None:
        """Wait until something may be due, until that moment of the monotonic clock, or until stop is set.

        On SQLite it also ends when somebody has written since that `version`. `wake_at` is when other work is
        due.
        """
        now = clock.now()
        moments = [moment for moment in (self.next_due(), wake_at) if moment]
        next_due = min(moments, default=None)
        seen = self._version if since is None else since
        wake = until if next_due is None else time.monotonic() + (next_due - now) / timedelta(seconds=1)
        if self._is_file:
            while time.monotonic() < min(wake, until) and not stop.wait(SQLITE_POLL):
                if self.version() != seen:
                    return
        else:
            stop.wait(max(0.0, min(wake - time.monotonic(), until - time.monotonic(), SERVER_POLL)))

    def version(self) -> Any:
        """Return SQLite's number that changes when another connection commits; 0 on a server."""
        if not self._is_file:
            return 0
        raw: Any = self.connection.connection.dbapi_connection
        try:
            file_identity.check(self.connection.info)
            return raw.execute("PRAGMA data_version").fetchone()[0]
        except sqlite3.Error as error:  # as SQLAlchemy, which this goes past, would raise it
            raise OperationalError("PRAGMA data_version", None, error) from error


def next_inbound_due(engine: Engine) -> datetime | None:
    """Return when something of an enabled source is due, or comes due as its lease ends."""
    query = select(FIRST_INBOUND_DUE).where(Source.disabled_at.is_(None))
    with engine.connect() as connection:
        return min((due for due in connection.scalars(query) if due), default=None)


def _slot(row: Any, now: datetime) -> datetime | None:
    """Return when the webhook's rate limit has room again. A moment that is too late is from a clock jump."""
    return row.next_slot_at if row.next_slot_at and row.next_slot_at <= now + LONGEST_SLOT_WAIT else None


_WAITING = select(Webhook.id, FIRST_DUE.label("due_at"), Webhook.paused_until, Webhook.next_slot_at).where(
    Webhook.sends()
)
