"""Pages, API and /healthz answer 503 until the book's tables have the version that the program needs."""

from collections.abc import Callable

from flask import Flask, current_app, request

ANY_VERSION = ("static", "admin.doctor.show")  # endpoints that answer on any book
CHECKED = "guestbook version"  # the key under which an app notes that the version was right


def init_app(app: Flask, require: Callable[[], None]) -> None:
    """Check the version at the first request, and again until it is right: an upgrade needs no restart.

    `require` raises WrongVersion, or the error of a database that cannot be read.
    """

    def require_once() -> None:
        extensions = current_app.extensions
        if CHECKED in extensions or request.endpoint in ANY_VERSION:
            return
        require()
        extensions[CHECKED] = True

    app.before_request(require_once)
