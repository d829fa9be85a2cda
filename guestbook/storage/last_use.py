"""When a token or a link was last used, to the hour: a request that only reads should not write."""

import logging
from datetime import datetime, timedelta

from sqlalchemy import Engine, select, update
from sqlalchemy.exc import SQLAlchemyError

from guestbook.storage import database
from guestbook.storage.models import ReceiverLink, Token

USE_NOTED = timedelta(hours=1)  # how exact the last use is

log = logging.getLogger(__name__)


def is_due(row: Token | ReceiverLink, now: datetime) -> bool:
    """Whether a use of the row is to be noted: the last one was noted an hour ago, or never."""
    return row.last_used_at is None or now - row.last_used_at >= USE_NOTED


def note(engine: Engine, model: type[Token] | type[ReceiverLink], row_id: str, now: datetime) -> None:
    """Remember that a row was used, where that can be written at once; no transaction may be open.

    A read must not wait for a writer, nor fail because nothing can be written: then the next use is noted.
    """
    mine = model.id == row_id
    try:
        with database.write(engine, lock_wait=0) as connection:
            if connection.scalar(select(model.id).where(mine).with_for_update(skip_locked=True)):
                connection.execute(update(model).where(mine).values(last_used_at=now))
    except SQLAlchemyError as error:
        log.debug("The use of a row of %s was not noted: %s", model.__tablename__, error)
