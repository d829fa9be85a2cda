"""States and edges of the model `proof/queue.tla` as rows: put them into the tables, and read them back.

A unit of the model's time is a minute. A delivery is a webhook, a comment and a sequence, and its row has a
status, a due time, a token and the number of tries.
"""

import ast
import re
from collections.abc import Mapping, Sequence, Set
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from guestbook.queue import claims
from guestbook.storage import plain_sql
from guestbook.storage.models import DELIVERIES, Comment, Webhook
from guestbook.storage.models.delivery import FIRST_VERSION

UNIT, NOW = timedelta(seconds=60), datetime(2026, 12, 1, 12, tzinfo=UTC)
EVENT, END = "comment.published", "comment.deleted"
NEW_TOKEN = 10  # a token that the model has not named
COUNTED = ("new", "failed")  # Of these the tries count.
CLOSE = "UPDATE webhooks SET disabled_at = :now, disabled_reason = 'by_hand' WHERE id = :hook"

MOMENT = 0.0001  # of a unit

ModelRow = tuple[tuple[str, str, int], str, float, int, int]
ModelComment = tuple[
    str, int, list[int], bool
]  # its name, last sequence, those of END, and whether it is erased


class Edge(NamedTuple):
    """An edge as `proof/edges.tla` prints it: the action, what it names, and the rows before and after."""

    action: str
    named: tuple[Any, ...]
    rows: Sequence[ModelRow]
    comments: Sequence[ModelComment]
    open: Sequence[str]  # the webhooks that are not disabled
    rows_after: Sequence[ModelRow]
    comments_after: Sequence[ModelComment]
    open_after: Sequence[str]


def read(line: str) -> Edge:
    """Read what TLC printed; a set becomes a list."""
    plain = line[1:-1].replace("\\", "").replace("<<>>", "()").replace("{", "[").replace("}", "]")
    plain = plain.replace("<<", "(").replace(">>", ",)").replace("TRUE", "True").replace("FALSE", "False")
    return Edge(*ast.literal_eval(re.sub(r"\b([wc]\d)\b", r'"\1"', plain)))


def put(connection: Connection, edge: Edge, hooks: Sequence[str]) -> None:
    """Put the state before into empty tables, which have these webhooks.

    What is claimed is due before all others. What is pruned is older than any retention, and so is what
    waits for a webhook that is enabled.
    """
    ends = {name: ended for name, _, ended, _ in edge.comments}
    kept = [_comment(name, last, ended) for name, last, ended, is_erased in edge.comments if not is_erased]
    ids = {row["id"] for row in kept}
    least = min((due for _, status, due, *_ in edge.rows if status == "new"), default=0)
    deliveries = []
    for row in edge.rows:
        (hook, *_), status, due, *_ = row
        is_named = row[0] in edge.named
        is_old = edge.action == "Prune" and (is_named or (status == "new" and not due and hook in edge.open))
        due = least - MOMENT if edge.action == "Claim" and is_named else due
        deliveries.append(_delivery((*row[:2], due, *row[3:]), ends, ids, is_old=is_old))
    for table, some in (("comments", kept), ("deliveries", deliveries)):
        if some:
            claims.run_sql_each(connection, plain_sql.insertion(table, some[0]), some)
    closed = [{"hook": hook, "now": NOW} for hook in hooks if hook not in edge.open]
    if closed:
        claims.run_sql_each(connection, CLOSE, closed)


def _comment(name: str, last: int, ends: Sequence[int]) -> dict[str, Any]:
    status = "trash" if last in ends else "published"
    words = {"name": "Ada", "message": "Hello", "created_at": NOW}
    return {"id": name, "last_sequence": last, "status": status, **words}


def _delivery(
    row: ModelRow, ends: Mapping[str, Sequence[int]], kept: Set[str], *, is_old: bool
) -> dict[str, Any]:
    (hook, comment, sequence), status, due, token, tries = row
    is_new, attempts = status == "new", tries + (status == "processed")
    then = NOW - timedelta(days=400 * is_old)
    return {
        "id": row_id(row[0]),
        "event_id": row_id(row[0]),
        "webhook_id": hook,
        "comment_id": comment if comment in kept else None,
        "sequence": sequence,
        "event": END if sequence in ends[comment] else EVENT,
        "payload": "{}",
        "version": FIRST_VERSION,
        "status": "failed" if status == "erased" else status,
        "due_at": then + UNIT * due if is_new else None,
        "claimed_by": f"token {token}" if token else None,
        "claims": attempts + 1,
        "attempts": attempts,
        "schedule_start": 0,
        "created_at": then,
        "finished_at": None if is_new else then,
        "erased_at": NOW if status == "erased" else None,
    }


def row_id(delivery: tuple[str, str, int]) -> str:
    """Return the id of the row of a delivery."""
    return "{}{}-{}".format(*delivery)


def found(connection: Connection, edge: Edge, now: datetime, tries: int) -> Any:
    """Return rows, comments and open webhooks as they are now, in the model's words.

    A delivery is tried so often at most. Rows that were not put are about the comment that the edge names.
    """
    rows = {}
    for row in connection.execute(select(DELIVERIES)):
        status = "erased" if row.erased_at else row.status
        due = max(0, round((row.due_at - now) / UNIT, 3)) if row.due_at else 0
        word, _, number = (row.claimed_by or "token 0").partition(" ")
        made = min(row.attempts - row.schedule_start, tries) if status in COUNTED else 0
        name, _, place = row.id.partition("-")
        delivery = (name[:2], name[2:], int(place)) if place else (row.webhook_id, *edge.named, row.sequence)
        rows[delivery] = status, due, int(number) if word == "token" else NEW_TOKEN, made
    comments = {row.id: row.last_sequence for row in connection.execute(select(Comment.__table__))}
    opened = connection.scalars(select(Webhook.id).where(Webhook.disabled_at.is_(None)))
    return rows, comments, {*opened}


def wanted(edge: Edge) -> Any:
    """Return what the model says of the state after; a delivery that is claimed has a token of its own."""
    claimed = edge.named if edge.action == "Claim" else ()
    rows = {
        key: (status, due, NEW_TOKEN if key in claimed else token, tries * (status in COUNTED))
        for key, status, due, token, tries in edge.rows_after
    }
    return rows, {name: last for name, last, _, gone in edge.comments_after if not gone}, {*edge.open_after}
