"""/statistics: how the book is doing, its webhooks and its sources."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from guestbook.comments.spam import spam_report
from guestbook.lib import clock, json_schema as schema
from guestbook.lib.json_schema import Schema, ref
from guestbook.outbound import webhook_json
from guestbook.queries import cron_status, statistics, webhook_status
from guestbook.queries.prometheus_metrics import STATES
from guestbook.queries.statistics import COUNT_LIMIT, FAILED_LIMIT, RECENT, SHOWN_WEBHOOKS, WebhookActivity
from guestbook.queries.webhook_status import SourceStatus, coming_deliveries
from guestbook.storage.database import db
from guestbook.storage.models import Comment, Delivery, InboundEvent, Source, Webhook
from guestbook.storage.models.comment import COMMENT_STATUSES
from guestbook.web import request_context
from guestbook.web.api.api_call import Answer, Calls
from guestbook.web.row_lookup import find

SHOWN_SOURCES = 50
COUNTED: Schema = schema.number(f"Counting stops at {COUNT_LIMIT + 1}.")
LATELY = f"Rows that failed in the last {RECENT.days} days, among the newest {FAILED_LIMIT} of all."
TYPICAL_TIME: Schema = schema.or_null(schema.number("Null without any attempt."))
STATE: Schema = {
    "state": schema.one_of(*STATES, "silent", description="How it is doing; well means healthy."),
    "sentence": schema.text("How it is doing, for people."),
}
NAMED_STATE: Schema = {"id": schema.ID, "name": schema.TEXT, **STATE}
BAR_SCHEMA: Schema = {
    "since": schema.time("The beginning of the hour or day, in UTC."),
    "processed": schema.NUMBER,
    "failed": schema.NUMBER,
    "new": schema.number("Those that wait; always 0 for attempts."),
}
BARS: Schema = schema.array(ref("Bar"))
ATTEMPT_TIMES = schema.answer(
    attempts=schema.NUMBER,
    successes=schema.NUMBER,
    median_milliseconds=TYPICAL_TIME,
    percentile_95_milliseconds=TYPICAL_TIME,
)
WEBHOOK_FIGURES: Schema = {
    **NAMED_STATE,
    "attempts": schema.number("The number of its latest attempts, at most 100."),
    "successes": schema.number("How many of these succeeded."),
    "median_milliseconds": TYPICAL_TIME,
    "waiting": COUNTED,
    "due": schema.number("Those of them that the next pass sends, unless it is paused."),
    "failed_lately": schema.number(LATELY),
}
SOURCE_FIGURES: Schema = {
    **NAMED_STATE,
    "last_received_at": schema.or_null(schema.TIME),
    "waiting": COUNTED,
    "unproven_bytes": schema.number("The size of its events that are not verified yet."),
    "failed_lately": schema.number(LATELY),
}
CRON_FIGURES: Schema = {
    "state": schema.one_of("well", "running", "late", "never"),
    "sentence": schema.TEXT,
    "advice": schema.text_or_null("What to do, if there is something."),
}
STATISTICS_SCHEMA: Schema = {
    "cron": schema.answer(CRON_FIGURES),
    "comments": schema.described(
        schema.answer(dict.fromkeys(COMMENT_STATUSES, schema.NUMBER)),
        f"Comments by status. Counting stops at {COUNT_LIMIT + 1}.",
    ),
    "held_since": schema.time_or_null("Since when the comment waits that has waited longest."),
    "spam_not_looked_at": schema.described(
        COUNTED, "Comments that the rules marked as spam since the owner last opened the list of spam."
    ),
    "deliveries_waiting": COUNTED,
    "deliveries_failed": COUNTED,
    "inbound_events_waiting": COUNTED,
    "inbound_events_failed": COUNTED,
    "hours": schema.described(BARS, "The deliveries of the last 24 hours, oldest first."),
    "days": schema.described(BARS, "The deliveries of the last 30 days, oldest first."),
    "webhooks": schema.array(ref("WebhookFigures"), f"The {SHOWN_WEBHOOKS} oldest; /webhooks lists all."),
    "sources": schema.array(ref("SourceFigures"), f"The {SHOWN_SOURCES} oldest; /sources lists all."),
}
MADE_ATTEMPT: Schema = {
    "delivery_id": schema.ID,
    "started_at": schema.TIME,
    "milliseconds": schema.NUMBER,
    "status_code": schema.or_null(schema.integer()),
    "succeeded": schema.boolean(),
}
WEBHOOK_STATISTICS: Schema = {
    **STATE,
    "waiting": COUNTED,
    "day": schema.described(ATTEMPT_TIMES, "The attempts of the last 24 hours."),
    "month": schema.described(ATTEMPT_TIMES, "The attempts of the last 30 days."),
    "hours": schema.described(BARS, "The attempts of the last 24 hours, oldest first."),
    "days": schema.described(BARS, "The attempts of the last 30 days, oldest first."),
    "last_attempts": schema.array(schema.answer(MADE_ATTEMPT), "The last 100 attempts, oldest first."),
    "next_deliveries": schema.array(ref("Delivery"), "The ten deliveries that are due next."),
    "counted_from": schema.time_or_null("Where the figures begin, if there were too many attempts to count."),
}

calls = Calls(
    "statistics",
    Bar=schema.answer(BAR_SCHEMA),
    WebhookFigures=schema.answer(WEBHOOK_FIGURES),
    SourceFigures=schema.answer(SOURCE_FIGURES),
    Statistics=schema.answer(STATISTICS_SCHEMA),
    WebhookStatistics=schema.answer(WEBHOOK_STATISTICS),
)


@calls.serve("GET /statistics", {200: "Statistics"})
def get_statistics() -> Answer:
    """Show how the book, its oldest webhooks and its oldest sources are doing."""
    session, now = db.session(), clock.now()
    found = statistics.overview(session, now)
    cron = cron_status.in_words(session, now, after_requests=request_context.settings().send_after_requests)
    count = partial(statistics.count_some, session, model=Comment)
    lately = statistics.failed_lately(session, Delivery, now).counts
    lately_in = statistics.failed_lately(session, InboundEvent, now).counts
    sources = webhook_status.all_sources(session, limit=SHOWN_SOURCES)
    more = {
        "cron": schema.of_row(cron, CRON_FIGURES, {"state": cron.word}),
        "comments": {status: count(Comment.status == status) for status in COMMENT_STATUSES},
        "spam_not_looked_at": spam_report.count_not_looked_at(session),
        "hours": _bars(found.hours),
        "days": _bars(found.days),
        "webhooks": [_webhook(one, lately, now) for one in found.webhooks],
        "sources": [_source(one, lately_in) for one in sources],
    }
    return schema.of_row(found, STATISTICS_SCHEMA, more)


@calls.serve("GET /webhooks/{webhook_id}/statistics", {200: "WebhookStatistics"})
def get_webhook_statistics(webhook_id: str) -> Answer:
    """Show the attempts of a webhook, and its next deliveries."""
    session, now = db.session(), clock.now()
    webhook = find(Webhook, webhook_id)
    made, status = statistics.attempts_of(session, webhook.id, now), webhook_status.of(session, webhook, now)
    more = {
        **{"state": status.word, "sentence": status.sentence, "waiting": status.waiting},
        **{name: _bars(getattr(made, name)) for name in ("hours", "days")},
        "last_attempts": [schema.of_row(one, MADE_ATTEMPT) for one in made.last],
        "next_deliveries": list(map(webhook_json.delivery, coming_deliveries(session, webhook.id))),
    }
    return schema.of_row(made, WEBHOOK_STATISTICS, more)


@calls.serve("GET /sources/{source_id}/statistics", {200: "SourceFigures"})
def get_source_statistics(source_id: str) -> Answer:
    """Show how a source is doing."""
    session, now = db.session(), clock.now()
    lately = statistics.failed_lately(session, InboundEvent, now).counts
    return _source(webhook_status.of_source(session, find(Source, source_id)), lately)


def _webhook(doing: WebhookActivity, failed_lately: Mapping[str, int], now: datetime) -> dict[str, Any]:
    webhook, status = doing.webhook, webhook_status.of(db.session(), doing.webhook, now)
    more = {"id": webhook.id, "name": webhook.name, "state": status.word, "sentence": status.sentence}
    return schema.of_row(doing, WEBHOOK_FIGURES, more | {"failed_lately": failed_lately.get(webhook.id, 0)})


def _source(doing: SourceStatus, failed_lately: Mapping[str, int]) -> dict[str, Any]:
    source = schema.of_row(doing.source, ("id", "name", "unproven_bytes"))
    source |= {"state": doing.word, "last_received_at": doing.last_at}
    source |= {"failed_lately": failed_lately.get(doing.source.id, 0)}
    return schema.of_row(doing, SOURCE_FIGURES, source)


def _bars(bars: Sequence[statistics.Bar]) -> list[dict[str, Any]]:
    return [schema.of_row(bar, BAR_SCHEMA) for bar in bars]
