"""/previews: what a webhook would get, and which comment a template would make. Nothing is stored."""

from typing import Any

from flask import Blueprint
from flask.typing import ResponseReturnValue

from guestbook.inbound import samples, sources
from guestbook.lib import json_schema
from guestbook.outbound import webhooks
from guestbook.storage.database import db
from guestbook.storage.models import Source
from guestbook.web import request_context
from guestbook.web.api import request_reader
from guestbook.web.api.call_table import owner_calls
from guestbook.web.row_lookup import find

calls = Blueprint("previews", __name__, url_prefix="/previews")


@calls.post("/webhook")
def of_webhook() -> ResponseReturnValue:
    """Show the body that such a webhook would get."""
    given = request_reader.body()
    made = webhooks.preview_of(
        db.session(),
        request_context.settings().base_url,
        url=given.get("url", ""),
        format_name=given.get("format", ""),
        events=given.get("events", webhooks.DEFAULT_EVENTS),
        wording=given.get("template", ""),
    )
    nothing = {"body": made.body or None, "error": made.error or None}
    return json_schema.of_row(made, owner_calls.PAYLOAD_PREVIEW, nothing)


@calls.post("/source")
def of_source() -> ResponseReturnValue:
    """Show the comment that a template would make of the latest events of a source, or of a sample."""
    given = request_reader.body()
    source = find(Source, given["source"]) if "source" in given else None
    verify = given.get("verify", source.verify if source else "none")
    wording = sources.template_for(verify, given.get("template", source.template if source else None))
    name = source.name if source else "The name of the source"
    base_url = request_context.settings().base_url
    source_id = source.id if source else None
    made = samples.preview_of(db.session(), source_id, name, verify, wording, base_url)
    draft: dict[str, Any] | None = made.draft.values if made.draft else None
    return {
        "event": made.what,
        "comment": draft,
        "sentence": made.sentence or None,
        "is_error": made.is_error,
    }
