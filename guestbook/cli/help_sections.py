"""--help shows the commands in sections, each with its whole first sentence."""

from collections.abc import Mapping

import click
from flask.cli import FlaskGroup

HELP_WIDTH = 78  # columns; click indents by two more
SENTENCE_LIMIT = 10_000  # characters; click cuts sentences at 45
SECTIONS = {
    "Every day": ("status", "serve", "cron"),
    "Webhooks that the book sends": ("webhooks", "deliveries", "deliver", "relay"),
    "Webhooks that the book receives": ("sources", "inbox", "bins"),
    "Comments": ("comments",),
    "Set-up": ("init-db", "admin", "tokens", "prune", "migrate-to", "demo"),
}


class Group(click.Group):
    """The commands of one noun, with uncut sentences."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list as click does."""
        commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        rows = [(name, sentence(command)) for name, command in commands.items() if command]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def sentence(command: click.Command) -> str:
    """Return the first sentence of a command's help, with its full stop."""
    text = command.get_short_help_str(SENTENCE_LIMIT)
    return text if text.endswith((".", "…")) else f"{text}."


def show_in_sections(commands: Mapping[str, click.Command]) -> None:
    """Let `flask --help` show these commands in sections.

    Flask's own commands stay in its own list, which cuts sentences. Ours follow below it.
    """
    context = click.get_current_context(silent=True)
    top = context.find_root().command if context else None
    if isinstance(top, FlaskGroup):
        for name in sum(SECTIONS.values(), ()):
            commands[name].hidden = True  # in that list alone
        # Click leaves the lines of a paragraph as they are where it begins with \b.
        top.epilog = "\n\n".join(f"\b\n{_section(title, commands)}" for title in SECTIONS)


def _section(title: str, commands: Mapping[str, click.Command]) -> str:
    formatter = click.HelpFormatter(width=HELP_WIDTH)
    widest = max(len(name) for name in commands)
    with formatter.section(title):
        rows = [(name.ljust(widest), sentence(commands[name])) for name in SECTIONS[title]]
        formatter.write_dl(rows, col_max=widest)
    return formatter.getvalue().strip()
