"""Log in and out: the only admin pages that answer without a login."""

import re

from flask import Blueprint, current_app, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError

from guestbook.auth import login
from guestbook.auth.login import TooManyTries, WrongPassword
from guestbook.storage.database import writing
from guestbook.web import error_pages, row_lookup
from guestbook.web.admin import access, action_result

pages = Blueprint("login", __name__)

# Never another site, nor by way of dots another page of this one.
INSIDE = re.compile(r"/admin(?:/[\w-]+)*/?(?:\?[!-~]*)?", re.ASCII)
NEXT_LIMIT = 2000  # characters
TOO_OLD = "This page was too old. Please type the password once more."
NO_COOKIE = "Your browser did not send our cookie back. Please allow cookies here, then try again."
NOT_HERE = "Your browser did not send our cookie back: it goes to {} only. Open the admin pages there."


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
            address=access.address(),
            browser=access.browser(),
            settings=row_lookup.settings(),
        )
    except TooManyTries as error:
        return _form(str(error)), 429, {"Retry-After": str(error.seconds)}
    except WrongPassword as error:
        return _form(str(error)), 422
    _end_login()
    access.let_in(value)
    return redirect(_wanted(), 303)


@pages.post("/logout")
def log_out() -> ResponseReturnValue:
    """Log this browser out."""
    _end_login()
    return action_result.done("You are logged out.", "admin.login.log_in")


@pages.errorhandler(CSRFError)
def explain(error: CSRFError) -> ResponseReturnValue:
    """Say why nobody can log in like this, or at least give out a fresh form."""
    if request.endpoint != "admin.login.check":
        return error_pages.answer(error)
    if current_app.config["SESSION_COOKIE_NAME"] in request.cookies:
        return _form(TOO_OLD), 400
    base_url = row_lookup.settings().base_url
    at_home = request.is_secure or not current_app.config["SESSION_COOKIE_SECURE"]
    return _form(NO_COOKIE if at_home else NOT_HERE.format(f"{base_url}{access.PLACE}/")), 400


def _end_login() -> None:
    """End the login of this browser, where there is one: a copy of its cookie is worth nothing then."""
    value = access.cookie()
    if value is not None:
        with writing() as session:
            login.log_out(session, value)
    access.see_off()


def _form(reason: str | None = None) -> str:
    return render_template("admin/login.html", reason=reason, next=request.values.get("next", ""))


def _wanted() -> str:
    """Return the admin page that was asked for before the login, else its first one."""
    path = request.values.get("next", "")
    inside = len(path) <= NEXT_LIMIT and INSIDE.fullmatch(path)
    return request.script_root + path if inside else url_for("admin.dashboard.index")
