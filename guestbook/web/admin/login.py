"""Log in and out; and the login and the CSRF token that all other admin pages require."""

import re
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, abort, current_app, g, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError, CSRFProtect
from sqlalchemy.exc import SQLAlchemyError

from guestbook.auth import login
from guestbook.lib import clock
from guestbook.storage import audit_log, database, hits_and_notes
from guestbook.storage.audit_log import NOBODY, Actor
from guestbook.storage.database import db, writing
from guestbook.web import error_pages, request_context
from guestbook.web.admin import responses
from guestbook.web.error_pages import PageExpired

# While the database cannot be asked, the cookie's signature is enough for this page.
DOCTOR_ENDPOINT = "admin.doctor.examine"
SESSION_KEY = "login"  # It is in Flask's session, the cookie. The table has a hash of its value.
SECOND_STEP_KEY = "second_step"  # There are the mark of the right password and its time.
SECOND_STEP_WITHIN = 300  # seconds
# Never another site, and no dots that lead elsewhere on this one.
ADMIN_ADDRESS = re.compile(r"/admin(?:/[\w-]+)*/?(?:\?[!-~]{0,1900})?", re.ASCII)
LOGIN_STEPS = {"admin.login.check": "password", "admin.login.check_code": "code"}
PASSWORD_FIRST = "Type the password again: the code must follow within five minutes."
NO_COOKIE = "Your browser did not send our cookie back. Please allow cookies here, then try again."
OTHER_ADDRESS = "Your browser did not send our cookie back: it goes to {}/ only. Open the admin pages there."

csrf = CSRFProtect()
pages = Blueprint("login", __name__)


def require_login() -> ResponseReturnValue | None:
    """Let a logged-in owner pass; redirect readers to the login and refuse all other requests."""
    if error_pages.is_setup():
        g.login = None
        return None  # The code in the address is what a login and a CSRF token are elsewhere.
    value = session.get(SESSION_KEY)
    try:
        g.login = login.find(db.session(), value) if value is not None else None
    except SQLAlchemyError:
        if request.endpoint != DOCTOR_ENDPOINT:
            raise
        # The page shows no secrets, and an owner without a shell has no other. The cookie is signed.
        database.end(db.session())
        g.login = None
        return None
    audit_log.act_as(Actor("admin", g.login.id, g.login.browser) if g.login else NOBODY)
    if g.login is None and not error_pages.needs_no_login():
        if request.method in ("GET", "HEAD"):
            return redirect(url_for("admin.login.log_in", next=request.full_path.rstrip("?")), 303)
        abort(403)
    csrf.protect()
    return None


def limit_cookie(config: dict[str, Any], base_url: str) -> None:
    """Let browsers send the cookie to the book at this address alone: visitors get none."""
    base = urlsplit(base_url)
    config["SESSION_COOKIE_PATH"] = base.path + "/"
    config["SESSION_COOKIE_SECURE"] = base.scheme == "https"


def set_cookie(value: str) -> None:
    """End the login of this browser, and give it the cookie of a new one."""
    _end_login()
    session.permanent = True
    session[SESSION_KEY] = value


@pages.get("/login")
def log_in() -> ResponseReturnValue:
    """Show the form for the password; of a new book, how to set it up."""
    if g.login is None and not login.has_password(db.session()):
        return redirect(url_for("admin.setup.ask_code"), 303)
    return _form() if g.login is None else redirect(_wanted(), 303)


def _form(step: str = "password", **more: object) -> str:
    """Show the form for the password or for the code."""
    more["is_damaged"] = bool(hits_and_notes.damage(request_context.settings().data_dir))
    return render_template("admin/login.html", step=step, next=request.values.get("next", ""), **more)


@pages.post("/login")
@responses.form_on(_form)
def check() -> ResponseReturnValue:
    """Log in with the password."""
    try:
        value = login.log_in(request.form.get("password", ""), **_asking())
    except login.CodeNeeded as needed:
        _end_login()
        mark = login.mark_of_password(needed.password_hash, request_context.settings())
        session[SECOND_STEP_KEY] = [mark, int(clock.now().timestamp())]
        return redirect(url_for(".ask_code", next=request.values.get("next") or None), 303)
    set_cookie(value)
    return redirect(_wanted(), 303)


@pages.get("/login/code")
def ask_code() -> ResponseReturnValue:
    """Show the form for the code, some minutes after the right password."""
    if g.login is not None:
        return redirect(_wanted(), 303)
    return _password_first() if _awaited_mark() is None else _form("code")


@pages.post("/login/code")
@responses.form_on(partial(_form, "code"))
def check_code() -> ResponseReturnValue:
    """Log in with the code."""
    mark = _awaited_mark()
    if mark is None:
        return _password_first()
    value = login.log_in_by_code(request.form.get("code", ""), after=mark, **_asking())
    set_cookie(value)
    return redirect(_wanted(), 303)


@pages.post("/logout")
def log_out() -> ResponseReturnValue:
    """Log this browser out."""
    _end_login()
    return responses.done("You are logged out.", ".log_in")


def explain(_error: CSRFError) -> ResponseReturnValue:
    """Say that the page with the form has expired; of a login, show a fresh form, or why it cannot work."""
    step = LOGIN_STEPS.get(request.endpoint or "")
    if step is None:
        return error_pages.answer(PageExpired())
    if current_app.config["SESSION_COOKIE_NAME"] in request.cookies:
        return _form(step, notice=f"This page has expired. Please type the {step} again."), 400
    is_secret_enough = request.is_secure or not current_app.config["SESSION_COOKIE_SECURE"]
    folder = current_app.config["SESSION_COOKIE_PATH"]
    if is_secret_enough and (request.script_root + request.path).startswith(folder):
        return _form(notice=NO_COOKIE), 400
    return _form(notice=OTHER_ADDRESS.format(request_context.settings().base_url)), 400


def _asking() -> dict[str, Any]:
    """Return who wants to log in."""
    who = {"address": request.remote_addr, "browser": request.user_agent.string}
    return {**who, "settings": request_context.settings()}


def _awaited_mark() -> str | None:
    """Return the mark of the password that this browser has typed some minutes ago."""
    match session.get(SECOND_STEP_KEY):
        case [str(mark), int(typed)] if abs(clock.now().timestamp() - typed) <= SECOND_STEP_WITHIN:
            return mark
    return None


def _password_first() -> ResponseReturnValue:
    return responses.done(PASSWORD_FIRST, ".log_in", next=request.values.get("next"))


def _end_login() -> None:
    """End the login of this browser, so that a copy of its cookie is worthless."""
    value = session.get(SESSION_KEY)
    if value is not None:
        with writing() as database_session:
            login.log_out(database_session, value)
    session.clear()


def _wanted() -> str:
    """Return the page requested before the login, or the Overview."""
    path = request.values.get("next", "")
    return request.script_root + path if ADMIN_ADDRESS.fullmatch(path) else url_for("admin.dashboard.index")
