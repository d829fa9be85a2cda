"""The JSON Schemas of the figures that the overview and the pages of webhooks and sources show."""

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
from guestbook.queries import bounded_counts, metrics
from guestbook.queries.bounded_counts import COUNT_LIMIT
from guestbook.queries.overview import SHOWN_WEBHOOKS
from guestbook.storage.models.comment import COMMENT_STATUSES

SHOWN_SOURCES = 50
COUNTED: Schema = described(NUMBER_SCHEMA, f"Counting stops at {COUNT_LIMIT + 1}.")
LATELY = (
    f"Rows that failed in the last {bounded_counts.RECENT.days} days, among the newest "
    f"{bounded_counts.FAILED_LIMIT} of all."
)
TYPICAL_TIME: Schema = described(or_null(NUMBER_SCHEMA), "Null without any attempt.")
STATE: Schema = {
    "state": one_of(*metrics.STATES, "silent", description="How it is doing; well means healthy."),
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
STATISTICS_ANSWERS: dict[str, Schema] = {
    "Bar": answer(BAR_SCHEMA),
    "WebhookFigures": answer(WEBHOOK_FIGURES),
    "SourceFigures": answer(SOURCE_FIGURES),
    "Statistics": answer(STATISTICS_SCHEMA),
    "WebhookStatistics": answer(WEBHOOK_STATISTICS),
}
