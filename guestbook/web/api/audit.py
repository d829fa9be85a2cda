"""/audit: who did what."""

from flask import Blueprint
from flask.typing import ResponseReturnValue

from guestbook.lib import json_schema
from guestbook.queries import filtered_lists
from guestbook.queries.filtered_lists import AuditFilter
from guestbook.storage.database import db
from guestbook.storage.models.owner import AUDIT_ENTRY_SCHEMA
from guestbook.web.api import request_reader, serializers

calls = Blueprint("audit", __name__, url_prefix="/audit")


@calls.get("")
def index() -> ResponseReturnValue:
    """List the entries of the audit log."""
    query = request_reader.query()
    wanted = AuditFilter(
        action=query.get("action"),
        actor=query.get("actor"),
        since=request_reader.moment(query.get("since")),
        until=request_reader.moment(query.get("until")),
    )
    page = filtered_lists.audit(db.session(), wanted, before=query.get("before"), limit=query["limit"])
    return serializers.page("audit", page, lambda row: json_schema.of_row(row, AUDIT_ENTRY_SCHEMA), query)
