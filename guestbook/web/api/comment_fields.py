"""The fields of a comment that programs may send."""

from guestbook.comments import comment_form, owner_question
from guestbook.lib.json_schema import Schema, described, line, or_null

COMMENT_FIELDS: Schema = {
    "name": line(comment_form.VISITOR_NAME_LIMIT),
    "website": described(
        or_null({"type": "string", "maxLength": comment_form.WEBSITE_LIMIT}),
        "A website. Without http:// or https://, https:// is added.",
    ),
    "message": line(comment_form.MESSAGE_LIMIT),
    "place": described(
        or_null({"type": "string", "maxLength": comment_form.PLACE_LIMIT}),
        "Where the visitor comes from. A new comment may have it if the book asks for it.",
    ),
    "note": described(
        or_null({"type": "string", "maxLength": comment_form.OWNER_NOTE_LIMIT}),
        "A note to the owner alone. A new comment may have it if the book asks for it.",
    ),
}
ANSWER_FIELD: Schema = {
    "answer": described(
        or_null({"type": "string", "maxLength": owner_question.ANSWER_LIMIT}),
        "The answer to the owner's question, if the book has one. "
        "The error for a wrong answer has the question.",
    ),
}
