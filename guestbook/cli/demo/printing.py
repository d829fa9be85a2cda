"""How the tour prints: short paragraphs, and indented what programs sent, within 80 columns."""

import os
import textwrap
from collections.abc import Iterable

import click

from guestbook.lib.text import printable

TEXT_WIDTH = 78  # columns
LISTING_INDENT = "    "


def title(words: str) -> None:
    """Print a heading with an empty line after it, in bold on a terminal."""
    plain = "NO_COLOR" in os.environ
    click.echo(words if plain else click.style(words, bold=True))
    click.echo()


def paragraph(words: str) -> None:
    """Print a paragraph with an empty line after it; addresses and paths are not broken."""
    click.echo(textwrap.fill(words, TEXT_WIDTH, break_long_words=False, break_on_hyphens=False))
    click.echo()


def listing(lines: Iterable[str]) -> None:
    """Print lines indented, without what is too long for a terminal or would control it."""
    for line in lines:
        click.echo((LISTING_INDENT + cut(printable(line), TEXT_WIDTH - len(LISTING_INDENT))).rstrip())
    click.echo()


def uncut(lines: Iterable[str]) -> None:
    """Print lines that somebody may copy."""
    for line in lines:
        click.echo(f"  {line}")
    click.echo()


def cut(line: str, limit: int) -> str:
    """Return the line, with an ellipsis where its end is left out."""
    return line if len(line) <= limit else line[: limit - 1] + "…"
