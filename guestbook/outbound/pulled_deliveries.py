"""Deliveries that a receiver fetches: it leases some, hands them on, and commits what came of them.

    pending ──take──▶ leased under a token ──commit──▶ final, or due later
       ▲                       │ the lease runs out: the receiver died, or was too slow
       └───────────────────────┘

A webhook with the URL `pull:` is for receivers without a public address. Each delivery arrives at least once.
A commit counts only under the token of its own lease, so a late one changes no row.

Tokens sort by the time at which their request began. A receiver that was started again names the first one
that it got. So it takes over what was leased before: to its killed run, or to a request that run left behind.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, select
from sqlalchemy.orm import Session

from guestbook.lib import clock, ids
from guestbook.lib.text import clean_line
from guestbook.outbound import attempt_recorder, delivery_tasks, response_policy, webhook_signatures
from guestbook.outbound.attempt_sender import ATTEMPT_ERROR_LIMIT
from guestbook.outbound.delivery_tasks import DeliveryTask, Outcome
from guestbook.queue import claims
from guestbook.settings import Settings
from guestbook.storage.models import DELIVERIES, IS_NEXT, Webhook

PULL_LEASE = timedelta(seconds=60)  # A receiver commits what it took within this time.
MOST_TAKEN = 20  # So many deliveries are taken at once.
_TAKER_AT = 16  # A token begins with so many characters of the time.
CANNOT_SIGN = "The book cannot decrypt this webhook's secrets, so nothing can be signed. Run doctor there."
NOT_PULLED = "The book sends to this webhook. Only a webhook with the URL pull: can be fetched from."


@dataclass(frozen=True, slots=True)
class Taken:
    """A delivery that a receiver has leased, and the headers of the request that it stands for."""

    id: str
    event: str
    payload: str
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Replaced:
    """The earlier run of a receiver: all that it has leased under tokens before its successor's first one."""

    taker: str
    first_token: str


@dataclass(frozen=True, slots=True)
class PulledResult:
    """What a receiver says of a delivery: the answer of its program, or why there was none."""

    id: str
    ok: bool
    status_code: int | None = None
    error: str | None = None
    milliseconds: int = 0


def new_token(taker: str) -> str:
    """Return a token for a request that begins now. `taker` says who asks; no other may take over from it."""
    return ids.new()[:_TAKER_AT] + _taker_part(taker) + secrets.token_hex(4)


def anything_pending(session: Session, webhook_id: str, now: datetime, replaced: Replaced | None) -> bool:
    """Whether something may be taken now; it only reads."""
    rows = DELIVERIES.c
    due = select(rows.id).where(rows.webhook_id == webhook_id, rows.due_at <= now, IS_NEXT).limit(1)
    if session.execute(due).first():
        return True
    if not replaced:
        return False
    leased = select(rows.id).where(_leased_to(replaced, webhook_id, now)).limit(1)
    return session.execute(leased).first() is not None


def take(
    connection: Connection,
    webhook: Webhook,
    settings: Settings,
    token: str,
    limit: int,
    replaced: Replaced | None = None,
) -> list[Taken]:
    """Lease the next deliveries under the token, in the caller's write transaction.

    Those that the replaced receiver has in hand may be among them. Its token is void then.
    """
    now = clock.now()
    if replaced:
        claims.make_due(connection, DELIVERIES, _leased_to(replaced, webhook.id, now), now)
    columns, limits = delivery_tasks.TASK_COLUMNS, {webhook.id: limit}
    terms: Any = {"most": limit, "now": now, "until": now + PULL_LEASE, "token": token}
    leased = claims.take(connection, DELIVERIES, columns, limits, **terms)
    agent, timestamp, taken = webhook_signatures.user_agent(settings.base_url), int(now.timestamp()), []
    for row in leased.get(webhook.id, ()):
        task = _task(row, webhook, "")
        headers = webhook_signatures.plain_headers(task, agent, timestamp)
        if not task.receiver.error:  # Else somebody garbled the secret by hand.
            headers |= webhook_signatures.signature_headers(task, timestamp)
        taken.append(Taken(row.id, row.event, task.body.decode(), headers))
    return taken


def commit(
    connection: Connection, webhook: Webhook, settings: Settings, token: str, results: Sequence[PulledResult]
) -> int:
    """Record the results whose lease is still under the token, in the caller's write transaction.

    Return how many were recorded. A failure is due again by the retry schedule.
    """
    by_id = {one.id: one for one in results}
    handed = {(row_id, token) for row_id in by_id}
    rows = claims.handed_over(connection, DELIVERIES, handed, delivery_tasks.HANDED_OVER_COLUMNS)
    mine = [row for row in rows if row.webhook_id == webhook.id]
    outcomes = [_outcome(row, by_id[row.id], webhook, token) for row in mine]
    return len(outcomes) - attempt_recorder.record(connection, outcomes, settings).late


def _leased_to(replaced: Replaced, webhook_id: str, now: datetime) -> ColumnElement[bool]:
    rows, taker = DELIVERIES.c, _taker_part(replaced.taker)
    return (
        (rows.webhook_id == webhook_id)
        & (rows.due_at > now)
        & (rows.status == "new")
        & (rows.claimed_by < replaced.first_token)
        & (func.substr(rows.claimed_by, _TAKER_AT + 1, len(taker)) == taker)
    )


def _taker_part(taker: str) -> str:
    return hashlib.sha256(taker.encode()).hexdigest()[:8]


def _outcome(row: Row[Any], result: PulledResult, webhook: Webhook, token: str) -> Outcome:
    began = clock.now() - timedelta(milliseconds=result.milliseconds)
    decision = response_policy.OK if result.ok else response_policy.RETRY
    said = clean_line(result.error or "")[:ATTEMPT_ERROR_LIMIT] or "The receiver said that it failed."
    return Outcome(
        _task(row, webhook, token),
        started_at=began,
        milliseconds=result.milliseconds,
        status_code=result.status_code,
        error=None if result.ok else said,
        decision=decision,
    )


def _task(row: Row[Any], webhook: Webhook, token: str) -> DeliveryTask:
    return delivery_tasks.delivery_task(row, token, 0.0, delivery_tasks.of_webhook(webhook, {}, clock.now()))
