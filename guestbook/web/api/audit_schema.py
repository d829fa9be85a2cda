"""The JSON Schemas of the audit log."""

from guestbook.lib.json_schema import (
    ID_SCHEMA,
    NUMBER_SCHEMA,
    TEXT_SCHEMA,
    TIME_SCHEMA,
    Schema,
    answer,
    described,
    one_of,
    or_null,
)
from guestbook.storage.models.audit_entry import ACTORS, AUDITED_ACTIONS
from guestbook.web.api.schemas import list_of

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
AUDIT_SCHEMAS: dict[str, Schema] = {
    "AuditEntry": answer(AUDIT_ENTRY_SCHEMA),
    "AuditEntries": list_of("audit", "AuditEntry"),
}
