"""A connection to PostgreSQL or MariaDB: its limits, and when each side takes the other for lost."""

import logging
import socket
from contextlib import closing, suppress
from typing import Any

CONNECT_WAIT = 10  # seconds for a new connection
# A server's own clock, in seconds since 1970, whatever the clocks of its clients say.
SECONDS_BY_SERVER = {
    "postgresql": "extract(epoch FROM clock_timestamp())",
    "mysql": "unix_timestamp(sysdate(6))",
    "mariadb": "unix_timestamp(sysdate(6))",
}
RAISING_LOGGERS = ("sqlalchemy.pool", "psycopg")  # they log a lost connection besides raising it
# Since MariaDB 11.6.2 a row that changed while a statement waited for it is error 1020. We read it then: all
# that must not change is locked. Older servers see a comment here.
READ_NEWEST = "/*M!110602 , innodb_snapshot_isolation = OFF */"
RENEW_AFTER = 300  # seconds; after a failover an old connection may lead to a server that only reads
SILENCE = 30  # seconds without a sign of life, after which each side takes the other for lost


def options(url: str) -> dict[str, Any]:
    """Return the keywords of `create_engine`."""
    connect_args: dict[str, Any] = {"connect_timeout": CONNECT_WAIT}
    more: dict[str, Any] = {}
    if url.partition(":")[0].endswith("pymysql"):
        connect_args["charset"] = "utf8mb4"
    else:  # libpq's words for what _notice_silence does
        connect_args |= {f"keepalives_{name}": value for name, value in _probes().items()}
        connect_args["tcp_user_timeout"] = SILENCE * 1000
        more["use_native_hstore"] = False  # or each process looks for a type that no column has
    # MariaDB's default takes gap locks, under which even an empty claim blocks the visitor's INSERT.
    more |= {"pool_pre_ping": True, "pool_recycle": RENEW_AFTER}
    return {"isolation_level": "READ COMMITTED", "connect_args": connect_args} | more


def silence_raising_loggers() -> None:
    """Let libraries log no traceback of a lost connection, unless somebody has chosen their level."""
    for logger in map(logging.getLogger, RAISING_LOGGERS):
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.CRITICAL)


def set_limits(raw: Any, *, is_postgresql: bool, may_idle: bool, lock_wait: int) -> None:
    """Set on a new connection what no URL can: the server ends idle transactions, which frees their locks.

    So it does with statements that wait longer than `lock_wait` seconds for a lock, unless that is 0. In the
    middle of a statement PostgreSQL waits for the rest of it, but not for a host that TCP finds gone.
    """
    idle = 0 if may_idle else SILENCE
    with closing(raw.cursor()) as cursor:
        cursor.execute(_of_postgresql(idle, lock_wait) if is_postgresql else _of_mariadb(idle, lock_wait))
    raw.commit()
    if isinstance(own := getattr(raw, "_sock", None), socket.socket):  # PyMySQL's
        _notice_silence(own)


def _of_postgresql(idle: int, lock_wait: int) -> str:
    values = {"idle_in_transaction_session_timeout": f"{idle}s", "lock_timeout": f"{lock_wait}s"}
    values |= {f"tcp_keepalives_{name}": str(value) for name, value in _probes().items()}
    return "SELECT " + ", ".join(f"set_config('{name}', '{value}', false)" for name, value in values.items())


def _of_mariadb(idle: int, lock_wait: int) -> str:
    locks = f", innodb_lock_wait_timeout = {lock_wait}, lock_wait_timeout = {lock_wait}" if lock_wait else ""
    # net_read_timeout is 30 by default.
    return f"SET idle_transaction_timeout = {idle}{locks}{READ_NEWEST}"


def _probes() -> dict[str, int]:
    """Return after how many seconds TCP probes a silent peer, how often, and how many seconds apart."""
    return {"idle": SILENCE // 3, "count": 4, "interval": max(1, SILENCE // 6)}


def _notice_silence(own: socket.socket) -> None:
    """Let TCP end a connection over which nothing comes back, whether we send or wait.

    Without this a host that is cut off waits a quarter of an hour, or for ever. PyMySQL's own time-out would
    also end statements that take long.
    """
    names = {"idle": "TCP_KEEPIDLE", "interval": "TCP_KEEPINTVL", "count": "TCP_KEEPCNT"}
    options = {names[name]: value for name, value in _probes().items()}
    with suppress(OSError):  # a Unix socket has no such options
        own.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in {**options, "TCP_USER_TIMEOUT": SILENCE * 1000}.items():
            if hasattr(socket, name):  # they are Linux's; others have some of them
                own.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
