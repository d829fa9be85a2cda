"""The relay: a pass that hands what is due to the broker instead of doing it."""

import logging
import time
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine, func, literal, null, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import aliased

from guestbook.background import pass_lifecycle
from guestbook.background.celery.messages import DELIVER, IDS_PER_MESSAGE, PROCESS
from guestbook.background.celery.publisher import Publisher
from guestbook.background.celery.table_relay import TOKEN_PREFIX, TableRelay
from guestbook.background.pass_lifecycle import RunningPass
from guestbook.inbound import due_events
from guestbook.lib import clock, host_name, pass_lock, retry_policy
from guestbook.lib.text import counted
from guestbook.outbound.tally import Tally
from guestbook.queue import clock_repair, leases
from guestbook.queue.poller import Poller, next_inbound_due
from guestbook.settings import Settings
from guestbook.storage import database, transaction_retry
from guestbook.storage.models import (
    DELIVERIES,
    FIRST_DUE,
    INBOUND,
    Delivery,
    Pass,
    Source,
    Webhook,
)

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
        pass_lifecycle.opened(
            engine, settings, max_seconds, housekeeping=True, lock=pass_lock.RELAY
        ) as running,
    ):
        if running is None:
            log.info("Another relay is running; it does the work.")
            return None
        since = _last_end(engine) or clock.now()  # what workers did between two relays counts too
        _publish(engine, settings, publisher, running, stay)
        running.tally = _done_since(engine, since)
        return running.tally


def take_back(engine: Engine) -> int:
    """Make due at once what was published and not started. Workers ignore the messages of these rows then."""
    return transaction_retry.write(engine, _take_back)


def _publish(
    engine: Engine, settings: Settings, publisher: Publisher, running: RunningPass, stay: bool
) -> None:
    """Publish what is due. In the end all that is in flight is leased for as long as a message may wait.

    If the database cannot be used, the leases run out, and the rows are published again.
    """
    lease = retry_policy.lease(settings.timeout)
    outbox = TableRelay(engine, DELIVERIES, "webhook_id", _open_webhooks, DELIVER, lease, IDS_PER_MESSAGE)
    inbox = TableRelay(engine, INBOUND, "source_id", _open_sources, PROCESS, retry_policy.INBOX_LEASE)
    repairs = clock_repair.PeriodicRepair(engine, settings.timeout, settings.retry_schedule)
    is_lost = False
    try:
        _loop(publisher, running, inbox, outbox, repairs, stay)
    except DBAPIError:
        is_lost = True
        raise
    finally:
        if not is_lost:
            inbox.extend(at_end=True)
            outbox.extend(at_end=True)


def _loop(
    publisher: Publisher,
    running: RunningPass,
    inbox: TableRelay,
    outbox: TableRelay,
    repairs: clock_repair.PeriodicRepair,
    stay: bool,
) -> None:
    engine, published_at = outbox.engine, time.monotonic()
    with Poller(engine, wakes=stay) as poller:
        while not running.stop.is_set() and time.monotonic() < running.until:
            repairs.look()
            running.host.keep()
            inbound, outbound = inbox.work(publisher), outbox.work(publisher)
            if inbound or outbound:
                published_at = time.monotonic()
                _log_published(outbound, inbound)
            is_idle = not (stay or inbound or outbound)
            is_followed = is_idle and _is_followed(engine, outbox)  # first: its end makes others due
            next_due = min(filter(None, (poller.next_due(), next_inbound_due(engine))), default=None)
            if next_due and next_due <= clock.now():
                running.stop.wait(TICK_SECONDS)  # the windows are full, or there is more
            elif stay:
                until, due = (
                    min(running.until, inbox.extend_at, outbox.extend_at),
                    partial(next_inbound_due, engine),
                )
                poller.rest(until, running.stop, other_due=due, ends=repairs.is_due)
            elif is_idle:
                if published_at + FOLLOW_WAIT < time.monotonic() or not is_followed:
                    break
                running.stop.wait(TICK_SECONDS)


def _log_published(outbound: int, inbound: int) -> None:
    figures = counted(outbound, "delivery", "deliveries"), counted(inbound, "inbound event")
    extra = {"deliveries": outbound, "inbound_events": inbound}
    log.info("Published %s and %s.", *figures, extra=extra)


def _is_followed(engine: Engine, outbox: TableRelay) -> bool:
    """Whether a delivery waits for nothing but the end of one about its comment that we have published."""
    now, later = clock.now(), aliased(Delivery)
    same = (later.comment_id == Delivery.comment_id) & (later.webhook_id == Delivery.webhook_id)
    behind = same & (later.sequence > Delivery.sequence) & (later.due_at <= now)
    query = (
        select(later.id)
        .select_from(Delivery)
        .join(later, behind)
        .join(Webhook, Delivery.webhook_id == Webhook.id)
    )
    query = query.where(Delivery.due_at.is_not(None), Webhook.open_at(now), Webhook.has_slot_at(now)).limit(1)
    published = sorted(outbox.in_flight)
    with database.read(engine) as connection:
        return any(
            connection.execute(
                query.where(Delivery.id.in_(published[start : start + leases.IDS_PER_QUERY]))
            ).first()
            for start in range(0, len(published), leases.IDS_PER_QUERY)
        )


def _open_webhooks(now: datetime) -> Any:
    open_now = Webhook.open_at(now), Webhook.has_slot_at(now), now >= FIRST_DUE
    return select(Webhook.id, Webhook.failures_in_a_row, Webhook.rate).where(*open_now).order_by(Webhook.id)


def _open_sources(now: datetime) -> Any:
    return due_events.sources_with_due(now, Source.id, literal(0), null())  # no failures in a row, no limit


def _last_end(engine: Engine) -> datetime | None:
    on_this_host = Pass.finished_at <= clock.now(), Pass.host == host_name.of_this_host()
    with database.read(engine) as connection:
        return connection.scalar(select(func.max(Pass.finished_at)).where(*on_this_host))


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


def _take_back(connection: Connection) -> int:
    now, count = clock.now(), 0
    for table, group, groups in ((DELIVERIES, "webhook_id", Webhook.id), (INBOUND, "source_id", Source.id)):
        for group_id in connection.scalars(select(groups)).all():
            mine = (table.c[group] == group_id) & (table.c.due_at > now)
            published = mine & table.c.claimed_by.startswith(TOKEN_PREFIX)
            count += leases.make_due(connection, table, published, now)
    return count
