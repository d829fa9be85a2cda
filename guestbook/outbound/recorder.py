"""Write down what came of a tick's attempts: the deliveries, the attempts, the webhooks' health."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, or_, select
from sqlalchemy.orm import Session, defer

from guestbook.lib import clock, retry_policy
from guestbook.outbound import outbox
from guestbook.outbound.tasks import Outcome
from guestbook.queries import health
from guestbook.queue import leases
from guestbook.settings import Settings
from guestbook.storage.models import ATTEMPTS, DELIVERIES, Webhook


@dataclass(slots=True)
class Tally:
    """What a pass has done, and the lines that its owner must read."""

    processed: int = 0
    retried: int = 0
    late: int = 0  # acknowledgements whose lease had gone to somebody else
    given_up: Counter[tuple[str, str]] = field(default_factory=Counter)  # by the webhook's name and id
    disabled: list[str] = field(default_factory=list)
    fault: str | None = None  # of our own machine or proxy, which ended the pass
    limit: str | None = None  # of this host, which made the pass slower than it was asked to be
    story: list[tuple[str, dict[str, object]]] = field(default_factory=list)  # to be logged after the commit

    @property
    def failed(self) -> int:
        """Return how many deliveries were given up."""
        return self.given_up.total()

    def add(self, other: "Tally") -> None:
        """Take over the figures of a tick."""
        self.processed += other.processed
        self.retried += other.retried
        self.late += other.late
        self.given_up += other.given_up
        self.disabled += other.disabled
        self.fault = self.fault or other.fault
        self.limit = self.limit or other.limit


def outcomes(connection: Connection, results: Sequence[Outcome], settings: Settings, tally: Tally) -> None:
    """Record what is still ours to record, in the caller's write transaction."""
    if not results:
        return
    now = clock.now()
    _release(connection, [result for result in results if result.started_at is None])
    tally.fault = next((result.error for result in results if result.fault), None)
    tally.limit = next((result.limit for result in results if result.limit), None)
    sent = [result for result in results if result.started_at is not None]
    ours = leases.owned(connection, DELIVERIES, {result.task.id: result.task.token for result in sent})
    kept = [result for result in sent if result.task.id in ours]
    tally.late += len(sent) - len(kept)
    if kept:
        _record_deliveries(connection, kept, settings, now, tally)
        _record_attempts(connection, kept)
        _record_health(connection, kept, settings, now, tally)


def _release(connection: Connection, results: Sequence[Outcome]) -> None:
    rows = [
        {"row_id": result.task.id, "token": result.task.token, "due_at": result.task.due_at}
        for result in results
    ]
    if rows:
        leases.release(connection, DELIVERIES, rows)


def _record_deliveries(
    connection: Connection, kept: Sequence[Outcome], settings: Settings, now: datetime, tally: Tally
) -> None:
    retries = []
    final: dict[tuple[str, int | None, str | None], list[str]] = defaultdict(list)
    for result in kept:
        due_at = None if result.ok else _next_due(result, settings, now)
        if due_at:
            retries.append(_retry(result, due_at))
        else:
            status = "processed" if result.ok else "failed"
            final[status, result.status_code, result.error].append(result.task.id)
        _count(result, due_at, tally)
    for (status, code, error), row_ids in final.items():
        values = {"finished_at": now, "last_status_code": code, "last_error": error}
        leases.finish(connection, DELIVERIES, row_ids, status, **values)
    if retries:
        leases.reschedule(connection, DELIVERIES, retries)


def _next_due(result: Outcome, settings: Settings, now: datetime) -> datetime | None:
    if result.meaning.abort:
        return None
    task = result.task
    made = task.attempts + 1 - task.schedule_start
    if made >= len(settings.retry_schedule) and result.meaning.gone:
        return now  # it waits with the others for the webhook to be enabled again
    return retry_policy.next_due(settings.retry_schedule, made, now, at_least=result.meaning.pause)


def _retry(result: Outcome, due_at: datetime) -> dict[str, Any]:
    return {
        "row_id": result.task.id,
        "due_at": due_at,
        "last_status_code": result.status_code,
        "last_error": result.error,
    }


def _count(result: Outcome, due_at: datetime | None, tally: Tally) -> None:
    task = result.task
    if result.ok:
        tally.processed += 1
        fate = "processed"
    elif due_at:
        tally.retried += 1
        fate = f"will be retried at {clock.to_text(due_at)}"
    else:
        tally.given_up[task.receiver.name, task.receiver.webhook_id] += 1
        fate = "given up"
    why = "" if result.ok else f" {result.error}"
    line = f"{task.id} {task.event} to {task.receiver.name}: {fate} ({result.milliseconds} ms).{why}"
    fields = {
        "delivery_id": task.id,
        "webhook_id": task.receiver.webhook_id,
        "event": task.event,
        "attempt": task.attempts + 1,
        "status_code": result.status_code,
        "milliseconds": result.milliseconds,
    }
    tally.story.append((line, fields))


def _record_attempts(connection: Connection, kept: Sequence[Outcome]) -> None:
    connection.execute(insert(ATTEMPTS), [_attempt(result) for result in kept])


def _attempt(result: Outcome) -> dict[str, Any]:
    return {
        "delivery_id": result.task.id,
        "number": result.task.attempts + 1,
        "triggered_by": result.task.triggered_by,
        "started_at": result.started_at,
        "milliseconds": result.milliseconds,
        "status_code": result.status_code,
        "error": result.error,
        "request_headers": result.request_headers,
        "response_headers": result.response_headers,
        "response_body": result.response_body,
    }


def _record_health(
    connection: Connection, kept: Sequence[Outcome], settings: Settings, now: datetime, tally: Tally
) -> None:
    """Let the rules of the webhooks' rows judge; rows that are well and stay so are not touched."""
    by_webhook = defaultdict(list)
    for result in kept:
        if result.limit:
            continue
        by_webhook[result.task.receiver.webhook_id].append(result)
    bad = [key for key, some in by_webhook.items() if any(not one.ok or one.hold for one in some)]
    unwell = Webhook.id.in_(list(by_webhook)) & (Webhook.failures_in_a_row > 0)
    query = select(Webhook).where(or_(Webhook.id.in_(bad), unwell)).order_by(Webhook.id)
    query = query.options(defer(Webhook.headers))  # unreadable ones are the attempt's fault, not the pass's
    with Session(connection, join_transaction_mode="rollback_only") as session:
        # As an UPDATE locks: PostgreSQL's stronger lock would stop visitors, whose rows name the webhook.
        for webhook in session.scalars(query.with_for_update(key_share=True)):
            was_disabled = webhook.disabled_at
            is_steady = not webhook.has_failed_for_long(now) or health.came_steadily(connection, now)
            _judge(webhook, by_webhook[webhook.id], now, is_steady)
            if webhook.disabled_at and not was_disabled:
                session.flush()
                _tell_of_the_end(connection, webhook, settings, tally)
        session.flush()


def _judge(webhook: Webhook, results: Sequence[Outcome], now: datetime, clock_is_steady: bool) -> None:
    for result in results:
        if result.ok:
            webhook.note_success()
        else:
            webhook.note_failure(
                now,
                unreachable=result.unreachable,
                pause=result.meaning.pause,
                clock_is_steady=clock_is_steady,
            )
        if result.meaning.gone:
            webhook.disable(now, "gone")


def _tell_of_the_end(connection: Connection, webhook: Webhook, settings: Settings, tally: Tally) -> None:
    reason = webhook.disabled_reason or ""
    data = {"webhook": {"id": webhook.id, "name": webhook.name, "reason": reason}}
    outbox.publish(connection, "webhook.disabled", data, settings, leave_out=(webhook.id,))
    why = {
        "gone": "its receiver says that nothing is wanted there any more",
        "failing": "it has had no success for five days",
    }[reason]
    tally.disabled.append(f"webhook {webhook.name} was disabled: {why}")
