"""The JSON Schemas of sources."""

from guestbook.inbound import source_fields
from guestbook.inbound.sender_presets import SENDER_PRESETS
from guestbook.inbound.source_shapes import HEADER_FIELD, SCHEME_PROPERTIES, SOURCE_SCHEMA
from guestbook.inbound.template_presets import PRESETS
from guestbook.lib import template_sandbox, validate
from guestbook.lib.json_schema import (
    TEXT_SCHEMA,
    Schema,
    answer,
    described,
    line,
    one_of,
    or_null,
    request,
)
from guestbook.storage.models.source import ACTIONS, BUDGET_MB, VERIFY
from guestbook.web.api.schemas import OVERLAP_FIELD, list_of

SECRET_FIELD: Schema = {
    "secret": {
        "type": "string",
        "minLength": 1,
        "maxLength": source_fields.SECRET_LIMIT,
        "description": "The secret that the sender shows. Without it a new one is made, unless only the "
        "sender can make it.",
    }
}
SOURCE_FIELDS: Schema = {
    "name": line(validate.NAME_LIMIT),
    "preset": one_of(
        *SENDER_PRESETS,
        description="A known sender: it sets how the source is verified. Other fields override that.",
    ),
    "verify": one_of(*VERIFY, description="How its webhooks are verified. Another way ends the old secrets."),
    **SECRET_FIELD,
    "header": described(HEADER_FIELD, "The header with the signature of hmac or ed25519, or with the token."),
    "scheme": described(request(SCHEME_PROPERTIES), "How the sender of hmac or ed25519 signs."),
    "action": one_of(*ACTIONS, description="Keep its events, write comments, or forward them to webhooks."),
    "template": {
        "type": "string",
        "maxLength": template_sandbox.SOURCE_LIMIT,
        "description": "For the action comment: a Jinja template, or the name of a ready-made one: "
        f"{', '.join(PRESETS)}.",
    },
    "relayed": {"type": "boolean", "description": "Let webhooks know of the comments that it makes."},
    "forwarded_in_full": {
        "type": "boolean",
        "description": "Forward payloads above 14 kB too, up to 1 MB.",
    },
    "budget_mb": {
        "type": "integer",
        "minimum": source_fields.LEAST_MB,
        "maximum": source_fields.MOST_MB,
        "description": f"Megabytes for events that are not verified yet, {BUDGET_MB} by default.",
    },
    "disabled": {"type": "boolean", "description": "Store its events; they wait until it is enabled."},
}
NEW_SECRET: Schema = {
    "secret": described(
        or_null(TEXT_SCHEMA), "The sender signs with it. It is shown only in the answer that makes it."
    )
}
SOURCE_REQUEST_SCHEMAS: dict[str, Schema] = {
    "NewSource": request(SOURCE_FIELDS, required=("name",)),
    "SourceChanges": request(SOURCE_FIELDS, minProperties=1),
    "SourceTest": request(
        {
            "event": {
                **TEXT_SCHEMA,
                "maxLength": 100,
                "description": "The sample, such as issues.opened; by default the first of the sender.",
            }
        }
    ),
    "SourceRotation": request(OVERLAP_FIELD | SECRET_FIELD),
}
SOURCE_ANSWER_SCHEMAS: dict[str, Schema] = {
    "Source": answer(SOURCE_SCHEMA | NEW_SECRET, optional=("secret",)),
    "SourceWithSecret": answer(SOURCE_SCHEMA | NEW_SECRET),
    "Sources": list_of("sources", "Source"),
}
