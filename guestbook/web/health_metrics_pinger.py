"""Addresses for other programs: /healthz and /metrics for monitors, and one with which a pinger runs a pass.

/healthz says whether the database is there, and whether cron runs.
"""

import hmac
from datetime import timedelta

from flask import Blueprint, Response, abort, current_app, request
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from guestbook.lib import clock, ids
from guestbook.lib.errors import Refused
from guestbook.queries import cron_status, prometheus_metrics
from guestbook.queries.cron_status import Health
from guestbook.queries.prometheus_metrics import Metric
from guestbook.storage import cron_token, database_errors, hosts_sharing_sqlite, writable_check
from guestbook.storage.database import db
from guestbook.storage.database_errors import Fault
from guestbook.storage.hosts_sharing_sqlite import HostNote
from guestbook.web import (
    database_error_pages,
    error_pages,
    request_checks,
    request_context,
    response_headers,
    row_lookup,
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
NOT_KEPT = {"Cache-Control": "no-store"}


@health_pages.get("/healthz")
def healthz() -> ResponseReturnValue:
    """Return the seconds since the last pass ended and since the oldest delivery became due."""
    cron_status.require_columns(db.session())
    read = cron_status.read(db.session(), clock.now())
    db.session.rollback()
    file = HostNote(request_context.settings(), hosts_sharing_sqlite.WEB).file
    if file and hosts_sharing_sqlite.two_hosts(file, clock.now()):
        return _answer(DATABASE_STATES[Fault.SECOND_HOST], read, 503)
    if failure := writable_check.error(db.engine):
        is_damaged = database_errors.fault_of(failure) is Fault.DAMAGED
        word = DATABASE_STATES[Fault.DAMAGED] if is_damaged else "database cannot be written"
        return _answer(word, read, 503)
    # The end of this very request may send what is due, if the last such end did not fail.
    sends = request_context.settings().send_after_requests
    is_well = read.is_well or (sends and send_after_requests.of(current_app).problem is None)
    return _answer("ok" if is_well else "cron is late", read, 200 if is_well else 503)


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
    ages = {"last_pass_age": read.last_pass_age, "oldest_due_age": read.oldest_due_age}
    return {"status": status, **ages}, code, NOT_KEPT


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
    token = request_context.settings().metrics_token
    kind, _, given = request.headers.get("Authorization", "").partition(" ")
    is_right = hmac.compare_digest(given.strip().encode(), token.encode())
    if not token or kind.lower() != "bearer" or not is_right:
        abort(404)
    request_checks.require_version()
    is_open = any(kind.partition(";")[0] == OPENMETRICS and q for kind, q in request.accept_mimetypes)
    text = "".join(_text(one, is_open) for one in prometheus_metrics.read(db.session(), clock.now()))
    kind = OPENMETRICS_TYPE if is_open else TEXT_TYPE
    return Response(text + "# EOF\n" * is_open, content_type=kind, headers=NOT_KEPT | {"Vary": "Accept"})


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
TOO_OFTEN = "This address was called too often."
NOT_SHOWN = NOT_KEPT | {"X-Robots-Tag": "noindex"}
BUSY = "Another pass is at work; it does what is due."


@pinger_pages.route("/<token>", methods=["POST", "GET"])
def run_pass(token: str) -> ResponseReturnValue:
    """Run a pass for some seconds, and say what it did."""
    if not ids.URL_TOKEN.fullmatch(token) or not cron_token.matches(db.session(), token):
        address = request.remote_addr or ""
        row_lookup.limit_requests(
            "wrong cron", address, most=MOST_WRONG, within=CALLS_WITHIN, sentence=TOO_OFTEN
        )
        abort(404)
    row_lookup.limit_requests("cron", most=MOST_CALLS, within=CALLS_WITHIN, sentence=TOO_OFTEN)
    db.session.remove()  # The pass has a connection of its own.
    try:
        report = send_after_requests.of(current_app).run(request.environ)
    except Refused as error:  # Another host uses the same SQLite file.
        return {"status": "refused", "message": str(error)}, 503, NOT_SHOWN
    if report is None:
        return {"status": "busy", "message": BUSY}, NOT_SHOWN
    outbox, inbox = report.outbox, report.inbox
    document = {
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
    return document, NOT_SHOWN
