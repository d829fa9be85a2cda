"""The login and the CSRF token that the admin pages require."""

from typing import Any

from flask import Response, abort, g, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError, CSRFProtect
from sqlalchemy.exc import SQLAlchemyError

from guestbook.auth import login
from guestbook.lib import VERSION, clock
from guestbook.storage import audit_log, database
from guestbook.storage.audit_log import NOBODY, Actor
from guestbook.storage.database import db
from guestbook.web import error_pages
from guestbook.web.error_pages import PageExpired

COOKIE_LIFETIME = login.LOGIN_LASTS
# While the database cannot be asked, the cookie's signature is enough for this page.
DOCTOR_ENDPOINT = "admin.doctor.examine"
SESSION_KEY = "login"  # It is in Flask's session, the cookie. The table has a hash of its value.
SECOND_STEP_KEY = "second_step"  # There are the mark of the right password and its time.
SECOND_STEP_WITHIN = 300  # seconds
csrf = CSRFProtect()


def require_login() -> ResponseReturnValue | None:
    """Let a logged-in owner pass; redirect readers to the login and refuse all other requests."""
    value = login_token()
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


def explain(_error: CSRFError) -> Response:
    """Say that the page with the form has expired."""
    return error_pages.answer(PageExpired())


def template_names() -> dict[str, Any]:
    """Return what every admin page says."""
    return {"logged_in": g.get("login") is not None, "version": VERSION}


def set_cookie(value: str) -> None:
    """Give the browser the cookie of a new login, and nothing of the session before."""
    session.clear()
    session.permanent = True
    session[SESSION_KEY] = value


def await_code(mark: str) -> None:
    """Let the browser take the second step of a login: its password, which has this mark, was right."""
    session.clear()
    session[SECOND_STEP_KEY] = [mark, int(clock.now().timestamp())]


def awaited_mark() -> str | None:
    """Return the mark of the password that this browser has typed some minutes ago."""
    match session.get(SECOND_STEP_KEY):
        case [str(mark), int(typed)] if abs(clock.now().timestamp() - typed) <= SECOND_STEP_WITHIN:
            return mark
    return None


def login_token() -> str | None:
    """Return the value in the browser's cookie."""
    value = session.get(SESSION_KEY)
    return value if isinstance(value, str) else None


def clear_cookie() -> None:
    """Remove the cookie."""
    session.clear()
