"""The program `guestbook`: the same commands as `flask --app guestbook`, and `run`."""

import click

from guestbook.cli import all_commands, idle_cron
from guestbook.lib.paused_gc import paused_gc
from guestbook.lib.version import VERSION
from guestbook.settings.installation import PROGRAM


class _Program(click.Group):
    """Imports a command when it is looked for."""

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of this name."""
        if cmd_name == idle_cron.cron.name:
            return idle_cron.cron
        with paused_gc():
            return all_commands.load(cmd_name) if cmd_name in all_commands.COMMAND_MODULES else None

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Return the names in the order of the sections."""
        return [name for names in all_commands.PROGRAM_SECTIONS.values() for name in names]

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections."""
        from guestbook.cli import help_sections

        with paused_gc():
            sections = all_commands.load_all(all_commands.PROGRAM_SECTIONS)
        help_sections.write(sections, formatter)


@click.group(PROGRAM, cls=_Program)
@click.version_option(VERSION, prog_name=PROGRAM, message="%(prog)s %(version)s")
def program() -> None:
    """A guestbook for small hosts whose webhooks are never lost."""
