"""The process of one machine: `system.chaos.driver` with a host name of its own, and what differs there."""

import sys
from datetime import timedelta

from guestbook.lib import clock
from guestbook.storage import database, server_setup
from tests.system.chaos import driver, points
from tests.system.hosts import namespaces

APART = timedelta(seconds=30)


def clock_ahead() -> None:
    """Run on a machine whose clock is ahead."""
    _turn(APART)


def clock_behind() -> None:
    """Run on a machine whose clock is behind."""
    _turn(-APART)


def hasty() -> None:
    """Give a server up ten times as soon."""
    server_setup.SILENCE = 3
    server_setup.CONNECT_WAIT = 1
    database.RETRY_FOR = 1.0


def _turn(by: timedelta) -> None:
    now = clock.now
    clock.now = lambda: now() + by


if __name__ == "__main__":
    namespaces.take_name(sys.argv[1])
    points.POINTS.update({point.__name__: point for point in (clock_ahead, clock_behind, hasty)})
    driver.serve()
