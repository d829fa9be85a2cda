"""The commands, a file per noun."""

from flask import Flask


def register(app: Flask) -> None:
    """Add the commands to the app."""
    from guestbook.cli import all_commands, help_sections  # a pass with nothing to do needs neither

    for command in sum(all_commands.SECTIONS.values(), ()):
        help_sections.uncut(command)
        app.cli.add_command(command)
    help_sections.show(all_commands.SECTIONS)
