"""Everything that answers over HTTP: public pages, admin pages, API, receiver, bins and health."""

from collections.abc import Callable
from functools import partial

from flask import Flask

from guestbook.web import (
    before_request,
    error_pages,
    look_and_language,
    path_pages,
    public_pages,
    response_headers,
    send_after_requests,
    template_filters,
)


def register(app: Flask, only_path: str | None = None) -> None:
    """Give the app its pages, its error pages and the headers of every answer.

    With `only_path` it may leave out pages at other paths.
    """
    from guestbook.web import (
        database_error_pages,
        kept_front_page,  # here: an app for readers has no SQLAlchemy
    )

    register_public(app, database_error_pages.require_version)
    if only_path is None:  # a CGI process answers one request
        kept_front_page.init_app(app)
    send_after_requests.init_app(app)  # also after pages that are kept
    public_pages.init_app(app, partial(_add_hits, app))
    database_error_pages.init_app(app)
    path_pages.register(app, only_path)


def register_public(app: Flask, require_version: Callable[[], None]) -> None:
    """Give the app the public pages, and what every answer needs."""
    _trust_proxies(app)
    before_request.init_app(app, require_version)
    response_headers.init_app(app)
    response_headers.compress_answers(app)
    template_filters.add_filters(app)
    error_pages.init_app(app)
    app.register_blueprint(public_pages.pages)
    app.register_blueprint(look_and_language.pages)


def _add_hits(app: Flask, number: int) -> None:
    """Add a batch of views, with short waits: nobody looks, but the thread serves visitors."""
    from guestbook.storage import database, engine_setup, seen_facts

    with (
        app.app_context(),
        engine_setup.waiting(engine_setup.FOR_SHORT_PASSES),
        database.write(database.db.engine) as connection,
    ):
        seen_facts.add_hits(connection, number)


def _trust_proxies(app: Flask) -> None:
    """Take a visitor's address and scheme from as many proxies as the owner has named."""
    if hops := app.config["GUESTBOOK"].trusted_proxies:
        from werkzeug.middleware.proxy_fix import ProxyFix

        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops)  # type: ignore[method-assign]  # Flask's documented way
