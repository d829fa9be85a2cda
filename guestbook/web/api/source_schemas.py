"""The JSON Schemas of sources."""

from guestbook.inbound import scheme_fields, source_fields
from guestbook.inbound.sender_presets import SENDER_PRESETS
from guestbook.inbound.template_presets import PRESETS
from guestbook.lib import template_sandbox, validate
from guestbook.lib.json_schema import (
    ID_SCHEMA,
    NUMBER_SCHEMA,
    TEXT_SCHEMA,
    TIME_SCHEMA,
    URL_SCHEMA,
    Schema,
    answer,
    described,
    one_of,
    or_null,
    request,
)
from guestbook.lib.verification.signature_headers import TOLERANCE
from guestbook.lib.verification.signature_scheme import SIGNATURE_ENCODINGS, SIGNATURE_HASHES, SIGNED_CONTENTS
from guestbook.storage.models.source import ACTIONS, BUDGET_MB, MENTIONS, VERIFY
from guestbook.web.api.schemas import OVERLAP_FIELD, list_of

HEADER_FIELD: Schema = {"type": "string", "maxLength": scheme_fields.HEADER_LIMIT}
SCHEME_PROPERTIES: Schema = {
    "hash": one_of(*SIGNATURE_HASHES, description="The hash of hmac, sha256 by default; ed25519 has none."),
    "encoding": one_of(*SIGNATURE_ENCODINGS, description="How the signature is written, in hex by default."),
    "prefix": {**TEXT_SCHEMA, "maxLength": 20, "description": "The text before the signature."},
    "content": one_of(*SIGNED_CONTENTS, description="The content that is signed, {body} by default."),
    "timestamp_header": described(HEADER_FIELD, "The header with the signed time, if there is one."),
    "tolerance": {
        "type": "integer",
        "minimum": 1,
        "maximum": scheme_fields.LONGEST_TOLERANCE,
        "description": f"How many seconds the signed time may be from the receipt, {TOLERANCE} by default.",
    },
}
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
    "name": {"type": "string", "minLength": 1, "maxLength": validate.NAME_LIMIT},
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
SOURCE_SCHEMA: Schema = {
    "id": ID_SCHEMA,
    "name": TEXT_SCHEMA,
    "url": described(URL_SCHEMA, "The URL to give to the sender."),
    "verify": one_of(*VERIFY),
    "header": or_null(TEXT_SCHEMA),
    "scheme": {
        "description": "How the sender of hmac or ed25519 signs; null if the kind says it.",
        "oneOf": [answer(SCHEME_PROPERTIES, optional=("hash",)), {"type": "null"}],
    },
    "action": one_of(*ACTIONS, MENTIONS),
    "template": described(or_null(TEXT_SCHEMA), "Its template, for the action comment."),
    "relayed_since": described(
        or_null(TIME_SCHEMA), "Since when webhooks know of the comments that it makes; null: never."
    ),
    "forwarded_in_full_since": described(
        or_null(TIME_SCHEMA), "Since when it forwards payloads above 14 kB too; null: never."
    ),
    "budget_mb": NUMBER_SCHEMA,
    "created_at": TIME_SCHEMA,
    "previous_secret_expires_at": described(or_null(TIME_SCHEMA), "Until when the old secret is valid too."),
    "disabled_at": or_null(TIME_SCHEMA),
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
