"""The process of a machine: `tests.support.fork_server`, with what may differ between machines."""

from datetime import timedelta

from guestbook.inbound import processor
from guestbook.lib import clock
from guestbook.storage import database, engines
from tests.support import fork_server, kill_points

APART = timedelta(seconds=30)


def clock_ahead() -> None:
    """Run on a machine whose clock is ahead."""
    _turn(APART)


def clock_behind() -> None:
    """Run on a machine whose clock is behind."""
    _turn(-APART)


def hasty() -> None:
    """Give a server up much sooner; a busy machine takes a second or two to connect."""
    engines.SILENCE = 3
    engines.CONNECT_WAIT = 3
    database.RETRY_FOR = 1.0


def small_batches() -> None:
    """Take so few inbound events at a time that each of four machines comes to some of a small number."""
    processor.BATCH = 5


def _turn(by: timedelta) -> None:
    now = clock.now
    clock.now = lambda: now() + by


if __name__ == "__main__":
    for change in (clock_ahead, clock_behind, hasty, small_batches):
        setattr(kill_points, change.__name__, change)
    fork_server.warm_up()
    fork_server.serve()
