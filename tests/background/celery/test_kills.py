"""Broker, workers and relay die by SIGKILL: nothing is lost, little is repeated, and the order is kept."""

import random
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from sqlalchemy import select, update

from guestbook.background.celery.delivery_consumer import UNRECORDED_PER_THREAD
from guestbook.lib import clock
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import INBOUND, Comment
from tests.background.celery.works import ON_TWO, Worker, Works
from tests.support import amount, factories
from tests.support.forks import Command
from tests.support.killed_passes import HASTY, KilledPasses
from tests.support.processes import wait_for
from tests.support.receiver import Receiver, at_random

SEED = 20261125
KILLS = amount.kills(5)
VICTIMS = ["broker", *(("worker", "relay") * KILLS)[: KILLS - 1]]
INBOUND_EVENTS = 5  # that come in before each kill
EVENTS_AHEAD = 12  # stored before each kill, for each webhook; more than may be sent until then
CONCURRENCY = 8  # threads of a worker
MOST_REPEATED = UNRECORDED_PER_THREAD * CONCURRENCY  # what a worker's death can make us send twice
MOST_BETWEEN = 40  # requests between two kills


@dataclass
class Chaos:
    """What is alive, and how often what was killed."""

    works: Works
    receiver: Receiver
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
        return len(self.receiver.requests)

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


@pytest.fixture
def busy_receiver() -> Iterator[Receiver]:
    with Receiver(program=at_random(SEED, (0.005, 0.03), 0.03)) as receiver:
        yield receiver


@pytest.mark.timeout(200)
def test_random_kills_of_broker_workers_and_relay_lose_nothing_and_repeat_little(
    works: Works, busy_receiver: Receiver
) -> None:
    works.environ |= HASTY
    chaos = Chaos(works, busy_receiver, factories.source(action="comment", template="{{ payload.text }}"))
    victims = chaos.luck.sample(VICTIMS, len(VICTIMS))
    for number in range(4):
        works.book.webhook(busy_receiver.url(f"/{number}"))
    for victim in victims:
        chaos.start_what_is_missing()
        chaos.let_them_work()
        chaos.kill(victim)
    chaos.finish()
    works.book.check_arrivals(busy_receiver.requests, chaos.kills["worker"] * MOST_REPEATED)
    _check_what_came_in()


def _check_what_came_in() -> None:
    """Each event became one comment, however often it was begun."""
    events = factories.inbound_events()
    assert {(event.status, event.attempts, event.error) for event in events} == {("processed", 1, None)}
    db.session.rollback()
    comments = set(db.session.scalars(select(Comment.id)))
    assert len(comments) == len(events)
    assert {event.comment_id for event in events} == comments


@ON_TWO
@pytest.mark.timeout(200)
def test_kills_of_workers_and_relays_at_any_call_repeat_only_what_these_had_in_hand(works: Works) -> None:
    wanted = {"relay": 1, "worker": 2}
    passes = KilledPasses(works.book, works.forks, works.environ | HASTY, random.Random(SEED), wanted)
    assert passes.play(amount.kills(4))["requests"] > 0
