"""/sources: add, change, rotate the secret, delete."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from flask import Blueprint
from flask.typing import ResponseReturnValue

from guestbook.inbound import samples, source_shapes, sources
from guestbook.inbound.senders import SCHEME_DEFAULTS
from guestbook.lib import clock
from guestbook.queries import filtered_lists
from guestbook.storage import row_changes
from guestbook.storage.database import db, writing
from guestbook.storage.models import InboundEvent, Source
from guestbook.web import conditional, request_context
from guestbook.web.api import idempotency, request_reader, serializers
from guestbook.web.row_lookup import find, find_locked

calls = Blueprint("sources", __name__, url_prefix="/sources")


@calls.get("")
def index() -> ResponseReturnValue:
    """List them."""
    query = request_reader.query()
    page = filtered_lists.row_page(db.session(), Source, query.get("before"), query["limit"])
    return serializers.page("sources", page, serializers.source, query)


@calls.post("")
def add() -> ResponseReturnValue:
    """Add a source; only this answer shows its secret."""
    fields = request_reader.body()
    with writing() as session, request_reader.renamed(_in_scheme):
        source = sources.add(session, _fields(fields))
        if fields.get("disabled"):
            row_changes.disable(session, source)
        shown = serializers.source(source, with_secret=True)
        location = serializers.address(f"/sources/{source.id}")
        return idempotency.keep(session, shown, 201, {"Location": location})


@calls.get("/<source_id>")
def one(source_id: str) -> ResponseReturnValue:
    """Show one."""
    return serializers.source(find(Source, source_id))


@calls.patch("/<source_id>")
def change(source_id: str) -> ResponseReturnValue:
    """Change the given fields; the answer shows a secret that this has made."""
    changes = request_reader.body()
    with writing() as session, request_reader.renamed(_in_scheme):
        source = find_locked(Source, source_id)
        conditional.refuse_if_changed(serializers.source(source))
        before = source.secret
        sources.update(session, source, _fields(changes))
        if "disabled" in changes:
            act = row_changes.disable if changes["disabled"] else row_changes.enable
            if changes["disabled"] == (source.disabled_at is None):
                act(session, source)
        is_new = source.secret not in (before, None, changes.get("secret"))
        return serializers.source(source, with_secret=is_new)


@calls.delete("/<source_id>")
def delete(source_id: str) -> ResponseReturnValue:
    """Delete one with all its events."""
    with writing() as session:
        source = find_locked(Source, source_id)
        conditional.refuse_if_changed(serializers.source(source))
        is_gone = sources.begin_delete(session, source.id)  # under the same lock, so no change comes between
    if not is_gone:
        sources.delete(db.engine, source.id)
    return "", 204


@calls.post("/<source_id>/test")
def test(source_id: str) -> ResponseReturnValue:
    """Store a sample event; the next pass processes it, and the inbound event shows what became of it."""
    event = request_reader.body().get("event")
    event_id = samples.send_sample(find(Source, source_id), request_context.settings(), event)
    return source_shapes.inbound_event(find(InboundEvent, event_id)), 202


@calls.post("/<source_id>/rotate-secret")
def rotate_secret(source_id: str) -> ResponseReturnValue:
    """Rotate the secret; only this answer shows the new one."""
    given = request_reader.body()
    overlap = timedelta(hours=given.get("overlap_hours", 24))
    with writing() as session:
        source = find_locked(Source, source_id)
        sources.rotate(session, source, clock.now(), given.get("secret"), overlap)
        return idempotency.keep(session, serializers.source(source, with_secret=True))


def _fields(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields as `inbound.sources` takes them."""
    scheme: dict[str, Any] = given.get("scheme", {})
    fields = {name: value for name, value in given.items() if name not in ("disabled", "scheme")}
    if "forwarded_in_full" in fields:
        fields["in_full"] = fields.pop("forwarded_in_full")
    return fields | scheme


def _in_scheme(name: str, sentence: str) -> tuple[str, str]:
    """Name an error within the scheme as one of the field `scheme`."""
    return ("scheme", f"{name}: {sentence}") if name in SCHEME_DEFAULTS else (name, sentence)
