"""The admin pages. Every page but the login needs a login, and no GET changes anything."""

from itertools import chain

from flask import Blueprint, Flask
from flask_wtf.csrf import CSRFError

from guestbook.auth.login import LOGIN_LASTS
from guestbook.lib import VERSION
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


def register(app: Flask) -> None:
    """Register the admin pages."""
    app.config.update(
        # An older name for the admin pages; a new one would log every owner out.
        SESSION_COOKIE_NAME="guestbook_admin",
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
    menu = [(entry, [behind.name for behind in several]) for entry, several in ADMIN_MENU.items()]
    pages.context_processor(lambda: {"menu": menu, "version": VERSION, "reasons": {}})
    for behind in (*chain.from_iterable(ADMIN_MENU.values()), login.pages, setup.pages, undo_pages):
        pages.register_blueprint(behind)
    app.register_blueprint(pages)
