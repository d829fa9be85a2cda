"""Delete many rows in batches, each in a short transaction, so that the web need not wait."""

from sqlalchemy import ColumnElement, Connection, Engine, Table, TextClause, delete, func, select

from guestbook.storage import audit_log, database
from guestbook.storage.models import Source, Webhook

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


def delete_with_rows(
    engine: Engine,
    model: type[Webhook] | type[Source],
    owner_id: str,
    table: Table,
    mine: ColumnElement[bool],
) -> int:
    """Delete the rows that belong to a webhook or source in batches, so that others can write, then it.

    Return how many rows belonged to it.
    """
    count, is_gone = 0, False
    while not is_gone:
        removed, is_gone = database.write_with_retry(
            engine, lambda connection: delete_next(connection, model, owner_id, table, mine)
        )
        count += removed
    return count


def delete_next(
    connection: Connection,
    model: type[Webhook] | type[Source],
    owner_id: str,
    table: Table,
    mine: ColumnElement[bool],
) -> tuple[int, bool]:
    """Delete up to 500 rows that belong to a webhook or source, and it with the last of them.

    This is in the caller's write transaction. Return how many rows were deleted, and whether it is gone.
    """
    [key] = table.primary_key.columns
    row_ids = connection.scalars(select(key).where(mine).limit(BATCH_SIZE)).all()
    connection.execute(delete(table).where(key.in_(row_ids)))
    if len(row_ids) == BATCH_SIZE:
        return BATCH_SIZE, False
    name = connection.scalar(select(model.name).where(model.id == owner_id).with_for_update())
    # On a server, others may have stored rows since: they go with it.
    left = connection.scalar(select(func.count()).select_from(table).where(mine)) or 0
    connection.execute(delete(model).where(model.id == owner_id))
    if name is not None:  # else another click was faster
        audit_log.record(connection, "deleted", audit_log.noun_of(model), owner_id, name)
    return len(row_ids) + left, True
