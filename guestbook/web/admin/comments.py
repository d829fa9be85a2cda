"""The comments at the desk: decide what stands in the book, edit, answer."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

pages = Blueprint("comments", __name__, url_prefix="/comments")


@pages.get("/")
def index() -> ResponseReturnValue:
    """List them."""
    return render_template("admin/comments.html")
