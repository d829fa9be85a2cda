"""The doors: what a visitor, the owner or a monitor can ask for."""

from flask import Flask

from guestbook.web import admin, api, bins, errors, guard, health, public, receiver, show


def register(app: Flask) -> None:
    """Give the app its pages, its error pages and the headers of every answer."""
    guard.init_app(app)
    show.init_app(app)
    errors.init_app(app)
    app.register_blueprint(public.pages)
    app.register_blueprint(health.pages)
    app.register_blueprint(receiver.pages)
    app.register_blueprint(bins.pages)
    admin.register(app)
    api.register(app)
