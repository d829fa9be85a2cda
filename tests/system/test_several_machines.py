"""Several machines with one book: passes and servers with data folders of their own, so no lock is common.

A stopped process stands for a machine that has lost its network. It goes on when the network is back.
"""

import json
import re
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from urllib.request import HTTPCookieProcessor, OpenerDirector

import html5lib
import pytest
from flask import Flask
from sqlalchemy import func, insert, select

from guestbook.lib import clock, ids, retry_policy
from guestbook.lib.retry_policy import PAUSE_AFTER, PAUSE_FIRST
from guestbook.queue import claims
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import ATTEMPTS, DELIVERIES, INBOUND, BookState, Comment, Day
from tests.support import inbound_factories, processes, visitor
from tests.support.at_once import at_once
from tests.support.book import Book
from tests.support.forks import Command, Forks
from tests.support.kill_points import APART
from tests.support.owner import PASSWORD, QUICK
from tests.support.receiver import HANG, OK, Answer, Receiver
from tests.support.visitor import GREETING

pytestmark = pytest.mark.parametrize("each_environ", ["postgresql", "mariadb"], indirect=True)

PATHS = [f"/{number}" for number in range(4)]
CRON = ("cron", "--stay", "--concurrency")


@dataclass
class Machines:
    """Four machines. `book` looks at the database from outside."""

    book: Book
    forks: Forks
    environ: dict[str, str]

    def own(self, number: int, **settings: str) -> dict[str, str]:
        """Return the settings of a machine: all the same but for the data folder."""
        folder = f"{self.environ['GUESTBOOK_DATA_DIR']}/machine{number}"
        return {**self.environ, "GUESTBOOK_DATA_DIR": folder, **settings}

    def start(self, number: int, *command: str, point: str | None = None, **settings: str) -> Command:
        """Start a command on a machine."""
        return self.forks.start(self.own(number, **settings), *command, point=point)

    def start_everywhere(
        self, *command: str, points: tuple[str | None, ...], **settings: str
    ) -> list[Command]:
        """Start it on all machines, and wait until their passes have begun."""
        started = [self.start(number, *command, point=one, **settings) for number, one in enumerate(points)]
        for one in started:
            one.is_at_work(30)
        return started


@pytest.fixture
def machines(each_book: Book, each_environ: dict[str, str], forks: Forks) -> Machines:
    return Machines(each_book, forks, each_environ)


def ended(commands: list[Command]) -> None:
    """Ask passes to end, and see that they do, well and without a word."""
    for one in commands:
        one.is_at_work(30)  # before that, the signal would end it at once
        one.terminate()
    for one in commands:
        assert (one.wait(), one.printed) == (0, "")


# --- the work is shared: `chaos.test_claims` shows that of deliveries


def test_the_lock_of_a_machine_keeps_nobody_waiting_on_another(machines: Machines) -> None:
    first = machines.start(1, "cron", "--stay")
    first.is_at_work()
    beside, elsewhere = machines.start(1, "cron", "-v"), machines.start(2, "cron", "-v")
    assert (beside.wait(), elsewhere.wait()) == (0, 0)
    assert beside.printed == "Another pass is running; it does the work.\n"
    assert elsewhere.printed == "Processed 0, to be retried 0, given up 0.\n"
    ended([first])
    assert len(machines.book.passes()) == 2


SOURCES, EVENTS = 5, 30  # inbound events of each source
REPEATED = 8  # of them, which come twice


def test_four_passes_make_one_comment_of_each_event_and_each_does_its_part(machines: Machines) -> None:
    passes = machines.start_everywhere("cron", "--stay", "-v", points=("small_batches",) * 4)
    sources = [inbound_factories.source(token=str(number)) for number in range(SOURCES)]
    arrive(machines.book, sources)
    waiting = select(INBOUND.c.id).where(INBOUND.c.status == "new").limit(1)
    processes.wait_for(lambda: found(machines.book, waiting) == [], 60)
    for one in passes:
        one.terminate()
    assert [one.wait() for one in passes] == [0, 0, 0, 0]
    messages = found(machines.book, select(Comment.message))
    assert sorted(messages) == sorted(f"{source} {number}" for source in sources for number in range(EVENTS))
    rows = Counter((row.status, row.claims, row.attempts) for row in inbound_factories.rows())
    assert rows == {("processed", 1, 1): SOURCES * (EVENTS + REPEATED)}
    parts = [len(re.findall(r"processed\. It became a comment", one.printed)) for one in passes]
    assert sum(parts) == SOURCES * EVENTS
    assert min(parts) >= 0.05 * SOURCES * EVENTS, parts
    inbound_factories.check()


def arrive(book: Book, sources: list[str]) -> None:
    """Store what the sources send, at once; some come again under their number right behind themselves."""
    now = clock.now()
    plain: dict[str, Any] = {"encoding": "text", "status": "new", "attempts": 0, "claims": 0}
    plain |= {"due_at": now, "received_at": now}
    rows = []
    for number in range(EVENTS):
        for source_id in sources:
            text = f"{source_id} {number}"
            headers = {"content-type": "application/json", "webhook-id": text}
            row = {"source_id": source_id, "payload": json.dumps({"text": text}), "headers": headers, **plain}
            rows += [{"id": ids.new(), **row} for _ in range(2 if number < REPEATED else 1)]
    with database.write(book.engine) as connection:
        connection.execute(insert(INBOUND), rows)


def found(book: Book, query: Any) -> list[Any]:
    with book.engine.connect() as connection:
        return list(connection.scalars(query))


BEFORE = 150  # requests that are answered before the receiver hangs


def test_four_passes_pause_a_webhook_that_hangs_for_no_longer_than_one_would(
    machines: Machines, receiver: Receiver
) -> None:
    receiver.answer("/", *[Answer(delay=0.05)] * BEFORE, HANG)
    webhook_id = machines.book.webhook(receiver.url())
    machines.book.stock(webhook_id, 3 * BEFORE)
    passes = [machines.start(number, "cron", "--stay", GUESTBOOK_TIMEOUT="1") for number in range(4)]
    processes.wait_for(lambda: machines.book.webhook_row(webhook_id).paused_until, 20)
    processes.wait_for(lambda: not machines.book.leased(), 20)
    ended(passes)
    row = machines.book.webhook_row(webhook_id)
    assert row.failures_in_a_row == len(receiver.requests) - BEFORE > PAUSE_AFTER
    assert row.unreachable_in_a_row == PAUSE_AFTER
    assert row.paused_until - clock.now() < 1.2 * timedelta(seconds=PAUSE_FIRST)


# --- a machine loses its network: `chaos.test_kills` shows what becomes of the work of one that dies


def test_when_the_network_is_back_a_late_answer_changes_no_row(
    machines: Machines, receiver: Receiver
) -> None:
    both, book = 2, machines.book  # at once go to a webhook of which nothing is known yet
    for path in PATHS:
        receiver.answer(path, *[HANG] * both, OK)
        book.webhook(receiver.url(path))
    victim = machines.start(0, *CRON, "16", GUESTBOOK_TIMEOUT="60")
    victim.is_at_work()
    book.publish(3)
    receiver.wait_for(both * len(PATHS))
    victim.signal(signal.SIGSTOP)
    assert book.expire() == 3 * len(PATHS)
    others = [machines.start(number, *CRON, "16") for number in (1, 2, 3)]
    processes.wait_for(lambda: not book.statuses()["new"], 20)
    rows, attempts = book.deliveries(), book.attempts()
    receiver.release()
    victim.signal(signal.SIGCONT)
    ended([victim, *others])
    assert (book.deliveries(), book.attempts()) == (rows, attempts)
    assert len(receiver.requests) <= 2 * len(rows)  # the lease of its own clock went on
    assert book.passes()[0].processed == 0
    book.check()


# --- clocks differ by as much as docs/howto/run-on-several-machines.md allows: a minute

EACH = 60
CLOCKS = ("clock_behind", "clock_ahead", None, None)  # of the machines


def test_what_waits_in_the_memory_of_one_pass_is_not_overdue_for_one_whose_clock_is_ahead(
    machines: Machines, receiver: Receiver
) -> None:
    past = clock.now() - timedelta(minutes=5)
    passes = machines.start_everywhere(
        *CRON, "8", points=CLOCKS, GUESTBOOK_TIMEOUT="5"
    )  # and with it the lease
    for path in PATHS:
        receiver.answer(path, Answer(delay=0.4))  # so that each pass has time to look
        machines.book.stock(machines.book.webhook(receiver.url(path)), EACH, due_at=past)
    receiver.wait_for(len(PATHS) * EACH)
    ended(passes)
    for path in PATHS:
        assert set(receiver.event_ids(path).values()) == {1}
    rows = Counter((row.status, row.claims, row.attempts) for row in machines.book.deliveries())
    assert rows == {("processed", 1, 1): len(PATHS) * EACH}
    assert min(row.processed for row in machines.book.passes()) > 0
    machines.book.check()


def test_the_longest_lease_of_a_machine_that_is_ahead_is_no_clock_jump_to_one_that_is_behind(
    machines: Machines, receiver: Receiver
) -> None:
    longest = 300.0
    until = clock.now() + APART + retry_policy.lease(longest) + claims.CLOCK_SKEW
    webhook_id = machines.book.webhook(receiver.url())
    machines.book.stock(webhook_id, 1, claimed_by="one ahead", claims=1, due_at=until)
    before = machines.book.delivery()
    running = machines.start(1, "cron", point="clock_behind", GUESTBOOK_TIMEOUT=f"{longest}")
    assert (running.wait(), running.printed) == (0, "")
    assert machines.book.delivery() == before
    assert receiver.requests == []


# --- all tidy up at once: none is in the way of others, no day is counted twice or by halves

DAY = timedelta(days=1)
OLD = 1250  # deliveries of one day that are to be counted and to be removed: three bites
YOUNG = 100  # of each of the days that stay
DUE = 80


def test_passes_that_tidy_up_at_once_remove_and_count_each_delivery_once(
    machines: Machines, receiver: Receiver
) -> None:
    book = machines.book
    book.note_passes()
    webhook_id = book.webhook(receiver.url())
    midnight = clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    days = {midnight - 31 * DAY: OLD, midnight - 2 * DAY: YOUNG, midnight - DAY: YOUNG}
    for since, count in days.items():
        deliver(book, webhook_id, since, count)
    book.stock(webhook_id, DUE)
    for command in ("cron", "prune"):  # a pass does so for half a second, which a busy machine may use up
        running = [machines.start(number, command) for number in range(4)]
        for one in running:
            assert (one.wait(), one.printed) == (0, "")
        with book.engine.connect() as connection:
            rows = connection.execute(select(Day.day, Day.processed).where(Day.processed > 0)).all()
            assert connection.scalar(select(func.count()).select_from(Day)) == 31
        assert dict(rows) == {f"{since:%Y-%m-%d}": count for since, count in days.items()}
    left = book.deliveries()
    assert Counter(row.status for row in left) == {"processed": 2 * YOUNG + DUE}
    assert {row.delivery_id for row in book.attempts()} == {row.id for row in left}
    assert len(receiver.event_ids("/")) == len(receiver.requests) == DUE


def deliver(book: Book, webhook_id: str, since: datetime, count: int) -> None:
    """Store what was delivered in the first seconds of that day."""
    plain = {"webhook_id": webhook_id, "event": "comment.created", "payload": "{}", "status": "processed"}
    plain |= {"attempts": 1, "claims": 1, "schedule_start": 0, "created_at": since, "finished_at": since}
    made = {"number": 1, "triggered_by": "schedule", "started_at": since, "milliseconds": 5}
    made |= {"status_code": 200, "request_headers": {}, "response_headers": {}}
    row_ids = [f"{ids.first_of(since)[:12]}{number:020x}" for number in range(count)]
    with database.write(book.engine) as connection:
        connection.execute(insert(DELIVERIES), [{"id": one, "event_id": one, **plain} for one in row_ids])
        connection.execute(insert(ATTEMPTS), [{"delivery_id": one, **made} for one in row_ids])


# --- the site on two machines: whoever comes again may come to the other one, and notices nothing

CLICKS = 10  # double clicks


@pytest.fixture
def sites(machines: Machines) -> Iterator[tuple[str, str]]:
    with ExitStack() as stack:
        owns = [machines.own(number, GUESTBOOK_BASE_URL="http://127.0.0.1") for number in (1, 2)]
        first, second = (stack.enter_context(machines.forks.serving(one))[0] for one in owns)
        yield first, second


def test_the_admin_pages_the_form_the_double_click_and_the_limit_are_the_same_on_two_machines(
    sites: tuple[str, str], each_app: Flask
) -> None:
    """One test, for the servers take long to start."""
    first, second = sites
    with database.writing() as session:
        session.merge(BookState(name="password", value=QUICK))
    own = processes.browser(HTTPCookieProcessor())  # for a browser both are one site: it looks at no port
    typed = form(f"{first}/admin/login", own) | {"password": PASSWORD}
    assert processes.fetch(f"{first}/admin/login", typed, own)[0] == 303
    assert processes.fetch(f"{second}/admin/", opener=own)[0] == 200
    key = {"csrf_token": form(f"{first}/admin/account/", own)["csrf_token"]}
    assert processes.fetch(f"{second}/admin/logout", key, own)[0] == 303
    assert [processes.fetch(f"{site}/admin/", opener=own)[0] for site in sites] == [303, 303]

    typed = form(first) | GREETING | {"message": "From one to the other"}
    assert processes.fetch(f"{second}/comments", typed)[0] == 303
    assert all("From one to the other" in processes.fetch(site)[1] for site in sites)

    visitor.let_write()
    before, answers = comments(), []
    for number in range(CLICKS):
        typed = form(sites[number % 2]) | GREETING | {"message": f"Click {number}"}
        answers += at_once(each_app, 2, partial(click, sites, typed))
    assert answers == [303] * 2 * CLICKS
    assert comments() == before + CLICKS

    visitor.let_write(comments() + 2)  # of all that were written until now, by this one network
    answers = [processes.sign(site, message=f"Hello {site}") for site in (*sites, *sites)]
    assert answers == [303, 303, 429, 429]


def click(sites: tuple[str, str], typed: dict[str, str], number: int) -> int:
    return processes.fetch(f"{sites[number]}/comments", typed)[0]


def form(url: str, *opener: OpenerDirector) -> dict[str, str]:
    text = processes.fetch(url, None, *opener)[1]
    return visitor.fields(html5lib.parse(text, namespaceHTMLElements=False))


def comments() -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(Comment)) or 0
