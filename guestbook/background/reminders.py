"""The part of a pass that reminds the owner of comments that wait."""

import logging

from sqlalchemy import Engine

from guestbook.comments import holds
from guestbook.lib.text import counted
from guestbook.settings import Settings
from guestbook.storage import database, transaction_retry

log = logging.getLogger(__name__)


def are_due(engine: Engine) -> bool:
    """Whether the owner should be reminded now; it only reads."""
    with database.read(engine) as connection:
        return holds.anything_to_remind(connection)


def remind(engine: Engine, settings: Settings) -> None:
    """Store the reminder, if one is due; the same pass sends it."""
    if not are_due(engine):
        return
    count = transaction_retry.write(engine, lambda connection: holds.remind(connection, settings))
    if count:
        log.info("Reminded of %s.", counted(count, "held comment"), extra={"held_comments": count})
