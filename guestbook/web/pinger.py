"""The address that runs a pass, for hosts without cron: somebody else's timer calls it.

It takes GET and HEAD too, because many free pingers know nothing else. That is in keeping with HTTP (RFC 9110
section 9.2.1): a call asks for nothing that would not happen anyway, and repeating it changes nothing.
"""

from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, abort, current_app, jsonify, request
from flask.typing import ResponseReturnValue

from guestbook.background.short_pass import ShortReport
from guestbook.lib import ids
from guestbook.lib.errors import Refused
from guestbook.storage import cron_token
from guestbook.storage.database import db
from guestbook.web import request_limit, send_after_requests

pages = Blueprint("pinger", __name__, url_prefix="/cron")

MOST_CALLS, MOST_WRONG = 10, 20  # calls with the token, and wrong ones of one network, within
CALLS_WITHIN = timedelta(minutes=1)  # this time
CALLED_TOO_OFTEN = "This address was called too often."
BUSY = "Another pass is at work; it does what is due."


@pages.route("/<token>", methods=["POST", "GET"])
def run_pass(token: str) -> ResponseReturnValue:
    """Run a pass for some seconds, and say what it did."""
    is_right = ids.URL_TOKEN.fullmatch(token) is not None and cron_token.matches(db.session(), token)
    _count(is_right)
    if not is_right:
        abort(404)
    db.session.remove()  # the pass has a connection of its own
    try:
        report = send_after_requests.of(current_app).run(request.environ)
    except Refused as error:  # another host uses the same SQLite file
        return _answer({"status": "refused", "message": str(error)}), 503
    return _answer({"status": "busy", "message": BUSY} if report is None else _document(report))


def _count(is_right: bool) -> None:
    """Count the call; 429 when there were too many."""
    terms: dict[str, Any] = {"within": CALLS_WITHIN, "sentence": CALLED_TOO_OFTEN}
    if is_right:
        request_limit.count("cron", most=MOST_CALLS, **terms)
    else:
        request_limit.count("wrong cron", request.remote_addr or "", most=MOST_WRONG, **terms)


def _document(report: ShortReport) -> dict[str, object]:
    outbox, inbox = report.outbox, report.inbox
    return {
        "status": "done",
        "delivered": outbox.processed,
        "to_be_retried": outbox.retried,
        "given_up": outbox.failed,
        "inbound_processed": inbox.processed,
        "inbound_failed": inbox.all_failed,
        "seconds": round(report.seconds, 2),
        "has_more": report.has_more,
        "problem": outbox.local_error,
    }


def _answer(document: dict[str, object]) -> Response:
    answer = jsonify(document)
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["X-Robots-Tag"] = "noindex"
    return answer
