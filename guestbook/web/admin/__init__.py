"""The admin pages. Nothing here answers without a login, and nothing changes by a GET."""

from urllib.parse import urlsplit

from flask import Blueprint, Flask

from guestbook.settings import Settings
from guestbook.web.admin import access, book_settings, undo
from guestbook.web.admin.account import account_views, login_views
from guestbook.web.admin.bins import bin_views
from guestbook.web.admin.comments import comment_views
from guestbook.web.admin.dashboard import dashboard_views
from guestbook.web.admin.deliveries import delivery_views
from guestbook.web.admin.inbox import inbound_event_views
from guestbook.web.admin.sources import source_views
from guestbook.web.admin.webhooks import webhook_views

NOUNS = (
    login_views,
    dashboard_views,
    comment_views,
    webhook_views,
    delivery_views,
    source_views,
    inbound_event_views,
    bin_views,
    book_settings,
    account_views,
    undo,
)


def register(app: Flask) -> None:
    """Give the app the admin pages; they need a login."""
    _set_up_cookie(app, app.config["GUESTBOOK"])
    access.csrf.init_app(app)
    app.after_request(access.add_headers)  # of the app, for a 404 is in no blueprint
    pages = Blueprint("admin", __name__, url_prefix=access.ADMIN_URL_PREFIX)
    pages.before_request(access.require_login)
    pages.context_processor(access.template_names)
    for noun in NOUNS:
        pages.register_blueprint(noun.pages)
    app.register_blueprint(pages)


def _set_up_cookie(app: Flask, settings: Settings) -> None:
    """Limit the cookie to the admin pages: visitors get none."""
    base = urlsplit(settings.base_url)
    app.config.update(
        SESSION_COOKIE_NAME="guestbook_desk",
        SESSION_COOKIE_PATH=base.path + access.ADMIN_URL_PREFIX,
        SESSION_COOKIE_SECURE=base.scheme == "https",
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_REFRESH_EACH_REQUEST=False,
        PERMANENT_SESSION_LIFETIME=access.COOKIE_LIFETIME,
        WTF_CSRF_CHECK_DEFAULT=False,  # access checks; the book's own form needs no cookie
        WTF_CSRF_TIME_LIMIT=None,
        WTF_CSRF_SSL_STRICT=False,  # some browsers send no Referer; the token is proof enough
    )
