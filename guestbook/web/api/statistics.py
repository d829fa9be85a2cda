"""/statistics: how the book is doing, its webhooks and its sources."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from flask.typing import ResponseReturnValue

from guestbook.lib import clock, json_schema
from guestbook.lib.json_schema import (
    ID_SCHEMA,
    NUMBER_SCHEMA,
    TEXT_SCHEMA,
    TIME_SCHEMA,
    Schema,
    answer,
    described,
    one_of,
    or_null,
    ref,
)
from guestbook.outbound import webhook_shapes
from guestbook.queries import cron_status, prometheus_metrics, statistics, webhook_status
from guestbook.queries.statistics import COUNT_LIMIT, SHOWN_WEBHOOKS, AttemptTimes, Bar, WebhookActivity
from guestbook.queries.webhook_status import SourceStatus
from guestbook.storage.database import db
from guestbook.storage.models import Comment, Delivery, InboundEvent, Source, Webhook
from guestbook.storage.models.comment import COMMENT_STATUSES
from guestbook.web import request_context
from guestbook.web.api.api_call import Calls
from guestbook.web.row_lookup import find

SHOWN_SOURCES = 50
COUNTED: Schema = described(NUMBER_SCHEMA, f"Counting stops at {COUNT_LIMIT + 1}.")
LATELY = (
    f"Rows that failed in the last {statistics.RECENT.days} days, "
    f"among the newest {statistics.FAILED_LIMIT} of all."
)
TYPICAL_TIME: Schema = described(or_null(NUMBER_SCHEMA), "Null without any attempt.")
STATE: Schema = {
    "state": one_of(*prometheus_metrics.STATES, "silent", description="How it is doing; well means healthy."),
    "sentence": described(TEXT_SCHEMA, "How it is doing, for people."),
}
BAR_SCHEMA: Schema = {
    "since": described(TIME_SCHEMA, "The beginning of the hour or day, in UTC."),
    "processed": NUMBER_SCHEMA,
    "failed": NUMBER_SCHEMA,
    "new": described(NUMBER_SCHEMA, "Those that wait; always 0 for attempts."),
}
BARS: Schema = {"type": "array", "items": ref("Bar")}
ATTEMPT_TIMES: Schema = {
    "attempts": NUMBER_SCHEMA,
    "successes": NUMBER_SCHEMA,
    "median_milliseconds": TYPICAL_TIME,
    "percentile_95_milliseconds": TYPICAL_TIME,
}
WEBHOOK_FIGURES: Schema = {
    "id": ID_SCHEMA,
    "name": TEXT_SCHEMA,
    **STATE,
    "attempts": described(NUMBER_SCHEMA, "The number of its latest attempts, at most 100."),
    "successes": described(NUMBER_SCHEMA, "How many of these succeeded."),
    "median_milliseconds": TYPICAL_TIME,
    "waiting": COUNTED,
    "due": described(NUMBER_SCHEMA, "Those of them that the next pass sends, unless it is paused."),
    "failed_lately": described(NUMBER_SCHEMA, LATELY),
}
SOURCE_FIGURES: Schema = {
    "id": ID_SCHEMA,
    "name": TEXT_SCHEMA,
    **STATE,
    "last_received_at": or_null(TIME_SCHEMA),
    "waiting": COUNTED,
    "unproven_bytes": described(NUMBER_SCHEMA, "The size of its events that are not verified yet."),
    "failed_lately": described(NUMBER_SCHEMA, LATELY),
}
CRON_FIGURES: Schema = {
    "state": one_of("well", "running", "late", "never"),
    "sentence": TEXT_SCHEMA,
    "advice": described(or_null(TEXT_SCHEMA), "What to do, if there is something."),
}
STATISTICS_SCHEMA: Schema = {
    "cron": answer(CRON_FIGURES),
    "comments": described(
        answer(dict.fromkeys(COMMENT_STATUSES, NUMBER_SCHEMA)),
        f"Comments by status. Counting stops at {COUNT_LIMIT + 1}.",
    ),
    "held_since": described(or_null(TIME_SCHEMA), "Since when the comment waits that has waited longest."),
    "deliveries_waiting": COUNTED,
    "deliveries_failed": COUNTED,
    "inbound_events_waiting": COUNTED,
    "inbound_events_failed": COUNTED,
    "hours": described(BARS, "The deliveries of the last 24 hours, oldest first."),
    "days": described(BARS, "The deliveries of the last 30 days, oldest first."),
    "webhooks": {
        "type": "array",
        "items": ref("WebhookFigures"),
        "description": f"At most the {SHOWN_WEBHOOKS} oldest; /webhooks lists all.",
    },
    "sources": {
        "type": "array",
        "items": ref("SourceFigures"),
        "description": f"At most the {SHOWN_SOURCES} oldest; /sources lists all.",
    },
}
MADE_ATTEMPT: Schema = {
    "delivery_id": ID_SCHEMA,
    "started_at": TIME_SCHEMA,
    "milliseconds": NUMBER_SCHEMA,
    "status_code": or_null({"type": "integer"}),
    "succeeded": {"type": "boolean"},
}
WEBHOOK_STATISTICS: Schema = {
    **STATE,
    "waiting": COUNTED,
    "day": described(answer(ATTEMPT_TIMES), "The attempts of the last 24 hours."),
    "month": described(answer(ATTEMPT_TIMES), "The attempts of the last 30 days."),
    "hours": described(BARS, "The attempts of the last 24 hours, oldest first."),
    "days": described(BARS, "The attempts of the last 30 days, oldest first."),
    "last_attempts": described(
        {"type": "array", "items": answer(MADE_ATTEMPT)}, "The last 100 attempts, oldest first."
    ),
    "next_deliveries": described(
        {"type": "array", "items": ref("Delivery")}, "The ten deliveries that are due next."
    ),
    "counted_from": described(
        or_null(TIME_SCHEMA), "Where the figures begin, if there were too many attempts to count."
    ),
}

calls = Calls(
    "statistics",
    {
        "Bar": answer(BAR_SCHEMA),
        "WebhookFigures": answer(WEBHOOK_FIGURES),
        "SourceFigures": answer(SOURCE_FIGURES),
        "Statistics": answer(STATISTICS_SCHEMA),
        "WebhookStatistics": answer(WEBHOOK_STATISTICS),
    },
)


@calls.serve("GET /statistics", {200: "Statistics"})
def get_statistics() -> ResponseReturnValue:
    """Show how the book, its oldest webhooks and its oldest sources are doing."""
    session, now = db.session(), clock.now()
    found = statistics.overview(session, now)
    sources = webhook_status.all_sources(session, limit=SHOWN_SOURCES)
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


@calls.serve("GET /webhooks/{webhook_id}/statistics", {200: "WebhookStatistics"})
def get_webhook_statistics(webhook_id: str) -> ResponseReturnValue:
    """Show the attempts of a webhook, and its next deliveries."""
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
        "last_attempts": [json_schema.of_row(one, MADE_ATTEMPT) for one in made.last],
        "next_deliveries": [
            webhook_shapes.delivery(row) for row in webhook_status.coming_deliveries(session, webhook.id)
        ],
        "counted_from": made.counted_from and clock.to_text(made.counted_from),
    }


@calls.serve("GET /sources/{source_id}/statistics", {200: "SourceFigures"})
def get_source_statistics(source_id: str) -> ResponseReturnValue:
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
    return [json_schema.of_row(bar, BAR_SCHEMA) for bar in bars]
