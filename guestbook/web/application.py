"""Flask, with one retry of a request whose transaction was rolled back."""

from types import TracebackType

from flask import Flask, request
from flask.typing import ResponseReturnValue

from guestbook.storage import database
from guestbook.web import logged_path


class Application(Flask):
    """An app whose views may run twice: they commit last, and can read the request repeatedly.

    A view also runs twice when an owner's template must run first, outside its transaction.
    """

    def dispatch_request(self) -> ResponseReturnValue:
        """Run the view, and again when a deadlock rolled it back."""
        return database.retry_on_deadlock(super().dispatch_request)

    def log_exception(
        self,
        exc_info: tuple[type, BaseException, TracebackType] | tuple[None, None, None],
        /,
    ) -> None:
        """Log an exception as Flask does, but without the secret of a link."""
        self.logger.error("Exception on %s [%s]", logged_path.of_request(), request.method, exc_info=exc_info)
