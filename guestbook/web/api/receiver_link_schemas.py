"""The JSON Schemas of links to the page of a webhook's receiver."""

from guestbook.lib.json_schema import (
    ID_SCHEMA,
    TEXT_SCHEMA,
    TIME_SCHEMA,
    Schema,
    answer,
    described,
    one_of,
    or_null,
)
from guestbook.web.api.schemas import list_of

RECEIVER_LINK_SCHEMA: Schema = {
    "id": ID_SCHEMA,
    "webhook_id": ID_SCHEMA,
    "name": described(TEXT_SCHEMA, "The person or team that gets the link."),
    "state": one_of("works", "expired", "revoked"),
    "created_at": TIME_SCHEMA,
    "expires_at": TIME_SCHEMA,
    "revoked_at": or_null(TIME_SCHEMA),
    "last_used_at": described(or_null(TIME_SCHEMA), "Its last use, to the hour."),
}
RECEIVER_LINK_ANSWERS: dict[str, Schema] = {
    "ReceiverLink": answer(RECEIVER_LINK_SCHEMA),
    "ReceiverLinks": list_of("receiver_links", "ReceiverLink"),
}
