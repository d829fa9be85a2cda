"""Change rows: enable, disable and name them, note a use, delete many in batches, insert unless there."""

import logging
from datetime import datetime, timedelta
from functools import partial
from importlib import import_module
from itertools import chain, count
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Table, TextClause, delete, func, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import get_history

from guestbook.lib import clock, validate
from guestbook.lib.errors import Refused
from guestbook.storage import audit_log, database
from guestbook.storage.database import Base
from guestbook.storage.models import Bin, Delivery, InboundEvent, ReceiverLink, Source, Token, Webhook
from guestbook.storage.models.source import BinRequest

Named = Webhook | Source | Bin | Token
Owner = type[Webhook] | type[Source] | type[Bin]
OWNER_IDS: Any = {Webhook: Delivery.webhook_id, Source: InboundEvent.source_id, Bin: BinRequest.bin_id}


def refuse_taken_name(session: Session, row: Named) -> None:
    """Refuse a new name that another row of its kind has. Older books may have such rows."""
    model = type(row)
    if get_history(row, "name").has_changes():
        same = select(model.id).where(model.name == row.name, model.id != row.id)
        with session.no_autoflush:
            other = session.scalar(same.limit(1))
        if other:
            sentence = f"Another {model.__name__.lower()} has this name. Choose one that says which is which."
            raise Refused(sentence, field="name", only_here=True)


def add(session: Session, row: Named, detail: str | None = None) -> None:
    """Add a row, unless another one of its kind has its name."""
    refuse_taken_name(session, row)
    session.add(row)
    session.flush()
    audit_log.record_row(session, "added", row, detail)


def free_name(session: Session, model: type[Named], *names: str) -> str:
    """Return the first of these names that no other row of its kind has, or the last one with a number.

    Each of the names begins with the first one.
    """
    base = names[0][: validate.NAME_LIMIT - 7]
    taken = set(session.scalars(select(model.name).where(model.name.startswith(base, autoescape=True))))
    numbered = (f"{names[-1][: validate.NAME_LIMIT - 7]} {number}" for number in count(2))
    return next(one for one in chain(names, numbered) if one not in taken)


def enable(session: Session, row: Webhook | Source) -> None:
    """Enable a row; a webhook also before its pause is over."""
    row.enable()
    session.flush()
    database.note_new_work(session.connection())  # deliveries and events have waited for this
    audit_log.record_row(session, "enabled", row)


def disable(session: Session, row: Webhook | Source) -> None:
    """Disable a row as the owner wants."""
    was_enabled = row.disabled_at is None
    row.disable(clock.now())
    session.flush()
    if was_enabled:
        audit_log.record_row(session, "disabled", row)


def note_reveal(session: Session, row: Webhook | Source) -> None:
    """Write down that its secret is shown to the one who acts."""
    if row.secret:
        audit_log.record_row(session, "revealed", row, "secret")


def overlap_end(row: Webhook | Source, kind: str, moment: datetime) -> datetime | None:
    """Return when the old `secret` or `signing_key` expires or expired, if it was valid at that moment."""
    end: datetime | None = getattr(row, f"previous_{kind}") and getattr(row, f"previous_{kind}_expires_at")
    return end if end and end > moment else None


USE_NOTED = timedelta(hours=1)  # how exact the last use is

log = logging.getLogger(__name__)


def note_use(session: Session, row: Token | ReceiverLink, now: datetime) -> bool:
    """Remember that a row was used, where that can be written at once; return whether it was time to.

    A read must not wait for a writer, nor fail because nothing can be written: then the next use is noted.
    The session's transaction ends, for a reader would keep SQLite's rollback journal from being written.
    """
    if row.last_used_at is not None and now - row.last_used_at < USE_NOTED:
        return False
    model, mine = type(row), type(row).id == row.id
    session.rollback()
    try:
        with database.write(session.get_bind().engine, lock_wait=0) as connection:
            if connection.scalar(select(model.id).where(mine).with_for_update(skip_locked=True)):
                connection.execute(update(model).where(mine).values(last_used_at=now))
    except SQLAlchemyError as error:
        log.debug("The use of a row of %s was not noted: %s", model.__tablename__, error)
    return True


BATCH_SIZE = 500  # rows a transaction: 12 ms on SQLite, where 200,000 would hold the lock for half a second


def delete_batch(engine: Engine, table: Table, condition: ColumnElement[bool] | TextClause) -> int:
    """Delete up to 500 rows of the table that meet the condition; return how many were found."""
    [key] = table.primary_key.columns
    old = select(key).where(condition).limit(BATCH_SIZE)
    with engine.connect() as connection:  # this read takes no write lock: most times nothing is old
        row_ids = connection.scalars(old).all()
    if row_ids:
        chosen = delete(table).where(key.in_(row_ids), condition)
        database.write_with_retry(engine, lambda connection: connection.execute(chosen))
    return len(row_ids)


def delete_with_rows(engine: Engine, model: Owner, owner_id: str) -> int:
    """Delete the rows that belong to a webhook, source or bin in batches, so that others can write, then it.

    Return how many rows belonged to it.
    """
    count, is_gone = 0, False
    while not is_gone:
        some = partial(delete_next, model=model, owner_id=owner_id)
        removed, is_gone = database.write_with_retry(engine, some)
        count += removed
    return count


def delete_next(connection: Connection, model: Owner, owner_id: str) -> tuple[int, bool]:
    """Delete up to 500 rows that belong to a webhook, source or bin, and it with the last of them.

    This is in the caller's write transaction. Return how many rows were deleted, and whether it is gone.
    """
    rows, mine = OWNER_IDS[model].class_, OWNER_IDS[model] == owner_id
    row_ids = connection.scalars(select(rows.id).where(mine).limit(BATCH_SIZE)).all()
    connection.execute(delete(rows).where(rows.id.in_(row_ids)))
    if len(row_ids) == BATCH_SIZE:
        return BATCH_SIZE, False
    name = connection.scalar(select(model.name).where(model.id == owner_id).with_for_update())
    # On a server, others may have stored rows since: they go with it.
    left = connection.scalar(select(func.count()).select_from(rows).where(mine)) or 0
    connection.execute(delete(model).where(model.id == owner_id))
    if name is not None:  # without a name, another click was faster
        audit_log.record(connection, "deleted", audit_log.noun_of(model), owner_id, name)
    return len(row_ids) + left, True


def insert_missing(connection: Connection, model: type[Base], **values: Any) -> None:
    """Insert a row, unless there is one with its primary key."""
    name = connection.dialect.name.replace("mariadb", "mysql")
    # The modules of the two databases that are not in use would take longer than the row.
    row = import_module(f"sqlalchemy.dialects.{name}").insert(model).values(**values)
    if name == "mysql":
        [key] = model.__table__.primary_key.columns
        connection.execute(row.on_duplicate_key_update(**{key.name: values[key.name]}))
    else:
        connection.execute(row.on_conflict_do_nothing())
