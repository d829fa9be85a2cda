"""Log in and out: the only admin pages that need no login."""

import re

from flask import Blueprint, current_app, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError

from guestbook.auth import login
from guestbook.lib.errors import Refused
from guestbook.storage.database import writing
from guestbook.web import request_context, response_headers
from guestbook.web.admin import access, responses

pages = Blueprint("login", __name__)

# Never another site, and no dots that lead elsewhere on this one.
ADMIN_ADDRESS = re.compile(r"/admin(?:/[\w-]+)*/?(?:\?[!-~]*)?", re.ASCII)
LOGIN_STEPS = {"admin.login.check": "password", "admin.login.check_code": "code"}
PASSWORD_FIRST = "Type the password again: the code must follow within five minutes."
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
            settings=request_context.settings(),
        )
    except login.CodeNeeded as needed:
        _end_login()
        access.await_code(login.mark_of_password(needed.password_hash, request_context.settings()))
        return redirect(_code_address(), 303)
    except Refused as error:
        return responses.refused(error, _form(str(error)))
    _end_login()
    access.set_cookie(value)
    return redirect(_wanted(), 303)


@pages.get("/login/code")
def ask_code() -> ResponseReturnValue:
    """Show the form for the code, some minutes after the right password."""
    if g.login is not None:
        return redirect(_wanted(), 303)
    if access.awaited_mark() is None:
        return responses.done(PASSWORD_FIRST, "admin.login.log_in", next=request.values.get("next"))
    return _form(step="code")


@pages.post("/login/code")
def check_code() -> ResponseReturnValue:
    """Log in with the code."""
    mark = access.awaited_mark()
    if mark is None:
        return responses.done(PASSWORD_FIRST, "admin.login.log_in", next=request.values.get("next"))
    try:
        value = login.log_in_by_code(
            request.form.get("code", ""),
            after=mark,
            address=request.remote_addr,
            browser=request.user_agent.string,
            settings=request_context.settings(),
        )
    except Refused as error:
        return responses.refused(error, _form(str(error), "code"))
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
    step = LOGIN_STEPS.get(request.endpoint or "")
    if step is None:
        return access.explain(error)
    if current_app.config["SESSION_COOKIE_NAME"] in request.cookies:
        return _form(f"This page has expired. Please type the {step} again.", step), 400
    base_url = request_context.settings().base_url
    at_home = request.is_secure or not current_app.config["SESSION_COOKIE_SECURE"]
    return _form(
        NO_COOKIE if at_home else OTHER_ADDRESS.format(f"{base_url}{response_headers.ADMIN_PATH}/")
    ), 400


def _end_login() -> None:
    """End the login of this browser, so that a copy of its cookie is worthless."""
    value = access.login_token()
    if value is not None:
        with writing() as session:
            login.log_out(session, value)
    access.clear_cookie()


def _form(reason: str | None = None, step: str = "password") -> str:
    """Show the form for the password or for the code."""
    page = "admin/login.html" if step == "password" else "admin/login_code.html"
    return render_template(page, reason=reason, next=request.values.get("next", ""))


def _code_address() -> str:
    return url_for("admin.login.ask_code", next=request.values.get("next") or None)


def _wanted() -> str:
    """Return the page requested before the login, or the Overview."""
    path = request.values.get("next", "")
    inside = len(path) <= NEXT_LIMIT and ADMIN_ADDRESS.fullmatch(path)
    return request.script_root + path if inside else url_for("admin.dashboard.index")
