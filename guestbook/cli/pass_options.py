"""The options of cron and deliver. An idle pass reads them too, so this imports only Click."""

from collections.abc import Callable
from typing import TypeVar

import click

from guestbook.cli import terminal_log
from guestbook.cli.option_types import FiniteRange

F = TypeVar("F", bound=Callable[..., object])


def pass_options(function: F) -> F:
    """Add the options to a command."""
    for option in (
        terminal_log.verbose_option("Print what happens to each delivery."),
        click.option(
            "--concurrency",
            type=click.IntRange(1, 256),
            default=32,
            show_default=True,
            help="How many requests at once; at most a quarter of them to one webhook.",
        ),
        click.option(
            "--stay",
            is_flag=True,
            help="Stay for --max-seconds and send new deliveries at once.",
        ),
        click.option(
            "--max-seconds",
            type=FiniteRange(0.1, 86400),
            default=50,
            show_default=True,
            help="Start nothing new after this many seconds.",
        ),
    ):
        function = option(function)
    return function
