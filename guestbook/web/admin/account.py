"""The owner's password, logged-in browsers and API tokens."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from guestbook import login
from guestbook.database import db, writing
from guestbook.web.admin import actions, doorman

pages = Blueprint("account", __name__, url_prefix="/account")


@pages.get("/")
def index() -> ResponseReturnValue:
    """Show the browsers that are logged in."""
    return render_template("admin/account.html", logins=login.logins(db.session()))


@pages.post("/logout-everywhere")
def log_out_everywhere() -> ResponseReturnValue:
    """Log out this browser and all others."""
    doorman.see_off()
    with writing() as session:
        login.log_out_everywhere(session)
    return actions.done("You are logged out everywhere.", "admin.entrance.log_in")
