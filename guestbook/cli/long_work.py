"""What a command shows while it works for long: how far it is, and why it waits."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from guestbook.lib.progress import Step


@contextmanager
def show_progress(label: str, rows: int) -> Iterator[Step]:
    """Show a progress bar on a terminal."""
    if not rows or not sys.stderr.isatty():
        yield lambda _rows: None
        return
    bar: Any = click.progressbar(length=rows, label=label, file=sys.stderr)
    with bar:
        yield bar.update


def say_waiting() -> None:
    """Say that the work begins after the present pass."""
    click.echo("A pass is running; waiting for its end.", err=True)
