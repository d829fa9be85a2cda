"""Log in and out: all of the desk that answers without a login."""

import re

from flask import Blueprint, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from guestbook import login
from guestbook.database import db, writing
from guestbook.login import TooManyTries, WrongPassword
from guestbook.web.admin import actions, doorman

pages = Blueprint("entrance", __name__)

INSIDE = re.compile(r"/admin(?:/[\w/.-]*)?(?:\?[\w&=%+.:,-]*)?", re.ASCII)  # never another site


@pages.get("/login")
def log_in() -> ResponseReturnValue:
    """Show the form for the password."""
    if g.login is not None:
        return redirect(_wanted(), 303)
    return _form()


@pages.post("/login")
def check() -> ResponseReturnValue:
    """Log in with the password."""
    try:
        value = login.log_in(
            request.form.get("password", ""),
            address=doorman.address(),
            browser=request.headers.get("User-Agent", ""),
            settings=actions.settings(),
        )
    except TooManyTries as error:
        return _form(str(error)), 429, {"Retry-After": str(error.seconds)}
    except WrongPassword as error:
        return _form(str(error)), 422
    doorman.let_in(value)
    return redirect(_wanted(), 303)


@pages.post("/logout")
def log_out() -> ResponseReturnValue:
    """Log this browser out."""
    value = doorman.see_off()
    if value is not None:
        with writing() as session:
            login.log_out(session, value)
    return actions.done("You are logged out.", "admin.entrance.log_in")


def _form(reason: str | None = None) -> str:
    return render_template(
        "admin/login.html",
        reason=reason,
        next=request.values.get("next", ""),
        has_password=login.has_password(db.session()),
    )


def _wanted() -> str:
    """Return the page of the desk that was asked for before the login, else its first one."""
    path = request.values.get("next", "")
    return request.script_root + path if INSIDE.fullmatch(path) else url_for("admin.dashboard.index")
