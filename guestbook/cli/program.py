"""The program `guestbook`: the same commands as `flask --app guestbook`, and `run`."""

from collections.abc import Mapping, Sequence
from itertools import chain

import click

from guestbook.cli import idle_cron
from guestbook.lib.paused_gc import paused_gc
from guestbook.lib.version import VERSION
from guestbook.settings.installation import PROGRAM

Sections = Mapping[str, Sequence[click.Command]]


class _Program(click.Group):
    """Imports the commands when one is looked for, except for a pass with nothing to do."""

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of this name."""
        if cmd_name == idle_cron.cron.name:
            return idle_cron.cron
        return {one.name: one for one in chain(*_sections().values())}.get(cmd_name)

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Return the names in the order of the sections."""
        return [str(one.name) for one in chain(*_sections().values())]

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections."""
        from guestbook.cli import help_sections

        help_sections.write(_sections(), formatter)


def _sections() -> Sections:
    with paused_gc():
        from guestbook.cli import all_commands, help_sections

    for command in chain(*all_commands.PROGRAM_SECTIONS.values()):
        help_sections.uncut(command)
    return all_commands.PROGRAM_SECTIONS


@click.group(PROGRAM, cls=_Program)
@click.version_option(VERSION, prog_name=PROGRAM, message="%(prog)s %(version)s")
def program() -> None:
    """A guestbook for small hosts whose webhooks are never lost."""
