"""Everything that answers over HTTP: public pages, admin pages, API, receiver, bins and health."""

from flask import Flask

from guestbook.web import (
    body_limits,
    book_version,
    error_pages,
    path_pages,
    public,
    request_observer,
    response_headers,
    short_passes,
    template_filters,
)


def register(app: Flask, only_path: str | None = None) -> None:
    """Give the app its pages, its error pages and the headers of every answer.

    With `only_path` it may leave out pages at other paths.
    """
    request_observer.init_app(app)
    body_limits.init_app(app)
    book_version.init_app(app)
    response_headers.init_app(app)
    template_filters.init_app(app)
    error_pages.init_app(app)
    app.register_blueprint(public.pages)
    short_passes.init_app(app)
    path_pages.register(app, only_path)
