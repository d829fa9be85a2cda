"""A server follows the `.env` of the data folder: when it was changed, the application is made again.

So the owner can set the book's address on a page, or by FTP, without a restart. The same
happens when a missing secret key is back.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask

from guestbook.lib import files
from guestbook.settings import secret_key
from guestbook.storage.database import db

log = logging.getLogger(__name__)


def init_app(app: Flask, make: Callable[[], Flask]) -> None:
    """Let the app hand over to another one that `make` returns, whenever the file has changed."""
    if app.extensions["guestbook"].folder is None:  # The folder of a test has no owner.
        app.wsgi_app = SettingsFollower(app, make)  # type: ignore[assignment,method-assign]  # Flask's documented way


class SettingsFollower:
    """The application with the settings that the file has now; `app` is the one at work."""

    def __init__(self, app: Flask, make: Callable[[], Flask]) -> None:
        self.app, self._answer, self._make = app, app.wsgi_app, make
        self._path = app.config["GUESTBOOK"].data_dir / ".env"
        self._seen = self._state()

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        """Answer one request; a look at the file takes some microseconds."""
        if (now := self._state()) != self._seen:
            self._seen = now  # Other threads go on with the old settings until the new ones are read.
            self._follow()
        return self._answer(environ, start)

    def _state(self) -> tuple[object, ...]:
        """Return what changes with the file, and with that of a missing secret key."""
        key = self._path.with_name(secret_key.KEY_FILE)
        lacks_key = self.app.extensions["guestbook"].lacks_key
        return files.state_of(self._path), files.state_of(key) if lacks_key else None

    def _follow(self) -> None:
        try:
            fresh = self._make()
        except SystemExit as error:
            log.warning("%s was changed, but the old settings stay. %s", self._path, error)
            return
        with self.app.app_context():
            db.engine.dispose()  # The connections of requests under way are closed after them.
        self.app, self._answer = fresh, fresh.wsgi_app
        self._seen = self._state()
