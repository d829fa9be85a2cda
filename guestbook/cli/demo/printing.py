"""How the tour prints: short paragraphs, and indented what programs sent, within 80 columns."""

import os
import textwrap
from collections.abc import Iterable

import click

from guestbook.lib.text import printable

TEXT_WIDTH = 78  # columns
LISTING_WIDTH = TEXT_WIDTH - 4  # columns right of the indent


def title(words: str) -> None:
    """Print a heading with an empty line after it, in bold on a terminal."""
    click.echo((words if "NO_COLOR" in os.environ else click.style(words, bold=True)) + "\n")


def paragraph(words: str) -> None:
    """Print a paragraph with an empty line after it; addresses and paths are not broken."""
    click.echo(textwrap.fill(words, TEXT_WIDTH, break_long_words=False, break_on_hyphens=False) + "\n")


def listing(lines: Iterable[str]) -> None:
    """Print lines indented, without what is too long for a terminal or would control it."""
    for line in map(printable, lines):
        shown = line if len(line) <= LISTING_WIDTH else line[: LISTING_WIDTH - 1] + "…"
        click.echo(f"    {shown}".rstrip())
    click.echo()


def uncut(lines: Iterable[str]) -> None:
    """Print lines that somebody may copy."""
    for line in lines:
        click.echo(f"  {line}")
    click.echo()
