"""The API's calls for settings, statistics, spam, tokens, doctor and previews, with their schemas."""

from guestbook.auth import api_tokens, login
from guestbook.background.doctor.examined_book import State
from guestbook.comments.comment_form import DRAFT_FIELDS
from guestbook.comments.refusals import REFUSAL_REASONS
from guestbook.inbound.source_shapes import SOURCE_SCHEMA
from guestbook.lib import template_sandbox
from guestbook.lib.json_schema import (
    HEADERS_SCHEMA,
    ID_SCHEMA,
    NUMBER_SCHEMA,
    TEXT_SCHEMA,
    TIME_SCHEMA,
    VISIBLE,
    Schema,
    answer,
    described,
    one_of,
    or_null,
    ref,
    request,
)
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.outbound.formats import FORMATS
from guestbook.outbound.webhook_shapes import EVENTS_SCHEMA
from guestbook.outbound.webhook_urls import PLACEHOLDERS
from guestbook.queries import prometheus_metrics, statistics
from guestbook.queries.statistics import COUNT_LIMIT, SHOWN_WEBHOOKS
from guestbook.storage.models.comment import COMMENT_STATUSES
from guestbook.storage.models.source import VERIFY
from guestbook.storage.preferences import PREFERENCE_FIELDS
from guestbook.web.api.api_call import FULL_PAGE_QUERY, Call
from guestbook.web.api.schemas import WEBHOOK_FIELDS, list_of

LONGEST_SETTING = 20_000  # characters; what a setting really allows, its sentence says
SHOWN_SETTINGS: Schema = {
    name: described(dict(field.schema), field.hint or field.label)
    for name, field in PREFERENCE_FIELDS.items()
}
SHOWN_SETTINGS["title"] |= {"pattern": VISIBLE}
SETTING_FIELDS: Schema = {
    name: {**SHOWN_SETTINGS[name], "maxLength": LONGEST_SETTING}
    if field.schema == TEXT_SCHEMA
    else SHOWN_SETTINGS[name]
    for name, field in PREFERENCE_FIELDS.items()
}
SETTINGS_REQUESTS: dict[str, Schema] = {"SettingChanges": request(SETTING_FIELDS, minProperties=1)}
SETTINGS_ANSWERS: dict[str, Schema] = {"Settings": answer(SHOWN_SETTINGS)}


SHOWN_SOURCES = 50
COUNTED: Schema = described(NUMBER_SCHEMA, f"Counting stops at {COUNT_LIMIT + 1}.")
LATELY = (
    f"Rows that failed in the last {statistics.RECENT.days} days,"
    f" among the newest {statistics.FAILED_LIMIT} of all."
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
STATISTICS_ANSWERS: dict[str, Schema] = {
    "Bar": answer(BAR_SCHEMA),
    "WebhookFigures": answer(WEBHOOK_FIGURES),
    "SourceFigures": answer(SOURCE_FIGURES),
    "Statistics": answer(STATISTICS_SCHEMA),
    "WebhookStatistics": answer(WEBHOOK_STATISTICS),
}


REFUSAL_SCHEMA: Schema = {
    "reason": one_of(*REFUSAL_REASONS),
    "sentence": TEXT_SCHEMA,
    "number": described(NUMBER_SCHEMA, "How often, in the last 30 days."),
    "today": NUMBER_SCHEMA,
}
SPAM_SCHEMA: Schema = {
    "refused": described(
        {"type": "array", "items": answer(REFUSAL_SCHEMA)}, "Why comments were refused at the form."
    ),
    "held_until": described(
        or_null(TIME_SCHEMA), "Until when a flood holds all new comments; null without one."
    ),
    "learned_good": described(NUMBER_SCHEMA, "Comments from which the score has learned what belongs here."),
    "learned_spam": described(NUMBER_SCHEMA, "Comments from which it has learned what spam is."),
    "learned_words": described(NUMBER_SCHEMA, "Words that it knows."),
}
FINDING_SCHEMA: Schema = {
    "subject": TEXT_SCHEMA,
    "state": one_of(*(state.value for state in State)),
    "sentence": TEXT_SCHEMA,
    "advice": described(or_null(TEXT_SCHEMA), "What to do, if there is something."),
    "command": described(or_null(TEXT_SCHEMA), "A command that helps."),
}
CARE_ANSWERS: dict[str, Schema] = {
    "Spam": answer(SPAM_SCHEMA),
    "Forgotten": answer({"words": described(NUMBER_SCHEMA, "How many words it knew.")}),
    "Token": answer(api_tokens.TOKEN_SCHEMA),
    "Tokens": list_of("tokens", "Token"),
    "Examination": answer(
        {
            "state": described(one_of(*(state.value for state in State)), "The gravest state among them."),
            "findings": {"type": "array", "items": answer(FINDING_SCHEMA)},
        }
    ),
}


SENDER_PRESET: Schema = {
    "name": described(TEXT_SCHEMA, "The value of `preset` for a new source."),
    "title": TEXT_SCHEMA,
    **{name: SOURCE_SCHEMA[name] for name in ("verify", "header", "scheme")},
    "template": described(or_null(TEXT_SCHEMA), "The ready-made template that makes comments of its events."),
    "secret_from": described(or_null(TEXT_SCHEMA), "Where to find the secret, if the sender makes it."),
}
TEMPLATE_PRESET: Schema = {
    "name": described(TEXT_SCHEMA, "It may stand in place of the text in a source's `template`."),
    "text": TEXT_SCHEMA,
}
WEBHOOK_PRESET: Schema = {
    "name": TEXT_SCHEMA,
    "title": TEXT_SCHEMA,
    "url": described(TEXT_SCHEMA, f"Replace {', '.join(PLACEHOLDERS)} by yours, also in the headers."),
    "events": EVENTS_SCHEMA,
    "headers": HEADERS_SCHEMA,
    "template": TEXT_SCHEMA,
}
PRESET_ANSWERS: dict[str, Schema] = {
    "Presets": answer(
        {
            "senders": {"type": "array", "items": answer(SENDER_PRESET)},
            "templates": {"type": "array", "items": answer(TEMPLATE_PRESET)},
            "webhooks": {
                "type": "array",
                "items": answer(WEBHOOK_PRESET),
                "description": "Webhooks that let a host of static sites build a site again.",
            },
        }
    )
}


TEMPLATE_FIELD: Schema = {"type": "string", "maxLength": template_sandbox.SOURCE_LIMIT}
PAYLOAD_PREVIEW: Schema = {
    "format": one_of(*FORMATS),
    "event": one_of(*EVENTS),
    "is_real": described({"type": "boolean"}, "Whether it shows a comment of the book, not a sample."),
    "body": described(or_null(TEXT_SCHEMA), "The body; JSON is indented."),
    "error": described(or_null(TEXT_SCHEMA), "Why there is no body."),
}
PREVIEW_REQUESTS: dict[str, Schema] = {
    "WebhookPreview": request({
        "url": described({"type": "string", "maxLength": WEBHOOK_FIELDS["url"]["maxLength"]}, "Its URL."),
        "format": one_of(*FORMATS, description="Without it, the one that the URL suggests."),
        "events": described(WEBHOOK_FIELDS["events"], "The first one is shown."),
        "template": described(TEMPLATE_FIELD, "For the format template."),
    }),
    "SourcePreview": request({
        "source": described(ID_SCHEMA, "Try the latest events of this source, if it has any."),
        "verify": one_of(*VERIFY, description="Without a source: the kind whose samples are tried."),
        "template": described(TEMPLATE_FIELD, "A template, or the name of a ready-made one."),
    }),
    "Reveal": request(
        {
            "password": {
                "type": "string",
                "minLength": 1,
                "maxLength": login.LONGEST,
                "description": "The owner's password. Wrong ones count as on the login page.",
            }
        },
        required=("password",),
    ),
}  # fmt: skip
PREVIEW_ANSWERS: dict[str, Schema] = {
    "PayloadPreview": answer(PAYLOAD_PREVIEW),
    "CommentPreview": answer({
        "event": described(TEXT_SCHEMA, "The event that was tried, in words."),
        "comment": {
            "description": "The comment, if there is one.",
            "oneOf": [answer(dict.fromkeys(DRAFT_FIELDS, or_null(TEXT_SCHEMA))), {"type": "null"}],
        },
        "sentence": described(or_null(TEXT_SCHEMA), "Why there is no comment."),
        "is_error": {"type": "boolean"},
    }),
    "Secret": answer({"secret": described(or_null(TEXT_SCHEMA), "The secret; null if it has none.")}),
}  # fmt: skip


OWNER_CALLS = {
    "GET /settings": Call("getSettings", "Show the settings of the book", {200: "Settings"}),
    "PATCH /settings": Call(
        "updateSettings",
        "Change settings of the book; others stay",
        {200: "Settings"},
        body="SettingChanges",
        may_match=True,
    ),
    "GET /statistics": Call(
        "getStatistics",
        "Show how the book, its oldest webhooks and its oldest sources are doing",
        {200: "Statistics"},
    ),
    "GET /webhooks/{webhook_id}/statistics": Call(
        "getWebhookStatistics",
        "Show the attempts of a webhook, and its next deliveries",
        {200: "WebhookStatistics"},
    ),
    "GET /sources/{source_id}/statistics": Call(
        "getSourceStatistics", "Show how a source is doing", {200: "SourceFigures"}
    ),
    "GET /spam": Call("getSpam", "Show refused comments, a flood and what the score knows", {200: "Spam"}),
    "POST /spam/end-flood": Call("endFlood", "End the hour in which a flood holds all comments", {204: None}),
    "POST /spam/forget": Call("forgetWords", "Erase what the score has learned", {200: "Forgotten"}),
    "GET /tokens": Call(
        "listTokens", "List the tokens, without their values", {200: "Tokens"}, query=FULL_PAGE_QUERY
    ),
    "DELETE /tokens/{token_id}": Call("revokeToken", "Revoke a token", {204: None}),
    "GET /doctor": Call("examine", "Look for problems, as doctor does", {200: "Examination"}),
    "GET /presets": Call(
        "getPresets", "Show known senders, ready-made templates and ready-made webhooks", {200: "Presets"}
    ),
    "POST /previews/webhook": Call(
        "previewWebhook",
        "Show the body that a webhook would get",
        {200: "PayloadPreview"},
        body="WebhookPreview",
    ),
    "POST /previews/source": Call(
        "previewSource",
        "Show the comment that a template would make",
        {200: "CommentPreview"},
        (404,),
        body="SourcePreview",
    ),
}
