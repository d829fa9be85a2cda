"""The program `guestbook`: the same commands as `flask --app guestbook`, and `run`."""

import click

from guestbook.cli import all_commands, idle_cron
from guestbook.lib.paused_gc import paused_gc
from guestbook.lib.version import VERSION
from guestbook.settings.installation import PROGRAM


class _Program(click.Group):
    """Imports a command when it is looked for."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of this name."""
        if cmd_name == idle_cron.cron.name:
            return idle_cron.cron
        if cmd_name not in all_commands.COMMAND_MODULES:
            _suggest(ctx, cmd_name)
            return None
        with paused_gc():
            return all_commands.load(cmd_name)

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Return the names in the order of the sections."""
        return [name for names in all_commands.PROGRAM_SECTIONS.values() for name in names]

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections."""
        from guestbook.cli import help_sections

        with paused_gc():
            sections = all_commands.load_all(all_commands.PROGRAM_SECTIONS)
        help_sections.write(sections, formatter)


def _suggest(ctx: click.Context, name: str) -> None:
    """Refuse a name that no command has, unless a shell completes what is typed."""
    from guestbook.lib import validate  # here: a pass that has nothing to do does without

    if not ctx.resilient_parsing:
        ctx.fail(f"No such command {name!r}.{validate.did_you_mean(name, all_commands.COMMAND_MODULES)}")


@click.group(PROGRAM, cls=_Program)
@click.version_option(VERSION, prog_name=PROGRAM, message="%(prog)s %(version)s")
def program() -> None:
    """A guestbook for small hosts whose webhooks are never lost."""
