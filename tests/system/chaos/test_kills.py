"""Passes die by SIGKILL, over and over: nothing is lost, little is repeated, and the order is kept.

The passes have data folders of their own, as on several hosts, so no lock keeps them apart. When one is
killed its leases are made to run out at once; those of the living are left alone.
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
from tests.support.receiver import Answer, Receiver, at_random

SEED = 20261125
HASTY = {"GUESTBOOK_TIMEOUT": "5", "GUESTBOOK_RETRY_SCHEDULE": ",".join(["0"] * 40)}
# Longer than the test may take: a busy machine must not let a pass end before it is killed.
STAY = ("cron", "--stay", "--concurrency", "16", "--max-seconds", "300")
LONGEST_LIFE = 0.15  # seconds at work before the kill
MOST_SECONDS = 100  # for the kills of one mode, on a machine that is busy with other things too
LAST_PASSES = 20


@dataclass
class Passes:
    """The passes at work, and what the killed had in hand."""

    book: Book
    forks: Forks
    environ: dict[str, str]
    folder: Path
    luck: random.Random = field(default_factory=lambda: random.Random(SEED))
    alive: list[Command] = field(default_factory=list)
    starts: int = 0
    killed: list[str] = field(default_factory=list)
    leased_at_kills: int = 0

    def start_what_is_missing(self, together: int) -> None:
        """Let so many be at work, each with a data folder of its own."""
        while len(self.alive) < together:
            self.starts += 1
            environ = {**self.environ, "GUESTBOOK_DATA_DIR": str(self.folder / f"host{self.starts}")}
            self.alive.append(self.forks.start(environ, *STAY))

    def kill_one(self) -> None:
        """Kill any of those at work, at any moment; its leases run out."""
        victim = self.alive.pop(self.luck.randrange(len(self.alive)))
        name = victim.is_at_work()
        time.sleep(self.luck.uniform(0, LONGEST_LIFE))
        victim.kill()
        self.killed.append(name)
        self.leased_at_kills += self.book.expire(f"{name}.")

    def end(self) -> None:
        """Let those alive end as SIGTERM asks."""
        for one in self.alive:
            one.is_at_work()
            one.terminate()
        for one in self.alive:
            assert (one.wait(), one.printed) == (0, "")
        for name in self.killed:  # a server may still have run the last COMMIT of a client that was gone
            self.leased_at_kills += self.book.expire(f"{name}.")
        assert self.book.leased() == 0


@pytest.fixture
def passes(each_book: Book, each_environ: dict[str, str], forks: Forks, tmp_path: Path) -> Passes:
    return Passes(each_book, forks, each_environ | HASTY, tmp_path)


@pytest.mark.timeout(200)
def test_random_kills_of_overlapping_passes_lose_nothing_and_repeat_little(passes: Passes) -> None:
    webhooks, ahead = 4, 25  # so many events wait before each kill, for each webhook
    begun, book = time.monotonic(), passes.book
    with Receiver(program=at_random(SEED, (0.005, 0.03), 0.03)) as receiver:
        for number in range(webhooks):
            book.webhook(receiver.url(f"/{number}"))
        for _ in range(amount.kills(6)):
            assert time.monotonic() - begun < MOST_SECONDS, f"only {len(passes.killed)} kills"
            if book.statuses()["new"] < ahead * webhooks:
                book.publish(ahead)
            passes.start_what_is_missing(3)
            passes.kill_one()
        passes.end()
        assert passes.forks.run(passes.environ, "cron").printed == ""
    book.check_arrivals(receiver.requests, passes.leased_at_kills)


# How a file of SQLite keeps its journal matters to a kill, as above, not to the order of events.
@pytest.mark.parametrize("each_environ", ["sqlite-wal", "postgresql", "mariadb"], indirect=True)
@pytest.mark.timeout(200)
def test_random_kills_and_failures_change_nothing_of_the_order_of_a_comments_events(passes: Passes) -> None:
    kills, steps = amount.kills(4), 15
    comments = BusyComments(passes.book, SEED)
    with Receiver(program=at_random(SEED, (0.002, 0.08), 0.15)) as receiver:
        paths = busy_comments.webhooks(passes.book, receiver, 3)
        for _ in range(kills):
            passes.start_what_is_missing(2)
            for _ in range(steps):
                comments.act()
                time.sleep(passes.luck.uniform(0, 0.02))
            passes.kill_one()
        passes.end()
        _send_the_rest(passes.book, passes.forks, passes.environ, comments)
    passes.book.check()
    assert comments.check(receiver.requests, paths) > kills * steps / 2


def test_a_slow_receiver_gets_the_events_of_a_comment_one_at_a_time(
    book: Book, environ: dict[str, str], forks: Forks, receiver: Receiver
) -> None:
    """On one database: how a pass waits for an answer is the same on all, and the test above has the rest."""
    comments = BusyComments(book, SEED)
    receiver.answer("/0", Answer(delay=0.1))
    paths = busy_comments.webhooks(book, receiver, 1)
    one = forks.start(environ, *STAY)
    one.is_at_work()
    for _ in range(30):
        comments.act()
    receiver.wait_for(15)
    one.terminate()
    assert one.wait() == 0, one.printed
    _send_the_rest(book, forks, environ, comments)
    assert comments.check(receiver.requests, paths) >= 15


def _send_the_rest(book: Book, forks: Forks, environ: dict[str, str], comments: BusyComments) -> None:
    for _ in range(LAST_PASSES):
        if not book.statuses()["new"]:
            break
        comments.all_due()
        assert forks.run(environ, "cron").printed == ""
