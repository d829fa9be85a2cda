"""/sources: add, change, rotate the secret, delete.

Then /presets and /previews: what forms of sources and webhooks fill in, and what settings would lead to.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from guestbook.comments.comment_form import DRAFT_FIELDS
from guestbook.inbound import samples, sender_presets, source_json, sources
from guestbook.inbound.sender_presets import PRESETS, SCHEME_DEFAULTS, SENDER_PRESETS
from guestbook.inbound.source_json import SCHEME_PROPERTIES, SOURCE_SCHEMA
from guestbook.inbound.sources import SOURCE_FIELDS
from guestbook.lib import json_schema as schema, template_sandbox
from guestbook.lib.json_schema import Schema
from guestbook.outbound import webhooks
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.outbound.formats import FORMATS
from guestbook.outbound.webhook_fields import WEBHOOK_FIELDS
from guestbook.outbound.webhook_json import EVENTS_SCHEMA
from guestbook.outbound.webhook_urls import PLACEHOLDERS, REBUILD_EVENTS, REBUILD_PRESETS
from guestbook.storage import row_changes
from guestbook.storage.database import db, writing
from guestbook.storage.models import InboundEvent, Source
from guestbook.storage.models.source import VERIFY
from guestbook.transport import urls
from guestbook.web import request_context, response_headers
from guestbook.web.api import authentication, idempotency, request_reader, row_calls
from guestbook.web.api.api_call import OVERLAP_FIELD, Answer, Calls
from guestbook.web.row_lookup import changing, find

SOURCE_SCHEMAS: Schema = {name: field.described for name, field in SOURCE_FIELDS.items()}
FIELDS_OF_SOURCE: Schema = {
    **{name: schema for name, schema in SOURCE_SCHEMAS.items() if name not in SCHEME_DEFAULTS},
    "preset": schema.one_of(
        *SENDER_PRESETS,
        description="A known sender: it sets how the source is verified. Other fields override that.",
    ),
    "scheme": schema.described(schema.request(SCHEME_PROPERTIES), "How the sender of hmac or ed25519 signs."),
    "template": {**SOURCE_SCHEMAS["template"], "description": sources.TEMPLATE_FORMS},
    "disabled": schema.boolean("Store its events; they wait until it is enabled."),
}
IN_SCHEME = dict.fromkeys(SCHEME_DEFAULTS, "scheme")
NEW_SECRET = schema.text_or_null("The sender signs with it. It is shown only in the answer that makes it.")

calls = Calls(
    "sources",
    NewSource=schema.request(FIELDS_OF_SOURCE, required=("name",)),
    SourceChanges=schema.request(FIELDS_OF_SOURCE, least=1),
    SourceTest=schema.request(
        event=schema.text("A sample such as issues.opened; by default the sender's first.", maxLength=100)
    ),
    SourceRotation=schema.request(OVERLAP_FIELD | {"secret": SOURCE_SCHEMAS["secret"]}),
    Source=schema.answer(SOURCE_SCHEMA, secret=NEW_SECRET, optional=("secret",)),
    SourceWithSecret=schema.answer(SOURCE_SCHEMA, secret=NEW_SECRET),
)


def _shown(row: Source, *, with_secret: bool = False) -> dict[str, Any]:
    """Return a source; its secret only when new."""
    shape = source_json.source(row, request_context.settings())
    shape["url"] = authentication.shown_url(shape["url"])
    return shape | {"secret": row.secret} if with_secret else shape


row_calls.serve(calls, Source, _shown, "all its events")


@calls.serve("POST /sources", {201: "SourceWithSecret"}, body="NewSource")
def create_source() -> Answer:
    """Add a source."""
    fields = request_reader.body()
    with writing() as session, request_reader.renamed(IN_SCHEME):
        source = sources.add(session, _fields(fields))
        if fields.get("disabled"):
            row_changes.disable(session, source)
        return idempotency.keep(session, _shown(source, with_secret=True), 201)


@calls.serve("PATCH /sources/{source_id}", {200: "Source"}, body="SourceChanges", may_match=True)
def update_source(source_id: str) -> Answer:
    """Change a source; other fields stay."""
    changes = request_reader.body()
    with changing(Source, source_id) as (session, source), request_reader.renamed(IN_SCHEME):
        response_headers.refuse_if_changed(_shown(source))
        before = source.secret
        sources.update(session, source, _fields(changes))
        if changes.get("disabled", bool(source.disabled_at)) != bool(source.disabled_at):
            (row_changes.disable if changes["disabled"] else row_changes.enable)(session, source)
        is_new = source.secret not in (before, None, changes.get("secret"))
        return _shown(source, with_secret=is_new)


@calls.serve("POST /sources/{source_id}/test", {202: "InboundEvent"}, body="SourceTest", needs_body=False)
def test_source(source_id: str) -> Answer:
    """Send a sample event to a source, signed as its sender signs."""
    event = request_reader.body().get("event")
    event_id = samples.send_sample(find(Source, source_id), request_context.settings(), event)
    return source_json.inbound_event(find(InboundEvent, event_id)), 202


@calls.serve(
    "POST /sources/{source_id}/rotate-secret",
    {200: "SourceWithSecret"},
    body="SourceRotation",
    needs_body=False,
)
def rotate_source_secret(source_id: str) -> Answer:
    """Rotate the secret; the old one also counts for some hours."""
    given = request_reader.body()
    with changing(Source, source_id) as (session, source):
        sources.rotate(session, source, timedelta(hours=given["overlap_hours"]), given.get("secret"))
        return idempotency.keep(session, _shown(source, with_secret=True))


def _fields(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields as `inbound.sources` takes them."""
    fields = {name: value for name, value in given.items() if name not in ("disabled", "scheme")}
    return {**fields, **given.get("scheme", {})}


SENDER_PRESET: Schema = {
    "name": schema.text("The value of `preset` for a new source."),
    "title": schema.TEXT,
    **{name: SOURCE_SCHEMA[name] for name in ("verify", "header", "scheme")},
    "template": schema.text_or_null("The ready-made template that makes comments of its events."),
    "secret_from": schema.text_or_null("Where to find the secret, if the sender makes it."),
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
    "body": schema.text_or_null("The body; JSON is indented."),
    "error": schema.text_or_null("Why there is no body."),
}
COMMENT_DRAFT = schema.answer(dict.fromkeys(DRAFT_FIELDS, schema.text_or_null()))

preview_calls = Calls(
    "previews",
    Presets=schema.answer(
        senders=schema.array(schema.answer(SENDER_PRESET)),
        templates=schema.array(schema.answer(TEMPLATE_PRESET)),
        webhooks=schema.array(schema.answer(WEBHOOK_PRESET), "Webhooks that rebuild a site at its host."),
    ),
    WebhookPreview=schema.request(
        url=schema.text("Its URL.", maxLength=urls.URL_LIMIT),
        format=schema.one_of(*FORMATS, description="Without it, the one that the URL suggests."),
        events=schema.described(dict(WEBHOOK_FIELDS["events"].schema), "The first one is shown."),
        template=schema.described(TEMPLATE_FIELD, "For the format template."),
        version=WEBHOOK_FIELDS["version"].described,
    ),
    SourcePreview=schema.request(
        source=schema.id_("Try the latest events of this source, if it has any."),
        verify=schema.one_of(*VERIFY, description="Without a source: the kind whose samples are tried."),
        template=schema.described(TEMPLATE_FIELD, "A template, or the name of a ready-made one."),
    ),
    PayloadPreview=schema.answer(PAYLOAD_PREVIEW),
    CommentPreview=schema.answer(
        event=schema.text("The event that was tried, in words."),
        comment={"description": "The comment, if there is one.", "oneOf": [COMMENT_DRAFT, {"type": "null"}]},
        sentence=schema.text_or_null("Why there is no comment."),
        is_error=schema.boolean(),
    ),
)


@preview_calls.serve("GET /presets", {200: "Presets"})
def get_presets() -> Answer:
    """Show known senders, ready-made templates and ready-made webhooks."""
    return {
        "senders": [_sender_preset(name) for name in SENDER_PRESETS],
        "templates": [{"name": name, "text": text} for name, text in PRESETS.items()],
        "webhooks": [_webhook_preset(name) for name in REBUILD_PRESETS],
    }


def _sender_preset(name: str) -> dict[str, object]:
    preset, settings = SENDER_PRESETS[name], sender_presets.settings_of(name)
    scheme = {key: settings[key] for key in SCHEME_PROPERTIES if key in settings}
    more = {"name": name, "scheme": {**scheme, "tolerance": int(scheme["tolerance"])} if scheme else None}
    more |= {one: getattr(preset, one) or None for one in ("header", "template", "secret_from")}
    return schema.of_row(preset, SENDER_PRESET, more)


def _webhook_preset(name: str) -> dict[str, object]:
    headers = dict(line.split(": ", 1) for line in REBUILD_PRESETS[name].headers)
    more = {"name": name, "events": list(REBUILD_EVENTS), "headers": headers}
    return schema.of_row(REBUILD_PRESETS[name], WEBHOOK_PRESET, more)


@preview_calls.serve("POST /previews/webhook", {200: "PayloadPreview"}, body="WebhookPreview")
def preview_webhook() -> Answer:
    """Show the body that a webhook would get."""
    base_url = request_context.settings().base_url
    made = webhooks.preview_of(db.session(), base_url, **request_reader.body())
    return schema.of_row(made, PAYLOAD_PREVIEW)


@preview_calls.serve("POST /previews/source", {200: "CommentPreview"}, errors=(404,), body="SourcePreview")
def preview_source() -> Answer:
    """Show the comment that a template would make."""
    given = request_reader.body()
    source = find(Source, given["source"]) if "source" in given else None
    verify = given.get("verify", source.verify if source else "none")
    wording = sources.template_for(verify, given.get("template", source.template if source else None))
    made = samples.preview_of(db.session(), source, verify, wording, request_context.settings().base_url)[0]
    comment, sentence = made.draft.values if made.draft else None, made.sentence or None
    return {"event": made.what, "comment": comment, "sentence": sentence, "is_error": made.is_error}
