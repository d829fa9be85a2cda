"""Enable, disable and name rows of the owner, and note when one is used or revealed.

Commands, pages and the API call these.
"""

import logging
from datetime import datetime, timedelta
from itertools import count

from sqlalchemy import Engine, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import get_history

from guestbook.lib import clock, validate
from guestbook.lib.errors import Refused
from guestbook.storage import audit_log, database, new_work
from guestbook.storage.models import Bin, ReceiverLink, Source, Token, Webhook

Named = Webhook | Source | Bin | Token


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


def free_name(session: Session, model: type[Named], name: str) -> str:
    """Return a name that nobody chose, with a number behind it if another row of its kind has it."""
    base = name[: validate.NAME_LIMIT - 7]
    taken = set(session.scalars(select(model.name).where(model.name.startswith(base, autoescape=True))))
    numbered = (f"{base} {number}" for number in count(2))
    return next(filter(lambda one: one not in taken, numbered)) if name in taken else name


def enable(session: Session, row: Webhook | Source) -> None:
    """Enable a row; a webhook also before its pause is over."""
    row.enable()
    session.flush()
    new_work.note(session.connection())  # what has waited for this
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


USE_NOTED = timedelta(hours=1)  # how exact the last use is

log = logging.getLogger(__name__)


def is_use_due(row: Token | ReceiverLink, now: datetime) -> bool:
    """Whether a use of the row is to be noted: the last one was noted an hour ago, or never."""
    return row.last_used_at is None or now - row.last_used_at >= USE_NOTED


def note_use(engine: Engine, model: type[Token] | type[ReceiverLink], row_id: str, now: datetime) -> None:
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
