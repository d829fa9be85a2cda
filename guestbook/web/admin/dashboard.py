"""The desk's first page: how the book is doing."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

pages = Blueprint("dashboard", __name__)


@pages.get("/")
def index() -> ResponseReturnValue:
    """Show how the book is doing."""
    return render_template("admin/dashboard.html")
