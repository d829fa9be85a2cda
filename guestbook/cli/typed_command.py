"""The name of the command for which the application is being loaded."""

import sys

import click
from flask.cli import FlaskGroup


def name() -> str | None:
    """Return the name; None in a web server."""
    context = click.get_current_context(silent=True)
    if context is None:
        return None
    if isinstance(context.command, FlaskGroup):  # it loads the application to look for the command
        _, words, _ = context.command.make_parser(context).parse_args(sys.argv[1:])
        return next(iter(words), None)
    return context.info_name
