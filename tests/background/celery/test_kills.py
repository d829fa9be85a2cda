"""Kills at random: broker, workers and relay die by SIGKILL; nothing is lost and little is repeated."""

import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import select, update

from guestbook.background.celery.delivery_consumer import UNRECORDED_PER_THREAD
from guestbook.lib import clock
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import INBOUND, Comment
from tests.background.celery.works import Worker, Works
from tests.support import amount, factories, receiver
from tests.support.forks import Command
from tests.support.processes import wait_for
from tests.support.receiver import Line

pytestmark = pytest.mark.needs("rabbitmq")
SEED = 20261125
KILLS = amount.kills(5)
VICTIMS = ["broker", *(("worker", "relay") * KILLS)[: KILLS - 1]]
WEBHOOKS = 4
INBOUND_EVENTS = 5  # that come in before each kill
EVENTS_AHEAD = 12  # stored before each kill, for each webhook; more than may be sent until then
CONCURRENCY = 8  # threads of a worker
MOST_REPEATED = UNRECORDED_PER_THREAD * CONCURRENCY  # what a worker's death can make us send twice
LATENCY = (0.005, 0.03)  # seconds
FAILING = 0.03  # of the answers are 500
MOST_BETWEEN = 40  # requests between two kills


@dataclass
class Chaos:
    """What is alive, and how often what was killed."""

    works: Works
    log: Path
    source: str
    luck: random.Random = field(default_factory=lambda: random.Random(SEED))
    workers: list[Worker] = field(default_factory=list)
    relay: Command | None = None
    kills: Counter[str] = field(default_factory=Counter)

    def start_what_is_missing(self) -> None:
        """Let there be a broker, a relay that stays, and two workers."""
        node = self.works.vhost.node
        if not node.runs:
            node.start()
        if not self.relay:
            self.relay = self.works.start_relay("--stay")
        while len(self.workers) < 2:
            self.workers.append(self.works.start_worker(CONCURRENCY))

    def let_them_work(self) -> None:
        """Store more events, and wait until some more requests have arrived, at least one.

        What waits from before may not do: a killed worker has leased it, or it is sent and not recorded.
        """
        self.works.book.publish(EVENTS_AHEAD)
        for _ in range(INBOUND_EVENTS):
            factories.inbound(self.source, payload='{"text": "Hello"}')
        enough = self.requests + self.luck.randint(1, MOST_BETWEEN)
        wait_for(lambda: self.requests >= enough, 40, self.works.show)

    @property
    def requests(self) -> int:
        return len(receiver.read_log(self.log))

    def kill(self, kind: str) -> None:
        """Kill one of that kind; a relay ends by itself when it misses its broker."""
        self.kills[kind] += 1
        if kind == "worker":
            self.workers.pop(self.luck.randrange(2)).kill()
        elif kind == "relay" and self.relay:
            self.relay.kill()
            self.relay = None
        elif kind == "broker":
            self.works.vhost.node.kill()
            self.works.book.publish()
            assert self.relay
            assert self.relay.wait() == 75, self.relay.printed
            self.relay = None

    def finish(self) -> None:
        """End what lives, let the leases of the dead run out, and do the rest without kills."""
        self.start_what_is_missing()
        assert self.relay
        self.relay.terminate()  # which ends it by itself if it has only just started
        assert self.relay.wait() in (0, -signal.SIGTERM), self.relay.printed
        for worker in self.workers:
            worker.kill()
            self.kills["worker"] += 1
        self.works.book.expire()
        with database.write(self.works.book.engine) as connection:  # the same for what came in
            leased = INBOUND.c.claimed_by.is_not(None)
            connection.execute(update(INBOUND).where(leased).values(due_at=clock.now()))
        with self.works.worker(CONCURRENCY), self.works.staying_relay():
            wait_for(self._is_done, 60, self.works.show)

    def _is_done(self) -> bool:
        came = {event.status for event in factories.inbound_events()}
        return not self.works.book.statuses()["new"] and came == {"processed"}


@pytest.mark.timeout(200)
def test_random_kills_of_broker_workers_and_relay_lose_nothing_and_repeat_little(
    works: Works, tmp_path: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    works.environ |= {"GUESTBOOK_TIMEOUT": "5", "GUESTBOOK_RETRY_SCHEDULE": ",".join(["0"] * 30)}
    log, begun = tmp_path / "log", time.monotonic()
    chaos = Chaos(works, log, factories.source(action="comment", template="{{ payload.text }}"))
    mode = request.node.callspec.params["environ"]
    # A start of the broker costs more than all else. test_broker_outage has one that goes away on each.
    kinds = VICTIMS if mode == "sqlite-wal" else VICTIMS[1:]
    victims = chaos.luck.sample(kinds, len(kinds))
    with receiver.in_a_process(log, latency=LATENCY, failing=FAILING, seed=SEED) as base_url:
        for number in range(WEBHOOKS):
            works.book.webhook(f"{base_url}/{number}")
        for victim in victims:
            chaos.start_what_is_missing()
            chaos.let_them_work()
            chaos.kill(victim)
        chaos.finish()
    lines = receiver.read_log(log)
    _check(chaos, lines)
    _check_what_came_in()
    with capsys.disabled():
        print(f"\n{mode}: {_figures(chaos, lines)}, {time.monotonic() - begun:.0f} s")


def _check(chaos: Chaos, lines: list[Line]) -> None:
    """Everything arrived, everything is final, and each repetition is owed to the death of a worker."""
    book = chaos.works.book
    book.check()
    assert set(book.statuses()) == {"processed"}
    arrivals = Counter((line.path, line.event_id) for line in lines)
    successes = Counter((line.path, line.event_id) for line in lines if line.status == 200)
    paths = {row.webhook_id: _path(chaos, row.webhook_id) for row in book.deliveries()}
    for row in book.deliveries():
        here = (paths[row.webhook_id], row.event_id)
        assert successes[here] >= 1, row
        assert row.attempts <= arrivals[here] <= row.claims, row
    assert arrivals.keys() == {(paths[row.webhook_id], row.event_id) for row in book.deliveries()}
    assert len(lines) - len(book.attempts()) <= chaos.kills["worker"] * MOST_REPEATED


def _check_what_came_in() -> None:
    """Each event became one comment, however often it was begun."""
    events = factories.inbound_events()
    assert {(event.status, event.attempts, event.error) for event in events} == {("processed", 1, None)}
    db.session.rollback()
    comments = set(db.session.scalars(select(Comment.id)))
    assert len(comments) == len(events)
    assert {event.comment_id for event in events} == comments


def _path(chaos: Chaos, webhook_id: str) -> str:
    return "/" + chaos.works.book.webhook_row(webhook_id).url.rpartition("/")[2]


def _figures(chaos: Chaos, lines: list[Line]) -> str:
    successes = Counter((line.path, line.event_id) for line in lines if line.status == 200)
    total = chaos.works.book.statuses()["processed"]
    kills = ", ".join(f"{kind} {count}" for kind, count in sorted(chaos.kills.items()))
    return (
        f"kills: {kills}; deliveries {total}, lost {total - len(successes)}, "
        f"duplicates {successes.total() - len(successes)}, "
        f"sent and unrecorded when killed {len(lines) - len(chaos.works.book.attempts())}"
    )
