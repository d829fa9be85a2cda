"""What has become of all that was accepted: the receivers' memory held against the tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine, func, select

from guestbook.lib import clock
from guestbook.outbound.worker_pool import MAX_UNRECORDED
from guestbook.storage.models import DELIVERIES, INBOUND, Delivery
from scripts.benchmarks.support.load_generator import Log
from scripts.benchmarks.support.receivers import Heard


@dataclass(frozen=True, slots=True)
class Account:
    """How many of each; nothing but `explained` may be above zero."""

    lost: Mapping[str, int]  # comments that a healthy receiver never thanked for, by its name
    unrecorded: int  # requests that came without an attempt on record: what was sent twice, or will be
    explained: int  # so many of those may be the kills' work
    unprocessed: int  # inbound events that were accepted and are not processed
    not_final: int  # deliveries to healthy receivers that still wait
    given_up: int  # deliveries to them whose retries are used up


def settle(
    engine: Engine, log: Log, heard: Mapping[str, tuple[str, Heard]], ailing: Sequence[str], explained: int
) -> Account:
    """Draw it up. `heard` has each receiver's name and memory by the webhook's id; `ailing` are such ids."""
    healthy = [webhook for webhook in heard if webhook not in ailing]
    comments, unprocessed = _from_inbox(engine, log.events)
    comments |= set(log.comments)
    return Account(
        lost={heard[webhook][0]: len(comments - heard[webhook][1].thanked) for webhook in healthy},
        unrecorded=sum(_unrecorded(engine, webhook, memory) for webhook, (_, memory) in heard.items()),
        explained=explained,
        unprocessed=unprocessed,
        not_final=_count(engine, healthy, "new"),
        given_up=_count(engine, healthy, "failed"),
    )


def in_hand(engine: Engine) -> int:
    """Return how many deliveries a pass that was killed just now may have sent without writing it down."""
    query = select(func.count()).select_from(Delivery).where(Delivery.leased_at(clock.now()))
    with engine.connect() as connection:
        return min(connection.scalar(query) or 0, MAX_UNRECORDED)


def is_settled(engine: Engine, ailing: Sequence[str]) -> bool:
    """Whether nothing waits any more but for those webhooks."""
    waits = select(DELIVERIES.c.id).where(
        DELIVERIES.c.status == "new", DELIVERIES.c.webhook_id.not_in(ailing)
    )
    came = select(INBOUND.c.id).where(INBOUND.c.status == "new")
    with engine.connect() as connection:
        return not any(connection.scalar(query.limit(1)) for query in (waits, came))


def _from_inbox(engine: Engine, accepted: Sequence[str]) -> tuple[set[str], int]:
    """Return the comments that these inbound events have become, and how many have become none."""
    query = select(INBOUND.c.id, INBOUND.c.comment_id).where(INBOUND.c.comment_id.is_not(None))
    with engine.connect() as connection:
        became = {row.id: row.comment_id for row in connection.execute(query)}
    return {became[one] for one in accepted if one in became}, sum(one not in became for one in accepted)


def _unrecorded(engine: Engine, webhook: str, memory: Heard) -> int:
    query = select(DELIVERIES.c.event_id, DELIVERIES.c.attempts).where(DELIVERIES.c.webhook_id == webhook)
    with engine.connect() as connection:
        attempts = {row.event_id: row.attempts for row in connection.execute(query)}
    return sum(max(0, count - attempts.get(event, 0)) for event, count in memory.arrivals.items())


def _count(engine: Engine, webhooks: Sequence[str], status: str) -> int:
    query = select(func.count()).where(DELIVERIES.c.status == status, DELIVERIES.c.webhook_id.in_(webhooks))
    with engine.connect() as connection:
        return connection.scalar(query) or 0
