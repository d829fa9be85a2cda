"""For monitors: is the database there, and does cron come?"""

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from guestbook import clock, health
from guestbook.database import db

pages = Blueprint("health", __name__)


@pages.get("/healthz")
def healthz() -> ResponseReturnValue:
    """Tell the ages, in seconds, since a pass last ended and of the delivery due longest."""
    read = health.read(db.session(), clock.now())
    answer = jsonify(
        status="ok" if read.is_well else "cron is late",
        last_pass_age=read.last_pass_age,
        oldest_due_age=read.oldest_due_age,
    )
    answer.headers["Cache-Control"] = "no-store"
    return answer, 200 if read.is_well else 503
