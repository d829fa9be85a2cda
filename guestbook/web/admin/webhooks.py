"""The webhooks at the desk: add, change, try, and see how they are doing."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

pages = Blueprint("webhooks", __name__, url_prefix="/webhooks")


@pages.get("/")
def index() -> ResponseReturnValue:
    """List them."""
    return render_template("admin/webhooks.html")
