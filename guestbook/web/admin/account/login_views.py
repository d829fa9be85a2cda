"""Log in and out: the only admin pages that need no login."""

import re

from flask import Blueprint, current_app, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError

from guestbook.auth import login
from guestbook.lib.errors import Refused
from guestbook.storage.database import writing
from guestbook.web import current, owner_pages
from guestbook.web.admin import access, responses

pages = Blueprint("login", __name__)

# Never another site, and no dots that lead elsewhere on this one.
ADMIN_ADDRESS = re.compile(r"/admin(?:/[\w-]+)*/?(?:\?[!-~]*)?", re.ASCII)
NEXT_LIMIT = 2000  # characters
NO_COOKIE = "Your browser did not send our cookie back. Please allow cookies here, then try again."
OTHER_ADDRESS = "Your browser did not send our cookie back: it goes to {} only. Open the admin pages there."


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
            address=request.remote_addr,
            browser=request.user_agent.string,
            settings=current.settings(),
        )
    except Refused as error:
        return responses.refused(error, _form(str(error)))
    _end_login()
    access.set_cookie(value)
    return redirect(_wanted(), 303)


@pages.post("/logout")
def log_out() -> ResponseReturnValue:
    """Log this browser out."""
    _end_login()
    return responses.done("You are logged out.", "admin.login.log_in")


@pages.errorhandler(CSRFError)
def explain(error: CSRFError) -> ResponseReturnValue:
    """Say why this login cannot work, or show a fresh form."""
    if request.endpoint != "admin.login.check":
        return access.explain(error)
    if current_app.config["SESSION_COOKIE_NAME"] in request.cookies:
        return _form("This page has expired. Please type the password again."), 400
    base_url = current.settings().base_url
    at_home = request.is_secure or not current_app.config["SESSION_COOKIE_SECURE"]
    return _form(NO_COOKIE if at_home else OTHER_ADDRESS.format(f"{base_url}{owner_pages.ADMIN_PATH}/")), 400


def _end_login() -> None:
    """End the login of this browser, so that a copy of its cookie is worthless."""
    value = access.login_token()
    if value is not None:
        with writing() as session:
            login.log_out(session, value)
    access.clear_cookie()


def _form(reason: str | None = None) -> str:
    return render_template("admin/login.html", reason=reason, next=request.values.get("next", ""))


def _wanted() -> str:
    """Return the page requested before the login, or the Overview."""
    path = request.values.get("next", "")
    inside = len(path) <= NEXT_LIMIT and ADMIN_ADDRESS.fullmatch(path)
    return request.script_root + path if inside else url_for("admin.dashboard.index")
