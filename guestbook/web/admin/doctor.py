"""The page of `doctor`."""

from collections import Counter

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from guestbook.background.doctor import examination
from guestbook.background.doctor.examined_book import State
from guestbook.lib.text import counted
from guestbook.web import request_context

pages = Blueprint("doctor", __name__, url_prefix="/doctor")


@pages.get("/")
def show() -> ResponseReturnValue:
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
