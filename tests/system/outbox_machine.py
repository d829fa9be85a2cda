"""What the two property tests of the outbox share: a clock, and passes that claim, record and die.

The functions are the real ones, on SQLite. The senders are played: what they hold in memory is a list here,
and what the receivers answer is drawn.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from sqlalchemy import select

from guestbook.comments.spam.spam_rules import Classification
from guestbook.lib import clock, retry_policy
from guestbook.outbound import attempt_recorder, delivery_tasks, response_policy
from guestbook.outbound.attempt_recorder import Tally
from guestbook.outbound.delivery_tasks import DeliveryTask, Outcome
from guestbook.queue import claims
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import DELIVERIES, Webhook
from guestbook.storage.models.delivery import NeededSecrets
from tests.support import factories

START = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
ANSWERS = {
    "success": response_policy.OK,
    "failure": response_policy.RETRY,
    "unreachable": response_policy.RETRY,
    "pause": response_policy.Decision(ok=False, pause=600.0),
    "abort": response_policy.Decision(ok=False, abort=True),
    "gone": response_policy.Decision(ok=False, gone=True),
    "thanks and gone": response_policy.Decision(ok=True, gone=True),
}
VERDICTS = [Classification("published"), Classification("held", ("why",)), Classification("spam", ("why",))]


class Clock:
    """The time, which the rules turn."""

    def __init__(self) -> None:
        self.moment = START

    def now(self) -> datetime:
        self.moment += timedelta(milliseconds=1)
        return self.moment


class OutboxMachine(RuleBasedStateMachine):
    """A book without comments, and the passes that are at work on it."""

    EVENTS: tuple[str, ...]  # of its webhooks

    def __init__(self, turned: Clock) -> None:
        super().__init__()
        self.clock = turned
        self.clock.moment = START
        self.held: list[list[DeliveryTask]] = []  # of passes that live
        self.until: dict[str, datetime] = {}  # the end of a pass's lease by its token
        self.lease = retry_policy.lease(factories.settings().timeout)
        with database.write(db.engine) as connection:
            for table in reversed(db.metadata.sorted_tables):
                connection.execute(table.delete())

    @initialize()
    def some_webhooks(self) -> None:
        for number, events in enumerate(self.EVENTS):
            factories.webhook(name=str(number), events=events)

    @rule(data=st.data())
    def disable_or_enable(self, data: st.DataObject) -> None:
        with database.writing() as session:
            hook = data.draw(st.sampled_from(session.scalars(select(Webhook).order_by(Webhook.id)).all()))
            hook.enable() if hook.disabled_at else hook.disable(clock.now(), "by_hand")

    def take(self, limit: int) -> list[DeliveryTask]:
        """Claim as a pass does, at most so many deliveries of each webhook."""
        now, token = clock.now(), f"pass {len(self.until) + 1}"
        self.until[token] = until = now + self.lease
        held: list[DeliveryTask] = []
        with database.write(db.engine) as connection:
            hooks = {hook.id: hook for hook in delivery_tasks.open_with_due(connection, now)}
            limits, columns = dict.fromkeys(hooks, limit), delivery_tasks.TASK_COLUMNS
            taken = claims.take(
                connection, DELIVERIES, columns, limits, most=999, now=now, until=until, token=token
            )
            for hook_id, due in taken.items():
                hook = hooks[hook_id]
                to = delivery_tasks.receiver(
                    hook.id, hook.name, hook.url, hook.headers, NeededSecrets(hook.secret)
                )
                held += [delivery_tasks.delivery_task(row, token, time.monotonic() + 60, to) for row in due]
        if held:
            self.held.append(held)
        return held

    def some_held(self, data: st.DataObject) -> list[DeliveryTask]:
        """Take some of what a pass holds, to be recorded."""
        held = data.draw(st.sampled_from(self.held))
        some = held[: data.draw(st.integers(1, len(held)))]
        del held[: len(some)]
        self.held = [rest for rest in self.held if rest]
        return some

    def record(self, outcomes: Sequence[Outcome]) -> Tally:
        """Record outcomes as a pass does."""
        with database.write(db.engine) as connection:
            return attempt_recorder.record(connection, outcomes, factories.settings())

    def outcome(self, task: DeliveryTask, kind: str) -> Outcome:
        """Return what becomes of a request that is answered so, or of one that is not sent."""
        if kind == "unsent":
            return Outcome(task)
        error = None if ANSWERS[kind].ok else f"It was a {kind}."
        unreachable, decision = kind == "unreachable", ANSWERS[kind]
        return Outcome(task, clock.now(), 5, 200, error, unreachable=unreachable, decision=decision)

    def send_all(self, send: Callable[[list[DeliveryTask]], object], at_each: timedelta) -> None:
        """Enable all webhooks and send until nothing is left; then everything is final."""
        for _ in range(200):
            self.clock.moment += at_each
            with database.writing() as session:
                for hook in session.scalars(select(Webhook)):
                    hook.enable()
            self.held.clear()
            if not (held := self.take(100)):
                break
            send(held)
        assert {row.status for row in self.rows().values()} <= {"processed", "failed"}

    def rows(self) -> dict[str, Any]:
        """Return all deliveries by id, as they are now."""
        with db.engine.connect() as connection:
            return {row.id: row for row in connection.execute(select(DELIVERIES))}


def run(
    app: Flask, monkeypatch: pytest.MonkeyPatch, machine: type[OutboxMachine], *, examples: int, steps: int
) -> None:
    """Try so many sequences of so many steps, with a schedule that is soon used up."""
    app.config["GUESTBOOK"] = replace(factories.settings(), retry_schedule=(0.0, 5.0, 300.0))
    turned = Clock()
    monkeypatch.setattr(clock, "now", turned.now)
    quietly = settings(
        max_examples=examples, stateful_step_count=steps, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(lambda: machine(turned), settings=quietly)  # type: ignore[no-untyped-call]  # it has no types
