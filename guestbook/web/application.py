"""Flask, with retries of a request whose transaction met another one."""

from collections.abc import Callable
from types import TracebackType
from typing import Any

from flask import Flask, Request, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask.typing import ResponseReturnValue

from guestbook.lib import redaction
from guestbook.storage import database


class CookieSessions(SecureCookieSessionInterface):
    """Flask's sessions. Only the owner has one, so others need no signer to read their cookie."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Return the session of the cookie, or an empty one."""
        if self.get_cookie_name(app) not in request.cookies:
            return self.session_class()
        return super().open_session(app, request)


class Application(Flask):
    """An app whose views may run twice: they commit last, and can read the request repeatedly.

    A view also runs twice when an owner's template must run first, outside its transaction.
    """

    session_interface = CookieSessions()

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return a view or a hook as it is: none is a coroutine, and Flask would look each time."""
        return func

    def dispatch_request(self) -> ResponseReturnValue:
        """Run the view, and again when another transaction was in its way."""
        return database.retry_conflicts(super().dispatch_request)

    def log_exception(
        self,
        exc_info: tuple[type, BaseException, TracebackType] | tuple[None, None, None],
        /,
    ) -> None:
        """Log an exception as Flask does, but without the secret of a link."""
        path = redaction.addresses(request.path)
        self.logger.error("Exception on %s [%s]", path, request.method, exc_info=exc_info)
