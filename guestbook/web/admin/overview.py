"""The first page, which says how the book is doing, and the page of doctor."""

from collections import Counter
from datetime import datetime

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from guestbook.background.doctor import State, examination
from guestbook.comments.spam import spam_report
from guestbook.lib import clock
from guestbook.lib.text import counted
from guestbook.queries import cron_status, statistics, webhook_status
from guestbook.queries.statistics import Overview
from guestbook.settings import installation
from guestbook.storage.database import db
from guestbook.web import request_context
from guestbook.web.admin import chart

pages = Blueprint("dashboard", __name__)


@pages.get("/")
def index() -> ResponseReturnValue:
    """Show how the book is doing."""
    session, now = db.session(), clock.now()
    settings, overview = request_context.settings(), statistics.overview(session, now)
    cron = cron_status.in_words(session, now, after_requests=settings.send_after_requests)
    return render_template(
        "admin/dashboard.html",
        overview=overview,
        cron=cron,
        crontab_line=installation.crontab_line(settings.data_dir),
        data_dir=settings.data_dir,
        waits=_waits(overview, now),
        hours=chart.draw(overview.hours, chart.HOUR_LABEL),
        days=chart.draw(overview.days, chart.DAY_LABEL),
        words={
            one.webhook.id: webhook_status.shown_word(session, one.webhook, now) for one in overview.webhooks
        },
        most=statistics.COUNT_LIMIT,
        filtered_as=statistics.FILTERED_AS,
        spam=spam_report.count_not_looked_at(session),
        held_until=spam_report.held_until(session.connection(), settings.secret_key, now),
    )


def _waits(overview: Overview, now: datetime) -> dict[str, int]:
    """Return how many deliveries are due now, later, for paused or disabled webhooks, and for listeners."""
    waits = dict.fromkeys(("due", "later", "paused", "disabled", "pulled"), 0)
    for doing in overview.webhooks:
        word = webhook_status.word(doing.webhook, now)
        if doing.webhook.is_pulled and word not in waits:
            word = "pulled"
        due = doing.due if word not in waits else 0
        waits["due"] += due
        waits[word if word in waits else "later"] += doing.waiting - due
    return waits


doctor_pages = Blueprint("doctor", __name__, url_prefix="/doctor")


@doctor_pages.get("/")
def examine() -> ResponseReturnValue:
    """Look at everything now, and show it."""
    findings = examination.examine(request_context.settings())
    counts = Counter(finding.state for finding in findings)
    return render_template(
        "admin/doctor.html",
        findings=findings,
        problems=counts[State.PROBLEM],
        warnings=counts[State.WARNING],
        counted=counted,
    )
