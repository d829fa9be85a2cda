"""A listener and the server behind it are killed again and again: every event is forwarded, none is lost."""

import random
import time
from functools import partial

import pytest

from guestbook.storage.database import db
from tests.support import factories, processes, site
from tests.support.api_client import new_token
from tests.support.forks import Forks
from tests.support.receiver import Answer, Receiver

COMMENTS = 40
KILLS = 6


@pytest.mark.usefixtures("app")
def test_whatever_is_killed_every_event_arrives(
    environ: dict[str, str], receiver: Receiver, forks: Forks
) -> None:
    hook, token = factories.webhook("pull:"), new_token()
    receiver.answer("/hook", Answer(delay=0.02))
    for _ in range(COMMENTS // 2):
        factories.sign()
    db.session.remove()
    with site.reserved_port() as reserved:
        place = site.address(reserved)
    serve = ("serve", "--listen", place.removeprefix("http://"))
    listen = ("listen", place, "--webhook", hook, "--forward", receiver.url("/hook"))
    luck = random.Random(7)
    server = _Process(forks, environ, *serve)
    processes.wait_for(lambda: processes.answers(place), 30, server.output)
    listener = _Process(forks, {**environ, "BOOK_TOKEN": token}, *listen)
    receiver.wait_for(1)
    for number in range(KILLS):
        time.sleep(luck.uniform(0.1, 0.4))
        (server if number % 2 else listener).restart()
        for _ in range(COMMENTS // 2 // KILLS + 1):
            factories.sign()
        db.session.remove()
    try:
        processes.wait_for(_all_processed, 100, listener.output)  # A lease that a kill leaves lasts for 60.
    finally:
        said = server.output() + listener.output()
    assert "Traceback" not in said
    arrived, wanted = receiver.event_ids("/hook"), {row.event_id for row in factories.deliveries()}
    assert set(arrived) == wanted
    assert arrived.total() - len(arrived) <= KILLS, "at most the one in hand at each kill arrives twice"


class _Process:
    """A process that can be killed and started again."""

    def __init__(self, forks: Forks, environ: dict[str, str], *command: str) -> None:
        self._start = partial(forks.start, environ, *command)
        self._all = [self._start()]

    def restart(self) -> None:
        self._all[-1].kill()
        self._all.append(self._start())

    def output(self) -> str:
        return "".join(one.printed for one in self._all)


def _all_processed() -> bool:
    found = all(row.status == "processed" for row in factories.deliveries())
    db.session.remove()
    return found
