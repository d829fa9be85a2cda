"""Every JSON Schema of requests and of answers, by its name in the OpenAPI document."""

from guestbook.lib.json_schema import Schema
from guestbook.web.api import (
    backfill_schemas,
    bin_schemas,
    bulk_schemas,
    care_schemas,
    preset_schemas,
    preview_schemas,
    pull_schemas,
    schemas,
    settings_schemas,
    source_schemas,
    statistics_schemas,
)

REQUEST_BODIES: dict[str, Schema] = {
    **schemas.REQUEST_SCHEMAS,
    **pull_schemas.PULL_REQUEST_SCHEMAS,
    **source_schemas.SOURCE_REQUEST_SCHEMAS,
    **bin_schemas.BIN_REQUEST_BODIES,
    **settings_schemas.SETTINGS_REQUESTS,
    **bulk_schemas.BULK_REQUESTS,
    **backfill_schemas.BACKFILL_REQUESTS,
    **preview_schemas.PREVIEW_REQUESTS,
}
ANSWER_BODIES: dict[str, Schema] = {
    **schemas.ANSWER_SCHEMAS,
    **pull_schemas.PULL_ANSWER_SCHEMAS,
    **source_schemas.SOURCE_ANSWER_SCHEMAS,
    **bin_schemas.BIN_ANSWER_BODIES,
    **settings_schemas.SETTINGS_ANSWERS,
    **statistics_schemas.STATISTICS_ANSWERS,
    **bulk_schemas.BULK_ANSWERS,
    **backfill_schemas.BACKFILL_ANSWERS,
    **preview_schemas.PREVIEW_ANSWERS,
    **preset_schemas.PRESET_ANSWERS,
    **care_schemas.CARE_ANSWERS,
}
