"""/doctor: everything that the page of that name looks at."""

from flask import Blueprint
from flask.typing import ResponseReturnValue

from guestbook.background.doctor import examination
from guestbook.storage.database import db
from guestbook.web import request_context

calls = Blueprint("doctor", __name__, url_prefix="/doctor")


@calls.get("")
def show() -> ResponseReturnValue:
    """Look at everything now, the gravest findings first."""
    db.session.rollback()  # it has a connection of its own, and tries to write
    return examination.shape(examination.examine(request_context.settings()))
