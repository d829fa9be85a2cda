"""Which deliveries have arrived, by the path and the id in each request: each must arrive once."""

from collections import Counter
from collections.abc import Iterable
from urllib.parse import urlsplit

import click
from sqlalchemy import Engine, select

from guestbook.storage.models import DELIVERIES, Webhook
from scripts.benchmarks.support.receivers import Memory

Arrival = tuple[str, str]  # path of the URL, webhook-id


def of_book(engine: Engine, port: int) -> list[Arrival]:
    """Return what a book's deliveries to the receiver at this port must send."""
    query = select(Webhook.url, DELIVERIES.c.event_id).where(DELIVERIES.c.webhook_id == Webhook.id)
    with engine.connect() as connection:
        rows = connection.execute(query).all()
    return [(urlsplit(url).path, event) for url, event in rows if urlsplit(url).port == port]


def check(memory: Memory, wanted: Iterable[Arrival]) -> None:
    """End the bench unless each of the wanted arrived once, and nothing else did."""
    found = Counter((path.decode(), event.decode()) for path, event in memory.arrivals)
    left = set(wanted)
    faults = {
        "never arrived": len(left - found.keys()),
        "arrived again": sum(count - 1 for count in found.values()),
        "arrived that nobody sent": len(found.keys() - left),
    }
    if any(faults.values()):
        listed = ", ".join(f"{count:,} {what}" for what, count in faults.items() if count)
        raise click.ClickException(f"Of {len(left):,} deliveries, each must arrive once: {listed}.")
