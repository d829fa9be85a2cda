"""/sources: add, change, rotate the secret, delete."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from flask.typing import ResponseReturnValue

from guestbook.inbound import samples, source_json, sources
from guestbook.inbound.sender_presets import SCHEME_DEFAULTS, SENDER_PRESETS
from guestbook.inbound.source_json import SCHEME_PROPERTIES, SOURCE_SCHEMA
from guestbook.inbound.sources import SOURCE_FIELDS
from guestbook.lib import json_schema as schema
from guestbook.lib.json_schema import Schema
from guestbook.storage import row_changes
from guestbook.storage.database import writing
from guestbook.storage.models import InboundEvent, Source
from guestbook.web import request_context, response_headers
from guestbook.web.api import api_call, idempotency, request_reader, row_calls
from guestbook.web.api.api_call import OVERLAP_FIELD, Calls, list_of
from guestbook.web.row_lookup import find, find_locked

SOURCE_SCHEMAS: Schema = {name: field.described for name, field in SOURCE_FIELDS.items()}
FIELDS_OF_SOURCE: Schema = {
    **{name: schema for name, schema in SOURCE_SCHEMAS.items() if name not in (*SCHEME_DEFAULTS, "in_full")},
    "preset": schema.one_of(
        *SENDER_PRESETS,
        description="A known sender: it sets how the source is verified. Other fields override that.",
    ),
    "scheme": schema.described(schema.request(SCHEME_PROPERTIES), "How the sender of hmac or ed25519 signs."),
    "template": {**SOURCE_SCHEMAS["template"], "description": sources.TEMPLATE_FORMS},
    "forwarded_in_full": SOURCE_SCHEMAS["in_full"],
    "disabled": schema.boolean("Store its events; they wait until it is enabled."),
}
IN_SCHEME = dict.fromkeys(SCHEME_DEFAULTS, "scheme")
NEW_SECRET: Schema = {
    "secret": schema.or_null(
        schema.text("The sender signs with it. It is shown only in the answer that makes it.")
    )
}

calls = Calls(
    "sources",
    NewSource=schema.request(FIELDS_OF_SOURCE, required=("name",)),
    SourceChanges=schema.request(FIELDS_OF_SOURCE, least=1),
    SourceTest=schema.request(
        event=schema.text(
            "The sample, such as issues.opened; by default the first of the sender.", maxLength=100
        )
    ),
    SourceRotation=schema.request(OVERLAP_FIELD | {"secret": SOURCE_SCHEMAS["secret"]}),
    Source=schema.answer(SOURCE_SCHEMA | NEW_SECRET, optional=("secret",)),
    SourceWithSecret=schema.answer(SOURCE_SCHEMA | NEW_SECRET),
    Sources=list_of("sources", "Source"),
)


def _shown(row: Source, *, with_secret: bool = False) -> dict[str, Any]:
    """Return a source; its secret only when new."""
    shape = source_json.source(row, request_context.settings())
    return shape | {"secret": row.secret} if with_secret else shape


row_calls.serve(calls, Source, _shown, "all its events", sources.begin_delete, sources.delete)


@calls.serve("POST /sources", {201: "SourceWithSecret"}, body="NewSource")
def create_source() -> ResponseReturnValue:
    """Add a source.

    Only this answer shows its secret.
    """
    fields = request_reader.body()
    with writing() as session, request_reader.renamed(IN_SCHEME):
        source = sources.add(session, _fields(fields))
        if fields.get("disabled"):
            row_changes.disable(session, source)
        shown = _shown(source, with_secret=True)
        location = api_call.address(f"/sources/{source.id}")
        return idempotency.keep(session, shown, 201, {"Location": location})


@calls.serve("PATCH /sources/{source_id}", {200: "Source"}, body="SourceChanges", may_match=True)
def update_source(source_id: str) -> ResponseReturnValue:
    """Change a source; other fields stay.

    The answer shows a secret that this call has made.
    """
    changes = request_reader.body()
    with writing() as session, request_reader.renamed(IN_SCHEME):
        source = find_locked(Source, source_id)
        response_headers.refuse_if_changed(_shown(source))
        before = source.secret
        sources.update(session, source, _fields(changes))
        if changes.get("disabled", bool(source.disabled_at)) != bool(source.disabled_at):
            (row_changes.disable if changes["disabled"] else row_changes.enable)(session, source)
        is_new = source.secret not in (before, None, changes.get("secret"))
        return _shown(source, with_secret=is_new)


@calls.serve("POST /sources/{source_id}/test", {202: "InboundEvent"}, body="SourceTest", needs_body=False)
def test_source(source_id: str) -> ResponseReturnValue:
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
def rotate_source_secret(source_id: str) -> ResponseReturnValue:
    """Rotate the secret; the old one also counts for some hours."""
    given = request_reader.body()
    overlap = timedelta(hours=given["overlap_hours"])
    with writing() as session:
        source = find_locked(Source, source_id)
        sources.rotate(session, source, overlap, given.get("secret"))
        return idempotency.keep(session, _shown(source, with_secret=True))


def _fields(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields as `inbound.sources` takes them."""
    scheme: dict[str, Any] = given.get("scheme", {})
    fields = {name: value for name, value in given.items() if name not in ("disabled", "scheme")}
    if "forwarded_in_full" in fields:
        fields["in_full"] = fields.pop("forwarded_in_full")
    return fields | scheme
