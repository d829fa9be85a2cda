"""--help shows the commands in sections, each with its whole first sentence."""

from collections.abc import Mapping, Sequence
from itertools import chain

import click
from flask.cli import FlaskGroup

HELP_WIDTH = 78  # columns; click indents by two more
SENTENCE_LIMIT = 10_000  # characters; click cuts sentences at 45


def uncut(command: click.Command) -> None:
    """Let the help of a noun show the whole sentences of its commands."""
    if isinstance(command, click.Group):
        for part in command.commands.values():
            part.short_help = sentence(part)


def sentence(command: click.Command) -> str:
    """Return the first sentence of a command's help, with its full stop."""
    text = command.get_short_help_str(SENTENCE_LIMIT)
    return text if text.endswith((".", "…")) else f"{text}."


def write(sections: Mapping[str, Sequence[click.Command]], formatter: click.HelpFormatter) -> None:
    """Write the sections of `guestbook --help`."""
    widest = _widest(sections)
    for title, commands in sections.items():
        _write_section(formatter, title, commands, widest)


def show(sections: Mapping[str, Sequence[click.Command]]) -> None:
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
        rows = [(str(command.name).ljust(widest), sentence(command)) for command in commands]
        formatter.write_dl(rows, col_max=widest)
