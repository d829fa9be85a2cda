"""The commands, a file per noun."""

from flask import Flask


def register(app: Flask) -> None:
    """Hang the commands on the app."""
