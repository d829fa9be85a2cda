"""The record of a pass: when it started and ended, and what it did. It shows whether the clock has jumped."""

from datetime import datetime, timedelta

from sqlalchemy import Engine, insert, select, update

from guestbook.lib import clock, host_name, ids
from guestbook.outbound.tally import Tally
from guestbook.storage import database, transaction_retry, writable
from guestbook.storage.models import Pass

ROOM = 1_000_000  # bytes: a thousand attempts with the usual answers, or sixty with the longest ones
STEADY_TIME = timedelta(days=2)  # that passes must have come without such a gap, until we believe the clock


def require_room(engine: Engine) -> None:
    """Raise the database's error if the last pass did not come to its end, and there is no room for this one.

    An almost full disk may have room for a claim and none for its outcomes. Then each pass would send the
    same deliveries again.
    """
    if _was_cut_off(engine) and (full := writable.error_of_attempts(engine, ROOM)):
        raise full


def begin(engine: Engine) -> str:
    """Store a pass that starts now, and return its id."""
    pass_id, host = ids.new(), host_name.of_this_host()
    new = insert(Pass).values(id=pass_id, started_at=clock.now(), host=host)
    transaction_retry.write(engine, lambda connection: connection.execute(new))
    return pass_id


def finish(engine: Engine, pass_id: str, tally: Tally) -> None:
    """Store that the pass has ended, and what it did."""
    counts = {"processed": tally.processed, "retried": tally.retried, "failed": tally.failed}
    change = update(Pass).where(Pass.id == pass_id).values(finished_at=clock.now(), **counts)
    transaction_retry.write(engine, lambda connection: connection.execute(change))


def may_prune(engine: Engine, previous: datetime | None) -> bool:
    """Whether passes have come for two days by this clock. After a jump of the clock everything looks old."""
    now = clock.now()
    if previous is None or now - previous >= STEADY_TIME:
        return False
    earlier = Pass.started_at.between(now - 2 * STEADY_TIME, now - STEADY_TIME)
    with database.read(engine) as connection:
        return connection.scalar(select(Pass.id).where(earlier).limit(1)) is not None


def _was_cut_off(engine: Engine) -> bool:
    """Whether the last pass with anything to do was killed, or could not store what it had done.

    On a server those of other hosts may be running now.
    """
    did = Pass.processed + Pass.retried + Pass.failed > 0
    query = select(Pass.finished_at).where(did | Pass.finished_at.is_(None)).order_by(Pass.started_at.desc())
    if engine.dialect.name != "sqlite":
        query = query.where(Pass.host == host_name.of_this_host())
    with database.read(engine) as connection:
        last = connection.execute(query.limit(1)).first()
    return last is not None and last.finished_at is None
