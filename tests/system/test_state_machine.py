"""A property test of the outbox: whatever happens in whatever order, the invariants of the design hold."""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule
from sqlalchemy import select

from guestbook.background import whole_pass
from guestbook.comments import comment_actions
from guestbook.comments.comment_form import Draft
from guestbook.comments.spam.spam_rules import Classification
from guestbook.lib import clock, retry_policy
from guestbook.outbound.delivery_tasks import DeliveryTask
from guestbook.queue import claims, clock_repair, redelivery
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import ATTEMPTS, Comment, Delivery, Webhook
from tests.support import factories
from tests.support.amount import examples
from tests.system import outbox_machine
from tests.system.outbox_machine import ANSWERS, VERDICTS, Clock, OutboxMachine

DAY = timedelta(days=1)
KEEP_PROCESSED, KEEP_FAILED = 30 * DAY, 90 * DAY
KINDS = st.sampled_from([*ANSWERS, "unsent"])
DRAFT = Draft("Ada", None, "Hello", {})


@dataclass
class Known:
    """What must never change of a delivery, and what its attempts allow it to be."""

    event_id: str
    payload: str
    webhook_id: str
    succeeded: bool = False
    aborted: bool = False
    erased: bool = False
    attempts: int = 0


def line(row: Any) -> tuple[str, ...]:
    """Return what the deliveries share that are sent one after the other."""
    return (row.comment_id, row.webhook_id) if row.comment_id and row.sequence else (row.id,)


class Outbox(OutboxMachine):
    """The steps that may happen in any order, and what holds after each."""

    EVENTS = ("comment.created", "comment.created comment.published", "comment.created webhook.disabled")

    def __init__(self, turned: Clock) -> None:
        super().__init__(turned)
        self.known: dict[str, Known] = {}
        self.stale: list[DeliveryTask] = []  # acknowledged or forgotten, and perhaps acknowledged late

    # --- the steps

    @rule(verdict=st.sampled_from(VERDICTS), breaks=st.sampled_from([False, False, False, True]))
    def sign(self, verdict: Classification, breaks: bool) -> None:
        comments = len(self._ids(Comment))
        before = set(self.rows())
        try:
            with database.writing() as session:
                comment_actions.sign(session, DRAFT, verdict, settings=factories.settings())
                if breaks:
                    raise ZeroDivisionError
        except ZeroDivisionError:
            assert (len(self._ids(Comment)), set(self.rows())) == (comments, before)
            return
        new = self._learn(before)
        assert len(self._ids(Comment)) == comments + 1
        assert len(new) == {"published": 4, "held": 3, "spam": 0}[verdict.status]

    @rule(limit=st.integers(1, 4))
    def claim(self, limit: int) -> None:
        held, stored = self.take(limit), self.rows()
        for task in held:
            leased = (task.token, self.until[task.token])
            assert (stored[task.id].claimed_by, stored[task.id].due_at) == leased
            assert self._hook(task.receiver.webhook_id).disabled_at is None

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        """Let a pass record some of what it holds: sent with an answer, or given back unsent."""
        some = self.some_held(data)
        self.stale += some
        self._record([(task, data.draw(KINDS)) for task in some])

    @precondition(lambda self: self.stale)
    @rule(data=st.data())
    def acknowledge_late(self, data: st.DataObject) -> None:
        """Let somebody record what it has recorded already, or what it had been thought dead with."""
        self._record([(data.draw(st.sampled_from(self.stale)), data.draw(KINDS))])

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def kill(self, data: st.DataObject) -> None:
        claimed = data.draw(st.sampled_from(self.held))
        self.held.remove(claimed)
        self.stale += claimed

    @rule()
    def expire(self) -> None:
        self.clock.moment += self.lease + timedelta(seconds=1)

    @rule(hours=st.integers(-100, 100), scale=st.sampled_from([1, 24]))
    def clock_jump(self, hours: int, scale: int) -> None:
        self.clock.moment += timedelta(hours=hours * scale)

    @rule()
    def repair(self) -> None:
        clock_repair.repair(db.engine, factories.settings().timeout, factories.settings().retry_schedule)
        whole_pass.begin_record(db.engine)
        farthest = (
            clock.now() + retry_policy.longest_wait(factories.settings().retry_schedule) + claims.CLOCK_SKEW
        )
        assert all(row.due_at <= farthest for row in self.rows().values() if row.due_at)

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def redeliver(self, data: st.DataObject) -> None:
        rows = self.rows()
        if not rows:
            return
        wanted = data.draw(st.lists(st.sampled_from(sorted(rows)), min_size=1, max_size=4, unique=True))
        now = clock.now()
        with database.writing() as session:
            free = {row.id for row in redelivery.make_due(session, Delivery, wanted, now)}
        assert free == self._redelivered(rows, wanted, now)
        for key, row in self.rows().items():
            if key in free:
                assert (row.status, row.due_at, row.claimed_by) == ("new", now, None)
                assert (row.schedule_start, row.attempts) == (rows[key].attempts, rows[key].attempts)
            else:
                assert row == rows[key]

    @precondition(lambda self: self._ids(Comment))
    @rule(data=st.data())
    def delete_for_good(self, data: st.DataObject) -> None:
        comment_id = data.draw(st.sampled_from(sorted(self._ids(Comment))))
        before = self.rows()
        factories.change(comment_id, comment_actions.delete)
        rows = self.rows()
        for key in (key for key, row in before.items() if row.comment_id == comment_id):
            assert rows[key].payload == ""
            assert rows[key].status != "new"
            assert rows[key].erased_at
            self.known[key].payload, self.known[key].erased = "", True
        self._learn(set(before))

    @rule()
    def prune(self) -> None:
        before = self.rows()
        now = self.clock.moment
        whole_pass.prune(db.engine, factories.settings(), until=time.monotonic() + 10)
        for key in set(before) - set(self.rows()):
            row = before[key]
            if row.status == "new":
                assert row.created_at < now - KEEP_FAILED + timedelta(seconds=1)
                assert self._hook(row.webhook_id).disabled_at is not None
            else:
                keep = KEEP_PROCESSED if row.status == "processed" else KEEP_FAILED
                assert row.finished_at < now - keep + timedelta(seconds=1)
            del self.known[key]

    # --- what holds after each

    @invariant()
    def all_holds(self) -> None:
        """Look at the tables once: for all that must hold, and for the next step."""
        rows, steps = self.rows(), len(factories.settings().retry_schedule)
        numbers: dict[str, list[int]] = {key: [] for key in self.known}
        with db.engine.connect() as connection:
            for made in connection.execute(select(ATTEMPTS).order_by(ATTEMPTS.c.number)):
                numbers[made.delivery_id].append(made.number)
            for disabled in connection.execute(select(Webhook.disabled_at, Webhook.disabled_reason)):
                assert (disabled[0] is None) == (disabled[1] is None)
        assert set(rows) == set(self.known)
        for key, row in rows.items():
            known = self.known[key]
            kept = known.event_id, known.payload, known.webhook_id
            assert (row.event_id, row.payload, row.webhook_id) == kept, "nothing is lost or changed"
            assert (row.status == "new") == (row.due_at is not None) == (row.finished_at is None)
            assert 0 <= row.schedule_start <= row.attempts == known.attempts <= row.claims
            assert row.claimed_by is None or row.status == "new"
            assert numbers[key] == list(range(1, row.attempts + 1)), "every attempt is counted once"
            assert row.status != "processed" or known.succeeded
            if row.status == "failed":
                assert known.erased or known.aborted or row.attempts - row.schedule_start >= steps

    def teardown(self) -> None:
        """In the end, with all webhooks enabled and well, everything is delivered or was given up."""
        clock_repair.repair(db.engine, factories.settings().timeout, factories.settings().retry_schedule)
        self.send_all(lambda held: self._record([(task, "success") for task in held]), 2 * DAY)

    # --- helpers

    def _redelivered(self, rows: dict[str, Any], wanted: list[str], now: datetime) -> set[str]:
        """Return these and what follows them about the same comment, unless one of them is leased."""
        first: dict[tuple[str, ...], int] = {}
        for row in map(rows.__getitem__, wanted):
            first[line(row)] = min(first.get(line(row), row.sequence or 0), row.sequence or 0)
        some = [row for row in rows.values() if (row.sequence or 0) >= first.get(line(row), 10**9)]
        busy = {line(row) for row in some if row.claimed_by and row.due_at > now}
        return {row.id for row in some if line(row) not in busy and not self.known[row.id].erased}

    def _record(self, kinds: list[tuple[DeliveryTask, str]]) -> None:
        before = self.rows()
        tokens = {key: row.claimed_by for key, row in before.items()}
        mine = {task.id for task, _ in kinds if tokens.get(task.id) == task.token}
        tally = self.record([self.outcome(task, kind) for task, kind in kinds])
        self._learn(set(before))
        after = self.rows()
        for task, kind in kinds:
            if task.id not in mine:
                assert after.get(task.id) == before.get(task.id)
                continue
            assert after[task.id].claimed_by is None
            if kind == "unsent":
                assert clock.to_text(after[task.id].due_at) == task.due_at
                continue
            known = self.known[task.id]
            known.attempts += 1
            known.succeeded = known.succeeded or ANSWERS[kind].ok
            known.aborted = known.aborted or ANSWERS[kind].abort
            wanted = "processed" if ANSWERS[kind].ok else ("new", "failed")
            assert after[task.id].status in wanted
        sent = [task for task, kind in kinds if kind != "unsent"]
        assert tally.late == sum(task.id not in mine for task in sent)
        assert tally.processed + tally.retried + tally.failed == len(sent) - tally.late

    def _learn(self, before: set[str]) -> set[str]:
        rows = self.rows()
        new = set(rows) - before
        for key in new:
            self.known[key] = Known(rows[key].event_id, rows[key].payload, rows[key].webhook_id)
        return new

    def _hook(self, key: str) -> Any:
        return factories.the(Webhook, key)

    def _ids(self, model: type[Comment]) -> list[str]:
        with db.engine.connect() as connection:
            return list(connection.scalars(select(model.id)))


def test_whatever_happens_the_outbox_keeps_its_promises(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    outbox_machine.run(app, monkeypatch, Outbox, examples=examples(10), steps=40)
