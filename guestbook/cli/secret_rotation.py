"""What rotate-secret of webhooks and of sources share."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from guestbook.cli import output
from guestbook.cli.option_types import FiniteRange

SECRET_COLUMNS = ("secret", "previous_secret")  # left out of lists
LONGEST_OVERLAP = 30 * 24  # hours
F = TypeVar("F", bound=Callable[..., Any])


def overlap_option(is_valid: str) -> Callable[[F], F]:
    """Return the option for how long the old secret is valid; `is_valid` is the verb for that."""
    return click.option(
        "--overlap-hours",
        type=FiniteRange(0, LONGEST_OVERLAP),
        default=24,
        show_default=True,
        help=f"How long the old secret {is_valid} beside the new one.",
    )


def print_new_secret(facts: dict[str, Any], overlap_hours: float, is_valid: str, as_json: bool) -> None:
    """Print the new secret, and until when the old one is valid."""
    if as_json:
        output.print_json(facts)
        return
    click.echo(f"The new secret: {facts['secret']}")
    if overlap_hours:
        click.echo(f"The old one {is_valid} beside it until {facts['previous_secret_expires_at']}.")
    else:
        click.echo(f"The old one {is_valid} no more.")
