"""Write down the outcomes of attempts: a pass's tally, each webhook's health, deliveries and attempts.

A webhook that fails is paused or disabled here.
"""

import json
import logging
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, defer

from guestbook.lib import clock, retry_policy
from guestbook.outbound import outbox
from guestbook.outbound.delivery_tasks import DeliveryTask, Outcome
from guestbook.outbound.formats.wording import WHY_DISABLED
from guestbook.queue import claims, comment_order
from guestbook.settings import Settings
from guestbook.storage import database, database_errors
from guestbook.storage.models import DELIVERIES, Pass, Webhook
from guestbook.storage.models.delivery import TIME_BOUNDS


@dataclass(slots=True)
class Tally:
    """What a pass has done, and what its owner must read."""

    processed: int = 0
    retried: int = 0
    late: int = 0  # outcomes that came after another pass had taken over the lease
    given_up: Counter[tuple[str, str]] = field(default_factory=Counter)  # by the webhook's name and id
    disabled: list[str] = field(default_factory=list)
    local_error: str | None = None  # of our machine or proxy; it ended the pass
    host_limit: str | None = None  # of this host; at the end a sentence, if it only made the pass slower
    recorded: list[tuple[Outcome, str]] = field(default_factory=list)  # of a tick, with the result in words
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


DISABLE_AFTER = 10  # failures in a row …
DISABLE_AFTER_TIME = timedelta(days=5)  # … with no success in between
HEALTH_EVENTS = ("webhook.failing", "webhook.recovered")
LONGEST_GAP = timedelta(hours=30)  # between the starts of two passes; the longest last a day


def record_health(
    connection: Connection, owned: Sequence[Outcome], settings: Settings, now: datetime, tally: Tally
) -> None:
    """Apply the outcomes to their webhooks' rows; rows that are healthy and stay so are not touched."""
    by_webhook = defaultdict(list)
    for outcome in owned:
        # Else this host stopped the request, or it went to one website of many: no receiver is to blame.
        if not outcome.host_limit and not outcome.task.receiver.mentions:
            by_webhook[outcome.task.receiver.webhook_id].append(outcome)
    bad = [key for key, some in by_webhook.items() if any(not one.ok or one.holds_lane for one in some)]
    if by_webhook:
        bad += claims.run_sql(connection, claims.FAILING, {}, ids=by_webhook.keys()).scalars()
    if not bad:
        return
    query = select(Webhook).where(Webhook.id.in_(bad)).order_by(Webhook.id)
    query = query.options(defer(Webhook.headers))  # unreadable ones must fail the attempt, not the pass
    with Session(connection, join_transaction_mode="rollback_only") as session:
        # Lock as an UPDATE does: PostgreSQL's stronger lock would stop visitors, whose rows name the webhook.
        for webhook in session.scalars(query.with_for_update(key_share=True)):
            was_disabled, was_announced = webhook.disabled_at, webhook.failing_announced_at
            is_steady = not _has_failed_for_long(webhook, now) or _clock_is_steady(connection, now)
            for outcome in by_webhook[webhook.id]:
                _note_outcome(webhook, outcome, now, is_steady)
            if webhook.disabled_at and not was_disabled:
                session.flush()
                _announce_end(connection, webhook, settings, tally)
            elif was_announced and not webhook.failing_since:
                _announce(connection, "webhook.recovered", webhook, None, settings)
            elif webhook.failing_since and not was_announced and not webhook.disabled_at:
                _announce_failure(connection, webhook, by_webhook[webhook.id], settings, now)
        session.flush()


def _note_outcome(webhook: Webhook, outcome: Outcome, now: datetime, clock_is_steady: bool) -> None:
    if outcome.ok:
        note_success(webhook)
    else:
        unreachable, pause = outcome.unreachable, outcome.decision.pause
        note_failure(webhook, now, unreachable=unreachable, pause=pause, clock_is_steady=clock_is_steady)
    if outcome.decision.gone:
        webhook.disable(now, "gone")


def note_success(webhook: Webhook) -> None:
    """Forget the failures and reopen it; a pause that the receiver itself requested goes on."""
    if webhook.unreachable_in_a_row >= retry_policy.PAUSE_AFTER:
        webhook.paused_until = None
    webhook.forget_failures()


def note_failure(
    webhook: Webhook, now: datetime, *, unreachable: bool, pause: float, clock_is_steady: bool = True
) -> None:
    """Count a failure; pause after five unreachable in a row, or for the `pause` seconds it requested.

    Disables the webhook as `failing` when it has had no success for five days, and the clock did not
    jump in that time.
    """
    webhook.failures_in_a_row += 1
    webhook.failing_since = webhook.failing_since or now
    # What fails while it is paused as unreachable was under way before, and is no probe.
    is_no_probe = webhook.is_paused(now) and webhook.unreachable_in_a_row >= retry_policy.PAUSE_AFTER
    if not (unreachable and is_no_probe):
        webhook.unreachable_in_a_row = webhook.unreachable_in_a_row + 1 if unreachable else 0
        webhook.paused_until = _pause_end(webhook, now, pause)
    if webhook.failures_in_a_row >= DISABLE_AFTER and _has_failed_for_long(webhook, now) and clock_is_steady:
        webhook.disable(now, "failing")


def _has_failed_for_long(webhook: Webhook, now: datetime) -> bool:
    """Whether the failures began five days ago, by this clock."""
    return webhook.failing_since is not None and now - webhook.failing_since >= DISABLE_AFTER_TIME


def _clock_is_steady(connection: Connection, now: datetime) -> bool:
    """Whether passes have come without a long gap for five days, so that a clock has not jumped over them."""
    ends = [now - number * LONGEST_GAP for number in range(DISABLE_AFTER_TIME // LONGEST_GAP + 1)]
    spans = (Pass.started_at.between(begin, end) for end, begin in pairwise(ends))
    return all(connection.scalar(select(Pass.id).where(span).limit(1)) is not None for span in spans)


def _pause_end(webhook: Webhook, now: datetime, pause: float) -> datetime | None:
    ends = [now + timedelta(seconds=min(pause, retry_policy.RETRY_AFTER_CAP))] if pause else []
    if webhook.unreachable_in_a_row >= retry_policy.PAUSE_AFTER:
        ends.append(retry_policy.pause_until(now, webhook.unreachable_in_a_row - retry_policy.PAUSE_AFTER))
    if webhook.paused_until and webhook.paused_until > now:
        ends.append(webhook.paused_until)
    return max(ends, default=None)


def _announce_end(connection: Connection, webhook: Webhook, settings: Settings, tally: Tally) -> None:
    """Publish `webhook.disabled` to the other webhooks, and note a line for the owner."""
    reason = webhook.disabled_reason or ""
    _announce(connection, "webhook.disabled", webhook, reason, settings)
    tally.disabled.append(f"webhook {webhook.name} was disabled: {WHY_DISABLED[reason]}")


def _announce_failure(
    connection: Connection, webhook: Webhook, outcomes: Sequence[Outcome], settings: Settings, now: datetime
) -> None:
    """Publish `webhook.failing` once, until it recovers.

    Failures of such events announce nothing, or webhooks that fail now and then would never come to rest.
    """
    errors = [one.error for one in outcomes if not one.ok and one.task.event not in HEALTH_EVENTS]
    if errors:
        webhook.failing_announced_at = now
        _announce(connection, "webhook.failing", webhook, errors[-1], settings)


def _announce(
    connection: Connection, event: str, webhook: Webhook, reason: str | None, settings: Settings
) -> None:
    data = {"webhook": {"id": webhook.id, "name": webhook.name, "reason": reason}}
    outbox.publish(connection, event, data, settings, leave_out=(webhook.id,))


NOT_RECORDED = "The outcome of a delivery could not be recorded. It is sent again later."

log = logging.getLogger(__name__)


def record(connection: Connection, outcomes: Sequence[Outcome], settings: Settings) -> Tally:
    """Record the outcomes whose lease is still ours, in the caller's write transaction.

             nothing sent ─────────────────────────▶ released: due as before the claim
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
    _release(connection, [outcome for outcome in outcomes if outcome.started_at is None])
    sent = [outcome for outcome in outcomes if outcome.started_at is not None]
    ours = claims.owned(connection, DELIVERIES, {outcome.task.lease for outcome in sent})
    owned = [outcome for outcome in sent if outcome.task.lease in ours]
    tally.late = len(sent) - len(owned)
    if owned:
        _record_deliveries(connection, owned, settings.retry_schedule, now, tally)
        claims.insert_rows(connection, "attempts", [_attempt(outcome) for outcome in owned])
        record_health(connection, owned, settings, now, tally)
        counts = ((*key, number, tally.milliseconds[key]) for key, number in tally.attempts.items())
        # Sorted, so that two passes lock the rows in the same order.
        claims.insert_rows(connection, "attempt_counts", sorted(counts))
    return tally


def record_each(engine: Engine, outcomes: Sequence[Outcome], settings: Settings) -> Tally:
    """Record each outcome in a transaction of its own, after the database has refused one of them.

    That one is left out, and its lease runs out. If it refuses several and takes none, they are not to blame,
    and its error is raised.
    """
    total, taken = Tally(), 0
    for number, outcome in enumerate(outcomes, 1):
        try:
            alone = partial(record, outcomes=[outcome], settings=settings)
            tally = database.write_with_retry(engine, alone)
        except DBAPIError as error:
            if not database_errors.is_refusal(error) or (number > 1 and not taken):
                raise
            log.exception(NOT_RECORDED)
        else:
            taken += 1
            total.add(tally)
            total.recorded += tally.recorded
    return total


def _release(connection: Connection, outcomes: Sequence[Outcome]) -> None:
    tasks = [outcome.task for outcome in outcomes]
    rows = [{"row_id": task.id, "token": task.token, "due_at": task.due_at} for task in tasks]
    if rows:
        claims.release(connection, DELIVERIES, rows)


def _record_deliveries(
    connection: Connection, owned: Sequence[Outcome], schedule: tuple[float, ...], now: datetime, tally: Tally
) -> None:
    retries = []
    orders: dict[comment_order.Pair, tuple[int, datetime]] = {}
    final: dict[tuple[str, int | None, str | None], list[str]] = defaultdict(list)
    for outcome in owned:
        due_at = None if outcome.ok else _next_due(outcome, schedule, now)
        last = {"last_status_code": outcome.status_code, "last_error": outcome.error}
        if due_at:
            retries.append({"row_id": outcome.task.id, "due_at": due_at, **last})
            orders |= _order(outcome.task, due_at)
        else:
            status = "processed" if outcome.ok else "failed"
            final[status, outcome.status_code, outcome.error].append(outcome.task.id)
        _count(outcome, due_at, tally)
    for (status, code, error), row_ids in final.items():
        values = {"finished_at": now, "last_status_code": code, "last_error": error}
        claims.finish(connection, DELIVERIES, row_ids, status, **values)
    if retries:
        claims.reschedule(connection, DELIVERIES, retries)
        comment_order.hold_back(connection, orders)


def _order(task: DeliveryTask, due_at: datetime) -> dict[comment_order.Pair, tuple[int, datetime]]:
    """Return what `hold_back` needs to know of a delivery that will be retried."""
    if task.comment_id is None or task.sequence is None:
        return {}
    return {(task.comment_id, task.receiver.webhook_id): (task.sequence, due_at)}


def _next_due(outcome: Outcome, schedule: tuple[float, ...], now: datetime) -> datetime | None:
    if outcome.decision.abort:
        return None  # the receiver wants no further attempt
    made = outcome.task.attempts + 1 - outcome.task.schedule_start
    if made >= len(schedule) and outcome.decision.gone:
        return now  # it waits, with the others, until somebody enables the webhook again
    return retry_policy.next_due(
        schedule, made, now, at_least=max(outcome.decision.pause, outcome.decision.delay)
    )


def _count(outcome: Outcome, due_at: datetime | None, tally: Tally) -> None:
    receiver = outcome.task.receiver
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
    time = outcome.milliseconds
    key = receiver.webhook_id, kind, next((bound for bound in TIME_BOUNDS if time <= bound), 0)
    tally.attempts[key] += 1
    tally.milliseconds[key] += time


def log_outcomes(log: logging.Logger, tally: Tally) -> None:
    """Log what was recorded, after the commit. Few passes log it, so its lines are made only here."""
    if log.isEnabledFor(logging.INFO):
        for outcome, result in tally.recorded:
            line, fields = _log_line(outcome, result)
            log.info(line, extra=fields)


def _log_line(outcome: Outcome, result: str) -> tuple[str, dict[str, object]]:
    """Return what the log says of a recorded outcome, and the fields of its record."""
    task = outcome.task
    why = "" if outcome.ok else f" {outcome.error}"
    line = f"{task.id} {task.event} to {task.receiver.name}: {result} ({outcome.milliseconds} ms).{why}"
    fields = {
        "delivery_id": task.id,
        "webhook_id": task.receiver.webhook_id,
        "event": task.event,
        "attempt": task.attempts + 1,
        "status_code": outcome.status_code,
        "milliseconds": outcome.milliseconds,
    }
    return line, fields


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
