"""On MariaDB an upgraded book has its indexes in the order of a new one."""

from guestbook.storage.migrations import steps

revision = "0030"
down_revision = "0029"
LAST = {"deliveries_by_status": "status, id", "deliveries_by_finish": "status, finished_at"}


def upgrade() -> None:
    """Make the last two of the deliveries again; no statement of any program names them.

    MariaDB would leave them where they are if one statement dropped and added them.
    """
    if not steps.is_on(*steps.SERVERS_OF_MARIADB):
        return
    if steps.indexes_in_order("deliveries")[-2:] != list(LAST):
        steps.run(*(f"DROP INDEX IF EXISTS {name} ON deliveries" for name in LAST))
        steps.run(*(f"CREATE INDEX {name} ON deliveries ({columns})" for name, columns in LAST.items()))
