"""Flask, with retries of a request whose transaction met another one."""

from types import TracebackType

from flask import Flask, request
from flask.typing import ResponseReturnValue

from guestbook.lib import redaction
from guestbook.storage import database


class Application(Flask):
    """An app whose views may run twice: they commit last, and can read the request repeatedly."""

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
