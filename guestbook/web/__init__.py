"""Everything that answers over HTTP: public pages, admin pages, API, receiver, bins and health."""

import os
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

from flask import Blueprint, Flask, Response, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from guestbook.lib import redaction
from guestbook.web import (
    error_pages,
    look_language_time_zone,
    public_pages,
    request_checks,
    response_headers,
    send_after_requests,
    translation_and_template_filters,
)

# Pages below a path of their own: a blueprint, or what registers several. A CGI process answers one request,
# and imports what that needs.
PAGES_BELOW = {
    "/comments/": "book_signing.pages",
    "/embed": "frame_pages.pages",
    "/form/": "book_signing.website_forms_pages",
    "/feed": "feeds.pages",
    "/healthz": "health_metrics_pinger.health_pages",
    "/metrics": "health_metrics_pinger.metrics_pages",
    "/cron": "health_metrics_pinger.pinger_pages",
    "/hooks": "inbound_webhook.pages",
    "/webmention": "webmention.pages",
    "/bin": "inbound_webhook.bin_pages",
    "/mail": "reply_mail_pages.pages",
    "/moderate": "moderation_by_link.pages",
    "/receiver": "delivery_log_for_receivers.pages",
    "/admin": "admin.register",
    "/api": "api.register",
}


class Application(Flask):
    """An app whose views may run twice: they commit last, and can read the request repeatedly."""

    def dispatch_request(self) -> ResponseReturnValue:
        """Run the view, and again when another transaction was in its way."""
        from guestbook.storage import database

        return database.retry_conflicts(super().dispatch_request)

    def log_exception(self, exc_info: Any, /) -> None:
        """Log an exception as Flask does, but without the secret of a link."""
        path = redaction.addresses(request.path)
        self.logger.error("Exception on %s [%s]", path, request.method, exc_info=exc_info)


def register(app: Flask, only_path: str | None = None) -> None:
    """Give the app its pages, its error pages and the headers of every answer.

    With `only_path` it may leave out pages at other paths.
    """
    # An app for readers has no SQLAlchemy.
    from sqlalchemy.exc import SQLAlchemyError

    from guestbook.storage import database
    from guestbook.web import database_error_pages, front_page_cache, missing_key

    register_public(app, lambda: database.require_version(database.db.engine))
    if only_path is None:  # A CGI process answers one request.
        front_page_cache.init_app(app)
    send_after_requests.init_app(app)  # It runs after kept pages too.
    public_pages.init_app(app, partial(_add_hits, app))
    app.register_error_handler(SQLAlchemyError, database_error_pages.answer)
    missing_key.init_app(app)
    writes_files = app.config["GUESTBOOK"].public_folder is not None
    if writes_files:
        app.after_request(partial(_keep_files_right, app))
    for path, name in PAGES_BELOW.items():
        is_feed = path == "/feed" and (writes_files or str(only_path).endswith(".atom"))
        # With this cookie the owner has buttons in the book.
        is_owners = path == "/admin" and response_headers.ADMIN_COOKIE in os.environ.get("HTTP_COOKIE", "")
        if only_path is None or only_path.startswith(path) or is_feed or is_owners:
            module, attribute = name.split(".")
            found = getattr(import_module(f"{__name__}.{module}"), attribute)
            if isinstance(found, Blueprint):
                app.register_blueprint(found)
            else:
                found(app)


def register_public(app: Flask, require_version: Callable[[], None]) -> None:
    """Give the app the public pages, and what every answer needs."""
    if hops := app.config["GUESTBOOK"].trusted_proxies:
        from werkzeug.middleware.proxy_fix import ProxyFix

        # A visitor's address and scheme come from as many proxies as the owner has named.
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops)  # type: ignore[method-assign]  # Flask's documented way
    request_checks.init_app(app, require_version)
    app.after_request(response_headers.finish)
    translation_and_template_filters.init_app(app)
    app.register_error_handler(HTTPException, error_pages.answer)
    app.register_blueprint(public_pages.pages)
    app.register_blueprint(look_language_time_zone.pages)


def _keep_files_right(app: Flask, response: Response) -> Response:
    """Remove files that this request made wrong before its answer is sent, and write them after it."""
    from guestbook.background import public_files

    if request.method not in ("GET", "HEAD", "OPTIONS") and response.status_code < 500:
        public_files.remove_stale(app)
        response.call_on_close(partial(public_files.write, app))
    return response


def _add_hits(app: Flask, number: int) -> None:
    """Add a batch of views, with short waits: nobody looks, but the thread serves visitors."""
    from guestbook.storage import database, engines, hits_and_notes

    with (
        app.app_context(),
        engines.waiting(engines.FOR_SHORT_PASSES),
        database.write(database.db.engine) as connection,
    ):
        hits_and_notes.add_hits(connection, number)
