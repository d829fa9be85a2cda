"""What `webhooks` and `sources` share, to whom the deliveries and the inbound events belong."""

from collections.abc import Callable
from typing import Any, TypeVar

import click
from sqlalchemy import ColumnElement, func, select

from guestbook.cli.option_types import FiniteRange
from guestbook.queries import listing
from guestbook.storage.database import db
from guestbook.storage.models import Delivery, InboundEvent

SECRETS = ("secret", "previous_secret")  # which a list leaves out

F = TypeVar("F", bound=Callable[..., Any])


def overlap_option(is_good: str) -> Callable[[F], F]:
    """Return the option for how long the old secret signs, or is good, beside a new one."""
    return click.option(
        "--overlap-hours",
        type=FiniteRange(0, 24 * 30),
        default=24,
        show_default=True,
        help=f"For how long the old secret {is_good} beside the new one.",
    )


def print_new_secret(facts: dict[str, Any], overlap_hours: float, is_good: str) -> None:
    """Print the secret after a rotation, and what becomes of the old one."""
    click.echo(f"The new secret: {facts['secret']}")
    if overlap_hours:
        click.echo(f"The old one {is_good} beside it until {facts['previous_secret_expires_at']}.")
    else:
        click.echo(f"The old one {is_good} no more.")


def many(count: int) -> str:
    """Return a number that was counted up to a limit."""
    return str(count) if count <= listing.COUNT_LIMIT else f"> {listing.COUNT_LIMIT:,}"


def say_cut(failed: listing.Lately) -> None:
    """Say so where there were too many failed rows to count them all."""
    if failed.cut_at:
        click.echo(f"More than {failed.cut_at:,} failed in 7 days; only the newest are counted.")


def by_status(model: type[Delivery] | type[InboundEvent], mine: ColumnElement[bool]) -> str:
    """Say how many rows there are of each status."""
    rows = db.session.execute(select(model.status, func.count()).where(mine).group_by(model.status))
    return ", ".join(f"{count} {status}" for status, count in rows) or "none"
