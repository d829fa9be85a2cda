"""/presets and /previews: what forms fill in, and what settings would lead to. Nothing is stored."""

from flask.typing import ResponseReturnValue

from guestbook.comments.comment_form import DRAFT_FIELDS
from guestbook.inbound import samples, sender_presets, sources
from guestbook.inbound.sender_presets import PRESETS, SENDER_PRESETS
from guestbook.inbound.source_json import SCHEME_PROPERTIES, SOURCE_SCHEMA
from guestbook.lib import json_schema as schema
from guestbook.lib import template_sandbox
from guestbook.lib.json_schema import Schema
from guestbook.outbound import webhooks
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.outbound.formats import FORMATS
from guestbook.outbound.webhook_fields import DEFAULT_EVENTS, WEBHOOK_FIELDS
from guestbook.outbound.webhook_json import EVENTS_SCHEMA
from guestbook.outbound.webhook_urls import PLACEHOLDERS, REBUILD_EVENTS, REBUILD_PRESETS
from guestbook.storage.database import db
from guestbook.storage.models import Source
from guestbook.storage.models.source import VERIFY
from guestbook.transport import urls
from guestbook.web import request_context
from guestbook.web.api import request_reader
from guestbook.web.api.api_call import Calls
from guestbook.web.row_lookup import find

SENDER_PRESET: Schema = {
    "name": schema.text("The value of `preset` for a new source."),
    "title": schema.TEXT,
    **{name: SOURCE_SCHEMA[name] for name in ("verify", "header", "scheme")},
    "template": schema.or_null(schema.text("The ready-made template that makes comments of its events.")),
    "secret_from": schema.or_null(schema.text("Where to find the secret, if the sender makes it.")),
}
TEMPLATE_PRESET: Schema = {
    "name": schema.text("It may stand in place of the text in a source's `template`."),
    "text": schema.TEXT,
}
WEBHOOK_PRESET: Schema = {
    "name": schema.TEXT,
    "title": schema.TEXT,
    "url": schema.text(f"Replace {', '.join(PLACEHOLDERS)} by yours, also in the headers."),
    "events": EVENTS_SCHEMA,
    "headers": schema.HEADERS,
    "template": schema.TEXT,
}
TEMPLATE_FIELD: Schema = schema.text(maxLength=template_sandbox.SOURCE_LIMIT)
PAYLOAD_PREVIEW: Schema = {
    "format": schema.one_of(*FORMATS),
    "event": schema.one_of(*EVENTS),
    "is_real": schema.boolean("Whether it shows a comment of the book, not a sample."),
    "body": schema.or_null(schema.text("The body; JSON is indented.")),
    "error": schema.or_null(schema.text("Why there is no body.")),
}

calls = Calls(
    "previews",
    Presets=schema.answer(
        senders=schema.array(schema.answer(SENDER_PRESET)),
        templates=schema.array(schema.answer(TEMPLATE_PRESET)),
        webhooks=schema.array(
            schema.answer(WEBHOOK_PRESET), "Webhooks that let a host of static sites build a site again."
        ),
    ),
    WebhookPreview=schema.request(
        url=schema.text("Its URL.", maxLength=urls.URL_LIMIT),
        format=schema.one_of(*FORMATS, description="Without it, the one that the URL suggests."),
        events=schema.described(dict(WEBHOOK_FIELDS["events"].schema), "The first one is shown."),
        template=schema.described(TEMPLATE_FIELD, "For the format template."),
    ),
    SourcePreview=schema.request(
        source=schema.id_("Try the latest events of this source, if it has any."),
        verify=schema.one_of(*VERIFY, description="Without a source: the kind whose samples are tried."),
        template=schema.described(TEMPLATE_FIELD, "A template, or the name of a ready-made one."),
    ),
    PayloadPreview=schema.answer(PAYLOAD_PREVIEW),
    CommentPreview=schema.answer(
        event=schema.text("The event that was tried, in words."),
        comment={
            "description": "The comment, if there is one.",
            "oneOf": [
                schema.answer(dict.fromkeys(DRAFT_FIELDS, schema.or_null(schema.TEXT))),
                {"type": "null"},
            ],
        },
        sentence=schema.or_null(schema.text("Why there is no comment.")),
        is_error=schema.boolean(),
    ),
)


@calls.serve("GET /presets", {200: "Presets"})
def get_presets() -> ResponseReturnValue:
    """Show known senders, ready-made templates and ready-made webhooks."""
    return {
        "senders": [_sender(name) for name in SENDER_PRESETS],
        "templates": [{"name": name, "text": text} for name, text in PRESETS.items()],
        "webhooks": [_webhook(name) for name in REBUILD_PRESETS],
    }


def _sender(name: str) -> dict[str, object]:
    preset, settings = SENDER_PRESETS[name], sender_presets.settings_of(name)
    scheme = {key: settings[key] for key in SCHEME_PROPERTIES if key in settings}
    more = {"name": name, "scheme": {**scheme, "tolerance": int(scheme["tolerance"])} if scheme else None}
    more |= {one: getattr(preset, one) or None for one in ("header", "template", "secret_from")}
    return schema.of_row(preset, SENDER_PRESET, more)


def _webhook(name: str) -> dict[str, object]:
    headers = dict(line.split(": ", 1) for line in REBUILD_PRESETS[name].headers)
    more = {"name": name, "events": list(REBUILD_EVENTS), "headers": headers}
    return schema.of_row(REBUILD_PRESETS[name], WEBHOOK_PRESET, more)


@calls.serve("POST /previews/webhook", {200: "PayloadPreview"}, body="WebhookPreview")
def preview_webhook() -> ResponseReturnValue:
    """Show the body that a webhook would get."""
    given = request_reader.body()
    made = webhooks.preview_of(
        db.session(),
        request_context.settings().base_url,
        url=given.get("url", ""),
        format_name=given.get("format", ""),
        events=given.get("events", DEFAULT_EVENTS),
        wording=given.get("template", ""),
    )
    nothing = {"body": made.body or None, "error": made.error or None}
    return schema.of_row(made, PAYLOAD_PREVIEW, nothing)


@calls.serve("POST /previews/source", {200: "CommentPreview"}, errors=(404,), body="SourcePreview")
def preview_source() -> ResponseReturnValue:
    """Show the comment that a template would make."""
    given = request_reader.body()
    source = find(Source, given["source"]) if "source" in given else None
    verify = given.get("verify", source.verify if source else "none")
    wording = sources.template_for(verify, given.get("template", source.template if source else None))
    source_id, name = (source.id, source.name) if source else (None, "The name of the source")
    base_url = request_context.settings().base_url
    made = samples.preview_of(db.session(), source_id, name, verify, wording, base_url)
    comment, sentence = made.draft.values if made.draft else None, made.sentence or None
    return {"event": made.what, "comment": comment, "sentence": sentence, "is_error": made.is_error}
