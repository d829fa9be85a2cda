"""The admin pages. Every page but the login needs a login, and no GET changes anything."""

from itertools import chain
from urllib.parse import urlsplit

from flask import Blueprint, Flask
from flask_wtf.csrf import CSRFError

from guestbook.settings import Settings
from guestbook.web import response_headers
from guestbook.web.admin import (
    access,
    account,
    audit,
    backfill,
    bins,
    comments,
    dashboard,
    deliveries,
    doctor,
    events,
    inbox,
    login,
    second_factor_pages,
    settings,
    sources,
    undo,
    webhooks,
)

ADMIN_MENU = {  # the page that an entry opens, and the pages behind it
    "Overview": (dashboard, doctor),
    "Comments": (comments,),
    "Webhooks": (webhooks, backfill, events),
    "Deliveries": (deliveries,),
    "Sources": (sources,),
    "Inbox": (inbox,),
    "Bins": (bins,),
    "Settings": (settings,),
    "Account": (account, second_factor_pages, audit),
}
MODULES_WITHOUT_ENTRY = (login, undo)


def register(app: Flask) -> None:
    """Register the admin pages."""
    _set_up_cookie(app, app.config["GUESTBOOK"])
    access.csrf.init_app(app)
    app.register_error_handler(CSRFError, access.explain)
    pages = Blueprint("admin", __name__, url_prefix=response_headers.ADMIN_PATH)
    pages.before_request(access.require_login)
    pages.context_processor(access.template_names)
    menu = [(entry, [module.pages.name for module in modules]) for entry, modules in ADMIN_MENU.items()]
    pages.context_processor(lambda: {"menu": menu})
    for module in (*chain.from_iterable(ADMIN_MENU.values()), *MODULES_WITHOUT_ENTRY):
        pages.register_blueprint(module.pages)
    app.register_blueprint(pages)


def _set_up_cookie(app: Flask, settings: Settings) -> None:
    """Limit the cookie to the admin pages: visitors get none."""
    base = urlsplit(settings.base_url)
    app.config.update(
        # An older name for the admin pages; a new one would log every owner out.
        SESSION_COOKIE_NAME="guestbook_admin",
        SESSION_COOKIE_PATH=base.path + response_headers.ADMIN_PATH,
        SESSION_COOKIE_SECURE=base.scheme == "https",
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_REFRESH_EACH_REQUEST=False,
        PERMANENT_SESSION_LIFETIME=access.COOKIE_LIFETIME,
        WTF_CSRF_CHECK_DEFAULT=False,  # `require_login` checks; the public form needs no cookie
        WTF_CSRF_TIME_LIMIT=None,
        WTF_CSRF_SSL_STRICT=False,  # some browsers send no Referer; the token is proof enough
    )
