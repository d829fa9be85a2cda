"""/comments and /moderate: everybody may read and write; moderation needs a token."""

from dataclasses import replace
from typing import Any

from flask import abort, g, make_response
from sqlalchemy.orm import Session
from werkzeug.exceptions import Forbidden, TooManyRequests

from guestbook.comments import comment_actions, comment_form, comment_json, submission
from guestbook.comments.comment_actions import BULK_LIMIT, MODERATION_ACTIONS, REPLY_LIMIT
from guestbook.comments.comment_form import DRAFT_FIELDS, WRONG_ANSWER_OF_PROGRAM
from guestbook.comments.comment_json import COMMENT_SCHEMA
from guestbook.comments.spam import spam_report
from guestbook.lib import json_schema as schema, validate
from guestbook.lib.errors import Refused, refusing
from guestbook.lib.json_schema import Schema
from guestbook.queries import filtered_lists
from guestbook.storage import engines
from guestbook.storage.comment_fields import COMMENT_FIELDS, CommentField
from guestbook.storage.database import db, writing
from guestbook.storage.models import Comment
from guestbook.storage.models.comment import COMMENT_STATUSES
from guestbook.web import book_signing, embed, request_context, response_headers
from guestbook.web.api import authentication, idempotency, request_reader, row_calls
from guestbook.web.api.api_call import LOOKS_BACK, PAGE_QUERY, Answer, Calls, list_of, word
from guestbook.web.row_lookup import find, find_locked_comment

COMMENT_QUERY = {
    **PAGE_QUERY,
    "after": schema.id_("Only rows newer than the one with this id."),
    "status": schema.one_of(
        *("all", *COMMENT_STATUSES),
        default="published",
        description="Any status but published needs a token.",
    ),
    "words": word(
        "Only comments that have each of these words in a field that the visitor typed; needs a token. "
        + LOOKS_BACK
    ),
    "page": schema.text(
        "Only comments about the page of a website with this address.",
        minLength=1,
        maxLength=validate.PAGE_LIMIT,
    ),
}


def _input_schema(field: CommentField) -> Schema:
    if field.missing:
        return schema.line(field.limit)
    meaning = field.input_meaning or field.meaning
    may = " A new comment may have it if the book asks for it." if field.asked_by else ""
    return schema.text_or_null(meaning + may, maxLength=field.limit)


TYPED_FIELDS: Schema = {name: _input_schema(COMMENT_FIELDS[name]) for name in DRAFT_FIELDS}
ANSWERED = (
    "The answer to the owner's question, if there is one. The error for a wrong answer has the question."
)

calls = Calls(
    "comments",
    NewComment=schema.request(
        TYPED_FIELDS,
        answer=schema.text_or_null(ANSWERED, maxLength=comment_form.ANSWER_LIMIT),
        page=schema.text_or_null(
            "The address of the page that it is about, of a website that may show the book.",
            maxLength=validate.PAGE_LIMIT,
        ),
        required=("name", "message"),
    ),
    CommentChanges=schema.request(
        status=schema.one_of(*COMMENT_STATUSES),
        **TYPED_FIELDS,
        reply=schema.text_or_null("The owner's reply; null or empty removes it.", maxLength=REPLY_LIMIT),
        least=1,
    ),
    Moderation=schema.request(
        action=schema.one_of(
            *MODERATION_ACTIONS,
            description="restore moves them from the trash or the spam to where they were, and "
            "delete removes them for good.",
        ),
        ids=schema.array(schema.ID, "These comments.", minItems=1, maxItems=BULK_LIMIT, uniqueItems=True),
        required=("action", "ids"),
    ),
    Comment=schema.answer(COMMENT_SCHEMA, optional=("origin", "note", "reason", "reasons", "decisions")),
    Comments=list_of("comments", "Comment"),
    Moderated=schema.answer(
        done=schema.array(schema.ID, "The ids of the comments to which it was done."),
        missing=schema.array(schema.ID, "The ids that no comment has."),
    ),
)


@calls.serve("GET /comments", {200: "Comments"}, query=COMMENT_QUERY, token="optional")
def list_comments() -> Answer:
    """List comments."""
    query = request_reader.query()
    status = query.pop("status")
    if (status != "published" or "words" in query) and not authentication.has_token():
        # A search finds words in notes to the owner, too.
        authentication.refuse()
    if "page" in query:
        with refusing("page", ValueError):
            query["page"] = validate.web_page(query["page"])
    page = filtered_lists.comments(db.session(), None if status == "all" else status, **query)
    return row_calls.page("comments", page, _shown)


@calls.serve(
    "POST /comments", {201: "Comment", 202: "Comment"}, errors=(403, 429), body="NewComment", token="ignored"
)
def create_comment() -> Answer:
    """Add a comment: 201 when it is published, 202 when the owner reviews it first.

    Spam looks like a held comment, so that a program learns nothing.
    """
    if request_context.preferences().closed:
        spam_report.count_refusal("closed")
        raise Forbidden("The book is closed for new comments.")
    try:
        entry, page = _read_comment()
        submission.submit(entry, replace(book_signing.visitor(), page=page), then=_answer_signed)
    except submission.TooManyComments as error:
        spam_report.count_refusal("rate")
        raise TooManyRequests(str(error), retry_after=error.seconds) from None
    except Refused as error:
        spam_report.count_refusal(*error.fields)
        raise
    return make_response(g.signed)


@calls.serve("GET /comments/{comment_id}", {200: "Comment"}, token="optional")
def get_comment(comment_id: str) -> Answer:
    """Show a comment."""
    comment = find(Comment, comment_id)
    if comment.status != "published" and not authentication.has_token():
        abort(404)
    return _shown(comment)


@calls.serve("PATCH /comments/{comment_id}", {200: "Comment"}, body="CommentChanges", may_match=True)
def update_comment(comment_id: str) -> Answer:
    """Edit, moderate or reply to a comment.

    The text changes first, then the status, then the reply, so webhooks receive the final state.
    """
    changes = request_reader.body(_errors)
    with writing() as session:
        comment = find_locked_comment(comment_id)
        response_headers.refuse_if_changed(authentication.mask(make_response(_shown(comment))))
        if any(name in changes for name in DRAFT_FIELDS):
            typed = comment_form.draft_of(comment).values | changes
            comment_actions.edit(session, comment, _draft(typed), request_context.settings())
        if "status" in changes:
            comment_actions.decide(session, comment, changes["status"], request_context.settings())
        if "reply" in changes:
            comment_actions.reply(session, comment, changes["reply"] or "", request_context.settings())
        return _shown(comment)


@calls.serve("DELETE /comments/{comment_id}", {204: None}, may_match=True)
def delete_comment(comment_id: str) -> Answer:
    """Delete a comment for good."""
    with writing() as session:
        comment = find_locked_comment(comment_id)
        response_headers.refuse_if_changed(authentication.mask(make_response(_shown(comment))))
        comment_actions.delete(session, comment, request_context.settings())
    engines.clear_wal(db.engine)
    return "", 204


def _answer_signed(session: Session, comment: Comment) -> None:
    held = {} if comment.status == "published" else {"status": "held"}
    g.signed = idempotency.keep(session, _shown(comment) | held, 202 if held else 201)


def _read_comment() -> tuple[comment_form.Draft, str | None]:
    """Return the comment in the body and its page.

    Raises Refused, also for a wrong answer to the owner's question.
    """
    fields, asks = request_reader.body(_errors), request_context.preferences()
    entry, left_out = _draft(fields), comment_form.fields_left_out(asks)
    unasked = {name: f"This book asks for no {name}." for name in left_out if fields.get(name)}
    errors = {**entry.errors, **comment_form.errors_of_choices(entry, asks, {}), **unasked}
    if asks.question and not comment_form.is_right_answer(fields.get("answer") or "", asks.answers):
        errors["answer"] = WRONG_ANSWER_OF_PROGRAM.format(asks.question)
    page = None
    try:
        page = embed.allowed_page(fields["page"]) if fields.get("page") else None
    except ValueError as error:
        errors["page"] = str(error)
    if errors:
        raise Refused.of(errors)
    return entry, page


def _draft(fields: dict[str, Any]) -> comment_form.Draft:
    return comment_form.read({name: fields.get(name) or "" for name in DRAFT_FIELDS})


def _errors(fields: dict[str, Any]) -> dict[str, str]:
    """Return the errors of the given fields."""
    return {name: reason for name, reason in _draft(fields).errors.items() if name in fields}


@calls.serve("POST /moderate", {200: "Moderated"}, body="Moderation")
def moderate_comments() -> Answer:
    """Publish, hold, restore or delete many comments, or mark them as spam."""
    given = request_reader.body()
    with writing() as session:
        found = comment_actions.lock(session, given["ids"])
        done = [comment.id for comment in found]
        for comment in found:
            comment_actions.act(session, comment, given["action"], request_context.settings())
        missing = [row_id for row_id in given["ids"] if row_id not in done]
        answer = idempotency.keep(session, {"done": done, "missing": missing})
    if given["action"] == "delete":
        engines.clear_wal(db.engine)
    return answer


def _shown(row: Comment) -> dict[str, Any]:
    """Return a comment; with a token also the note and the reasons, and who decided if it may moderate."""
    if not authentication.has_token():
        return comment_json.public(row, request_context.settings().base_url)
    shape = comment_json.for_owner(row, request_context.settings().base_url)
    if not authentication.may("moderate"):
        del shape["decisions"]
    return shape
