"""Write down the outcomes of attempts: deliveries, attempts, and a pass's tally."""

import json
import logging
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from guestbook.lib import clock, retry_policy
from guestbook.outbound import pause_and_disable
from guestbook.outbound.delivery_tasks import DeliveryTask, Outcome
from guestbook.queue import claims, comment_order
from guestbook.settings import Settings
from guestbook.storage import database, database_errors
from guestbook.storage.models import DELIVERIES
from guestbook.storage.models.delivery import TIME_BOUNDS


@dataclass(slots=True)
class Tally:
    """What a pass has done, and what its owner must read."""

    processed: int = 0
    retried: int = 0
    late: int = 0  # These outcomes came after another pass had taken over the lease.
    given_up: Counter[tuple[str, str]] = field(default_factory=Counter)  # By the webhook's name and id.
    disabled: list[str] = field(default_factory=list)
    local_error: str | None = None  # Our machine or proxy failed, which ended the pass.
    host_limit: str | None = None  # At the end a sentence, if it only slowed the pass.
    recorded: list[tuple[Outcome, str]] = field(default_factory=list)  # A tick's, with their results.
    # Of a tick, by webhook, outcome and bound, as in the table `attempt_counts`.
    attempts: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    milliseconds: Counter[tuple[str, str, int]] = field(default_factory=Counter)

    @property
    def failed(self) -> int:
        """Return how many deliveries were given up."""
        return self.given_up.total()

    def add(self, other: "Tally") -> None:
        """Add the figures of a tick."""
        self.processed += other.processed
        self.retried += other.retried
        self.late += other.late
        self.given_up += other.given_up
        self.disabled += other.disabled
        self.local_error = self.local_error or other.local_error
        self.host_limit = self.host_limit or other.host_limit


NOT_RECORDED = "The outcome of a delivery could not be recorded. It is sent again later."

log = logging.getLogger(__name__)


def record(connection: Connection, outcomes: Sequence[Outcome], settings: Settings) -> Tally:
    """Record the outcomes whose lease is still ours, in the caller's write transaction.

             nothing sent ─────────────────────────▶ released: due as before the claim, or now
             sent, lease lost to another pass ─────▶ dropped: that pass sends and records
    outcome  sent, success ────────────────────────▶ processed
             sent, failure, attempts left ─────────▶ due again later
             sent, failure, none left or aborted ──▶ failed
    """
    tally = Tally()
    if not outcomes:
        return tally
    now = clock.now()
    tally.local_error = next((outcome.error for outcome in outcomes if outcome.is_local_error), None)
    tally.host_limit = next((outcome.host_limit for outcome in outcomes if outcome.host_limit), None)
    if back := [outcome.task for outcome in outcomes if outcome.started_at is None]:
        rows = [{"row_id": task.id, "token": task.token, "due_at": _due_released(task, now)} for task in back]
        claims.release(connection, DELIVERIES, rows)
    sent = [outcome for outcome in outcomes if outcome.started_at is not None]
    ours = claims.owned(connection, DELIVERIES, {outcome.task.lease for outcome in sent})
    owned = [outcome for outcome in sent if outcome.task.lease in ours]
    tally.late = len(sent) - len(owned)
    if owned:
        _record_deliveries(connection, owned, settings.retry_schedule, now, tally)
        claims.insert_rows(connection, "attempts", [_attempt(outcome) for outcome in owned])
        tally.disabled += pause_and_disable.record_health(connection, owned, settings, now)
        counts = ((*key, number, tally.milliseconds[key]) for key, number in tally.attempts.items())
        # Sorted, so that two passes lock the rows in the same order.
        claims.insert_rows(connection, "attempt_counts", sorted(counts))
    return tally


def record_each(engine: Engine, outcomes: Sequence[Outcome], settings: Settings) -> Tally:
    """Record each outcome in a transaction of its own, after the database has refused one of them.

    That one is left out, and its lease runs out. If it refuses several and takes none, they are not to blame,
    and its error is raised.
    """
    total, refused = Tally(), []
    for outcome in outcomes:
        try:
            alone = partial(record, outcomes=[outcome], settings=settings)
            tally = database.write_with_retry(engine, alone)
        except DBAPIError as error:
            if not database_errors.is_refusal(error):
                raise
            refused.append(error)
        else:
            total.add(tally)
            total.recorded += tally.recorded
    if 1 < len(refused) == len(outcomes):
        raise refused[0]
    for refusal in refused:
        log.error(NOT_RECORDED, exc_info=refusal)
    return total


def _record_deliveries(
    connection: Connection, owned: Sequence[Outcome], schedule: tuple[float, ...], now: datetime, tally: Tally
) -> None:
    retries = []
    orders: dict[comment_order.Pair, tuple[int, datetime]] = {}
    final: dict[tuple[str, int | None, str | None], list[str]] = defaultdict(list)
    for outcome in owned:
        task = outcome.task
        due_at = None if outcome.ok else _next_due(outcome, schedule, now)
        last = {"last_status_code": outcome.status_code, "last_error": outcome.error}
        if due_at:
            retries.append({"row_id": task.id, "due_at": due_at, **last})
            if task.comment_id and task.sequence:  # What follows it waits.
                orders[task.comment_id, task.receiver.webhook_id] = task.sequence, due_at
        else:
            status = "processed" if outcome.ok else "failed"
            final[status, outcome.status_code, outcome.error].append(task.id)
        _count(outcome, due_at, tally)
    for (status, code, error), row_ids in final.items():
        values = {"finished_at": now, "last_status_code": code, "last_error": error}
        claims.finish(connection, DELIVERIES, row_ids, status, **values)
    if retries:
        claims.reschedule(connection, DELIVERIES, retries)
        comment_order.hold_back(connection, orders)


def _due_released(task: DeliveryTask, now: datetime) -> datetime | str:
    """Return when it was due before the claim; now if the clock was set back since."""
    return min(task.due_at, clock.to_text(now)) if isinstance(task.due_at, str) else task.due_at


def _next_due(outcome: Outcome, schedule: tuple[float, ...], now: datetime) -> datetime | None:
    if outcome.decision.abort:
        return None  # The receiver wants no further attempt.
    made = outcome.task.attempts + 1 - outcome.task.schedule_start
    if made >= len(schedule) and outcome.decision.gone:
        return now  # It waits with the others until somebody enables the webhook.
    return retry_policy.next_due(
        schedule, made, now, at_least=max(outcome.decision.pause, outcome.decision.delay)
    )


def _count(outcome: Outcome, due_at: datetime | None, tally: Tally) -> None:
    receiver, time = outcome.task.receiver, outcome.milliseconds
    if outcome.ok:
        tally.processed += 1
        kind = result = "processed"
    elif due_at:
        tally.retried += 1
        kind, result = "retried", f"will be retried at {clock.to_text(due_at)}"
    else:
        tally.given_up[receiver.name, receiver.webhook_id] += 1
        kind, result = "failed", "given up"
    tally.recorded.append((outcome, result))
    key = receiver.webhook_id, kind, next((bound for bound in TIME_BOUNDS if time <= bound), 0)
    tally.attempts[key] += 1
    tally.milliseconds[key] += time


def log_outcomes(log: logging.Logger, tally: Tally) -> None:
    """Log what was recorded, after the commit. Few passes log it, so its lines are made only here."""
    if not log.isEnabledFor(logging.INFO):
        return
    for outcome, result in tally.recorded:
        task, why = outcome.task, "" if outcome.ok else f" {outcome.error}"
        line = f"{task.id} {task.event} to {task.receiver.name}: {result} ({outcome.milliseconds} ms).{why}"
        fields = {
            "delivery_id": task.id,
            "webhook_id": task.receiver.webhook_id,
            "event": task.event,
            "attempt": task.attempts + 1,
            "status_code": outcome.status_code,
            "milliseconds": outcome.milliseconds,
        }
        log.info(line, extra=fields)


def _attempt(outcome: Outcome) -> tuple[Any, ...]:
    """Return the columns of an attempt as `claims.insert_rows` takes them."""
    task, answered = outcome.task, outcome.response_headers
    return (
        *(task.id, task.attempts + 1, task.triggered_by),
        clock.to_text(outcome.started_at or clock.now()),
        *(outcome.milliseconds, outcome.status_code, outcome.error),
        json.dumps(outcome.request_headers),
        None if answered is None else json.dumps(answered),
        outcome.response_body,
    )
