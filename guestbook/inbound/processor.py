"""Work through the inbox: the pass's half that turns inward. The main thread does it, a batch at a time."""

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine, Row, select
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from guestbook.inbound import actions, evaluate
from guestbook.inbound.evaluate import Arrived, Judgement
from guestbook.inbound.outcome_counts import Counts
from guestbook.lib import clock, ids, retry_policy
from guestbook.lib.stop_flag import StopFlag
from guestbook.queue import erasure, leases
from guestbook.settings import Settings
from guestbook.storage import database, database_errors, source_budget
from guestbook.storage.models import FIRST_INBOUND_DUE, INBOUND, Source

BATCH = 20  # events in one transaction, each of a megabyte at most
BATCH_TIME = 0.1  # seconds after which no more of a batch is begun: the outbox waits meanwhile
COUNT_EVERY = 1.0  # seconds between two looks at the sources' budgets
REST = 0.02  # seconds between two batches, for the web's turn to write
MOST_LOSSES = 10  # passes that may die over one event before it is left alone
ERROR_LIMIT = NOTE_LIMIT = 500  # characters, as in schema.sql
log = logging.getLogger(__name__)

Batch = list[tuple[Arrived, Source]]
Judged = tuple[Arrived, Source, Judgement]


class Inbox:
    """One drain of the inbox. Each batch is claimed, judged without a transaction, and settled."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings
        self._name = ids.new()
        self._batches = 0
        self._count_at = 0.0  # on the monotonic clock
        self._is_to_count = False
        self._size = BATCH  # of the next batch: fewer when not all of the last one could be begun in its time
        self.counts = Counts()

    def anything_due(self, now: datetime) -> bool:
        """Whether an enabled source has something to be worked through. It takes no write lock."""
        with self._engine.connect() as connection:
            return connection.execute(_sources_with_work(now).limit(1)).first() is not None

    def next_due(self) -> datetime | None:
        """Return when something of an enabled source is due, or comes due as its lease ends."""
        query = select(FIRST_INBOUND_DUE).where(Source.disabled_at.is_(None))
        with self._engine.connect() as connection:
            return min((due for due in connection.scalars(query) if due), default=None)

    def drain(self, *, until: float, stop: StopFlag) -> bool:
        """Work through what is due, until that moment of the monotonic clock or until stop is set.

        Return whether there may be more.
        """
        while time.monotonic() < until and not stop.is_set():
            more = self.work()
            self._count_again()
            if not more:
                return False
            stop.wait(REST)
        return True

    def work(self) -> bool:
        """Work through one batch; return whether there was one."""
        if not self.anything_due(clock.now()):
            return False
        batch = database.insist(self._engine, self._claim)
        self.counts.add(self._do_all(batch))
        return bool(batch)

    def work_on(self, event_id: str, token: str) -> Counts:
        """Work through one that was handed over under that token; nothing when it is not any more."""
        counts = self._do_all(database.insist(self._engine, partial(self._take_over, event_id, token)))
        self._count_again()
        return counts

    def _count_again(self) -> None:
        """Let new events have the place of proven ones, as soon as they are."""
        began = time.monotonic()
        if self._is_to_count and began >= self._count_at:
            self._is_to_count = False
            source_budget.count_again(self._engine)
            now = time.monotonic()
            self._count_at = now + max(COUNT_EVERY, 20 * (now - began))

    def _do_all(self, batch: Batch) -> Counts:
        if not batch:
            return Counts()
        self._is_to_count = True
        judged = list(self._judge_in_time(batch))
        left = [event for event, _ in batch[len(judged) :]]
        self._size = len(judged) if left else min(2 * self._size, BATCH)
        counts, story = database.insist(self._engine, partial(self._settle, judged, left))
        for line, fields in story:
            log.info(line, extra=fields)
        return counts

    def _take_over(self, event_id: str, token: str, connection: Connection) -> Batch:
        rows = leases.handed_over(connection, INBOUND, {(event_id, token)})
        if not rows:
            return []
        (row,) = rows
        now, own = clock.now(), f"worker.{ids.new()}"
        with Session(connection, join_transaction_mode="rollback_only") as session:
            enabled = Source.id == row.source_id, Source.disabled_at.is_(None)
            source = session.scalar(select(Source).where(*enabled))
            session.expunge_all()
        if source is None:
            leases.release(connection, INBOUND, [{"row_id": event_id, "token": token, "due_at": now}])
            return []
        leases.take_over(connection, INBOUND, [event_id], until=now + retry_policy.INBOX_LEASE, token=own)
        return [(Arrived.of(row, own), source)]

    def _claim(self, connection: Connection) -> Batch:
        now = clock.now()
        self._batches += 1
        token = f"{self._name}.{self._batches}"
        with Session(connection, join_transaction_mode="rollback_only") as session:
            sources = session.scalars(_sources_with_work(now, Source)).all()
            session.expunge_all()
        first = self._batches % len(sources) if sources else 0  # nobody is always the first to be served
        taken: list[tuple[Row[Any], Source]] = []
        for source in (*sources[first:], *sources[:first]):
            room = self._size - len(taken)
            if room:
                mine = INBOUND.c.source_id == source.id
                rows = leases.claim(connection, INBOUND, mine, now=now, limit=room)
                taken += [(row, source) for row in rows]
        taken = _suspects_alone(taken)
        row_ids = [row.id for row, _ in taken]
        leases.lease(connection, INBOUND, row_ids, now=now, until=now + retry_policy.INBOX_LEASE, token=token)
        return [(Arrived.of(row, token), source) for row, source in taken]

    def _judge_in_time(self, batch: Batch) -> Iterator[Judged]:
        """Judge the first one in any case, and others as long as there is time."""
        end = time.monotonic() + BATCH_TIME
        for number, (event, source) in enumerate(batch):
            if number and time.monotonic() > end:
                return
            yield event, source, self._judge(event, source)

    def _judge(self, event: Arrived, source: Source) -> Judgement:
        if event.losses >= MOST_LOSSES:
            why = f"{event.losses} passes came to no end over this event, so it is left alone."
            return Judgement(evaluate.NO_FACTS, is_genuine=True, was_verified=False, error=why)
        settings = self._settings
        try:
            return evaluate.judge(event, source, base_url=settings.base_url, proof_key=settings.secret_key)
        except Exception as error:  # a fault of ours over one event must not end the pass for all
            why = f"It could not be worked through ({type(error).__name__})."
            return Judgement(evaluate.NO_FACTS, is_genuine=True, was_verified=False, error=why)

    def _settle(
        self, judged: Sequence[Judged], left: Sequence[Arrived], connection: Connection
    ) -> tuple[Counts, list[tuple[str, dict[str, object]]]]:
        counts, story = Counts(), []
        if left:
            back = [{"row_id": event.id, "token": event.token, "due_at": event.due_at} for event in left]
            leases.release(connection, INBOUND, back, was_begun=False)
        ours = leases.owned(connection, INBOUND, {event.id: event.token for event, _, _ in judged})
        for event, source, judgement in judged:
            if event.id in ours:
                story.append(self._record(connection, event, source, judgement, counts))
        return counts, story

    def _record(
        self, connection: Connection, event: Arrived, source: Source, judgement: Judgement, counts: Counts
    ) -> tuple[str, dict[str, object]]:
        """Do the deed and finish the row, together or not at all; one that goes wrong fails alone."""
        try:
            try:
                note = self._do(connection, event, source, judgement)
            except IntegrityError:  # another pass was a moment quicker: now it can be seen
                note = self._do(connection, event, source, judgement)
        except DBAPIError as error:
            if not database_errors.fault_of(error).is_of_one_row:
                raise
            note, judgement = None, _broken(judgement, error)
            _finish(connection, event, judgement, error=judgement.error, **_proof(judgement, source))
        return counts.note(event, source, judgement, note)

    def _do(self, connection: Connection, event: Arrived, source: Source, judgement: Judgement) -> str | None:
        """Work in a savepoint, so that what one event does wrong undoes nothing of the others."""
        with Session(connection, join_transaction_mode="create_savepoint") as session:
            note = self._decide(session, event, source, judgement)
            session.commit()
            return note

    def _decide(self, session: Session, event: Arrived, source: Source, judgement: Judgement) -> str | None:
        connection = session.connection()
        # A number that is not proven counts for nothing, or a stranger could use it up.
        external_id = judgement.facts.external_id if judgement.is_genuine else None
        before = actions.repeat_of(session, event.id, source.id, external_id)
        if before and before.status != "failed":
            return _skip(connection, event, judgement, before)
        if before:
            actions.take_number(session, before.id)
        if judgement.error:
            error = judgement.error[:ERROR_LIMIT]
            _finish(
                connection,
                event,
                judgement,
                error=error,
                external_id=external_id,
                **_proof(judgement, source),
            )
            return None
        done = actions.carry_out(session, event.id, source, judgement, self._settings)
        values = {"note": done.note[:NOTE_LIMIT], "comment_id": done.comment_id, "external_id": external_id}
        _finish(connection, event, judgement, **values, **_proof(judgement, source))
        if before:
            actions.note_comment(session, before.id, done.comment_id)
        return done.note


def _sources_with_work(now: datetime, what: Any = Source.id) -> Any:
    """Select the enabled sources of which something is due."""
    return select(what).where(Source.disabled_at.is_(None), now >= FIRST_INBOUND_DUE).order_by(Source.id)


def _suspects_alone(taken: list[tuple[Row[Any], Source]]) -> list[tuple[Row[Any], Source]]:
    """Leave one that a pass has come to no end with to itself: if it kills this one too, it fails alone."""
    suspects = [one for one in taken if one[0].claims > one[0].attempts]
    return suspects[:1] or taken


def _broken(judgement: Judgement, error: DBAPIError) -> Judgement:
    why = f"The database refused what came of it ({type(error.orig).__name__})."
    return replace(judgement, is_genuine=True, error=why)


def _proof(judgement: Judgement, source: Source) -> dict[str, int]:
    """Return what takes an event off its source's budget; what nobody has proven stays on it."""
    return {"unproven_bytes": 0} if judgement.proves(source) else {}


def _skip(connection: Connection, event: Arrived, judgement: Judgement, before: Row[Any]) -> str:
    """Finish a repeat, with the comment of the event that came before, so that erasure finds it too."""
    note = f"A repeat of {before.id}, so nothing was done."
    _finish(connection, event, replace(judgement, error=None), note=note, comment_id=before.comment_id)
    if before.erased_at:
        erasure.erase_inbound(connection, INBOUND.c.id == event.id, clock.now())
    return note


def _finish(connection: Connection, event: Arrived, judgement: Judgement, **values: Any) -> None:
    status = "failed" if judgement.error else "processed"
    found = {"event": judgement.facts.event, "sender": judgement.facts.sender, "processed_at": clock.now()}
    leases.finish(connection, INBOUND, [event.id], status, **found, **values)
