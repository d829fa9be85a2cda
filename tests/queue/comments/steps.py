"""What people and passes do to the deliveries about a comment."""

from datetime import timedelta
from typing import Any

from sqlalchemy import update

from guestbook.comments import comment_actions
from guestbook.lib import clock
from guestbook.queue import claims
from guestbook.storage.database import db
from guestbook.storage.models import DELIVERIES, Delivery
from tests.support import factories

ALL = "comment.created comment.published comment.replied comment.deleted"
ENDS = "comment.created comment.deleted"
HOUR = timedelta(hours=1)


def stored(hook: str, comment_id: str | None, sequence: int | None, **values: Any) -> str:
    return factories.delivery(hook, comment_id=comment_id, sequence=sequence, **values)


def claimed(hook: str, limit: int = 9) -> list[str]:
    """The ids that a pass would lease; nothing is left leased."""
    db.session.rollback()
    now, columns = clock.now(), ("id", "sequence")
    terms: dict[str, Any] = {"most": limit, "now": now, "until": now + HOUR, "token": "a look"}
    with db.engine.connect() as connection, connection.begin() as transaction:
        taken = claims.take(connection, DELIVERIES, columns, {hook: limit}, **terms)
        transaction.rollback()
    return [row.id for row in taken[hook]]


def change(row_id: str, **values: Any) -> None:
    factories.execute(update(DELIVERIES).where(DELIVERIES.c.id == row_id).values(**values))


def move(comment_id: str, status: str) -> None:
    factories.change(comment_id, comment_actions.move, status)


def reply(comment_id: str, words: str) -> None:
    factories.change(comment_id, comment_actions.reply, words)


def delete(comment_id: str) -> None:
    factories.change(comment_id, comment_actions.delete)


def rows_of(hook: str) -> dict[int, Delivery]:
    return {row.sequence: row for row in factories.deliveries() if row.webhook_id == hook and row.sequence}
