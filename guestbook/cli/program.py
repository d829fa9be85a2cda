"""The program `guestbook`: the same commands as `flask --app guestbook`, and `run`.

First comes the layout of its help, then the table of commands, then the program.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from itertools import chain

import click
from flask.cli import FlaskGroup

from guestbook.cli import idle_cron
from guestbook.lib import VERSION
from guestbook.lib.own_process import paused_gc
from guestbook.settings.installation import PROGRAM

HELP_WIDTH = 78  # columns; click indents by two more
SENTENCE_LIMIT = 10_000  # characters; click cuts sentences at 45


def uncut(command: click.Command) -> None:
    """Let the help of a noun show the whole sentences of its commands."""
    if isinstance(command, click.Group):
        for part in command.commands.values():
            part.short_help = first_sentence(part)


def first_sentence(command: click.Command) -> str:
    """Return the first sentence of a command's help, with its full stop."""
    text = command.get_short_help_str(SENTENCE_LIMIT)
    return text if text.endswith((".", "…")) else f"{text}."


def write_help(sections: Mapping[str, Sequence[click.Command]], formatter: click.HelpFormatter) -> None:
    """Write the sections of `guestbook --help`."""
    widest = _widest(sections)
    for title, commands in sections.items():
        _write_section(formatter, title, commands, widest)


def show_help(sections: Mapping[str, Sequence[click.Command]]) -> None:
    """Let `flask --help` show these commands in sections, which have titles.

    Flask's own commands stay in its own list, which cuts sentences. Ours follow below it.
    """
    context = click.get_current_context(silent=True)
    top = context.find_root().command if context else None
    if isinstance(top, FlaskGroup):
        for command in chain.from_iterable(sections.values()):
            command.hidden = True  # in that list alone
            top.add_command(command)  # so that Click suggests it for a name that is misspelt
        widest = _widest(sections)
        # Click leaves the lines of a paragraph as they are where it begins with \b.
        top.epilog = "\n\n".join(
            f"\b\n{_section(title, commands, widest)}" for title, commands in sections.items()
        )


def _widest(sections: Mapping[str, Sequence[click.Command]]) -> int:
    """Return the length of the longest name."""
    return max(len(str(command.name)) for command in chain.from_iterable(sections.values()))


def _section(title: str, commands: Sequence[click.Command], widest: int) -> str:
    formatter = click.HelpFormatter(width=HELP_WIDTH)
    _write_section(formatter, title, commands, widest)
    return formatter.getvalue().strip()


def _write_section(
    formatter: click.HelpFormatter, title: str, commands: Sequence[click.Command], widest: int
) -> None:
    with formatter.section(title):
        rows = [(str(command.name).ljust(widest), first_sentence(command)) for command in commands]
        formatter.write_dl(rows, col_max=widest)


EVERY_DAY = "Every day"
SECTIONS: dict[str, dict[str, str]] = {  # of --help: names, and modules of this folder
    EVERY_DAY: {"status": "status", "doctor": "status", "serve": "run", "cron": "cron"},
    "Webhooks that the book sends": {
        "webhooks": "webhooks",
        "receiver-links": "webhooks",
        "deliveries": "deliveries",
        "deliver": "cron",
        "relay": "cron",
        "trigger": "deliveries",
        "listen": "listen",
    },
    "Webhooks that the book receives": {"sources": "sources", "inbox": "inbox", "bins": "bins"},
    "Comments": {"comments": "comments", "spam": "comments", "export-site": "comment_files"},
    "Set-up": {
        "init-db": "upgrade",
        "upgrade": "upgrade",
        "admin": "admin",
        "audit": "admin",
        "tokens": "admin",
        "cron-url": "admin",
        "prune": "cron",
        "backup": "backup",
        "restore": "backup",
        "encrypt-secrets": "upgrade",
        "migrate-to": "backup",
        "take-over": "upgrade",
        "demo": "demo",
    },
}
# Of the program `guestbook`. `flask --app guestbook run` is Flask's own development server.
PROGRAM_SECTIONS = {**SECTIONS, EVERY_DAY: {"run": "run", **SECTIONS[EVERY_DAY]}}
NEEDING_PAGES = {"run", "serve", "export-site"}  # these need the application with all its pages
COMMAND_MODULES = {name: module for section in PROGRAM_SECTIONS.values() for name, module in section.items()}


def load(name: str) -> click.Command:
    """Import the command of this name."""

    command: click.Command = getattr(
        import_module(f"guestbook.cli.{COMMAND_MODULES[name]}"), name.replace("-", "_")
    )
    uncut(command)
    return command


def load_all(sections: dict[str, dict[str, str]]) -> dict[str, tuple[click.Command, ...]]:
    """Import the commands of all sections."""
    return {title: tuple(map(load, names)) for title, names in sections.items()}


class _Program(click.Group):
    """Imports a command when it is looked for."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of this name."""
        if cmd_name == idle_cron.cron.name:
            return idle_cron.cron
        if cmd_name not in COMMAND_MODULES:
            _suggest(ctx, cmd_name)
            return None
        with paused_gc():
            return load(cmd_name)

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Return the names in the order of the sections."""
        return [name for names in PROGRAM_SECTIONS.values() for name in names]

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections."""

        with paused_gc():
            sections = load_all(PROGRAM_SECTIONS)
        write_help(sections, formatter)


def _suggest(ctx: click.Context, name: str) -> None:
    """Refuse a name that no command has, unless a shell completes what is typed."""
    from guestbook.lib import validate  # here: a pass that has nothing to do does without

    if not ctx.resilient_parsing:
        ctx.fail(f"No such command {name!r}.{validate.did_you_mean(name, COMMAND_MODULES)}")


@click.group(PROGRAM, cls=_Program)
@click.version_option(VERSION, prog_name=PROGRAM, message="%(prog)s %(version)s")
def program() -> None:
    """A guestbook for small hosts whose webhooks are never lost."""
