"""Flask, with the one retry that there is: of a request whose transaction was undone."""

from flask import Flask
from flask.typing import ResponseReturnValue

from guestbook.storage import database


class Application(Flask):
    """An app whose views may be run again: they commit last, and read what was sent as often as they like.

    A view is run again too when an owner's template had to be run first, outside of its transaction.
    """

    def dispatch_request(self) -> ResponseReturnValue:
        """Run the view, and again when a deadlock undid all that it had done."""
        return database.again(super().dispatch_request)
