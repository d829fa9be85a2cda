"""The headers of requests that the OpenAPI document describes."""

from typing import Any

from guestbook.lib.json_schema import TEXT_SCHEMA

KEY_HEADER = "Idempotency-Key"
KEY_PATTERN = "^[!-~]([ -~]*[!-~])?$"
KEY_LIMIT = 255  # characters
IF_MATCH: dict[str, Any] = {
    "name": "If-Match",
    "in": "header",
    "schema": TEXT_SCHEMA,
    "description": "The `ETag` that you have read. If it changed since, the answer is 412.",
}
IDEMPOTENCY_KEY: dict[str, Any] = {
    "name": KEY_HEADER,
    "in": "header",
    "schema": {"type": "string", "pattern": KEY_PATTERN, "maxLength": KEY_LIMIT},
    "description": "Your string for this request, such as a UUID in double quotes. If you repeat the request "
    "with it within 24 hours, you get the first answer, and nothing changes.",
}
