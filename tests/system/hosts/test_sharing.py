"""Passes on four machines share the work: each delivery is sent once, each inbound event has one effect."""

import json
import re
from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import insert, select

from guestbook.lib import clock, ids
from guestbook.lib.retry_policy import PAUSE_AFTER, PAUSE_FIRST
from guestbook.storage import database
from guestbook.storage.models import INBOUND, Comment
from tests.support import inbound_factories, processes
from tests.support.receiver import HANG, Answer
from tests.system.hosts.conftest import Hook
from tests.system.hosts.fleet import MACHINES, Fleet, ended, name

pytestmark = pytest.mark.parametrize("each_environ", ["postgresql", "mariadb"], indirect=True)

PATHS = [f"/{number}" for number in range(8)]
EACH = 120  # deliveries to each of them
FAIR = 0.05  # of the work: the least that each machine does of it
SOURCES, EVENTS = 5, 30  # inbound events of each source
REPEATED = 8  # of them, which come twice
BEFORE = 150  # requests that are answered before the receiver hangs
JSON = {"content-type": "application/json"}
DONE = re.compile(r"processed\. It became a comment")


def test_four_passes_send_each_delivery_once_and_each_does_its_part(fleet: Fleet, hook: Hook) -> None:
    passes = fleet.start_everywhere("cron", "--stay", "--concurrency", "16")
    for path in PATHS:
        hook.receiver.answer(path, Answer(delay=0.05))
        fleet.book.stock(fleet.book.webhook(hook.base_url + path), EACH)
    total = len(PATHS) * EACH
    hook.receiver.wait_for(total, seconds=60)
    ended(passes)
    for path in PATHS:
        assert len(hook.receiver.event_ids(path)) == len(hook.receiver.at(path)) == EACH
    rows = Counter((row.status, row.claims, row.attempts) for row in fleet.book.deliveries())
    assert rows == {("processed", 1, 1): total}
    parts = {row.host: row.processed for row in fleet.book.passes()}
    assert set(parts) == {name(number) for number in MACHINES}
    assert sum(parts.values()) == total
    assert min(parts.values()) >= FAIR * total, parts
    fleet.book.check()


def test_the_lock_of_a_machine_keeps_nobody_waiting_on_another(fleet: Fleet) -> None:
    first = fleet.start(1, "cron", "--stay")
    first.is_at_work()
    beside, elsewhere = fleet.start(1, "cron", "-v"), fleet.start(2, "cron", "-v")
    assert (beside.wait(), elsewhere.wait()) == (0, 0)
    assert beside.printed == "Another pass is running; it does the work.\n"
    assert elsewhere.printed == "Processed 0, to be retried 0, given up 0.\n"
    ended([first])
    assert [row.host for row in fleet.book.passes()] == [name(1), name(2)]


def test_four_passes_make_one_comment_of_each_event_and_each_does_its_part(fleet: Fleet) -> None:
    passes = fleet.start_everywhere("cron", "--stay", "-v", point="small_batches")
    sources = [
        inbound_factories.source(token=str(number), template=inbound_factories.PLAIN)
        for number in range(SOURCES)
    ]
    _arrive(fleet, sources)
    processes.wait_for(lambda: not _waiting(fleet), 60)
    for one in passes:
        one.terminate()
    assert [one.wait() for one in passes] == [0, 0, 0, 0]
    with fleet.book.engine.connect() as connection:
        messages = connection.scalars(select(Comment.message)).all()
    assert sorted(messages) == sorted(f"{source} {number}" for source in sources for number in range(EVENTS))
    rows = Counter((row.status, row.claims, row.attempts) for row in inbound_factories.rows())
    assert rows == {("processed", 1, 1): SOURCES * (EVENTS + REPEATED)}
    parts = [len(DONE.findall(one.printed)) for one in passes]
    assert sum(parts) == SOURCES * EVENTS
    assert min(parts) >= FAIR * SOURCES * EVENTS, parts
    inbound_factories.check()


def test_four_passes_pause_a_webhook_that_hangs_for_no_longer_than_one_would(
    fleet: Fleet, hook: Hook
) -> None:
    hook.receiver.answer("/", *[Answer(delay=0.05)] * BEFORE, HANG)
    webhook_id = fleet.book.webhook(f"{hook.base_url}/")
    fleet.book.stock(webhook_id, 3 * BEFORE)
    passes = [fleet.start(number, "cron", "--stay", GUESTBOOK_TIMEOUT="1") for number in MACHINES]
    processes.wait_for(lambda: _paused(fleet, webhook_id), 20)
    processes.wait_for(lambda: not fleet.book.leased(), 20)
    ended(passes)
    row = fleet.book.webhook_row(webhook_id)
    assert row.failures_in_a_row == len(hook.receiver.requests) - BEFORE > PAUSE_AFTER
    assert row.unreachable_in_a_row == PAUSE_AFTER
    assert row.paused_until - clock.now() < 1.2 * timedelta(seconds=PAUSE_FIRST)


def _arrive(fleet: Fleet, sources: list[str]) -> None:
    """Store what the sources send, at once; some come again under their number right behind themselves."""
    now = clock.now()
    plain = {"encoding": "text", "status": "new", "due_at": now, "received_at": now}
    rows = []
    for number in range(EVENTS):
        for source_id in sources:
            text = f"{source_id} {number}"
            request = {"payload": json.dumps({"text": text}), "headers": {**JSON, "webhook-id": text}}
            row = {"source_id": source_id, "attempts": 0, "claims": 0, **plain, **request}
            rows += [{"id": ids.new(), **row} for _ in range(2 if number < REPEATED else 1)]
    with database.write(fleet.book.engine) as connection:
        connection.execute(insert(INBOUND), rows)


def _waiting(fleet: Fleet) -> bool:
    with fleet.book.engine.connect() as connection:
        return connection.scalar(select(INBOUND.c.id).where(INBOUND.c.status == "new").limit(1)) is not None


def _paused(fleet: Fleet, webhook_id: str) -> bool:
    return fleet.book.webhook_row(webhook_id).paused_until is not None
