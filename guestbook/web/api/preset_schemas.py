"""The JSON Schemas of presets."""

from guestbook.inbound.source_shapes import SOURCE_SCHEMA
from guestbook.lib.json_schema import HEADERS_SCHEMA, TEXT_SCHEMA, Schema, answer, described, or_null
from guestbook.outbound.rebuild_presets import PLACEHOLDERS
from guestbook.outbound.webhook_shapes import EVENTS_SCHEMA

SENDER_PRESET: Schema = {
    "name": described(TEXT_SCHEMA, "The value of `preset` for a new source."),
    "title": TEXT_SCHEMA,
    **{name: SOURCE_SCHEMA[name] for name in ("verify", "header", "scheme")},
    "template": described(or_null(TEXT_SCHEMA), "The ready-made template that makes comments of its events."),
    "secret_from": described(or_null(TEXT_SCHEMA), "Where to find the secret, if the sender makes it."),
}
TEMPLATE_PRESET: Schema = {
    "name": described(TEXT_SCHEMA, "It may stand in place of the text in a source's `template`."),
    "text": TEXT_SCHEMA,
}
WEBHOOK_PRESET: Schema = {
    "name": TEXT_SCHEMA,
    "title": TEXT_SCHEMA,
    "url": described(TEXT_SCHEMA, f"Replace {', '.join(PLACEHOLDERS)} by yours, also in the headers."),
    "events": EVENTS_SCHEMA,
    "headers": HEADERS_SCHEMA,
    "template": TEXT_SCHEMA,
}
PRESET_ANSWERS: dict[str, Schema] = {
    "Presets": answer(
        {
            "senders": {"type": "array", "items": answer(SENDER_PRESET)},
            "templates": {"type": "array", "items": answer(TEMPLATE_PRESET)},
            "webhooks": {
                "type": "array",
                "items": answer(WEBHOOK_PRESET),
                "description": "Webhooks that let a host of static sites build a site again.",
            },
        }
    )
}
