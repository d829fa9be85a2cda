"""A comment as JSON, for the API and the commands, with its schema."""

from typing import Any

from guestbook.lib import clock, json_schema as schema
from guestbook.lib.json_schema import Schema
from guestbook.outbound.event_catalogue import ORIGIN_SCHEMA, PUBLIC_COMMENT_FIELDS, REPLY_PART
from guestbook.queries.public_comments import PublicComment
from guestbook.storage.comment_fields import PUBLIC_FIELDS
from guestbook.storage.models import Comment
from guestbook.storage.models.comment import DECIDERS, DECISIONS

DECISION_SCHEMA: Schema = {
    "at": schema.TIME,
    "action": schema.one_of(*DECISIONS),
    "actor": schema.one_of(*DECIDERS),
    "name": schema.text_or_null("The name of a token, a command or a source."),
}
COMMENT_SCHEMA: Schema = {
    **PUBLIC_COMMENT_FIELDS,
    "reply": {"description": "The owner's reply.", "oneOf": [REPLY_PART.schema, {"type": "null"}]},
    "origin": ORIGIN_SCHEMA,
    "note": schema.text_or_null("The visitor's note to the owner; needs a token."),
    "reason": schema.text_or_null("Why it was held or marked as spam; needs a token."),
    "reasons": schema.array(
        schema.TEXT,
        "All reasons of the spam rules for its first status, also of a published one; needs a token.",
    ),
    "decisions": schema.array(
        schema.answer(DECISION_SCHEMA),
        "The decisions about it, the newest first; needs a token with the scope moderate.",
    ),
}


def public(row: Comment, base_url: str) -> dict[str, Any]:
    """Return a comment as everybody may see it."""
    shape: dict[str, Any] = row.public(base_url)
    return shape | {"reply": row.reply.public() if row.reply else None}


def for_owner(row: Comment, base_url: str) -> dict[str, Any]:
    """Return a comment with its note, the reasons for its status, and who decided."""
    return public(row, base_url) | {
        "note": row.note,
        "reason": row.reason,
        "reasons": row.all_reasons,
        "decisions": [one.public() for one in row.all_decisions],
    }


def on_page(comment: PublicComment, base_url: str) -> dict[str, Any]:
    """Return a published comment of a page, without its status, in the same shape."""
    fields = {
        "id": comment.id,
        **{name: getattr(comment, name) for name in PUBLIC_FIELDS},
        "created_at": clock.to_text(comment.created_at),
        "number": comment.number,
        "page": comment.page,
        "url": f"{base_url}/comments/{comment.id}",
        "reply": None,
    }
    if comment.reply and comment.replied_at:
        fields["reply"] = {"message": comment.reply, "created_at": clock.to_text(comment.replied_at)}
    if comment.origin:
        fields["origin"] = {"name": comment.origin, "url": comment.origin_url}
    return fields
