"""The JSON Schemas of previews, and of the password that shows a secret."""

from guestbook.auth import login
from guestbook.comments.comment_form import DRAFT_FIELDS
from guestbook.lib import template_sandbox
from guestbook.lib.json_schema import (
    ID_SCHEMA,
    TEXT_SCHEMA,
    Schema,
    answer,
    described,
    one_of,
    or_null,
    request,
)
from guestbook.outbound.event_catalogue import EVENTS
from guestbook.outbound.formats import FORMATS
from guestbook.storage.models.source import VERIFY
from guestbook.web.api.schemas import WEBHOOK_FIELDS

TEMPLATE_FIELD: Schema = {"type": "string", "maxLength": template_sandbox.SOURCE_LIMIT}
PAYLOAD_PREVIEW: Schema = {
    "format": one_of(*FORMATS),
    "event": one_of(*EVENTS),
    "is_real": described({"type": "boolean"}, "Whether it shows a comment of the book, not a sample."),
    "body": described(or_null(TEXT_SCHEMA), "The body; JSON is indented."),
    "error": described(or_null(TEXT_SCHEMA), "Why there is no body."),
}
PREVIEW_REQUESTS: dict[str, Schema] = {
    "WebhookPreview": request({
        "url": described({"type": "string", "maxLength": WEBHOOK_FIELDS["url"]["maxLength"]}, "Its URL."),
        "format": one_of(*FORMATS, description="Without it, the one that the URL suggests."),
        "events": described(WEBHOOK_FIELDS["events"], "The first one is shown."),
        "template": described(TEMPLATE_FIELD, "For the format template."),
    }),
    "SourcePreview": request({
        "source": described(ID_SCHEMA, "Try the latest events of this source, if it has any."),
        "verify": one_of(*VERIFY, description="Without a source: the kind whose samples are tried."),
        "template": described(TEMPLATE_FIELD, "A template, or the name of a ready-made one."),
    }),
    "Reveal": request(
        {
            "password": {
                "type": "string",
                "minLength": 1,
                "maxLength": login.LONGEST,
                "description": "The owner's password. Wrong ones count as on the login page.",
            }
        },
        required=("password",),
    ),
}  # fmt: skip
PREVIEW_ANSWERS: dict[str, Schema] = {
    "PayloadPreview": answer(PAYLOAD_PREVIEW),
    "CommentPreview": answer({
        "event": described(TEXT_SCHEMA, "The event that was tried, in words."),
        "comment": {
            "description": "The comment, if there is one.",
            "oneOf": [answer(dict.fromkeys(DRAFT_FIELDS, or_null(TEXT_SCHEMA))), {"type": "null"}],
        },
        "sentence": described(or_null(TEXT_SCHEMA), "Why there is no comment."),
        "is_error": {"type": "boolean"},
    }),
    "Secret": answer({"secret": described(or_null(TEXT_SCHEMA), "The secret; null if it has none.")}),
}  # fmt: skip
