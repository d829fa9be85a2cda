"""Flask, with one retry of a request whose transaction was rolled back."""

from flask import Flask
from flask.typing import ResponseReturnValue

from guestbook.storage import database


class Application(Flask):
    """An app whose views may run twice: they commit last, and can read the request repeatedly.

    A view also runs twice when an owner's template must run first, outside its transaction.
    """

    def dispatch_request(self) -> ResponseReturnValue:
        """Run the view, and again when a deadlock rolled it back."""
        return database.retry_on_deadlock(super().dispatch_request)
