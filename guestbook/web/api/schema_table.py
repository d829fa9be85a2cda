"""Every JSON Schema of requests and of answers, by its name in the OpenAPI document."""

from guestbook.lib.json_schema import Schema
from guestbook.web.api import schemas
from guestbook.web.api.call_table import owner_calls, queue_calls, source_calls, webhook_calls

REQUEST_BODIES: dict[str, Schema] = {
    **schemas.REQUEST_SCHEMAS,
    **webhook_calls.PULL_REQUEST_SCHEMAS,
    **source_calls.SOURCE_REQUEST_SCHEMAS,
    **source_calls.BIN_REQUEST_BODIES,
    **owner_calls.SETTINGS_REQUESTS,
    **queue_calls.BULK_REQUESTS,
    **webhook_calls.BACKFILL_REQUESTS,
    **owner_calls.PREVIEW_REQUESTS,
}
ANSWER_BODIES: dict[str, Schema] = {
    **schemas.ANSWER_SCHEMAS,
    **webhook_calls.PULL_ANSWER_SCHEMAS,
    **source_calls.SOURCE_ANSWER_SCHEMAS,
    **source_calls.BIN_ANSWER_BODIES,
    **owner_calls.SETTINGS_ANSWERS,
    **owner_calls.STATISTICS_ANSWERS,
    **queue_calls.BULK_ANSWERS,
    **webhook_calls.BACKFILL_ANSWERS,
    **owner_calls.PREVIEW_ANSWERS,
    **owner_calls.PRESET_ANSWERS,
    **owner_calls.CARE_ANSWERS,
}
