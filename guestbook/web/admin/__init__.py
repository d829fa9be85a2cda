"""The admin pages. Every page but the login needs a login, and no GET changes anything."""

from contextlib import suppress
from itertools import chain
from typing import Any

from flask import Blueprint, Flask, Response, current_app, g, request, session
from flask_wtf.csrf import CSRFError
from sqlalchemy import exists, select
from sqlalchemy.exc import SQLAlchemyError

from guestbook.auth.login import LOGIN_LASTS
from guestbook.lib import VERSION
from guestbook.storage.database import db
from guestbook.storage.models import Bin, Delivery, InboundEvent, Source
from guestbook.web import response_headers
from guestbook.web.admin import (
    account,
    bins,
    comments,
    login,
    overview,
    queue,
    settings,
    setup,
    sources,
    webhooks,
    welcome,
)
from guestbook.web.admin.undo import pages as undo_pages

ADMIN_MENU = {  # An entry opens the first of its pages.
    "Overview": (overview.pages, overview.doctor_pages, welcome.pages),
    "Comments": (comments.pages,),
    "Webhooks": (webhooks.pages, queue.backfill_pages, webhooks.event_pages),
    "Deliveries": (queue.delivery_pages,),
    "Sources": (sources.pages,),
    "Inbox": (queue.inbox_pages,),
    "Bins": (bins.pages,),
    "Settings": (settings.pages,),
    "Account": (account.pages, account.factor_pages, account.audit_pages),
}


SHOWN_WITH_ROWS: dict[str, type[Delivery | Source | InboundEvent | Bin]] = {
    **{"Deliveries": Delivery, "Sources": Source, "Inbox": InboundEvent, "Bins": Bin}
}


def _menu() -> dict[str, Any]:
    """Return the entries of the menu: those that lead somewhere, the current one, and which are hidden."""
    if g.get("login") is None:
        return {"menu": []}
    hidden: set[str] = set()
    with suppress(SQLAlchemyError):  # A page about an error shows all.
        found = db.session.execute(
            select(*(exists(select(row.id)) for row in SHOWN_WITH_ROWS.values()))
        ).one()
        hidden = {name for name, is_there in zip(SHOWN_WITH_ROWS, found, strict=True) if not is_there}
    here = (request.endpoint or "").split(".")[1:2]
    menu = [(name, [behind.name for behind in several]) for name, several in ADMIN_MENU.items()]
    return {
        "menu": [(name, parts) for name, parts in menu if name not in hidden or here[0] in parts],
        "hidden": hidden,
    }


def _remove_older_cookie(response: Response) -> Response:
    """Remove the cookie of an older version, for the admin pages alone: a browser would send it first."""
    if session.modified and response_headers.ADMIN_COOKIE in request.cookies:
        older = current_app.config["SESSION_COOKIE_PATH"] + "admin"
        response.delete_cookie(response_headers.ADMIN_COOKIE, older)
    return response


def register(app: Flask) -> None:
    """Register the admin pages."""
    app.config.update(
        SESSION_COOKIE_NAME=response_headers.ADMIN_COOKIE,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_REFRESH_EACH_REQUEST=False,
        PERMANENT_SESSION_LIFETIME=LOGIN_LASTS,
        WTF_CSRF_CHECK_DEFAULT=False,  # `require_login` checks: the public form needs no cookie.
        WTF_CSRF_TIME_LIMIT=None,
        WTF_CSRF_SSL_STRICT=False,  # Some browsers send no Referer. The token is proof enough.
    )
    login.limit_cookie(app.config, app.config["GUESTBOOK"].base_url)
    login.csrf.init_app(app)
    app.register_error_handler(CSRFError, login.explain)
    pages = Blueprint("admin", __name__, url_prefix=response_headers.ADMIN_PATH)
    pages.before_request(login.require_login)
    pages.after_request(_remove_older_cookie)
    pages.context_processor(lambda: {**_menu(), "version": VERSION, "reasons": {}})
    for behind in (*chain.from_iterable(ADMIN_MENU.values()), login.pages, setup.pages, undo_pages):
        pages.register_blueprint(behind)
    app.register_blueprint(pages)
