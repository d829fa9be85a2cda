"""Flask, with the one retry that there is: of a request whose transaction had to yield to another."""

from flask import Flask
from flask.typing import ResponseReturnValue

from guestbook import database


class Application(Flask):
    """An app whose views may be run again: they commit last, and read what was sent as often as they like."""

    def dispatch_request(self) -> ResponseReturnValue:
        """Run the view, and again when a deadlock undid all that it had done."""
        return database.again(super().dispatch_request)
