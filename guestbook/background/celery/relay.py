"""The relay: a pass that hands what is due to the broker instead of doing it.

`Window` says how much may be on its way, `TableRelay` hands over the rows of one table, `run` is the pass.
"""

import logging
import math
import time
from collections import defaultdict
from collections.abc import Callable, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import chain, zip_longest
from typing import Any

from sqlalchemy import Connection, Engine, Table, func, literal, null, select
from sqlalchemy.orm import aliased

from guestbook.background import whole_pass
from guestbook.background.celery.messages import DELIVER, IDS_PER_MESSAGE, PROCESS, Handover, Publisher
from guestbook.background.whole_pass import RunningPass
from guestbook.inbound import event_processor
from guestbook.lib import clock, ids, locks, retry_policy
from guestbook.lib.rate_counters import RateLimit
from guestbook.lib.text import counted
from guestbook.outbound.attempt_recorder import Tally
from guestbook.queue import claims, clock_repair
from guestbook.queue.poller import Poller, next_inbound_due
from guestbook.settings import Settings
from guestbook.storage import database
from guestbook.storage.models import DELIVERIES, FIRST_DUE, INBOUND, Delivery, Pass, Source, Webhook

FIRST_SIZE = 8  # rows
LARGEST_SIZE = 512
SIZE_WHEN_FAILING = 2
SIZE_WHEN_UNREACHABLE = 1
REFILL_WITHIN = 0.5  # seconds


@dataclass(slots=True)
class Window:
    """The rows of one webhook or source that are in flight."""

    size: float = FIRST_SIZE
    in_flight: set[str] = field(default_factory=set)
    refill_at: float = 0.0  # on the monotonic clock; until then only a half-empty window is filled

    def keep(self, still: Set[str], given_back: Set[str] = frozenset()) -> None:
        """Forget the rows that are not in flight any more, and learn from them how many there may be."""
        done = len(self.in_flight - still - given_back)
        if given_back & self.in_flight:
            self.size = max(FIRST_SIZE, self.size / 2)
        self.size = min(self.size + done, LARGEST_SIZE)
        self.in_flight &= still

    def room(self, failures: int) -> int:
        """Return how many more rows may be published; `failures` is how often it failed in a row.

        While more wait than fit, it is filled when it is half empty, so that messages have many rows, but
        not late: rows of a worker that died may stay in flight for minutes.
        """
        if failures:
            unreachable = failures >= retry_policy.PAUSE_AFTER
            self.size = SIZE_WHEN_UNREACHABLE if unreachable else SIZE_WHEN_FAILING
        room = max(0, int(self.size) - len(self.in_flight))
        return 0 if room < self.size // 2 and time.monotonic() < self.refill_at else room

    def note_claim(self, *, is_full: bool) -> None:
        """Note whether a claim has found as many rows as it asked for."""
        self.refill_at = time.monotonic() + REFILL_WITHIN if is_full else 0.0


TOKEN_PREFIX = "relay."  # of the rows that were published and not taken over by a worker
SHARES = 8  # A claim becomes at least so many messages, if it has so many rows: workers share them.
MOST_IN_FLIGHT = 2048  # rows of all webhooks or sources together
# A row without a lease that is due so soon was given back by a worker.
GIVEN_BACK_WITHIN = timedelta(seconds=3)


@dataclass(slots=True)
class TableRelay:
    """The way from one table to one of the broker's queues.

    `ready` returns, for a moment, the query for the owners (webhooks or sources) that have something due:
    their id, their failures in a row and their rate limit.
    """

    engine: Engine
    table: Table
    ready: Callable[[datetime], Any]
    task: str
    most: int = 1  # rows in a message
    _name: str = field(default_factory=ids.new)
    _ticks: int = 0
    _windows: defaultdict[str, Window] = field(default_factory=lambda: defaultdict(Window))

    @property
    def in_flight(self) -> set[str]:
        """Return the ids of the published rows, of which some may have ended since the last claim."""
        return set(chain.from_iterable(window.in_flight for window in self._windows.values()))

    def work(self, publisher: Publisher) -> int:
        """Publish as many rows as the windows allow; return how many.

        Raises BrokerAway. The rows that the broker has not confirmed are due again then.
        """
        ready = self.ready(clock.now())
        due = database.read_with_retry(self.engine, lambda connection: connection.execute(ready).all())
        if due:
            self._forget_finished()
        if self._spare <= 0 or not any(self._room(*owner) for owner in due):
            return 0  # No write lock was taken.
        owners = database.write_with_retry(self.engine, self._claim)
        if not owners:
            return 0
        missing, fault = publisher.publish(self.task, in_messages(owners, self.most))
        if missing:
            back = [{"row_id": row.id, "token": row.token, "due_at": clock.now()} for row in sorted(missing)]
            release = partial(claims.release, table=self.table, rows=back)
            database.write_with_retry(self.engine, release)
        for row in owners.keys() - set(missing):
            self._windows[owners[row]].in_flight.add(row.id)
        if fault:
            raise fault
        return len(owners)

    def _forget_finished(self) -> None:
        now = clock.now()
        soon = now + GIVEN_BACK_WITHIN
        ask = partial(claims.in_flight, table=self.table, ids=self.in_flight, now=now, soon=soon)
        still, given_back = database.read_with_retry(self.engine, ask)
        for window in self._windows.values():
            window.keep(still, given_back)

    def _claim(self, connection: Connection) -> dict[Handover, str]:
        """Lease due rows for as long as a message may wait. Return them, each with its owner's id."""
        now = clock.now()
        self._ticks += 1
        token = f"{TOKEN_PREFIX}{self._name}.{self._ticks}"
        owners = connection.execute(self.ready(now)).all()
        first = self._ticks % len(owners) if owners else 0  # Another one is served first each time.
        limits = {one[0]: self._room(*one) for one in (*owners[first:], *owners[:first])}
        until = now + retry_policy.RELAY_LEASE
        terms: dict[str, Any] = {"now": now, "until": until, "token": token, "counted": False}
        columns = ("id", "sequence") if self.table is DELIVERIES else ("id",)
        leased = claims.take(connection, self.table, columns, limits, most=self._spare, **terms)
        for owner_id, rows in leased.items():
            self._windows[owner_id].note_claim(is_full=len(rows) == limits[owner_id])
        return {Handover(row.id, token): owner_id for owner_id, rows in leased.items() for row in rows}

    @property
    def _spare(self) -> int:
        return MOST_IN_FLIGHT - sum(len(window.in_flight) for window in self._windows.values())

    def _room(self, owner_id: str, failures: int, rate: str | None) -> int:
        """Return how many rows to publish; workers would give back what is over the rate limit."""
        window = self._windows[owner_id]
        room = window.room(failures)
        return min(room, max(0, RateLimit.stored(rate).number - len(window.in_flight))) if rate else room


def in_messages(owners: dict[Handover, str], most: int) -> list[list[Handover]]:
    """Divide a claim, which is in the order of the owners, into messages.

    A message has rows of few owners, so that a slow one delays few messages. An owner's next rows come after
    the first ones of all others.
    """
    size = min(most, math.ceil(len(owners) / SHARES)) or 1
    rows: dict[str, list[Handover]] = defaultdict(list)
    for row, owner_id in owners.items():
        rows[owner_id].append(row)
    parts = [[some[at : at + size] for at in range(0, len(some), size)] for some in rows.values()]
    messages: list[list[Handover]] = []
    for part in filter(None, chain.from_iterable(zip_longest(*parts))):
        if messages and len(messages[-1]) + len(part) <= size:
            messages[-1] += part
        else:
            messages.append(part)
    return messages


TICK_SECONDS = 0.05  # between two looks at what workers have done
FOLLOW_WAIT = 5.0  # seconds that a relay waits, since it last published, for one that others must follow
log = logging.getLogger(__name__)


def run(engine: Engine, settings: Settings, *, max_seconds: float, stay: bool) -> Tally | None:
    """Publish what is due until nothing is, or with `stay` until the time is over, then prune.

    Return what workers have done meanwhile, or None when another relay holds the data folder's lock. Raises
    BrokerAway. Rows that could not be published are due at once then, for a pass or for the next relay.
    """
    assert settings.broker_url
    with (
        Publisher(settings.broker_url) as publisher,
        whole_pass.opened_pass(engine, settings, max_seconds, housekeeping=True, lock=locks.RELAY) as running,
    ):
        if running is None:
            log.info("Another relay is running; it does the work.")
            return None
        ended_here = Pass.finished_at <= clock.now(), Pass.host == ids.host_name()
        with database.read(engine) as connection:
            last_end = connection.scalar(select(func.max(Pass.finished_at)).where(*ended_here))
        since = last_end or clock.now()  # What workers did between two relays counts too.
        _publish(engine, settings, publisher, running, stay)
        running.tally = _done_since(engine, since)
        return running.tally


def take_back(engine: Engine) -> int:
    """Make due at once what was published and not started. Workers ignore the messages of these rows then."""

    def once(connection: Connection) -> int:
        now, count = clock.now(), 0
        for table, owner, owners in (
            (DELIVERIES, "webhook_id", Webhook.id),
            (INBOUND, "source_id", Source.id),
        ):
            for owner_id in connection.scalars(select(owners)).all():
                mine = (table.c[owner] == owner_id) & (table.c.due_at > now)
                published = mine & table.c.claimed_by.startswith(TOKEN_PREFIX)
                count += claims.make_due(connection, table, published, now)
        return count

    return database.write_with_retry(engine, once)


def _publish(
    engine: Engine, settings: Settings, publisher: Publisher, running: RunningPass, stay: bool
) -> None:
    outbox = TableRelay(engine, DELIVERIES, _open_webhooks, DELIVER, IDS_PER_MESSAGE)
    inbox = TableRelay(engine, INBOUND, _open_sources, PROCESS)
    repairs = clock_repair.PeriodicRepair(engine, settings.timeout, settings.retry_schedule)
    published_at = time.monotonic()
    with Poller(engine, wakes=stay) as poller:
        while not running.stop.is_set() and time.monotonic() < running.until:
            repairs.look()
            running.host.keep()
            inbound, outbound = inbox.work(publisher), outbox.work(publisher)
            if inbound or outbound:
                published_at = time.monotonic()
                figures = counted(outbound, "delivery", "deliveries"), counted(inbound, "inbound event")
                extra = {"deliveries": outbound, "inbound_events": inbound}
                log.info("Published %s and %s.", *figures, extra=extra)
            # This is asked first, for the end of what others must follow makes them due.
            is_followed = not stay and bool(outbox.in_flight) and _is_followed(engine)
            next_due = min(filter(None, (poller.next_due(), next_inbound_due(engine))), default=None)
            if next_due and next_due <= clock.now():
                running.stop.wait(TICK_SECONDS)  # The windows are full, or there is more.
            elif stay:
                due = partial(next_inbound_due, engine)
                poller.rest(running.until, running.stop, other_due=due, ends=repairs.is_due)
            elif is_followed and time.monotonic() < published_at + FOLLOW_WAIT:
                running.stop.wait(TICK_SECONDS)
            elif not (inbound or outbound):
                break


def _is_followed(engine: Engine) -> bool:
    """Whether a delivery waits for nothing but the end of an earlier one about its comment."""
    now, earlier = clock.now(), aliased(Delivery)
    same = (earlier.comment_id == Delivery.comment_id) & (earlier.webhook_id == Delivery.webhook_id)
    is_under_way = (earlier.sequence < Delivery.sequence) & earlier.claimed_by.is_not(None)
    query = select(Delivery.id).join(earlier, same & is_under_way)
    query = query.join(Webhook, Delivery.webhook_id == Webhook.id)
    query = query.where(Delivery.due_at <= now, Webhook.open_at(now), Webhook.has_slot_at(now))
    with database.read(engine) as connection:
        return connection.scalar(query.limit(1)) is not None


def _open_webhooks(now: datetime) -> Any:
    open_now = Webhook.open_at(now), Webhook.has_slot_at(now), now >= FIRST_DUE
    return select(Webhook.id, Webhook.failures_in_a_row, Webhook.rate).where(*open_now).order_by(Webhook.id)


def _open_sources(now: datetime) -> Any:
    # They have no failures in a row and no limit.
    return event_processor.sources_with_due(now, Source.id, literal(0), null())


def _done_since(engine: Engine, since: datetime) -> Tally:
    """Count what was finished by anybody, for the same mail to the owner as after a pass."""
    tally, rows = Tally(), DELIVERIES.c
    done = rows.finished_at > since
    count = select(func.count()).select_from(DELIVERIES)
    lost = select(Webhook.name, Webhook.id, func.count()).join(DELIVERIES, rows.webhook_id == Webhook.id)
    with database.read(engine) as connection:
        tally.processed = connection.scalar(count.where(rows.status == "processed", done)) or 0
        query = lost.where(rows.status == "failed", done).group_by(Webhook.name, Webhook.id)
        for name, webhook_id, number in connection.execute(query):
            tally.given_up[name, webhook_id] = number
        gone = select(Webhook.name).where(Webhook.disabled_at > since, Webhook.disabled_reason != "by_hand")
        tally.disabled = [f"webhook {name} was disabled" for name in connection.scalars(gone)]
    return tally
