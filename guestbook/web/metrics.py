"""/metrics for Prometheus, for those who know the token of the setting GUESTBOOK_METRICS_TOKEN."""

import hmac

from flask import Blueprint, Response, abort, request

from guestbook.lib import clock
from guestbook.queries import metrics
from guestbook.queries.metrics import Metric
from guestbook.storage.database import db
from guestbook.web import book_version, current

pages = Blueprint("metrics", __name__)

# https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
ESCAPED = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


@pages.get("/metrics")
def show() -> Response:
    """Answer with all figures; 404 without the right token, whatever state the book is in."""
    if not _has_token():
        abort(404)
    book_version.require()
    text = "".join(map(_text, metrics.read(db.session(), clock.now())))
    return Response(text, content_type=CONTENT_TYPE, headers={"Cache-Control": "no-store"})


def _has_token() -> bool:
    token = current.settings().metrics_token
    kind, _, given = request.headers.get("Authorization", "").partition(" ")
    is_right = hmac.compare_digest(given.strip().encode(), token.encode())
    return bool(token) and kind.lower() == "bearer" and is_right


def _text(metric: Metric) -> str:
    lines = [f"# HELP {metric.name} {metric.meaning}", f"# TYPE {metric.name} gauge"]
    for labels, value in metric.samples.items():
        named = ",".join(f'{name}="{text.translate(ESCAPED)}"' for name, text in labels)
        lines.append(f"{metric.name}{f'{{{named}}}' if named else ''} {value:.15g}")
    return "".join(f"{line}\n" for line in lines)
