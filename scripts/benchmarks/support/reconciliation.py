"""Whether all that was accepted has arrived once: the receivers' memories beside the tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine, func, select

from guestbook.lib import clock
from guestbook.outbound.worker_pool import MAX_UNRECORDED
from guestbook.storage.models import DELIVERIES, INBOUND, Delivery
from scripts.benchmarks.support.load_generator import Log
from scripts.benchmarks.support.receivers import Behaviour, Memory

Receiver = tuple[Behaviour, Memory]


@dataclass(frozen=True, slots=True)
class Account:
    """How many of each; nothing but `explained` may be above zero."""

    lost: Mapping[str, int]  # comments that a healthy receiver never accepted, by its name
    unrecorded: int  # requests without an attempt on record: they were sent twice, or will be
    explained: int  # how many of those may come from kills
    unprocessed: int  # inbound events that were accepted and are not processed


def account(engine: Engine, log: Log, receivers: Mapping[str, Receiver], explained: int) -> Account:
    """Compare; `receivers` are by the webhook's id."""
    comments, unprocessed = _from_inbox(engine, log.events)
    comments |= set(log.comments)
    healthy = [(behaviour, memory) for behaviour, memory in receivers.values() if behaviour.is_healthy]
    return Account(
        lost={behaviour.name: len(comments - memory.accepted.keys()) for behaviour, memory in healthy},
        unrecorded=sum(_unrecorded(engine, webhook, memory) for webhook, (_, memory) in receivers.items()),
        explained=explained,
        unprocessed=unprocessed,
    )


def under_way(engine: Engine) -> int:
    """Return how many deliveries a pass that was killed just now may have sent without recording them."""
    query = select(func.count()).select_from(Delivery).where(Delivery.leased_at(clock.now()))
    with engine.connect() as connection:
        return min(connection.scalar(query) or 0, MAX_UNRECORDED)


def is_empty(engine: Engine, hanging: Sequence[str]) -> bool:
    """Whether nothing waits any more except for the webhooks that hang."""
    deliveries = select(DELIVERIES.c.id).where(
        DELIVERIES.c.status == "new", DELIVERIES.c.webhook_id.not_in(hanging)
    )
    events = select(INBOUND.c.id).where(INBOUND.c.status == "new")
    with engine.connect() as connection:
        return not any(connection.scalar(query.limit(1)) for query in (deliveries, events))


def _from_inbox(engine: Engine, accepted: Sequence[str]) -> tuple[set[str], int]:
    """Return the comments made from these inbound events, and how many events made none."""
    query = select(INBOUND.c.id, INBOUND.c.comment_id).where(INBOUND.c.comment_id.is_not(None))
    with engine.connect() as connection:
        comments = {row.id: row.comment_id for row in connection.execute(query)}
    made = [comments[one] for one in accepted if one in comments]
    return set(made), len(accepted) - len(made)


def _unrecorded(engine: Engine, webhook: str, memory: Memory) -> int:
    query = select(DELIVERIES.c.event_id, DELIVERIES.c.attempts).where(DELIVERIES.c.webhook_id == webhook)
    with engine.connect() as connection:
        attempts = {row.event_id: row.attempts for row in connection.execute(query)}
    return sum(max(0, count - attempts.get(event, 0)) for event, count in memory.requests.items())
