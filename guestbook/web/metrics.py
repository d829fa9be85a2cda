"""/metrics for Prometheus, for those who know the token of the setting GUESTBOOK_METRICS_TOKEN."""

import hmac

from flask import Blueprint, Response, abort, request

from guestbook.lib import clock
from guestbook.queries import prometheus_metrics
from guestbook.queries.prometheus_metrics import Metric
from guestbook.storage.database import db
from guestbook.web import before_request, request_context

pages = Blueprint("metrics", __name__)

# https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# https://prometheus.io/docs/specs/om/open_metrics_spec/
OPENMETRICS = "application/openmetrics-text"
OPENMETRICS_TYPE = f"{OPENMETRICS}; version=1.0.0; charset=utf-8"
ESCAPED = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


@pages.get("/metrics")
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
