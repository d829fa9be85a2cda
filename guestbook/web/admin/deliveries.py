"""The deliveries at the desk: what was sent, what waits, what failed; send again."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

pages = Blueprint("deliveries", __name__, url_prefix="/deliveries")


@pages.get("/")
def index() -> ResponseReturnValue:
    """List them."""
    return render_template("admin/deliveries.html")
