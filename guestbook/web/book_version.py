"""Pages, API and /healthz answer 503 until the book's tables have the version that the program needs."""

from collections.abc import Callable

from flask import Flask, current_app, request

ANY_VERSION = ("static", "public.picture", "admin.doctor.show")  # endpoints that answer on any book
AFTER_TOKEN = ("metrics.show",)  # those that call `require` when they have checked a token
CHECK = "guestbook version check"  # the keys under which an app keeps its check,
CHECKED = "guestbook version"  # and notes that the version was right


def init_app(app: Flask, check: Callable[[], None]) -> None:
    """Check the version at the first request, and again until it is right: an upgrade needs no restart.

    `check` raises WrongVersion, or the error of a database that cannot be read.
    """
    app.extensions[CHECK] = check
    app.before_request(_require_for_page)


def require() -> None:
    """Raise what the check raises, unless the version was right before."""
    extensions = current_app.extensions
    if CHECKED not in extensions:
        extensions[CHECK]()
        extensions[CHECKED] = True


def _require_for_page() -> None:
    if request.endpoint not in ANY_VERSION + AFTER_TOKEN:
        require()
