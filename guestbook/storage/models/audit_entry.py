"""The audit log: an entry for each thing that the owner, a program or a command has done."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from guestbook.lib import clock, ids
from guestbook.lib.json_schema import (
    ID_SCHEMA,
    NUMBER_SCHEMA,
    TEXT_SCHEMA,
    TIME_SCHEMA,
    Schema,
    described,
    one_of,
    or_null,
)
from guestbook.storage.database import Base

# A receiver acts by its link; nobody is a stranger, or the program itself.
ACTORS = ("admin", "token", "command", "receiver", "nobody")
AUDITED_ACTIONS = (
    "logged_in",
    "logged_out",
    "failed",
    "added",
    "changed",
    "enabled",
    "disabled",
    "rotated",
    "revealed",
    "revoked",
    "cleared",
    "deleted",
    "redelivered",
    "reprocessed",
    "backfilled",
    "ended",
    "replayed",
)
DETAIL_LIMIT = 500  # characters
AUDIT_ENTRY_SCHEMA: Schema = {
    "id": ID_SCHEMA,
    "at": TIME_SCHEMA,
    "actor": one_of(
        *ACTORS,
        description="The owner on the admin pages, an API token, a command, a receiver by its link, "
        "or nobody known.",
    ),
    "actor_id": described(or_null(TEXT_SCHEMA), "The id of the login, the token or the link."),
    "actor_name": described(
        or_null(TEXT_SCHEMA), "The browser, the name of the token or the link, or the command."
    ),
    "action": one_of(*AUDITED_ACTIONS),
    "object": described(TEXT_SCHEMA, "The kind of object, such as webhook, token or password."),
    "object_id": or_null(TEXT_SCHEMA),
    "object_name": described(or_null(TEXT_SCHEMA), "Its name at that time."),
    "detail": described(or_null(TEXT_SCHEMA), "The names of the changed fields, and the like."),
    "number": described(NUMBER_SCHEMA, "How many: rows, or wrong passwords within a minute."),
}


class AuditEntry(Base):
    """One thing that was done. It has names and ids, but no secret and no words of a comment."""

    __tablename__ = "audit_log"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=ids.new)
    at: Mapped[datetime] = mapped_column(default=clock.now)
    actor: Mapped[str] = mapped_column(String(10))
    actor_id: Mapped[str | None] = mapped_column(String(64))
    actor_name: Mapped[str | None] = mapped_column(String(200))
    action: Mapped[str] = mapped_column(String(20))
    object: Mapped[str] = mapped_column(String(20))
    object_id: Mapped[str | None] = mapped_column(String(64))
    object_name: Mapped[str | None] = mapped_column(String(80))
    detail: Mapped[str | None] = mapped_column(String(DETAIL_LIMIT))
    number: Mapped[int]

    @property
    def remark(self) -> str:
        """Return the detail, after how many it were if not one."""
        count = f"{self.number:,} times" if self.number != 1 else ""
        return ", ".join(filter(None, (count, self.detail)))


AUDIT_LOG = AuditEntry.__table__
