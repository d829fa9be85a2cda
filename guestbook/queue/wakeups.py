"""What ends a pass's wait at once: its socket in the data folder, and on PostgreSQL other hosts' NOTIFY."""

import select
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from guestbook.lib.wakeup_socket import WakeupSocket
from guestbook.storage import new_work


class Wakeups:
    """The wake-ups for one pass. Between its looks the connection must have no transaction open."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._listening: Any = None  # the driver's connection, if it is psycopg's
        self._heard = False  # a NOTIFY came while the connection was in use
        self._poll = select.poll()
        if connection.dialect.name == "postgresql":
            self._listen()
        self._socket = _socket_for(connection)
        if self._socket:
            self._poll.register(self._socket, select.POLLIN)

    @property
    def can_come(self) -> bool:
        """Whether anybody could wake us."""
        return self._listening is not None or self._socket is not None

    def wait(self, seconds: float) -> bool:
        """Wait for a wake-up, for so many seconds at most; return whether one has come."""
        return self._heard or bool(self._poll.poll(max(0.0, seconds) * 1000))

    def drain(self) -> None:
        """Forget the wake-ups so far: a look that follows sees what they announced."""
        if self._socket:
            self._socket.drain()
        if raw := self._listening:
            try:
                raw.pgconn.consume_input()
                while raw.pgconn.notifies():
                    pass
            except raw.OperationalError as error:
                raise OperationalError(f"LISTEN {new_work.CHANNEL}", None, error) from error
        self._heard = False

    def close(self) -> None:
        """Let nobody wake us any more."""
        if self._socket:
            self._socket.close()
        if self._listening:
            self._listening.remove_notify_handler(self._hear)
            with suppress(SQLAlchemyError):  # the connection is lost, and its LISTEN with it
                self._connection.exec_driver_sql(f"UNLISTEN {new_work.CHANNEL}")
                self._connection.commit()

    def _listen(self) -> None:
        self._connection.exec_driver_sql(f"LISTEN {new_work.CHANNEL}")
        self._connection.commit()
        self._listening = self._connection.connection.dbapi_connection
        self._listening.add_notify_handler(self._hear)
        self._poll.register(self._listening, select.POLLIN)

    def _hear(self, _notify: Any) -> None:
        self._heard = True


def _socket_for(connection: Connection) -> WakeupSocket | None:
    folder = new_work.folder_of(connection)
    with suppress(OSError):
        return WakeupSocket(folder) if folder else None
    return None
