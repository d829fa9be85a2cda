"""Claims for several webhooks in one transaction, which keep the order of the events about a comment.

    find ──▶ due rows, perhaps with some behind others ──lease──▶ those that may be sent now

A look at each row whether it is behind another one would make a claim much slower. So the lease looks, and
only if a row can be behind one. A webhook for which some were is crowded: its next claims look by themselves,
so that they are not full of rows that must wait. Sources have no such rows.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Table

from guestbook.queue import leases, statements

CROWDED_FOR = 20  # claims of a webhook for which the last one met rows behind others
Rows = Sequence[Row[Any]]


class OrderedClaims:
    """The claims of one pass or relay. `owner` is the table's column with the webhook's or source's id.

    The rows have these columns as text and numbers, just as they are stored. Those of deliveries need the
    sequence.
    """

    def __init__(self, table: Table, owner: str, columns: Sequence[str]) -> None:
        self._table = table
        self._parts = {"columns": ", ".join(columns), "table": table.name, "owner": owner}
        self._crowded: dict[str, int] = {}  # by id of a webhook: for how many claims more

    def take(
        self,
        connection: Connection,
        limits: Mapping[str, int],
        *,
        most: int,
        now: datetime,
        until: datetime,
        token: str,
        counted: bool = True,
    ) -> dict[str, Rows]:
        """Lease up to so many due rows of each webhook or source, `most` in all, and return them by owner.

        The first in `limits` is served first. `counted` is as in `leases.lease`.
        """
        found: dict[str, Rows] = {}
        for owner_id, limit in limits.items():
            if limit and most:
                found[owner_id] = self.find(connection, owner_id, now=now, limit=min(limit, most))
                most -= len(found[owner_id])
        return self.lease(connection, found, now=now, until=until, token=token, counted=counted)

    def find(self, connection: Connection, owner_id: str, *, now: datetime, limit: int) -> Rows:
        """Lock and return up to `limit` due rows of a webhook or source. Then call `lease` for all."""
        terms = {"owner": owner_id, "now": now, "limit": limit}
        order = statements.ONLY_NEXT if owner_id in self._crowded else ""
        return statements.run(connection, statements.CLAIM, terms, **self._parts, order=order).all()

    def lease(
        self,
        connection: Connection,
        found: Mapping[str, Rows],
        *,
        now: datetime,
        until: datetime,
        token: str,
        counted: bool = True,
    ) -> dict[str, Rows]:
        """Lease what was found, by owner, and return it without what is behind others.

        An owner for which all was behind others is looked at once more, so that it gets something if it can.
        """
        terms: dict[str, Any] = {"now": now, "until": until, "token": token, "counted": counted}
        rows = [row for some in found.values() for row in some]
        leased = leases.lease(connection, self._table, rows, **terms)
        kept = {owner_id: self._kept(owner_id, some, leased) for owner_id, some in found.items()}
        return kept | {
            owner_id: self._once_more(connection, owner_id, found[owner_id], terms)
            for owner_id in found
            if found[owner_id] and not kept[owner_id]
        }

    def _kept(self, owner_id: str, rows: Rows, leased: set[str]) -> Rows:
        kept = [row for row in rows if row.id in leased]
        left = self._crowded.pop(owner_id, 0) - 1
        if left > 0:
            self._crowded[owner_id] = left
        elif len(kept) < len(rows):
            self._crowded[owner_id] = CROWDED_FOR
        return kept

    def _once_more(self, connection: Connection, owner_id: str, rows: Rows, terms: dict[str, Any]) -> Rows:
        found = self.find(connection, owner_id, now=terms["now"], limit=len(rows))
        leased = leases.lease(connection, self._table, found, **terms)
        return [row for row in found if row.id in leased]
