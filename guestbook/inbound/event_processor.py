"""Process inbound events. An event's whole path, in order, is this file:

    due event ──claim──▶ batch ──decide──▶ decisions ──act and record──▶ processed, or failed
    └─ one transaction ─┘     no transaction open        └─── one transaction ───┘

The main thread does it, a batch at a time. A kill at any point loses nothing: a lease runs out by itself, and
an event's action commits together with its end. `verify_and_decide` decides what to do, `event_actions`
does it. `webmention_pages` alone reads in threads of its own. First comes how a row is claimed, which event
it repeats and how it ends, in the caller's transaction; then the processor.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, Row, insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from guestbook.inbound import event_actions, verify_and_decide
from guestbook.inbound.event_actions import Effect
from guestbook.inbound.event_reader import NO_METADATA
from guestbook.inbound.inbox import Counts
from guestbook.inbound.verify_and_decide import Claimed, InboundDecision, ReceivedEvent
from guestbook.inbound.webmention_pages import Decided, PagePool
from guestbook.lib import body_encoding, clock, ids, retry_policy
from guestbook.lib.current_process import StopFlag
from guestbook.lib.errors import Translatable, with_detail
from guestbook.lib.retry_policy import INBOX_LEASE
from guestbook.outbound.rate_and_time_limits import NO_LIMIT, TimeLimit
from guestbook.queue import claims, deleted_comments
from guestbook.settings import Settings, installation
from guestbook.storage import database, database_errors, disk_budget_of_source
from guestbook.storage.models import FIRST_INBOUND_DUE, INBOUND, InboundEvent, SeenSignature, Source
from guestbook.storage.models.source import MENTIONS


def sources_with_due(now: datetime, *what: Any) -> Any:
    """Select the enabled sources that have something due."""
    return select(*what).where(Source.disabled_at.is_(None), now >= FIRST_INBOUND_DUE).order_by(Source.id)


def claim(connection: Connection, token: str, *, turn: int, limit: int, mentions: int = 0) -> Claimed:
    """Lease up to `limit` due events, among them so many webmentions; each source is served first in turn."""
    now, columns = clock.now(), ("id", "claims", "attempts")
    sources = _detached(connection, sources_with_due(now, Source))
    first = turn % len(sources) if sources else 0
    taken: list[tuple[Row[Any], Source]] = []
    for source in (*sources[first:], *sources[:first]):
        room = limit - len(taken)
        if room := min(room, mentions) if source.action == MENTIONS else room:
            due = claims.claim(connection, INBOUND, columns, source.id, now=now, limit=room)
            taken += [(row, source) for row in due]
    # An event that a pass has ended over goes without others: if it kills this pass too, it fails alone.
    suspects = [(row, source) for row, source in taken if row.claims > row.attempts]
    taken = suspects[:1] or taken
    rows = claims.locked(connection, INBOUND, [row.id for row, _ in taken])
    claims.lease(connection, INBOUND, rows, now=now, until=now + INBOX_LEASE, token=token)
    received = {row.id: _received(row, token) for row in rows}
    return [(received[row.id], source) for row, source in taken]


def take_over(connection: Connection, event_id: str, token: str) -> Claimed:
    """Lease the event that the relay handed over under that token, with a token of our own."""
    if not claims.owned(connection, INBOUND, {(event_id, token)}):
        return []  # its lease has ended, or another worker has it
    row = connection.execute(select(INBOUND).where(INBOUND.c.id == event_id)).one()
    now, own = clock.now(), f"worker.{ids.new()}"
    sources = _detached(
        connection, select(Source).where(Source.id == row.source_id, Source.disabled_at.is_(None))
    )
    if not sources:
        claims.release(connection, INBOUND, [{"row_id": event_id, "token": token, "due_at": now}])
        return []  # its source was disabled meanwhile, so the event waits
    claims.take_over(connection, INBOUND, [event_id], until=now + INBOX_LEASE, token=own)
    return [(_received(row, own), sources[0])]


def _detached(connection: Connection, query: Any) -> Sequence[Source]:
    """Return rows that stay readable after the transaction."""
    with Session(connection, join_transaction_mode="rollback_only") as session:
        sources: Sequence[Source] = session.scalars(query).all()
        session.expunge_all()
    return sources


def _received(row: Row[Any], token: str) -> ReceivedEvent:
    body, lost_passes = body_encoding.unpack(row.payload, row.encoding), row.claims - row.attempts
    return ReceivedEvent(
        row.id, row.headers, body, row.received_at, token, lost_passes, row.due_at, row.attempts
    )


def earlier_event(
    session: Session, event_id: str, source_id: str, external_id: str | None, mark: str | None
) -> Row[Any] | None:
    """Return id, status, comment and time of erasure of the event that this one repeats.

    It has the same external id, or, because ids may be unsigned, the same mark. A new mark is remembered, and
    an event that failed leaves its mark to this one.
    """
    columns: Any = InboundEvent.status, InboundEvent.comment_id, InboundEvent.erased_at
    named = before = None
    if external_id:
        same = (InboundEvent.source_id == source_id) & (InboundEvent.external_id == external_id)
        query = select(InboundEvent.id, *columns).where(same, InboundEvent.id != event_id)
        named = session.execute(query).first()
    if mark:
        seen = select(SeenSignature.event_id.label("id"), *columns).where(SeenSignature.mark == mark)
        found = seen.outerjoin(InboundEvent, InboundEvent.id == SeenSignature.event_id)
        before = session.execute(found).first()
        if before is None:
            session.execute(insert(SeenSignature).values(mark=mark, event_id=event_id, seen_at=clock.now()))
        elif before.status == "failed":
            session.execute(update(SeenSignature).where(SeenSignature.mark == mark).values(event_id=event_id))
    is_replay = before and before.id != event_id and (named is None or before.status != "failed")
    return before if is_replay else named


ERROR_LIMIT = NOTE_LIMIT = 500  # characters, as in schema.sql


def end_event(
    connection: Connection, event: ReceivedEvent, decision: InboundDecision, *, note: Any = "", **values: Any
) -> None:
    """Make the row final, with other columns of it."""
    status, found = "failed" if decision.error else "processed", decision.metadata
    named = {"event": found.event, "sender": found.sender, "processed_at": clock.now()}
    words = {"error": (decision.error or "")[:ERROR_LIMIT] or None, "note": note[:NOTE_LIMIT] or None}
    claims.finish(connection, INBOUND, [event.id], status, **named, **words, **values)


def end_repeat(
    connection: Connection, event: ReceivedEvent, decision: InboundDecision, before: Row[Any]
) -> str:
    """End a repeat with the comment of the event before it, so that erasure finds it too."""
    note = f"A repeat of {before.id}, so nothing was done."
    end_event(connection, event, replace(decision, error=None), note=note, comment_id=before.comment_id)
    if before.erased_at:
        deleted_comments.erase_inbound(connection, INBOUND.c.id == event.id, clock.now())
    return note


def retry_event(
    connection: Connection, event: ReceivedEvent, decision: InboundDecision, schedule: tuple[float, ...]
) -> InboundDecision | None:
    """Make the event due again if its error may pass, and the schedule has another attempt; else None."""
    wait, error, found = decision.retry_after, decision.error, decision.metadata
    if wait is None or not error:
        return None
    due_at = retry_policy.next_due(schedule, event.attempts + 1, clock.now(), at_least=wait)
    if due_at:
        row = {"error": error[:ERROR_LIMIT], "event": found.event, "sender": found.sender}
        claims.reschedule(connection, INBOUND, [{"row_id": event.id, "due_at": due_at, **row}])
    return replace(decision, retry_at=due_at) if due_at else None


def proof_text(decision: InboundDecision, source: Source) -> dict[str, int]:
    """Return the value that takes an event off its source's budget, if its source is proven."""
    is_proven = decision.is_genuine and decision.was_verified and source.verify != "none"
    return {"unproven_bytes": 0} if is_proven else {}


BATCH = 20  # events in one transaction, each of a megabyte at most
BATCH_TIME = 0.1  # seconds after which a batch begins no more events, because the outbox waits
BATCH_PAUSE = 0.02  # seconds between two batches, in which the web can write
MOST_LOST_PASSES = 10  # passes that may end in the middle of one event before it is left alone
UNREADABLE_WAIT = timedelta(minutes=5)  # another secret key may prove the sender by then
RECOUNT_EVERY = 1.0  # seconds at least between two recounts of the budgets
RECOUNT_SHARE = 20  # a recount takes at most one part in so many of the time
PASSES_ENDED = Translatable("Too many passes ended in the middle of it, so it is left alone.")
NOT_PROCESSED = Translatable("It could not be processed.")
NOT_TAKEN = Translatable("The database refused what came of it.")
log = logging.getLogger(__name__)


class Processor:
    """One drain of the inbox."""

    def __init__(
        self, engine: Engine, settings: Settings, *, threads: bool = True, limit: TimeLimit = NO_LIMIT
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._name = ids.new()
        self._batches = 0
        self._size = BATCH  # events in the next batch
        self._recount_at = 0.0  # on the monotonic clock
        self._recount_is_needed = False
        self._named: set[str] = set()  # ids of sources about which the owner was warned
        self._pages = PagePool(settings, threads=threads, limit=limit)
        self.counts = Counts()

    def drain(self, *, until: float, stop: StopFlag) -> bool:
        """Process what is due, until that moment of the monotonic clock or until stop is set.

        Return whether there may be more.
        """
        while time.monotonic() < until and not stop.is_set():
            more = self.work()
            self._recount()
            if not more:
                return False  # nothing is due
            stop.wait(BATCH_PAUSE)
        return True  # the time is over

    def work(self) -> bool:
        """Process one batch; return whether there was one, or pages are being read."""
        batch: Claimed = []
        room = self._pages.room
        due = sources_with_due(clock.now(), Source.id).limit(1)
        if not room:
            due = due.where(Source.action != MENTIONS)
        # An idle look takes no write lock.
        if database.read_with_retry(self._engine, lambda at: at.execute(due).first()):
            self._batches += 1
            token = f"{self._name}.{self._batches}"  # a decision counts while its row still carries the token
            limits = {"limit": self._size, "mentions": room}
            batch = database.write_with_retry(
                self._engine, lambda at: claim(at, token, turn=self._batches, **limits)
            )
        elif not self._pages.is_busy:
            return False
        counts = self._process(batch, self._pages)
        self.counts.add(counts or Counts())
        return counts is not None or self._pages.is_busy

    def work_on(self, event_id: str, token: str) -> Counts:
        """Process the event that the relay handed over under that token, if it is still under it."""
        batch = database.write_with_retry(self._engine, lambda at: take_over(at, event_id, token))
        # Threads share the processor, so each call has its own pool.
        pages = PagePool(self._settings, threads=False)
        counts = self._process(batch, pages, wait=True)
        pages.close()
        self._recount()
        return counts or Counts()

    def close(self) -> None:
        """Wait for the pages that are being read, and give back what was not started."""
        decided, left = self._pages.close()
        self.counts.add(self._record_all(decided, left) or Counts())

    def _process(self, batch: Claimed, pages: PagePool, *, wait: bool = False) -> Counts | None:
        """Evaluate, act and record; None if there is nothing to record. `wait` for all pages to be read."""
        batch, locked = self._separated(batch)
        others = pages.take(batch, most_lost=MOST_LOST_PASSES)
        decided, left = pages.collect(wait=wait)
        end, evaluated = time.monotonic() + BATCH_TIME, 0
        for event, source in others:
            if evaluated and time.monotonic() > end:
                break  # the others are given back
            decided.append((event, source, self.decide(event, source)))
            evaluated += 1
        late = [event for event, _ in others[evaluated:]]
        if others:
            self._size = evaluated if late else min(2 * self._size, BATCH)
        return self._record_all(decided, [*left, *locked, *late])

    def _separated(self, batch: Claimed) -> tuple[Claimed, list[ReceivedEvent]]:
        """Return the events that can be verified, and those that wait because of an unreadable secret."""
        locked = {source.id: source.name for _, source in batch if source.is_unreadable}
        if not locked:
            return batch, []
        if new := locked.keys() - self._named:
            self._named |= new
            names, doctor = ", ".join(sorted(locked[one] for one in new)), installation.typed("doctor")
            log.warning("secrets cannot be decrypted, so inbound events wait: %s. See: %s", names, doctor)
        later = clock.now() + UNREADABLE_WAIT
        waiting = [event._replace(due_at=later) for event, source in batch if source.id in locked]
        return [(event, source) for event, source in batch if source.id not in locked], waiting

    def _record_all(self, decided: Sequence[Decided], left: Sequence[ReceivedEvent]) -> Counts | None:
        if not decided and not left:
            return None
        counts = database.write_with_retry(self._engine, lambda at: self._record(at, decided, left))
        self._recount_is_needed = True
        for line, fields in counts.log_lines:
            log.info(line, extra=fields)
        return counts

    def _recount(self) -> None:
        """Recount the sources' budgets now and then, so that new events get the room of proven ones."""
        began = time.monotonic()
        if self._recount_is_needed and began >= self._recount_at:
            self._recount_is_needed = False
            disk_budget_of_source.recount(self._engine)
            ended = time.monotonic()
            self._recount_at = ended + max(RECOUNT_EVERY, RECOUNT_SHARE * (ended - began))

    def decide(self, event: ReceivedEvent, source: Source) -> InboundDecision:
        """Decide about one event. No transaction may be open."""
        if event.lost_passes >= MOST_LOST_PASSES:
            return _our_error(PASSES_ENDED, event.lost_passes)
        settings = self._settings
        try:
            return verify_and_decide.decide(
                event, source, base_url=settings.base_url, proof_keys=settings.secret_keys
            )
        except Exception as error:  # an error of ours over one event must not end the pass for all
            return _our_error(NOT_PROCESSED, type(error).__name__)

    def _record(
        self, connection: Connection, decided: Sequence[Decided], left: Sequence[ReceivedEvent]
    ) -> Counts:
        """Act on each decision and finish its row; give back events that it did not start."""
        counts = Counts()
        if left:
            back = [{"row_id": event.id, "token": event.token, "due_at": event.due_at} for event in left]
            claims.release(connection, INBOUND, back, was_begun=False)
        ours = claims.owned(connection, INBOUND, {(event.id, event.token) for event, _, _ in decided})
        for event, source, decision in decided:
            if (event.id, event.token) in ours:  # Else its lease has run out, and another pass has it.
                counts.count(event.id, source, *self._finish(connection, event, source, decision))
        return counts

    def _finish(
        self, connection: Connection, event: ReceivedEvent, source: Source, decision: InboundDecision
    ) -> tuple[InboundDecision, str | None]:
        """Act and finish the row, both or neither; an event that the database refuses fails alone."""
        try:
            try:
                return self._act(connection, event, source, decision)
            except IntegrityError:  # another pass was a moment quicker: now its row can be seen
                return self._act(connection, event, source, decision)
        except DBAPIError as error:
            if not database_errors.fault_of(error).is_of_one_row:
                raise
            why = with_detail(NOT_TAKEN, type(error.orig).__name__)
            refused = replace(decision, is_genuine=True, error=why)
            end_event(connection, event, refused, **proof_text(refused, source))
            return refused, None

    def _act(
        self, connection: Connection, event: ReceivedEvent, source: Source, decision: InboundDecision
    ) -> tuple[InboundDecision, str | None]:
        """Do what was decided and end the row; return what came of it, and the note.

        The savepoint keeps errors to this event.
        """
        proof = proof_text(decision, source)
        # An unproven id counts for nothing, or a stranger could use it up.
        external_id = decision.metadata.external_id if decision.is_genuine else None
        with Session(connection, join_transaction_mode="create_savepoint") as session, session.begin():
            connection = session.connection()
            if again := retry_event(connection, event, decision, self._settings.retry_schedule):
                return again, None
            before = earlier_event(session, event.id, source.id, external_id, decision.mark)
            if before and before.status != "failed":  # the sender sent it twice
                return decision, end_repeat(connection, event, decision, before)
            failed = update(InboundEvent).where(InboundEvent.id == (before.id if before else None))
            if before:
                session.execute(failed.values(external_id=None))  # the one that repeats it has it now
            done, values = Effect(""), {}
            if not decision.error:
                done = event_actions.carry_out(session, event.id, source, decision, self._settings)
                if done.error:  # the sender is to blame for it
                    decision = replace(decision, error=done.error, is_genuine=False)
            if not decision.error:
                values = {"note": done.note, "comment_id": done.comment_id}
            end_event(connection, event, decision, external_id=external_id, **values, **proof)
            if before and not decision.error:
                # On the failed event too, so that erasure finds its words there.
                session.execute(failed.values(comment_id=done.comment_id))
            return decision, done.note or None


def _our_error(sentence: str, detail: object) -> InboundDecision:
    why = with_detail(sentence, detail)
    return InboundDecision(NO_METADATA, is_genuine=True, was_verified=False, error=why)
