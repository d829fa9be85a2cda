"""A pass that is killed at a certain point leaves exactly this behind, and the next pass mends it."""

from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlalchemy import update

from guestbook.lib import clock
from guestbook.queue.claims import CLOCK_SKEW
from guestbook.storage import database
from guestbook.storage.models import DELIVERIES
from tests.support.book import Book
from tests.support.forks import Command, Forks
from tests.support.kill_points import BATCH
from tests.support.receiver import Answer, Receiver

LEASE = timedelta(seconds=60)  # 2 × the time-out of 15 s, and 30
OLD = timedelta(days=40)
# Here nothing is open when the pass dies, so the database makes no difference but for the length of a lease.
# Deaths inside a transaction are tried on all four, and test_kills has deaths at any moment on all four.
OUTSIDE = pytest.mark.parametrize("each_environ", ["sqlite-wal", "postgresql"], indirect=True)
ONCE = pytest.mark.parametrize("each_environ", ["sqlite-wal"], indirect=True)


@dataclass
class Host:
    """Where cron runs, and the receiver of its one webhook."""

    book: Book
    forks: Forks
    environ: dict[str, str]
    receiver: Receiver

    def publish(self, count: int = 1) -> None:
        """Add the webhook, and so many deliveries."""
        self.book.webhook(self.receiver.url())
        self.book.publish(count)

    def cron(self, point: str | None = None) -> Command:
        """Run a pass, to its end or to its death at that point."""
        return self.forks.run(self.environ, "cron", point=point)

    def is_leased(self, name: str | None, *, claims: int) -> None:
        """The row as a killed pass leaves it: new, nothing counted but the claim, due when the lease ends."""
        row = self.book.delivery()
        assert (row.status, row.attempts, row.claims) == ("new", 0, claims)
        assert row.last_error is row.finished_at is row.last_status_code is None
        assert str(row.claimed_by).startswith(f"{name}.")
        lease = LEASE if self.book.settings.on_sqlite else LEASE + CLOCK_SKEW  # for hosts whose clocks differ
        assert lease - timedelta(seconds=20) < row.due_at - clock.now() <= lease
        self.book.check()

    def arrived(self, *, times: int, claims: int) -> None:
        """The delivery is done, and its event arrived so often."""
        row = self.book.delivery()
        assert (row.status, row.attempts, row.claims) == ("processed", 1, claims)
        assert (row.due_at, row.claimed_by, row.last_status_code) == (None, None, 200)
        assert [request.event_id for request in self.receiver.requests] == [row.event_id] * times
        self.book.check()


@pytest.fixture
def host(each_book: Book, forks: Forks, each_environ: dict[str, str], receiver: Receiver) -> Host:
    return Host(each_book, forks, each_environ, receiver)


def test_a_pass_killed_before_the_claim_commits_leaves_the_row_untouched(host: Host) -> None:
    host.publish()
    before = host.book.delivery()
    host.cron("before_claim_commits")
    assert host.book.delivery() == before
    assert host.receiver.requests == []
    host.cron()
    host.arrived(times=1, claims=1)


@OUTSIDE
def test_a_pass_killed_after_the_claim_costs_its_lease_and_no_attempt(host: Host) -> None:
    host.publish()
    killed = host.cron("after_claim")
    host.is_leased(killed.name, claims=1)
    assert host.receiver.requests == []
    host.cron()
    host.is_leased(killed.name, claims=1)  # the lease is respected while it lasts …
    assert host.book.expire(str(killed.name)) == 1
    host.cron()  # … and needs no rescuer
    host.arrived(times=1, claims=2)


@OUTSIDE
def test_a_pass_killed_after_the_answer_sends_that_delivery_again(host: Host) -> None:
    _sent_again(host, "after_post")


def test_a_pass_killed_inside_the_acknowledgement_sends_that_delivery_again(host: Host) -> None:
    # A failure first, so that the acknowledgement has a webhook's health to write too.
    host.receiver.answer("/", Answer(500), Answer(200))
    _sent_again(host, "inside_acknowledgement")


def _sent_again(host: Host, point: str) -> None:
    host.publish()
    killed = host.cron(point)
    host.is_leased(killed.name, claims=1)
    assert len(host.receiver.requests) == 1
    assert host.book.attempts() == []
    host.book.expire(str(killed.name))
    host.cron()
    host.arrived(times=2, claims=2)
    first, second = host.receiver.requests
    assert first.headers["x-guestbook-attempt"] == second.headers["x-guestbook-attempt"] == "1"
    assert (first.event_id, first.body) == (second.event_id, second.body)


@OUTSIDE
def test_a_pass_killed_after_the_acknowledgement_has_nothing_left_to_repair(host: Host) -> None:
    host.publish()
    host.cron("after_acknowledgement")
    host.arrived(times=1, claims=1)
    after = host.book.delivery()
    host.cron()
    assert host.book.delivery() == after
    assert len(host.receiver.requests) == 1


@ONCE
def test_a_prune_killed_between_batches_has_removed_whole_ones_and_the_next_goes_on(host: Host) -> None:
    _pruned_later(host, "between_batches_of_prune", BATCH)


def test_a_prune_killed_inside_a_batch_has_removed_none_of_it_and_the_next_goes_on(host: Host) -> None:
    _pruned_later(host, "inside_prune", 0)


def _pruned_later(host: Host, point: str, gone: int) -> None:
    host.publish(3 * BATCH)
    host.book.note_passes()
    host.cron()
    with database.write(host.book.engine) as connection:
        connection.execute(update(DELIVERIES).values(finished_at=clock.now() - OLD))
    host.cron(point)
    assert len(host.book.deliveries()) == len(host.book.attempts()) == 3 * BATCH - gone
    host.book.check()
    host.cron()
    assert host.book.deliveries() == host.book.attempts() == []


@ONCE
def test_twenty_kills_never_fail_a_delivery(host: Host) -> None:
    host.environ["GUESTBOOK_RETRY_SCHEDULE"] = "0,0,0"
    host.publish()
    for kills in range(1, 21):
        killed = host.cron("after_claim")
        host.is_leased(killed.name, claims=kills)
        host.book.expire(str(killed.name))
    host.cron()
    host.arrived(times=1, claims=21)


@ONCE
def test_a_schedule_that_is_used_up_does_fail_a_delivery(host: Host) -> None:
    host.environ["GUESTBOOK_RETRY_SCHEDULE"] = "0,0,0"
    host.receiver.answer("/", Answer(500))
    host.book.webhook(host.receiver.url(), name="Nobody’s")
    host.book.publish()
    done = host.cron()
    row = host.book.delivery()
    assert (row.status, row.attempts, row.claims, row.due_at) == ("failed", 3, 3, None)
    assert row.last_error == "The receiver answered 500."
    assert [request.headers["x-guestbook-attempt"] for request in host.receiver.requests] == ["1", "2", "3"]
    assert done.printed.startswith("guestbook: 1 delivery was given up for webhook Nobody’s.")
    assert done.printed.count("\n") == 1
    host.book.check()
