"""The drawn pictures beside comments. Each is made of its address alone, so no database is asked."""

from flask import Blueprint, abort, current_app
from flask.typing import ResponseReturnValue

from guestbook.lib import drawn_face
from guestbook.web import conditional, response_headers

pages = Blueprint("pictures", __name__)


@pages.get("/pictures/<face_id>.svg")
def drawn(face_id: str) -> ResponseReturnValue:
    """Return a face, whether anybody has it or not."""
    if not drawn_face.FACE_ID.fullmatch(face_id):
        abort(404)
    response = current_app.response_class(drawn_face.svg(face_id), mimetype="image/svg+xml")
    response.headers["Cache-Control"] = response_headers.FOR_A_YEAR
    return conditional.unless_known(response)
