"""How the tour looks: short paragraphs, and what a program sent set in from them, within 80 columns."""

import os
import textwrap
from collections.abc import Iterable

import click

WIDTH = 78  # columns
INDENT = "    "


def title(words: str) -> None:
    """Print a heading with an empty line after it, in bold on a terminal."""
    plain = "NO_COLOR" in os.environ
    click.echo(words if plain else click.style(words, bold=True))
    click.echo()


def say(words: str) -> None:
    """Print a paragraph with an empty line after it; addresses and paths are not broken."""
    click.echo(textwrap.fill(words, WIDTH, break_long_words=False, break_on_hyphens=False))
    click.echo()


def listing(lines: Iterable[str]) -> None:
    """Print lines as they are, but for what is too long for the terminal or would be obeyed by it."""
    for line in lines:
        click.echo((INDENT + cut(_visible(line), WIDTH - len(INDENT))).rstrip())
    click.echo()


def whole(lines: Iterable[str]) -> None:
    """Print what somebody may copy, in its full length."""
    for line in lines:
        click.echo(f"  {line}")
    click.echo()


def cut(line: str, limit: int) -> str:
    """Return the line, with an ellipsis where its end is left out."""
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _visible(line: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in line)
