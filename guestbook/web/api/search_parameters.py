"""The query parameters that look for words, and those that the admin lists have."""

from guestbook.lib.json_schema import ID_SCHEMA, TIME_SCHEMA, Schema
from guestbook.queries import lists
from guestbook.web.api.query_parameters import in_query

WORD_SCHEMA: Schema = {"type": "string", "minLength": 1, "maxLength": lists.LETTERS}
LOOKS_BACK = "A page looks at some thousand rows and may be short: go on with `next`."
COMMENT_SEARCH = (
    in_query(
        "words",
        WORD_SCHEMA,
        "Only comments that have each of these words in a field that the visitor typed; needs a token. "
        + LOOKS_BACK,
    ),
)
TEXT_PARAMETER = in_query(
    "text",
    WORD_SCHEMA,
    "Only rows with this text in the payload, or in what became of it; needs the scope `manage`, because "
    f"payloads may have addresses that work like passwords. {LOOKS_BACK}",
)
DELIVERY_SEARCH = (
    in_query("comment", ID_SCHEMA, "Only deliveries about this comment."),
    TEXT_PARAMETER,
)
INBOX_SEARCH = (
    in_query("event", WORD_SCHEMA, "Only events of this name; `issues` is `issues.opened` too."),
    in_query("sender", WORD_SCHEMA, "Only events whose sender has this in its name."),
    in_query("external_id", WORD_SCHEMA, "Only the event with this id of the sender."),
    in_query("since", TIME_SCHEMA, "Only events received at this time or later."),
    in_query("until", TIME_SCHEMA, "Only events received before this time."),
    TEXT_PARAMETER,
)
