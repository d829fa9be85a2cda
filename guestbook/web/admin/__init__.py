"""The admin pages. Every page but the login needs a login, and no GET changes anything."""

from itertools import chain
from urllib.parse import urlsplit

from flask import Blueprint, Flask
from flask_wtf.csrf import CSRFError

from guestbook.settings import Settings
from guestbook.web import owner_pages
from guestbook.web.admin import access, book_settings, embed_settings, look_settings, undo
from guestbook.web.admin.account import account_views, login_views, second_factor_views
from guestbook.web.admin.audit import audit_views
from guestbook.web.admin.bins import bin_views
from guestbook.web.admin.comments import comment_views
from guestbook.web.admin.dashboard import dashboard_views
from guestbook.web.admin.deliveries import delivery_views
from guestbook.web.admin.doctor import doctor_views
from guestbook.web.admin.events import event_views
from guestbook.web.admin.inbox import inbound_event_views
from guestbook.web.admin.sources import source_views
from guestbook.web.admin.spam import spam_views
from guestbook.web.admin.webhooks import backfill_views, webhook_views

ADMIN_MENU = {  # the page that an entry opens, and the pages behind it
    "Overview": (dashboard_views, doctor_views),
    "Comments": (comment_views, spam_views),
    "Webhooks": (webhook_views, backfill_views, event_views),
    "Deliveries": (delivery_views,),
    "Sources": (source_views,),
    "Inbox": (inbound_event_views,),
    "Bins": (bin_views,),
    "Settings": (book_settings, look_settings, embed_settings),
    "Account": (account_views, second_factor_views, audit_views),
}
MODULES_WITHOUT_ENTRY = (login_views, undo)


def register(app: Flask) -> None:
    """Register the admin pages."""
    _set_up_cookie(app, app.config["GUESTBOOK"])
    access.csrf.init_app(app)
    app.register_error_handler(CSRFError, access.explain)
    app.after_request(access.add_headers)  # on the app, because a 404 belongs to no blueprint
    pages = Blueprint("admin", __name__, url_prefix=owner_pages.ADMIN_PATH)
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
        SESSION_COOKIE_PATH=base.path + owner_pages.ADMIN_PATH,
        SESSION_COOKIE_SECURE=base.scheme == "https",
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_REFRESH_EACH_REQUEST=False,
        PERMANENT_SESSION_LIFETIME=access.COOKIE_LIFETIME,
        WTF_CSRF_CHECK_DEFAULT=False,  # `require_login` checks; the public form needs no cookie
        WTF_CSRF_TIME_LIMIT=None,
        WTF_CSRF_SSL_STRICT=False,  # some browsers send no Referer; the token is proof enough
    )
