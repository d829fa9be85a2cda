"""Everything that answers over HTTP: public pages, admin pages, API, receiver, bins and health."""

from flask import Flask

from guestbook.web import (
    admin,
    api,
    bins,
    body_limits,
    book_version,
    error_pages,
    health,
    metrics,
    pinger,
    public,
    receiver,
    request_observer,
    response_headers,
    short_passes,
    template_filters,
)


def register(app: Flask) -> None:
    """Give the app its pages, its error pages and the headers of every answer."""
    request_observer.init_app(app)
    body_limits.init_app(app)
    book_version.init_app(app)
    response_headers.init_app(app)
    template_filters.init_app(app)
    error_pages.init_app(app)
    app.register_blueprint(public.pages)
    short_passes.init_app(app)
    app.register_blueprint(health.pages)
    app.register_blueprint(metrics.pages)
    app.register_blueprint(pinger.pages)
    app.register_blueprint(receiver.pages)
    app.register_blueprint(bins.pages)
    admin.register(app)
    api.register(app)
