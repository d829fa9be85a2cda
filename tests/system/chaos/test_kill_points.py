"""A pass that is killed at a certain point leaves exactly this behind, and the next pass mends it."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from guestbook.lib import clock
from guestbook.queue.claims import CLOCK_SKEW
from guestbook.storage import database
from guestbook.storage.models import DELIVERIES
from tests.support.book import Book
from tests.support.forks import Forks
from tests.support.kill_points import BATCH
from tests.support.receiver import Answer, Receiver

LEASE = timedelta(seconds=60)  # 2 × the time-out of 15 s, and 30
OLD = timedelta(days=40)
# Here nothing is open when the pass dies, so the database makes no difference but for the length of a lease.
# Deaths inside a transaction are tried on all four, and test_kills has deaths at any moment on all four.
OUTSIDE = pytest.mark.parametrize("each_environ", ["sqlite-wal", "postgresql"], indirect=True)
ONCE = pytest.mark.parametrize("each_environ", ["sqlite-wal"], indirect=True)


@pytest.fixture
def book(each_book: Book) -> Book:
    return each_book


def test_a_pass_killed_before_the_claim_commits_leaves_the_row_untouched(
    book: Book, forks: Forks, each_environ: dict[str, str], receiver: Receiver
) -> None:
    book.webhook(receiver.url())
    book.publish()
    before = book.delivery()
    forks.run(each_environ, "cron", point="before_claim_commits")
    assert book.delivery() == before
    assert receiver.requests == []
    forks.run(each_environ, "cron")
    _arrived(book, receiver, times=1, claims=1)


@OUTSIDE
def test_a_pass_killed_after_the_claim_costs_its_lease_and_no_attempt(
    book: Book, forks: Forks, each_environ: dict[str, str], receiver: Receiver
) -> None:
    book.webhook(receiver.url())
    book.publish()
    killed = forks.run(each_environ, "cron", point="after_claim")
    _is_leased(book, killed.name, claims=1)
    assert receiver.requests == []
    forks.run(each_environ, "cron")
    _is_leased(book, killed.name, claims=1)  # the lease is respected while it lasts …
    assert book.expire(str(killed.name)) == 1
    forks.run(each_environ, "cron")  # … and needs no rescuer
    _arrived(book, receiver, times=1, claims=2)


@OUTSIDE
def test_a_pass_killed_after_the_answer_sends_that_delivery_again(
    book: Book, forks: Forks, each_environ: dict[str, str], receiver: Receiver
) -> None:
    _sent_again(book, forks, each_environ, receiver, "after_post")


def test_a_pass_killed_inside_the_acknowledgement_sends_that_delivery_again(
    book: Book, forks: Forks, each_environ: dict[str, str], receiver: Receiver
) -> None:
    # A failure first, so that the acknowledgement has a webhook's health to write too.
    receiver.answer("/", Answer(500), Answer(200))
    _sent_again(book, forks, each_environ, receiver, "inside_acknowledgement")


def _sent_again(
    book: Book, forks: Forks, each_environ: dict[str, str], receiver: Receiver, point: str
) -> None:
    book.webhook(receiver.url())
    book.publish()
    killed = forks.run(each_environ, "cron", point=point)
    _is_leased(book, killed.name, claims=1)
    assert len(receiver.requests) == 1
    assert book.attempts() == []
    book.expire(str(killed.name))
    forks.run(each_environ, "cron")
    _arrived(book, receiver, times=2, claims=2)
    first, second = receiver.requests
    assert first.headers["x-guestbook-attempt"] == second.headers["x-guestbook-attempt"] == "1"
    assert (first.event_id, first.body) == (second.event_id, second.body)


@OUTSIDE
def test_a_pass_killed_after_the_acknowledgement_has_nothing_left_to_repair(
    book: Book, forks: Forks, each_environ: dict[str, str], receiver: Receiver
) -> None:
    book.webhook(receiver.url())
    book.publish()
    forks.run(each_environ, "cron", point="after_acknowledgement")
    _arrived(book, receiver, times=1, claims=1)
    after = book.delivery()
    forks.run(each_environ, "cron")
    assert book.delivery() == after
    assert len(receiver.requests) == 1


@ONCE
def test_a_prune_killed_between_batches_has_removed_whole_ones_and_the_next_goes_on(
    book: Book, forks: Forks, each_environ: dict[str, str], receiver: Receiver
) -> None:
    _pruned_later(book, forks, each_environ, receiver, "between_batches_of_prune", BATCH)


def test_a_prune_killed_inside_a_batch_has_removed_none_of_it_and_the_next_goes_on(
    book: Book, forks: Forks, each_environ: dict[str, str], receiver: Receiver
) -> None:
    _pruned_later(book, forks, each_environ, receiver, "inside_prune", 0)


def _pruned_later(
    book: Book, forks: Forks, each_environ: dict[str, str], receiver: Receiver, point: str, gone: int
) -> None:
    book.webhook(receiver.url())
    book.publish(3 * BATCH)
    book.note_passes()
    forks.run(each_environ, "cron")
    with database.write(book.engine) as connection:
        connection.execute(update(DELIVERIES).values(finished_at=clock.now() - OLD))
    forks.run(each_environ, "cron", point=point)
    assert len(book.deliveries()) == len(book.attempts()) == 3 * BATCH - gone
    book.check()
    forks.run(each_environ, "cron")
    assert book.deliveries() == book.attempts() == []


@ONCE
def test_ten_kills_never_fail_a_delivery(
    book: Book, forks: Forks, each_environ: dict[str, str], receiver: Receiver
) -> None:
    environ = {**each_environ, "GUESTBOOK_RETRY_SCHEDULE": "0,0,0"}
    book.webhook(receiver.url())
    book.publish()
    for kills in range(1, 11):
        killed = forks.run(environ, "cron", point="after_claim")
        _is_leased(book, killed.name, claims=kills)
        book.expire(str(killed.name))
    forks.run(environ, "cron")
    _arrived(book, receiver, times=1, claims=11)


@ONCE
def test_a_schedule_that_is_used_up_does_fail_a_delivery(
    book: Book, forks: Forks, each_environ: dict[str, str], receiver: Receiver
) -> None:
    receiver.answer("/", Answer(500))
    book.webhook(receiver.url(), name="Nobody’s")
    book.publish()
    done = forks.run({**each_environ, "GUESTBOOK_RETRY_SCHEDULE": "0,0,0"}, "cron")
    row = book.delivery()
    assert (row.status, row.attempts, row.claims, row.due_at) == ("failed", 3, 3, None)
    assert row.last_error == "The receiver answered 500."
    assert [request.headers["x-guestbook-attempt"] for request in receiver.requests] == ["1", "2", "3"]
    assert done.printed.startswith("guestbook: 1 delivery was given up for webhook Nobody’s.")
    assert done.printed.count("\n") == 1
    book.check()


def _is_leased(book: Book, name: str | None, *, claims: int) -> None:
    """The row as a killed pass leaves it: new, nothing counted but the claim, due when the lease ends."""
    row = book.delivery()
    assert (row.status, row.attempts, row.claims) == ("new", 0, claims)
    assert row.last_error is row.finished_at is row.last_status_code is None
    assert str(row.claimed_by).startswith(f"{name}.")
    lease = LEASE if book.settings.on_sqlite else LEASE + CLOCK_SKEW  # for hosts whose clocks differ
    assert lease - timedelta(seconds=20) < row.due_at - clock.now() <= lease
    book.check()


def _arrived(book: Book, receiver: Receiver, *, times: int, claims: int) -> None:
    row = book.delivery()
    assert (row.status, row.attempts, row.claims) == ("processed", 1, claims)
    assert (row.due_at, row.claimed_by, row.last_status_code) == (None, None, 200)
    assert [request.event_id for request in receiver.requests] == [row.event_id] * times
    book.check()
