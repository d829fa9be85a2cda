"""The process of one machine: `tests.support.fork_server` with its own host name and what else differs."""

import sys
from datetime import timedelta

from guestbook.lib import clock
from guestbook.storage import database, server_setup
from tests.support import fork_server, kill_points, namespaces

APART = timedelta(seconds=30)


def clock_ahead() -> None:
    """Run on a machine whose clock is ahead."""
    _turn(APART)


def clock_behind() -> None:
    """Run on a machine whose clock is behind."""
    _turn(-APART)


def hasty() -> None:
    """Give a server up much sooner; a busy machine takes a second or two to connect."""
    server_setup.SILENCE = 3
    server_setup.CONNECT_WAIT = 3
    database.RETRY_FOR = 1.0


def _turn(by: timedelta) -> None:
    now = clock.now
    clock.now = lambda: now() + by


if __name__ == "__main__":
    namespaces.take_name(sys.argv[1])
    kill_points.POINTS.update({point.__name__: point for point in (clock_ahead, clock_behind, hasty)})
    fork_server.serve()
