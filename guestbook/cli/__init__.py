"""The commands, a file per noun."""

from itertools import chain

from flask import Flask


def register(app: Flask, only_command: str | None = None) -> None:
    """Add the commands to the app, or the one that was typed."""
    from guestbook.cli import program  # a pass with nothing to do needs neither

    if only_command:
        app.cli.add_command(program.load(only_command))
        return
    sections = program.load_all(program.SECTIONS)
    for command in chain.from_iterable(sections.values()):
        app.cli.add_command(command)
    program.show_help(sections)
