"""On MariaDB a claim no longer locks its webhook's row; PostgreSQL tidies the queues' tables in time."""

from guestbook.storage import database
from guestbook.storage.migrations import steps

revision = "0004"
down_revision = "0003"
BY_WEBHOOK, BY_DUE = "deliveries_by_webhook", "deliveries_by_due"


def upgrade() -> None:
    """Let the index of webhooks come first: MariaDB takes the first that fits for the foreign key."""
    steps.run(f"CREATE INDEX IF NOT EXISTS {BY_WEBHOOK} ON deliveries (webhook_id, id)")
    if steps.is_on(*steps.SERVERS_OF_MARIADB):
        order = steps.indexes_in_order("deliveries")
        if BY_DUE in order and order.index(BY_DUE) < order.index(BY_WEBHOOK):
            steps.run(f"DROP INDEX {BY_DUE} ON deliveries")
    steps.run(f"CREATE INDEX IF NOT EXISTS {BY_DUE} ON deliveries (webhook_id, due_at, id)")
    if steps.is_on("postgresql"):
        steps.run(*database.AUTOVACUUM_STATEMENTS)
