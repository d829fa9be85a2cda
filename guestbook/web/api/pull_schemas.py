"""The JSON Schemas of the calls with which a receiver fetches its deliveries."""

from guestbook.lib.json_schema import (
    HEADERS_SCHEMA,
    ID_SCHEMA,
    NUMBER_SCHEMA,
    TEXT_SCHEMA,
    Schema,
    answer,
    described,
    or_null,
    ref,
    request,
)
from guestbook.outbound import pull

LONGEST_ATTEMPT = 24 * 3600 * 1000  # milliseconds
ERROR_TEXT_LIMIT = 300  # characters

RESULT_SCHEMA = request(
    {
        "id": ID_SCHEMA,
        "ok": described({"type": "boolean"}, "True if the receiver has it and needs no other attempt."),
        "status_code": or_null({"type": "integer", "minimum": 100, "maximum": 999}),
        "error": described(or_null({**TEXT_SCHEMA, "maxLength": ERROR_TEXT_LIMIT}), "Why it failed."),
        "milliseconds": {**NUMBER_SCHEMA, "maximum": LONGEST_ATTEMPT, "default": 0},
    },
    required=("id", "ok"),
)
PULL_REQUEST_SCHEMAS: dict[str, Schema] = {
    "Commit": request(
        {
            "token": described(ID_SCHEMA, "The one that came with the deliveries."),
            "results": {"type": "array", "items": RESULT_SCHEMA, "minItems": 1, "maxItems": pull.MOST_TAKEN},
        },
        required=("token", "results"),
    )
}
PULL_ANSWER_SCHEMAS: dict[str, Schema] = {
    "TakenDelivery": answer(
        {
            "id": ID_SCHEMA,
            "event": TEXT_SCHEMA,
            "payload": described(TEXT_SCHEMA, "The exact body."),
            "headers": described(HEADERS_SCHEMA, "The headers of the request, with the signatures."),
        }
    ),
    "TakenDeliveries": answer(
        {
            "token": described(ID_SCHEMA, "Send it with the commit."),
            "lease_seconds": described(NUMBER_SCHEMA, "Commit within it, or they are handed out again."),
            "retry_after": described(NUMBER_SCHEMA, "Ask again after so many seconds."),
            "deliveries": {"type": "array", "items": ref("TakenDelivery")},
        }
    ),
    "Committed": answer(
        {
            "recorded": described(NUMBER_SCHEMA, "The number of results that count."),
            "late": described(NUMBER_SCHEMA, "The number of those whose lease had run out."),
        }
    ),
}
