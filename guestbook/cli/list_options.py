"""What the lists share: their options, and reading enough rows. An idle pass does without them."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from guestbook.cli.options import WHEN, Choice, moment, together
from guestbook.lib import text
from guestbook.queries.filtered_lists import RowPage
from guestbook.storage.models import AuditEntry, Comment, Delivery, InboundEvent
from guestbook.storage.models.delivery import QUEUE_STATUSES

M = TypeVar("M", AuditEntry, Comment, Delivery, InboundEvent)

limit_option = click.option(
    "--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many."
)

queue_options = together(
    click.option("--status", type=Choice(QUEUE_STATUSES), help="Only those with this status."),
    click.option("--since", callback=moment, metavar="WHEN", help=f"Only those since then {WHEN}."),
    click.option("--until", callback=moment, metavar="WHEN", help=f"Only those before then {WHEN}."),
    click.option("--text", help="Only those with this in the payload or the last answer."),
    limit_option,
)


def newest(read_page: Callable[[str | None, int], RowPage[M]], limit: int) -> list[M]:
    """Return the newest rows. A page that had to look far back may hold only a few of them."""
    page = read_page(None, limit)
    rows = page.rows
    while page.older and len(rows) < limit:
        page = read_page(page.older, limit - len(rows))
        rows += page.rows
    return rows


def cleaned(filters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the filters with text cleaned like stored text: PostgreSQL refuses a NUL."""
    return {name: text.clean_line(one) if isinstance(one, str) else one for name, one in filters.items()}


def status_option(row: Delivery | InboundEvent) -> str:
    """Return the status for a table, and whether the row was erased."""
    return f"{row.status}, erased" if row.erased_at else row.status
