"""A property test of the outbox: whatever happens in whatever order, the invariants of DESIGN.md hold.

The functions are the real ones, on SQLite; the senders are played: what they hold in memory is a list
here, and what the receivers answer is drawn. The clock is ours.
"""

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from guestbook.background import cron, housekeeping
from guestbook.comments import book
from guestbook.comments.comment_form import Draft
from guestbook.comments.spam.spam_rules import Classification
from guestbook.lib import clock, retry_policy
from guestbook.outbound import attempt_recorder, delivery_tasks, lanes, response_policy
from guestbook.outbound.delivery_tasks import DeliveryTask, Outcome
from guestbook.queue import claims, clock_repair, redelivery
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import ATTEMPTS, DELIVERIES, Comment, Delivery, Webhook
from tests.support import factories
from tests.support.amount import examples

START = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
LEASE = timedelta(seconds=60)
DAY = timedelta(days=1)
KEEP_PROCESSED, KEEP_FAILED = 30 * DAY, 90 * DAY

ANSWERS = {
    "success": response_policy.OK,
    "failure": response_policy.RETRY,
    "unreachable": response_policy.RETRY,
    "pause": response_policy.Decision(ok=False, pause=600.0),
    "abort": response_policy.Decision(ok=False, abort=True),
    "gone": response_policy.Decision(ok=False, gone=True),
    "thanks and gone": response_policy.Decision(ok=True, gone=True),
}
KINDS = st.sampled_from([*ANSWERS, "unsent"])
DRAFT = Draft("Ada", None, "Hello", {})
VERDICTS = [Classification("published"), Classification("held", ("why",)), Classification("spam", ("why",))]


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


class Clock:
    """The time, which the rules turn."""

    def __init__(self) -> None:
        self.moment = START

    def now(self) -> datetime:
        self.moment += timedelta(milliseconds=1)
        return self.moment


class Outbox(RuleBasedStateMachine):
    """The steps that may happen in any order, and what holds after each."""

    def __init__(self, turned: Clock) -> None:
        super().__init__()
        self.clock = turned
        self.clock.moment = START
        self.known: dict[str, Known] = {}
        self.held: list[list[DeliveryTask]] = []  # of passes that live
        self.stale: list[DeliveryTask] = []  # acknowledged or forgotten, and perhaps acknowledged late
        self.claims = 0
        with database.write(db.engine) as connection:
            for table in reversed(db.metadata.sorted_tables):
                connection.execute(table.delete())

    # --- the steps

    @initialize()
    def some_webhooks(self) -> None:
        events = ("comment.created", "comment.created comment.published", "comment.created webhook.disabled")
        self.hooks = [factories.webhook(name=str(number), events=some) for number, some in enumerate(events)]

    @rule(verdict=st.sampled_from(VERDICTS), breaks=st.sampled_from([False, False, False, True]))
    def sign(self, verdict: Classification, breaks: bool) -> None:
        comments = len(self._ids(Comment))
        before = set(self._rows())
        try:
            with database.writing() as session:
                book.sign(
                    session,
                    book.Draft("Ada", None, "Hello", {}),
                    verdict,
                    form_key=None,
                    settings=factories.settings(),
                )
                if breaks:
                    raise ZeroDivisionError
        except ZeroDivisionError:
            assert (len(self._ids(Comment)), set(self._rows())) == (comments, before)
            return
        new = self._learn(before)
        assert len(self._ids(Comment)) == comments + 1
        assert len(new) == {"published": 4, "held": 3, "spam": 0}[verdict.status]

    @rule(limit=st.integers(1, 4))
    def claim(self, limit: int) -> None:
        now = clock.now()
        self.claims += 1
        token = f"pass {self.claims}"
        with database.write(db.engine) as connection:
            held: list[DeliveryTask] = []
            rows: list[Any] = []
            for hook in lanes.open_with_due(connection, now):
                columns = delivery_tasks.TASK_COLUMNS
                due = claims.claim(connection, DELIVERIES, columns, hook.id, now=now, limit=limit)
                to = delivery_tasks.receiver(hook.id, hook.name, hook.url, hook.headers, hook.secret, None)
                held += [delivery_tasks.delivery_task(row, token, time.monotonic() + 60, to) for row in due]
                rows += due
            leased = claims.lease(connection, DELIVERIES, rows, now=now, until=now + LEASE, token=token)
        held = [task for task in held if task.id in leased]
        assert len(held) == len(leased)
        stored = self._rows()
        for task in held:
            assert (stored[task.id].claimed_by, stored[task.id].due_at) == (token, now + LEASE)
            assert self._hook(task.receiver.webhook_id).disabled_at is None
        if held:
            self.held.append(held)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        """Let a pass record some of what it holds: sent with an answer, or given back unsent."""
        claimed = data.draw(st.sampled_from(self.held))
        some = claimed[: data.draw(st.integers(1, len(claimed)))]
        del claimed[: len(some)]
        self.held = [rest for rest in self.held if rest]
        self.stale += some
        self._record([(task, data.draw(KINDS)) for task in some])

    @precondition(lambda self: self.stale)
    @rule(data=st.data())
    def acknowledge_late(self, data: st.DataObject) -> None:
        """Let somebody record what it has recorded already, or what it had been thought dead with."""
        self._record(
            [(data.draw(st.sampled_from(self.stale)), data.draw(st.sampled_from([*ANSWERS, "unsent"])))]
        )

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def kill(self, data: st.DataObject) -> None:
        claimed = data.draw(st.sampled_from(self.held))
        self.held.remove(claimed)
        self.stale += claimed

    @rule()
    def expire(self) -> None:
        self.clock.moment += LEASE + timedelta(seconds=1)

    @rule(hours=st.integers(-100, 100), scale=st.sampled_from([1, 24]))
    def clock_jump(self, hours: int, scale: int) -> None:
        self.clock.moment += timedelta(hours=hours * scale)

    @rule()
    def repair(self) -> None:
        clock_repair.repair(db.engine, factories.settings().timeout, factories.settings().retry_schedule)
        cron.begin_record(db.engine)
        farthest = (
            clock.now() + retry_policy.longest_wait(factories.settings().retry_schedule) + claims.CLOCK_SKEW
        )
        assert all(row.due_at <= farthest for row in self._rows().values() if row.due_at)

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def redeliver(self, data: st.DataObject) -> None:
        rows = self._rows()
        if not rows:
            return
        wanted = data.draw(st.lists(st.sampled_from(sorted(rows)), min_size=1, max_size=4, unique=True))
        now = clock.now()
        # What follows a chosen one about its comment goes with it; a leased one keeps all of them back.
        chosen = {key for one in wanted for key, row in rows.items() if _goes_with(row, rows[one])}
        leased = [rows[key] for key in chosen if rows[key].claimed_by and rows[key].due_at > now]
        with database.writing() as session:
            free = {row.id for row in redelivery.make_due(session, Delivery, wanted, now)}
        held = {key for key in chosen for one in leased if _line(rows[key]) == _line(one)}
        assert free == {key for key in chosen if not self.known[key].erased} - held
        for key, row in self._rows().items():
            if key in free:
                assert (row.status, row.due_at, row.claimed_by) == ("new", now, None)
                assert (row.schedule_start, row.attempts) == (rows[key].attempts, rows[key].attempts)
            else:
                assert row == rows[key]

    @precondition(lambda self: self._ids(Comment))
    @rule(data=st.data())
    def delete_for_good(self, data: st.DataObject) -> None:
        comment_id = data.draw(st.sampled_from(sorted(self._ids(Comment))))
        before = self._rows()
        with database.writing() as session:
            book.delete(session, session.get_one(Comment, comment_id), factories.settings())
        rows = self._rows()
        for key in (key for key, row in before.items() if row.comment_id == comment_id):
            assert rows[key].payload == ""
            assert rows[key].status != "new"
            assert rows[key].erased_at
            self.known[key].payload, self.known[key].erased = "", True
        self._learn(set(before))

    @rule(data=st.data())
    def disable(self, data: st.DataObject) -> None:
        with database.writing() as session:
            hook = session.get_one(Webhook, data.draw(st.sampled_from(self.hooks)))
            hook.disable(clock.now(), "by_hand")

    @rule(data=st.data())
    def enable(self, data: st.DataObject) -> None:
        with database.writing() as session:
            session.get_one(Webhook, data.draw(st.sampled_from(self.hooks))).enable()

    @rule()
    def prune(self) -> None:
        before = self._rows()
        now = self.clock.moment
        housekeeping.prune(db.engine, factories.settings(), until=time.monotonic() + 10)
        for key in set(before) - set(self._rows()):
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
    def nothing_is_lost_or_changed(self) -> None:
        rows = self._rows()
        assert set(rows) == set(self.known)
        for key, row in rows.items():
            known = self.known[key]
            assert (row.event_id, row.payload, row.webhook_id) == (
                known.event_id, known.payload, known.webhook_id,
            )  # fmt: skip

    @invariant()
    def every_row_is_in_a_state_that_can_be(self) -> None:
        for row in self._rows().values():
            assert row.status in ("new", "processed", "failed")
            assert (row.status == "new") == (row.due_at is not None) == (row.finished_at is None)
            assert row.attempts <= row.claims
            assert 0 <= row.schedule_start <= row.attempts
            assert row.claimed_by is None or row.status == "new"

    @invariant()
    def every_attempt_is_counted_once(self) -> None:
        numbers: dict[str, list[int]] = {key: [] for key in self.known}
        with db.engine.connect() as connection:
            for made in connection.execute(select(ATTEMPTS).order_by(ATTEMPTS.c.number)):
                numbers[made.delivery_id].append(made.number)
        for key, row in self._rows().items():
            assert numbers[key] == list(range(1, row.attempts + 1))
            assert row.attempts == self.known[key].attempts

    @invariant()
    def a_final_row_has_a_reason(self) -> None:
        steps = len(factories.settings().retry_schedule)
        for key, row in self._rows().items():
            known = self.known[key]
            if row.status == "processed":
                assert known.succeeded
            if row.status == "failed":
                assert known.erased or known.aborted or row.attempts - row.schedule_start >= steps

    @invariant()
    def a_disabled_webhook_has_a_reason(self) -> None:
        for key in getattr(self, "hooks", ()):
            hook = self._hook(key)
            assert (hook.disabled_at is None) == (hook.disabled_reason is None)

    def teardown(self) -> None:
        """In the end, with all webhooks enabled and well, everything is delivered or was given up."""
        if not hasattr(self, "hooks"):
            return
        clock_repair.repair(db.engine, factories.settings().timeout, factories.settings().retry_schedule)
        for _ in range(200):
            self.clock.moment += 2 * DAY
            for key in self.hooks:
                with database.writing() as session:
                    session.get_one(Webhook, key).enable()
            self.held.clear()
            self.claim(100)
            if not self.held:
                break
            self._record([(task, "success") for claimed in self.held for task in claimed])
        assert {row.status for row in self._rows().values()} <= {"processed", "failed"}

    # --- helpers

    def _record(self, kinds: list[tuple[DeliveryTask, str]]) -> None:
        before = self._rows()
        tokens = {key: row.claimed_by for key, row in before.items()}
        mine = {task.id for task, _ in kinds if tokens.get(task.id) == task.token}
        with database.write(db.engine) as connection:
            results = [self._outcome(task, kind) for task, kind in kinds]
            tally = attempt_recorder.record(connection, results, factories.settings())
        self._learn(set(before))
        after = self._rows()
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

    def _outcome(self, task: DeliveryTask, kind: str) -> Outcome:
        if kind == "unsent":
            return Outcome(task)
        error = None if ANSWERS[kind].ok else f"It was a {kind}."
        return Outcome(
            task, clock.now(), 5, 200, error, unreachable=kind == "unreachable", decision=ANSWERS[kind]
        )

    def _learn(self, before: set[str]) -> set[str]:
        rows = self._rows()
        new = set(rows) - before
        for key in new:
            self.known[key] = Known(rows[key].event_id, rows[key].payload, rows[key].webhook_id)
        return new

    def _rows(self) -> dict[str, Any]:
        with db.engine.connect() as connection:
            return {row.id: row for row in connection.execute(select(DELIVERIES))}

    def _hook(self, key: str) -> Any:
        return factories.the(Webhook, key)

    def _ids(self, model: type[Comment]) -> list[str]:
        with db.engine.connect() as connection:
            return list(connection.scalars(select(model.id)))


def _line(row: Any) -> tuple[str, str]:
    return row.comment_id, row.webhook_id


def _goes_with(row: Any, first: Any) -> bool:
    return _line(row) == _line(first) and row.sequence >= first.sequence


@pytest.fixture
def turned(monkeypatch: pytest.MonkeyPatch) -> Clock:
    turned = Clock()
    monkeypatch.setattr(clock, "now", turned.now)
    return turned


def test_whatever_happens_the_outbox_keeps_its_promises(app: Flask, turned: Clock) -> None:
    app.config["GUESTBOOK"] = replace(factories.settings(), retry_schedule=(0.0, 5.0, 300.0))
    run_state_machine_as_test(  # type: ignore[no-untyped-call]  # Hypothesis has no types here
        lambda: Outbox(turned),
        settings=settings(
            max_examples=examples(10),
            stateful_step_count=40,
            suppress_health_check=list(HealthCheck),
        ),
    )
