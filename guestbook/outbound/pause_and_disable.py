"""Pause a webhook that fails, disable one that fails for days or is gone, and reopen one that recovers."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from sqlalchemy import Connection, select
from sqlalchemy.orm import Session, defer

from guestbook.lib import retry_policy
from guestbook.outbound import event_publisher
from guestbook.outbound.delivery_tasks import Outcome
from guestbook.outbound.formats.wording import WHY_DISABLED
from guestbook.queue import claims
from guestbook.settings import Settings
from guestbook.storage.models import Pass, Webhook

# So many failures in a row, over so long a time, disable a webhook.
DISABLE_AFTER, DISABLE_AFTER_TIME = 10, timedelta(days=5)
HEALTH_EVENTS = ("webhook.failing", "webhook.recovered")
LONGEST_GAP = timedelta(hours=30)  # The longest passes last a day.


def record_health(
    connection: Connection, owned: Sequence[Outcome], settings: Settings, now: datetime
) -> list[str]:
    """Apply the outcomes to their webhooks' rows; return a line for the owner about each that was disabled.

    Rows that are healthy and stay so are not touched.
    """
    by_webhook, lines = defaultdict(list), list[str]()
    for outcome in owned:
        # Else this host stopped the request, or it went to one website or visitor of many: no receiver is to
        # blame.
        receiver = outcome.task.receiver
        is_for_one = receiver.mentions or (receiver.is_visitors and outcome.decision.abort)
        if not outcome.host_limit and not is_for_one:
            by_webhook[receiver.webhook_id].append(outcome)
    bad = [key for key, some in by_webhook.items() if any(not one.ok or one.holds_lane for one in some)]
    if by_webhook:
        bad += claims.run_sql(connection, claims.FAILING, {}, ids=by_webhook.keys()).scalars()
    if not bad:
        return lines
    query = select(Webhook).where(Webhook.id.in_(bad)).order_by(Webhook.id)
    query = query.options(defer(Webhook.headers))  # Unreadable ones must fail the attempt, not the pass.
    with Session(connection, join_transaction_mode="rollback_only") as session:
        # Lock as an UPDATE does: PostgreSQL's stronger lock would stop visitors, whose rows name the webhook.
        for webhook in session.scalars(query.with_for_update(key_share=True)):
            lines += _note_outcomes(session, webhook, by_webhook[webhook.id], settings, now)
        session.flush()
    return lines


def _note_outcomes(
    session: Session, webhook: Webhook, outcomes: Sequence[Outcome], settings: Settings, now: datetime
) -> list[str]:
    """Apply the outcomes to a webhook, and publish what became of it; return lines for the owner."""
    connection = session.connection()
    was_disabled, was_announced = webhook.disabled_at, webhook.failing_announced_at
    is_steady = not _has_failed_for_long(webhook, now) or _clock_is_steady(connection, now)
    for outcome in outcomes:
        if outcome.ok:
            note_success(webhook)
        else:
            pause = outcome.decision.pause
            note_failure(
                webhook, now, unreachable=outcome.unreachable, pause=pause, clock_is_steady=is_steady
            )
        if outcome.decision.gone:
            webhook.disable(now, "gone")
    if webhook.disabled_at and not was_disabled:
        session.flush()
        reason = webhook.disabled_reason or ""
        _announce(connection, "webhook.disabled", webhook, reason, settings)
        return [f"webhook {webhook.name} was disabled: {WHY_DISABLED[reason]}"]
    if was_announced and not webhook.failing_since:
        _announce(connection, "webhook.recovered", webhook, None, settings)
    elif webhook.failing_since and not was_announced and not webhook.disabled_at:
        # Failures of such events announce nothing, or some webhooks would never come to rest.
        errors = [one.error for one in outcomes if not one.ok and one.task.event not in HEALTH_EVENTS]
        if errors:  # It is announced once, until it recovers.
            webhook.failing_announced_at = now
            _announce(connection, "webhook.failing", webhook, errors[-1], settings)
    return []


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


def _announce(
    connection: Connection, event: str, webhook: Webhook, reason: str | None, settings: Settings
) -> None:
    data = {"webhook": {"id": webhook.id, "name": webhook.name, "reason": reason}}
    event_publisher.publish(connection, event, data, settings, leave_out=(webhook.id,))
