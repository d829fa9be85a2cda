"""Write down the outcomes of attempts: the deliveries, the attempts, the webhooks' health."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, or_, select
from sqlalchemy.orm import Session, defer

from guestbook.lib import clock, retry_policy
from guestbook.outbound import outbox
from guestbook.outbound.formats.wording import WHY_DISABLED
from guestbook.outbound.tally import Tally
from guestbook.outbound.tasks import Outcome
from guestbook.queries import health
from guestbook.queue import leases
from guestbook.settings import Settings
from guestbook.storage.models import ATTEMPTS, DELIVERIES, Webhook


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
    ours = leases.owned(connection, DELIVERIES, {outcome.task.id: outcome.task.token for outcome in sent})
    owned = [outcome for outcome in sent if outcome.task.id in ours]
    tally.late = len(sent) - len(owned)
    if owned:
        _record_deliveries(connection, owned, settings.retry_schedule, now, tally)
        connection.execute(insert(ATTEMPTS), [_attempt(outcome) for outcome in owned])
        record_health(connection, owned, settings, now, tally)
    return tally


def _release(connection: Connection, outcomes: Sequence[Outcome]) -> None:
    tasks = [outcome.task for outcome in outcomes]
    rows = [{"row_id": task.id, "token": task.token, "due_at": task.due_at} for task in tasks]
    if rows:
        leases.release(connection, DELIVERIES, rows)


def _record_deliveries(
    connection: Connection, owned: Sequence[Outcome], schedule: tuple[float, ...], now: datetime, tally: Tally
) -> None:
    retries = []
    final: dict[tuple[str, int | None, str | None], list[str]] = defaultdict(list)
    for outcome in owned:
        due_at = None if outcome.ok else _next_due(outcome, schedule, now)
        last = {"last_status_code": outcome.status_code, "last_error": outcome.error}
        if due_at:
            retries.append({"row_id": outcome.task.id, "due_at": due_at, **last})
        else:
            status = "processed" if outcome.ok else "failed"
            final[status, outcome.status_code, outcome.error].append(outcome.task.id)
        _count(outcome, due_at, tally)
    for (status, code, error), row_ids in final.items():
        values = {"finished_at": now, "last_status_code": code, "last_error": error}
        leases.finish(connection, DELIVERIES, row_ids, status, **values)
    if retries:
        leases.reschedule(connection, DELIVERIES, retries)


def _next_due(outcome: Outcome, schedule: tuple[float, ...], now: datetime) -> datetime | None:
    if outcome.decision.abort:
        return None  # the receiver wants no further attempt
    made = outcome.task.attempts + 1 - outcome.task.schedule_start
    if made >= len(schedule) and outcome.decision.gone:
        return now  # it waits, with the others, until somebody enables the webhook again
    return retry_policy.next_due(schedule, made, now, at_least=outcome.decision.pause)


def _count(outcome: Outcome, due_at: datetime | None, tally: Tally) -> None:
    task = outcome.task
    if outcome.ok:
        tally.processed += 1
        result = "processed"
    elif due_at:
        tally.retried += 1
        result = f"will be retried at {clock.to_text(due_at)}"
    else:
        tally.given_up[task.receiver.name, task.receiver.webhook_id] += 1
        result = "given up"
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
    tally.log_lines.append((line, fields))


def _attempt(outcome: Outcome) -> dict[str, Any]:
    return {
        "delivery_id": outcome.task.id,
        "number": outcome.task.attempts + 1,
        "triggered_by": outcome.task.triggered_by,
        "started_at": outcome.started_at,
        "milliseconds": outcome.milliseconds,
        "status_code": outcome.status_code,
        "error": outcome.error,
        "request_headers": outcome.request_headers,
        "response_headers": outcome.response_headers,
        "response_body": outcome.response_body,
    }


def record_health(
    connection: Connection, owned: Sequence[Outcome], settings: Settings, now: datetime, tally: Tally
) -> None:
    """Apply the outcomes to their webhooks' rows; rows that are healthy and stay so are not touched."""
    by_webhook = defaultdict(list)
    for outcome in owned:
        if not outcome.host_limit:  # else this host stopped the request, and the receiver is not to blame
            by_webhook[outcome.task.receiver.webhook_id].append(outcome)
    bad = [key for key, some in by_webhook.items() if any(not one.ok or one.holds_lane for one in some)]
    unhealthy = Webhook.id.in_(list(by_webhook)) & (Webhook.failures_in_a_row > 0)
    query = select(Webhook).where(or_(Webhook.id.in_(bad), unhealthy)).order_by(Webhook.id)
    query = query.options(defer(Webhook.headers))  # unreadable ones must fail the attempt, not the pass
    with Session(connection, join_transaction_mode="rollback_only") as session:
        # Lock as an UPDATE does: PostgreSQL's stronger lock would stop visitors, whose rows name the webhook.
        for webhook in session.scalars(query.with_for_update(key_share=True)):
            was_disabled = webhook.disabled_at
            is_steady = not webhook.has_failed_for_long(now) or health.came_steadily(connection, now)
            _note_outcomes(webhook, by_webhook[webhook.id], now, is_steady)
            if webhook.disabled_at and not was_disabled:
                session.flush()
                _announce_end(connection, webhook, settings, tally)
        session.flush()


def _note_outcomes(
    webhook: Webhook, outcomes: Sequence[Outcome], now: datetime, clock_is_steady: bool
) -> None:
    for outcome in outcomes:
        if outcome.ok:
            webhook.note_success()
        else:
            pause = outcome.decision.pause
            webhook.note_failure(
                now, unreachable=outcome.unreachable, pause=pause, clock_is_steady=clock_is_steady
            )
        if outcome.decision.gone:
            webhook.disable(now, "gone")


def _announce_end(connection: Connection, webhook: Webhook, settings: Settings, tally: Tally) -> None:
    """Publish `webhook.disabled` to the other webhooks, and note a line for the owner."""
    reason = webhook.disabled_reason or ""
    data = {"webhook": {"id": webhook.id, "name": webhook.name, "reason": reason}}
    outbox.publish(connection, "webhook.disabled", data, settings, leave_out=(webhook.id,))
    tally.disabled.append(f"webhook {webhook.name} was disabled: {WHY_DISABLED[reason]}")
