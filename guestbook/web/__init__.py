"""The doors: what a visitor, the owner or a monitor can ask for."""

from flask import Flask

from guestbook.web import (
    admin,
    api,
    bins,
    comment_html,
    error_pages,
    health,
    public,
    receiver,
    request_limits,
)


def register(app: Flask) -> None:
    """Give the app its pages, its error pages and the headers of every answer."""
    request_limits.init_app(app)
    comment_html.init_app(app)
    error_pages.init_app(app)
    app.register_blueprint(public.pages)
    app.register_blueprint(health.pages)
    app.register_blueprint(receiver.pages)
    app.register_blueprint(bins.pages)
    admin.register(app)
    api.register(app)
