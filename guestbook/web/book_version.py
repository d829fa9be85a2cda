"""Pages, API and /healthz answer 503 until the book's tables have the version that the program needs."""

from flask import Flask, current_app, request

from guestbook.storage import version_check
from guestbook.storage.database import db

ANY_VERSION = ("static", "admin.doctor.show")  # endpoints that answer on any book
CHECKED = "guestbook version"  # the key under which an app notes that the version was right


def init_app(app: Flask) -> None:
    """Check the version at the first request, and again until it is right: an upgrade needs no restart."""
    app.before_request(require_version)


def require_version() -> None:
    """Raise WrongVersion, or the error of a database that cannot be read."""
    extensions = current_app.extensions
    if CHECKED in extensions or request.endpoint in ANY_VERSION:
        return
    version_check.require(db.engine)
    extensions[CHECKED] = True
