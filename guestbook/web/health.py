"""Addresses for other programs: /healthz and /metrics for monitors, and one with which a pinger runs a pass.

/healthz says whether the database is there, and whether cron runs.
"""

import hmac
from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, abort, current_app, jsonify, request
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from guestbook.background.cron import PassReport
from guestbook.lib import clock, ids
from guestbook.lib.errors import Refused
from guestbook.queries import cron_status, prometheus_metrics
from guestbook.queries.cron_status import Health
from guestbook.queries.prometheus_metrics import Metric
from guestbook.storage import active_hosts, cron_token, database_errors, writable
from guestbook.storage.active_hosts import HostNote
from guestbook.storage.database import db
from guestbook.storage.database_errors import Fault
from guestbook.web import (
    before_request,
    database_error_pages,
    error_pages,
    request_context,
    request_limit,
    response_headers,
    send_after_requests,
)

health_pages = Blueprint("health", __name__)

DATABASE_STATES = {
    Fault.AWAY: "database cannot be used",
    Fault.NO_TABLES: "tables are missing",
    Fault.OLD_TABLES: "tables are older than the program",
    Fault.TOO_OLD: "tables are older than the program can upgrade",
    Fault.NEW_TABLES: "tables are newer than the program",
    Fault.SECOND_HOST: "two hosts use one SQLite file",
    Fault.DAMAGED: "database is damaged",
    Fault.REFUSED: "database refused a value",
    Fault.BROKEN: "something broke",
}
CANNOT_BE_WRITTEN = "database cannot be written"


@health_pages.get("/healthz")
def healthz() -> ResponseReturnValue:
    """Return the seconds since the last pass ended and since the oldest delivery became due."""
    cron_status.require_columns(db.session())
    read = cron_status.read(db.session(), clock.now())
    db.session.rollback()
    file = HostNote(request_context.settings(), active_hosts.WEB).file
    if file and active_hosts.two_hosts(file, clock.now()):
        return _answer(DATABASE_STATES[Fault.SECOND_HOST], read, 503)
    if failure := writable.error(db.engine):
        is_damaged = database_errors.fault_of(failure) is Fault.DAMAGED
        return _answer(DATABASE_STATES[Fault.DAMAGED] if is_damaged else CANNOT_BE_WRITTEN, read, 503)
    is_well = read.is_well or _is_sent_after_this()
    return _answer("ok" if is_well else "cron is late", read, 200 if is_well else 503)


def _is_sent_after_this() -> bool:
    """Whether the end of this very request sends what is due, and the last such end did not fail."""
    return (
        request_context.settings().send_after_requests and send_after_requests.of(current_app).problem is None
    )


@health_pages.errorhandler(Exception)
def broken(error: Exception) -> ResponseReturnValue:
    """Answer every error in the same shape; a monitor reads the status."""
    if isinstance(error, HTTPException):
        return error_pages.answer(error)
    fault = database_error_pages.log(error) if isinstance(error, SQLAlchemyError) else Fault.BROKEN
    if fault is Fault.BROKEN:
        current_app.logger.error("Request %s failed.", response_headers.request_id(), exc_info=error)
    return _answer(DATABASE_STATES[fault], Health(None, None), 503)


def _answer(status: str, read: Health, code: int) -> ResponseReturnValue:
    answer = jsonify(status=status, last_pass_age=read.last_pass_age, oldest_due_age=read.oldest_due_age)
    answer.headers["Cache-Control"] = "no-store"
    return answer, code


metrics_pages = Blueprint("metrics", __name__)

# https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# https://prometheus.io/docs/specs/om/open_metrics_spec/
OPENMETRICS = "application/openmetrics-text"
OPENMETRICS_TYPE = f"{OPENMETRICS}; version=1.0.0; charset=utf-8"
ESCAPED = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


@metrics_pages.get("/metrics")
def show() -> Response:
    """Answer with all figures; 404 without the right token, whatever state the book is in."""
    if not _has_token():
        abort(404)
    before_request.require_version()
    is_open = any(kind.partition(";")[0] == OPENMETRICS and q for kind, q in request.accept_mimetypes)
    text = "".join(_text(one, is_open) for one in prometheus_metrics.read(db.session(), clock.now()))
    headers = {"Cache-Control": "no-store", "Vary": "Accept"}
    return Response(
        text + "# EOF\n" * is_open, content_type=OPENMETRICS_TYPE if is_open else TEXT_TYPE, headers=headers
    )


def _has_token() -> bool:
    token = request_context.settings().metrics_token
    kind, _, given = request.headers.get("Authorization", "").partition(" ")
    is_right = hmac.compare_digest(given.strip().encode(), token.encode())
    return bool(token) and kind.lower() == "bearer" and is_right


def _text(metric: Metric, is_open: bool) -> str:
    """Return a metric in the older format, or in OpenMetrics, where a counter's name lacks `_total`."""
    name = metric.name.removesuffix("_total") if is_open else metric.name
    lines = [f"# HELP {name} {metric.meaning}", f"# TYPE {name} {metric.kind}"]
    for (suffix, labels), value in metric.samples.items():
        named = ",".join(f'{label}="{text.translate(ESCAPED)}"' for label, text in labels)
        lines.append(f"{metric.name}{suffix}{f'{{{named}}}' if named else ''} {value:.15g}")
    return "".join(f"{line}\n" for line in lines)


pinger_pages = Blueprint("pinger", __name__, url_prefix="/cron")

MOST_CALLS, MOST_WRONG = 10, 20  # The second number is for one network.
CALLS_WITHIN = timedelta(minutes=1)
CALLED_TOO_OFTEN = "This address was called too often."
BUSY = "Another pass is at work; it does what is due."


@pinger_pages.route("/<token>", methods=["POST", "GET"])
def run_pass(token: str) -> ResponseReturnValue:
    """Run a pass for some seconds, and say what it did."""
    is_right = ids.URL_TOKEN.fullmatch(token) is not None and cron_token.matches(db.session(), token)
    _count(is_right)
    if not is_right:
        abort(404)
    db.session.remove()  # The pass has a connection of its own.
    try:
        report = send_after_requests.of(current_app).run(request.environ)
    except Refused as error:  # Another host uses the same SQLite file.
        return _json({"status": "refused", "message": str(error)}), 503
    return _json({"status": "busy", "message": BUSY} if report is None else _document(report))


def _count(is_right: bool) -> None:
    """Count the call; 429 when there were too many."""
    terms: dict[str, Any] = {"within": CALLS_WITHIN, "sentence": CALLED_TOO_OFTEN}
    if is_right:
        request_limit.count("cron", most=MOST_CALLS, **terms)
    else:
        request_limit.count("wrong cron", request.remote_addr or "", most=MOST_WRONG, **terms)


def _document(report: PassReport) -> dict[str, object]:
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


def _json(document: dict[str, object]) -> Response:
    answer = jsonify(document)
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["X-Robots-Tag"] = "noindex"
    return answer
