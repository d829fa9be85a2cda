"""Announce new work after the commit, so that a waiting pass starts it at once.

    transaction: store a delivery, note(connection) ── commit ──▶ announce ──▶ sockets in the data folder
                            └─ PostgreSQL, if nobody waits on this host ──▶ NOTIFY, sent by the commit

A pass that hears nothing looks by itself now and then, so nothing depends on this.
"""

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine

from guestbook.lib import wakeup_socket

CHANNEL = "guestbook_new_work"  # the channel of LISTEN and NOTIFY
NOTED = "has_new_work"  # a key in the `info` of a connection
LOOKED = "has_looked_who_waits"  # another: the NOTIFY is sent, if there must be one
WAKEUP_FOLDER = "guestbook_data_dir"  # a key among the execution options of an engine


def use_folder(engine: Engine, folder: Path) -> None:
    """Let passes with the same data folder be woken by what this engine stores."""
    engine.update_execution_options(**{WAKEUP_FOLDER: folder})


def folder_of(bind: Engine | Connection) -> Path | None:
    """Return the data folder in which passes wait; None if the engine has none."""
    folder: Path | None = bind.get_execution_options().get(WAKEUP_FOLDER)
    return folder


def note(connection: Connection) -> None:
    """Note that this transaction stores something that may be due at once."""
    connection.info[NOTED] = True
    if connection.dialect.name != "postgresql" or LOOKED in connection.info:
        return
    if not connection.in_nested_transaction():  # with a savepoint its NOTIFY may be rolled back
        connection.info[LOOKED] = True
    folder = folder_of(connection)
    # A NOTIFY makes commits wait for each other, so it is kept for passes on other hosts.
    if folder is None or not wakeup_socket.somebody_waits(folder):
        connection.exec_driver_sql(f"NOTIFY {CHANNEL}")


def begin(info: dict[Any, Any]) -> None:
    """Forget what an earlier transaction of the connection noted and did not commit."""
    info.pop(NOTED, None)
    info.pop(LOOKED, None)


def announce(bind: Engine | Connection, info: dict[Any, Any]) -> None:
    """Wake the passes of this host if the transaction, which is committed, has noted new work."""
    folder = folder_of(bind)
    if info.pop(NOTED, False) and folder is not None:
        wakeup_socket.send(folder)
