"""Passes die by SIGKILL, over and over: nothing is lost, little is repeated, and the order is kept."""

from random import Random

import pytest

from tests.support import amount, busy_comments
from tests.support.book import Book
from tests.support.busy_comments import BusyComments
from tests.support.forks import Forks
from tests.support.killed_passes import COMMANDS, HASTY, KilledPasses
from tests.support.receiver import Answer, Receiver

SEED = 20261125
LAST_PASSES = 20


@pytest.mark.timeout(200)
def test_kills_at_any_call_lose_nothing_and_only_the_killed_repeat_a_request(
    each_book: Book, each_environ: dict[str, str], forks: Forks
) -> None:
    passes = KilledPasses(each_book, forks, each_environ | HASTY, Random(SEED), {"pass": 3})
    assert passes.play(amount.kills(6))["requests"] > 0
    assert passes.kills["pass"] >= amount.kills(6)


def test_a_slow_receiver_gets_the_events_of_a_comment_one_at_a_time(
    book: Book, environ: dict[str, str], forks: Forks, receiver: Receiver
) -> None:
    """On one database: how a pass waits for an answer is the same on all, and the test above has the rest."""
    comments = BusyComments(book, SEED)
    receiver.answer("/0", Answer(delay=0.1))
    paths = busy_comments.webhooks(book, receiver, 1)
    one = forks.start(environ, *COMMANDS["pass"])
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
