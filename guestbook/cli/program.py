"""The program `guestbook`: the same commands as `flask --app guestbook`, and `run`.

First comes the table of commands, then the layout of its help, then the program.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module

import click
from flask import Flask
from flask.cli import FlaskGroup

from guestbook.cli import idle_cron
from guestbook.lib import VERSION
from guestbook.lib.current_process import paused_gc
from guestbook.settings.installation import PROGRAM

EVERY_DAY = "Every day"
SECTIONS: dict[str, dict[str, str]] = {  # Each name has its module of this folder.
    EVERY_DAY: {"status": "status", "doctor": "status", "serve": "run", "cron": "cron"},
    "Webhooks that the book sends": {
        **dict.fromkeys(("webhooks", "receiver-links"), "webhooks"),
        **{
            "deliveries": "queue",
            "deliver": "cron",
            "relay": "cron",
            "trigger": "webhooks",
            "listen": "listen",
        },
    },
    "Webhooks that the book receives": {"sources": "sources", "inbox": "queue", "bins": "bins"},
    "Comments": {"comments": "comments", "spam": "comments", "export-site": "comment_files"},
    "Set-up": {
        **dict.fromkeys(("init-db", "upgrade"), "database"),
        **dict.fromkeys(("admin", "audit", "tokens", "cron-url"), "admin"),
        "prune": "cron",
        **dict.fromkeys(("backup", "restore", "encrypt-secrets", "migrate-to", "take-over"), "database"),
        "talk": "talk",
    },
}
# Of the program `guestbook`. `flask --app guestbook run` is Flask's own development server.
PROGRAM_SECTIONS = {**SECTIONS, EVERY_DAY: {"run": "run", **SECTIONS[EVERY_DAY]}}
NEEDING_PAGES = {"run", "serve", "export-site"}  # These need all pages.
COMMAND_MODULES = {name: module for section in PROGRAM_SECTIONS.values() for name, module in section.items()}
HELP_WIDTH = 78  # columns
SENTENCE_LIMIT = 10_000  # Click cuts sentences at 45 characters.
Sections = Mapping[str, Sequence[click.Command]]


def register(app: Flask, only_command: str | None = None) -> None:
    """Add the commands to the app, or the one that was typed.

    `flask --help` shows ours in sections, below Flask's own list, which cuts sentences.
    """
    if only_command:
        app.cli.add_command(load(only_command))
        return
    sections = load_all(SECTIONS)
    context = click.get_current_context(silent=True)
    top = context.find_root().command if context else None
    for commands in sections.values():
        for command in commands:
            app.cli.add_command(command)
            if isinstance(top, FlaskGroup):
                command.hidden = True  # This hides it in Flask's own list alone.
                top.add_command(command)  # Click suggests it for a misspelt name.
    if isinstance(top, FlaskGroup):
        formatter = click.HelpFormatter(width=HELP_WIDTH)
        _write(sections, formatter)
        # Click leaves the lines of a paragraph as they are where it begins with \b.
        top.epilog = "\b\n" + formatter.getvalue().strip().replace("\n\n", "\n\n\b\n")


def load_all(sections: dict[str, dict[str, str]]) -> Sections:
    """Import the commands of all sections."""
    return {title: tuple(map(load, names)) for title, names in sections.items()}


def load(name: str) -> click.Command:
    """Import the command of this name, whose help shows the whole sentences of the commands below it."""
    module = import_module(f"guestbook.cli.{COMMAND_MODULES[name]}")
    command: click.Command = getattr(module, name.replace("-", "_"))
    for part in command.commands.values() if isinstance(command, click.Group) else ():
        part.short_help = first_sentence(part)
    return command


def first_sentence(command: click.Command) -> str:
    """Return the first sentence of a command's help, with its full stop."""
    text = command.get_short_help_str(SENTENCE_LIMIT)
    return text if text.endswith((".", "…")) else f"{text}."


def _write(sections: Sections, formatter: click.HelpFormatter) -> None:
    widest = max(map(len, COMMAND_MODULES))
    for title, commands in sections.items():
        with formatter.section(title):
            rows = [(str(command.name).ljust(widest), first_sentence(command)) for command in commands]
            formatter.write_dl(rows, col_max=widest)


class _Program(click.Group):
    """Imports a command when it is looked for."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name == idle_cron.cron.name:
            return idle_cron.cron
        if cmd_name in COMMAND_MODULES:
            with paused_gc():
                return load(cmd_name)
        if not ctx.resilient_parsing:  # A shell that completes a name gets no refusal.
            from guestbook.lib import validate  # A pass that has nothing to do does without it.

            ctx.fail(f"No such command {cmd_name!r}.{validate.did_you_mean(cmd_name, COMMAND_MODULES)}")
        return None

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return [name for names in PROGRAM_SECTIONS.values() for name in names]

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with paused_gc():
            _write(load_all(PROGRAM_SECTIONS), formatter)


@click.group(PROGRAM, cls=_Program)
@click.version_option(VERSION, prog_name=PROGRAM, message="%(prog)s %(version)s")
def program() -> None:
    """A guestbook for small hosts whose webhooks are never lost."""
