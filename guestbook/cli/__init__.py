"""The commands, a file per noun."""

from flask import Flask


def register(app: Flask) -> None:
    """Add the commands to the app."""
    from guestbook.cli import all_commands, help_sections  # a pass with nothing to do needs neither

    for command in all_commands.COMMANDS:
        app.cli.add_command(command)
    help_sections.show_in_sections(app.cli.commands)
