"""The processes of the machines: `tests.support.fork_server` with a network and a host name of their own.

One process imports the guestbook and forks that of each machine.
"""

import os
import sys
from datetime import timedelta

from guestbook.inbound import processor
from guestbook.lib import clock
from guestbook.storage import database, engine_setup
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
    engine_setup.SILENCE = 3
    engine_setup.CONNECT_WAIT = 3
    database.RETRY_FOR = 1.0


def small_batches() -> None:
    """Take so few inbound events at a time that each of four machines comes to some of a small number."""
    processor.BATCH = 5


def _turn(by: timedelta) -> None:
    now = clock.now
    clock.now = lambda: now() + by


def _machine(name: str, network: int, orders: int, answers: int) -> None:
    """Be a machine, until nobody gives orders any more."""
    namespaces.move_to(network)
    namespaces.take_name(name)
    os.dup2(orders, 0)
    os.dup2(answers, 1)
    fork_server.serve()


if __name__ == "__main__":
    changes = (clock_ahead, clock_behind, hasty, small_batches)
    kill_points.POINTS.update({change.__name__: change for change in changes})
    fork_server.warm_up()
    for machine in sys.argv[1:]:
        name, *descriptors = machine.split(":")
        if os.fork() == 0:
            _machine(name, *map(int, descriptors))
            sys.exit()
    for _ in sys.argv[1:]:
        os.wait()
