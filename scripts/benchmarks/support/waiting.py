"""Wait for a condition, with a limit."""

import time
from collections.abc import Callable

import click

PATIENCE = 120.0  # seconds


def until(is_done: Callable[[], bool], who: str = "The work", *, every: float = 0.01) -> None:
    """Wait until it is done; end the bench if that takes too long."""
    deadline = time.monotonic() + PATIENCE
    while not is_done():
        if time.monotonic() > deadline:
            raise click.ClickException(f"{who} was not ready within {PATIENCE:.0f} seconds.")
        time.sleep(every)
