"""The settings of the book at the desk: its title and words, who is published at once, how it looks."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

pages = Blueprint("book", __name__, url_prefix="/book")


@pages.get("/")
def index() -> ResponseReturnValue:
    """Show the settings."""
    return render_template("admin/book.html")
