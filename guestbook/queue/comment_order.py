"""Events about one comment reach a webhook in order. `claims.lease` holds to it; here is what goes with it.

    sequence 1 ──▶ waits for its retry ──▶ sent          one at a time for each comment and webhook
    sequence 2 ────── waits behind it ─────────▶ due     `hold_back` gives it the due time of the first

A delivery that waits behind another one has the other's due time or a later one. So it costs a claim nothing,
nothing takes it for late, and a pass that sees nothing else due comes to its end.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from guestbook.queue import claims
from guestbook.storage import plain_sql
from guestbook.storage.models import BY_COMMENT, DELIVERIES, IS_BEHIND, Comment, Delivery
from guestbook.storage.models.comment import KNOWN_STATUSES

END = "comment.deleted"  # Nothing earlier about the comment is sent after it.

Pair = tuple[str, str]  # the ids of a comment and of a webhook


def next_sequence(connection: Connection, comment_id: str) -> int:
    """Return the number of the next event about a comment, and lock the comment until the commit.

    So the events are committed in the order of their numbers.
    """
    mine = Comment.id == comment_id
    connection.execute(update(Comment).where(mine).values(last_sequence=Comment.last_sequence + 1))
    return connection.scalars(select(Comment.last_sequence).where(mine)).one()


def set_sequence(connection: Connection, comment_id: str, sequence: int) -> None:
    """Store how many events a comment has had that is new in this transaction: nobody else can count them."""
    sql = "UPDATE comments SET last_sequence = :sequence WHERE id = :comment_id"
    plain_sql.run(connection, sql, sequence=sequence, comment_id=comment_id)


def next_due(connection: Connection, comment_id: str) -> dict[str, datetime]:
    """Return, by webhook id, when a delivery about the comment is retried: the next one waits behind it."""
    rows = DELIVERIES.c
    query = select(rows.webhook_id, func.max(rows.due_at)).group_by(rows.webhook_id)
    return {row[0]: row[1] for row in connection.execute(query.where(*_waiting([comment_id])))}


def hold_back(connection: Connection, retries: Mapping[Pair, tuple[int, datetime]]) -> None:
    """Let what comes after these deliveries wait until they are retried.

    Each has its sequence and its next due time. A row that others have locked stays as it is.
    """
    if not retries:
        return
    rows = DELIVERIES.c
    query = select(rows.id, rows.comment_id, rows.webhook_id, rows.sequence, rows.due_at).order_by(rows.id)
    waiting = _waiting({comment_id for comment_id, _ in retries})
    query = query.where(*waiting).with_for_update(skip_locked=True)
    later = []
    for row in connection.execute(claims.use_index(query, DELIVERIES, BY_COMMENT)):
        sequence, due_at = retries.get((row.comment_id, row.webhook_id), (row.sequence, row.due_at))
        if row.sequence is not None and row.sequence > sequence and row.due_at < due_at:
            later.append({"row_id": row.id, "due_at": due_at})
    if later:
        claims.postpone(connection, DELIVERIES, later)


def behind(session: Session, row_ids: Collection[str]) -> set[str]:
    """Return the ids of those deliveries that wait behind an earlier one."""
    query = select(Delivery.id).where(Delivery.id.in_(row_ids), Delivery.due_at.is_not(None), IS_BEHIND)
    return set(session.scalars(query)) if row_ids else set()


def is_over(session: Session, row_id: str) -> bool:
    """Whether nothing of a delivery may be sent any more, because its comment was deleted after it."""
    return session.scalar(select(Delivery.id).where(Delivery.id == row_id, IS_OVER)) is not None


def waits_for_requests(member: type[Delivery], now: datetime) -> ColumnElement[bool]:
    """Return the condition for untried ENDs that wait until no request about the comment can be under way."""
    return (member.event == END) & (member.attempts == 0) & (member.due_at > now)


def lock_with_later(session: Session, row_ids: Collection[str]) -> list[str]:
    """Return the ids of the deliveries and of all that follow them, and lock their comments.

    Left out are those after which `comment.deleted` was published; none can be while the comments are locked.
    """
    chosen = Delivery.id.in_(row_ids)
    comments = select(Comment.id).where(Comment.id.in_(select(Delivery.comment_id).where(chosen)))
    session.execute(comments.order_by(Comment.id).with_for_update())
    first, member = first_of(chosen), aliased(Delivery)
    later = select(member.id).join(first, follows(member, first))
    return sorted({*session.scalars(later), *session.scalars(select(Delivery.id).where(chosen, IS_ALONE))})


def first_of(chosen: ColumnElement[bool]) -> Any:
    """Return, by comment and webhook, the first of the chosen deliveries that may be sent: a subquery."""
    pair = Delivery.comment_id, Delivery.webhook_id
    query = select(*pair, func.min(Delivery.sequence).label("sequence"))
    return query.where(chosen, ~IS_ALONE, ~IS_OVER).group_by(*pair).subquery()


def follows(member: type[Delivery], first: Any) -> ColumnElement[bool]:
    """Return the condition for that first delivery and all that come after it."""
    same = (member.comment_id == first.c.comment_id) & (member.webhook_id == first.c.webhook_id)
    condition: ColumnElement[bool] = same & (member.sequence >= first.c.sequence)
    return condition


def _waiting(comment_ids: Collection[str]) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions for deliveries about the comments that wait and that no pass has in hand."""
    rows = DELIVERIES.c
    return rows.comment_id.in_(comment_ids), rows.due_at.is_not(None), rows.claimed_by.is_(None)


def _is_over() -> ColumnElement[bool]:
    mine, end, about = DELIVERIES.c, DELIVERIES.alias("ended"), Comment.__table__.c
    same = end.c.comment_id == mine.comment_id, end.c.webhook_id == mine.webhook_id
    ended = select(end.c.id).where(*same, end.c.sequence > mine.sequence, end.c.event == END).limit(1)
    gone = select(about.id).where(about.id == mine.comment_id, about.status.not_in(KNOWN_STATUSES))
    looks = ended, gone.where(mine.event != END)
    found = (look.correlate(DELIVERIES).scalar_subquery().is_not(None) for look in looks)
    return or_(mine.erased_at.is_not(None), *found)


# Its comment was deleted after it. Only the comment says so if the webhook does not get `comment.deleted`.
IS_OVER = _is_over()
IS_ALONE = DELIVERIES.c.comment_id.is_(None) | DELIVERIES.c.sequence.is_(None)  # No other follows it.
