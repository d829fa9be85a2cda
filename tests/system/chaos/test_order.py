"""Passes die at random while comments change, and receivers fail or are slow: the order is kept.

As in `test_kills`, the passes have data folders of their own, and the leases of the killed run out at once.
"""

import random
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support import amount, busy_comments
from tests.support.book import Book
from tests.support.busy_comments import BusyComments
from tests.support.forks import Command, Forks
from tests.support.receiver import Answer, Line, Receiver, in_a_process, read_log

SEED = 20261127
KILLS = amount.kills(4)
TOGETHER = 2  # passes at work at the same time
WEBHOOKS = 3
STEPS = 15  # before each kill
LATENCY = (0.002, 0.08)  # seconds
FAILING = 0.15  # of the answers are 500
LAST_PASSES = 20
# How a file of SQLite keeps its journal matters to a kill (test_kills), not to the order of events.
IN_ORDER = pytest.mark.parametrize("each_environ", ["sqlite-wal", "postgresql", "mariadb"], indirect=True)
# Longer than the test may take: a busy machine must not let a pass end before it is killed.
STAY = ("cron", "--stay", "--concurrency", "8", "--max-seconds", "300")


@dataclass
class Passes:
    """The passes at work, and the names of the killed."""

    book: Book
    forks: Forks
    environ: dict[str, str]
    folder: Path
    luck: random.Random = field(default_factory=lambda: random.Random(SEED))
    alive: list[Command] = field(default_factory=list)
    starts: int = 0
    killed: list[str] = field(default_factory=list)

    def start_what_is_missing(self) -> None:
        while len(self.alive) < TOGETHER:
            self.starts += 1
            environ = {**self.environ, "GUESTBOOK_DATA_DIR": str(self.folder / f"host{self.starts}")}
            self.alive.append(self.forks.start(environ, *STAY))
        for one in self.alive:
            one.is_at_work()

    def kill_one(self) -> None:
        victim = self.alive.pop(self.luck.randrange(len(self.alive)))
        name = victim.is_at_work()
        victim.kill()
        self.killed.append(name)
        self.book.expire(f"{name}.")

    def end(self) -> None:
        """Let those alive end as SIGTERM asks."""
        for one in self.alive:
            one.terminate()
        for one in self.alive:
            assert one.wait() == 0, one.printed
        for name in self.killed:
            self.book.expire(f"{name}.")


@IN_ORDER
@pytest.mark.timeout(200)
def test_random_kills_and_failures_change_nothing_of_the_order_of_a_comments_events(
    each_book: Book,
    each_environ: dict[str, str],
    forks: Forks,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    environ = {**each_environ, "GUESTBOOK_TIMEOUT": "5", "GUESTBOOK_RETRY_SCHEDULE": ",".join(["0"] * 40)}
    passes, log, begun = Passes(each_book, forks, environ, tmp_path), tmp_path / "log", time.monotonic()
    comments = BusyComments(each_book, SEED)
    with in_a_process(log, latency=LATENCY, failing=FAILING, seed=SEED) as base_url:
        paths = busy_comments.webhooks(each_book, base_url, WEBHOOKS)
        for _ in range(KILLS):
            passes.start_what_is_missing()
            for _ in range(STEPS):
                comments.act()
                time.sleep(passes.luck.uniform(0, 0.02))
            passes.kill_one()
        passes.end()
        for _ in range(LAST_PASSES):
            if not each_book.statuses()["new"]:
                break
            comments.all_due()
            assert forks.run(environ, "cron").printed == ""
    each_book.check()
    arrived = comments.check(read_log(log), paths)
    assert arrived > KILLS * STEPS / 2
    with capsys.disabled():
        mode = request.node.callspec.params["each_environ"]
        superseded = sum(row.erased_at is not None for row in each_book.deliveries())
        print(
            f"\n{mode}: kills {KILLS}, events {len(comments.events)}, requests {arrived}, "
            f"superseded or erased {superseded}, {time.monotonic() - begun:.0f} s"
        )


def test_a_slow_receiver_gets_the_events_of_a_comment_one_at_a_time(
    book: Book, environ: dict[str, str], forks: Forks, receiver: Receiver
) -> None:
    """On one database: how a pass waits for an answer is the same on all, and the test above has the rest."""
    comments = BusyComments(book, SEED)
    receiver.answer("/0", Answer(delay=0.1))
    paths = busy_comments.webhooks(book, receiver.url().rstrip("/"), 1)
    one = forks.start(environ, *STAY)
    one.is_at_work()
    for _ in range(30):
        comments.act()
    receiver.wait_for(15)
    one.terminate()
    assert one.wait() == 0, one.printed
    for _ in range(LAST_PASSES):
        if not book.statuses()["new"]:
            break
        comments.all_due()
        assert forks.run(environ, "cron").printed == ""
    lines = [Line(request.path, request.event_id, 200, request.at) for request in receiver.requests]
    assert comments.check(lines, paths) >= 15
