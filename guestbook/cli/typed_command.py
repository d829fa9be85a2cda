"""The name of our command for which the application is being loaded."""

import sys

import click
from flask.cli import FlaskGroup

from guestbook.cli import all_commands
from guestbook.settings.installation import PROGRAM


def name() -> str | None:
    """Return the name, without that of a command below it; None in a web server and for other commands."""
    context = click.get_current_context(silent=True)
    if context is None:
        return None
    root = context.find_root()
    if not isinstance(root.command, FlaskGroup) and root.command.name != PROGRAM:
        return None  # a server's own command line
    typed = _below(root, context)
    return typed if typed in all_commands.COMMAND_MODULES else None


def _below(root: click.Context, context: click.Context) -> str | None:
    """Return the name behind the program's."""
    if context is root:  # Flask loads the application to look for the command
        _, words, _ = root.command.make_parser(root).parse_args(sys.argv[1:])
        return next(iter(words), None)
    while context.parent is not root:
        assert context.parent
        context = context.parent
    return context.info_name
