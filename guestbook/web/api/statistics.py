"""/statistics: how the book is doing, its webhooks and its sources."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from flask import Blueprint
from flask.typing import ResponseReturnValue

from guestbook.lib import clock, json_schema
from guestbook.outbound import webhook_shapes
from guestbook.queries import cron_status, statistics, webhook_status
from guestbook.queries.statistics import AttemptTimes, Bar, WebhookActivity
from guestbook.queries.webhook_status import SourceStatus
from guestbook.storage.database import db
from guestbook.storage.models import Comment, Delivery, InboundEvent, Source, Webhook
from guestbook.storage.models.comment import COMMENT_STATUSES
from guestbook.web import request_context
from guestbook.web.api.call_table import owner_calls
from guestbook.web.row_lookup import find

calls = Blueprint("statistics", __name__)


@calls.get("/statistics")
def show() -> ResponseReturnValue:
    """Show what the overview shows, and the status of the sources."""
    session, now = db.session(), clock.now()
    found = statistics.overview(session, now)
    sources = webhook_status.all_sources(session, limit=owner_calls.SHOWN_SOURCES)
    lately = statistics.failed_lately(session, Delivery, now).counts
    lately_in = statistics.failed_lately(session, InboundEvent, now).counts
    return {
        "cron": _cron(now),
        "comments": {
            status: statistics.count_some(session, Comment.status == status, Comment)
            for status in COMMENT_STATUSES
        },
        "held_since": found.held_since and clock.to_text(found.held_since),
        "deliveries_waiting": found.waiting,
        "deliveries_failed": found.failed,
        "inbound_events_waiting": found.came_in,
        "inbound_events_failed": found.came_in_vain,
        "hours": _bars(found.hours),
        "days": _bars(found.days),
        "webhooks": [_webhook(one, lately.get(one.webhook.id, 0), now) for one in found.webhooks],
        "sources": [_source(one, lately_in.get(one.source.id, 0)) for one in sources],
    }


@calls.get("/webhooks/<webhook_id>/statistics")
def of_webhook(webhook_id: str) -> ResponseReturnValue:
    """Show the attempts of a webhook, and what is sent next."""
    session, now = db.session(), clock.now()
    webhook = find(Webhook, webhook_id)
    made, status = (
        statistics.attempts_of(session, webhook.id, now),
        webhook_status.of(session, webhook, now),
    )
    return {
        "state": status.word,
        "sentence": status.sentence,
        "waiting": status.waiting,
        "day": _times(made.day),
        "month": _times(made.month),
        "hours": _bars(made.hours),
        "days": _bars(made.days),
        "last_attempts": [json_schema.of_row(one, owner_calls.MADE_ATTEMPT) for one in made.last],
        "next_deliveries": [
            webhook_shapes.delivery(row) for row in webhook_status.coming_deliveries(session, webhook.id)
        ],
        "counted_from": made.counted_from and clock.to_text(made.counted_from),
    }


@calls.get("/sources/<source_id>/statistics")
def of_source(source_id: str) -> ResponseReturnValue:
    """Show how a source is doing."""
    session, now = db.session(), clock.now()
    source = find(Source, source_id)
    lately = statistics.failed_lately(session, InboundEvent, now).counts
    return _source(webhook_status.of_source(session, source), lately.get(source.id, 0))


def _cron(now: datetime) -> dict[str, Any]:
    after_requests = request_context.settings().send_after_requests
    cron = cron_status.in_words(db.session(), now, after_requests=after_requests)
    return {"state": cron.word, "sentence": cron.sentence, "advice": cron.advice}


def _webhook(doing: WebhookActivity, failed: int, now: datetime) -> dict[str, Any]:
    webhook = doing.webhook
    status = webhook_status.of(db.session(), webhook, now)
    return {
        "id": webhook.id,
        "name": webhook.name,
        "state": status.word,
        "sentence": status.sentence,
        "attempts": doing.attempts,
        "successes": doing.successes,
        "median_milliseconds": doing.milliseconds,
        "waiting": doing.waiting,
        "due": doing.due,
        "failed_lately": failed,
    }


def _source(doing: SourceStatus, failed: int) -> dict[str, Any]:
    return {
        "id": doing.source.id,
        "name": doing.source.name,
        "state": doing.word,
        "sentence": doing.sentence,
        "last_received_at": doing.last_at and clock.to_text(doing.last_at),
        "waiting": doing.waiting,
        "unproven_bytes": doing.source.unproven_bytes,
        "failed_lately": failed,
    }


def _times(times: AttemptTimes) -> dict[str, Any]:
    return {
        "attempts": times.attempts,
        "successes": times.successes,
        "median_milliseconds": times.median,
        "percentile_95_milliseconds": times.percentile95,
    }


def _bars(bars: Sequence[Bar]) -> list[dict[str, Any]]:
    return [json_schema.of_row(bar, owner_calls.BAR_SCHEMA) for bar in bars]
