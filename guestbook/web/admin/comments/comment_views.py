"""The pages of comments: moderate, edit, reply, delete."""

from collections.abc import Mapping, Sequence

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from guestbook.comments import book, comment_form, reply_size
from guestbook.comments.comment_form import Draft
from guestbook.lib import ids
from guestbook.lib.errors import Refused
from guestbook.queries import lists
from guestbook.storage import engine_setup
from guestbook.storage.database import db, writing
from guestbook.storage.models import Comment, Delivery
from guestbook.web import current, row_lookup
from guestbook.web.admin import responses
from guestbook.web.admin.comments import comment_actions, comment_list
from guestbook.web.admin.comments.comment_list import CommentFilter

pages = Blueprint("comments", __name__, url_prefix="/comments")


@pages.get("/")
def index() -> ResponseReturnValue:
    """List the comments of a tab, or those that match a search."""
    return comment_list.show(CommentFilter.read(request.args))


@pages.get("/<comment_id>")
def show(comment_id: str) -> ResponseReturnValue:
    """Show a comment with everything known about it."""
    return _page(row_lookup.find(Comment, comment_id))


@pages.post("/<comment_id>")
def edit(comment_id: str) -> ResponseReturnValue:
    """Correct a comment."""
    draft = comment_form.read(request.form)
    try:
        with writing() as session:
            comment = row_lookup.find_locked_comment(comment_id)
            is_done = draft.values == book.typed(comment)  # the second click of a double click
            changed = [] if is_done else comment_actions.changed_since([comment], request.form)
            notice = comment_actions.changed_sentence(changed)
            if notice is None:
                book.edit(session, comment, draft, current.settings())
    except Refused as error:
        return _page(row_lookup.find(Comment, comment_id), draft=draft, reasons=error.fields), 422
    if notice:
        shown = row_lookup.find(Comment, comment_id)
        return _page(shown, draft=draft, notice=notice, reasons=draft.errors), 409
    return responses.done("The comment is changed.", ".show", comment_id=comment_id)


@pages.post("/<comment_id>/reply")
def reply(comment_id: str) -> ResponseReturnValue:
    """Add, change or remove the reply."""
    text = request.form.get("reply", "")
    try:
        with writing() as session:
            comment = row_lookup.find_locked_comment(comment_id)
            notice = comment_actions.changed_sentence(comment_actions.changed_since([comment], request.form))
            if notice is None:
                book.reply(session, comment, text, current.settings())
            sentence = _reply_sentence(comment)
    except Refused as error:
        return _page(row_lookup.find(Comment, comment_id), reply=text, reasons=error.fields), 422
    if notice:
        return _page(row_lookup.find(Comment, comment_id), reply=text, notice=notice), 409
    return responses.done(sentence, ".show", comment_id=comment_id)


def _reply_sentence(comment: Comment) -> str:
    if not comment.reply:
        return "The comment has no reply now."
    if comment.status != "published":
        return "Your reply is saved. It appears in the book when you publish the comment."
    return "Your reply is in the book."


@pages.post("/<comment_id>/<any(publish, hold, spam, trash, restore):action>")
def move(comment_id: str, action: str) -> ResponseReturnValue:
    """Change the status of a comment."""
    is_from_list, chosen = "status" in request.form, CommentFilter.read(request.form)
    back = chosen.address if is_from_list else url_for(".show", comment_id=comment_id)
    with writing() as session:
        comment = row_lookup.find_locked_comment(comment_id)
        changed = comment_actions.changed_since([comment], request.form, action)
        notice = comment_actions.changed_sentence(changed)
        undo_id = None if changed else comment_actions.run_many(session, [comment], action, back)
        sentence = f"The comment by {comment.name} {comment_actions.STATUS_SENTENCES[comment.status]}."
    if notice:
        if is_from_list:
            return comment_list.show(chosen, notice), 409
        return _page(row_lookup.find(Comment, comment_id), notice=notice), 409
    if is_from_list:
        return responses.done(sentence, ".index", undo=undo_id, **chosen.values)
    return responses.done(sentence, ".show", undo=undo_id, comment_id=comment_id)


@pages.route("/<comment_id>/delete", methods=["GET", "POST"])
def delete(comment_id: str) -> ResponseReturnValue:
    """Ask before a comment is deleted for good; POST deletes it."""
    chosen = CommentFilter.read(request.values)
    target = url_for(".delete", comment_id=comment_id)
    if request.method != "POST":
        return _confirm([row_lookup.find(Comment, comment_id)], chosen, target)
    with writing() as session:
        comment = row_lookup.find_locked_comment(comment_id)
        sentence = f"The comment by {comment.name} is deleted."
        notice = comment_actions.changed_sentence(comment_actions.changed_since([comment], request.form))
        if notice is None:
            book.delete(session, comment, current.settings())
    if notice:
        return _confirm([row_lookup.find(Comment, comment_id)], chosen, target, notice), 409
    engine_setup.clear_wal(db.engine)
    return responses.done(sentence, ".index", **chosen.values)


@pages.post("/bulk")
def bulk() -> ResponseReturnValue:
    """Do the same to all selected comments; ask before deleting."""
    chosen = CommentFilter.read(request.form)
    row_ids, action = list(dict.fromkeys(request.form.getlist("id"))), request.form.get("action", "")
    if notice := comment_actions.objection(row_ids, action):
        return comment_list.show(chosen, notice), 422
    known = [row_id for row_id in row_ids if ids.ID.fullmatch(row_id)]
    if action == "delete" and "sure" not in request.form:
        query = select(Comment).where(Comment.id.in_(known)).order_by(Comment.id.desc())
        return _confirm(db.session.scalars(query).all(), chosen, url_for(".bulk"))
    with writing() as session:
        found = book.lock(session, known)
        changed = comment_actions.changed_since(found, request.form, action)
        done = [comment for comment in found if comment not in changed]
        undo_id = comment_actions.run_many(session, done, action, chosen.address)
        notice = comment_actions.changed_sentence(changed)
    if action == "delete":
        engine_setup.clear_wal(db.engine)
    sentence = comment_actions.result(action, len(done), len(row_ids) - len(changed))
    if notice:
        if len(row_ids) > len(changed):
            responses.say(sentence, undo_id)
        return comment_list.show(chosen, notice), 409
    return responses.done(sentence, ".index", undo=undo_id, **chosen.values)


def _page(
    comment: Comment,
    *,
    draft: Draft | None = None,
    reply: str | None = None,
    notice: str | None = None,
    reasons: Mapping[str, str] | None = None,
) -> str:
    """Show a comment; refused input is shown again with the reasons."""
    stored = comment.reply.message if comment.reply else ""
    return render_template(
        "admin/comment.html",
        comment=comment,
        draft=draft or Draft(**book.typed(comment), errors={}),
        reply_text=stored if reply is None else reply,
        notice=notice,
        reasons=reasons or {},
        deliveries=lists.with_webhook_names(db.session(), Delivery.comment_id == comment.id),
        labels=comment_actions.ACTION_LABELS,
        actions=comment_actions.ACTIONS_BY_STATUS[comment.status],
        reply_limit=reply_size.REPLY_LIMIT,
    )


def _confirm(
    comments: Sequence[Comment], chosen: CommentFilter, target: str, notice: str | None = None
) -> str:
    """Show what would be deleted, with a button that sends the form to `target`."""
    return render_template(
        "admin/comments_delete.html", comments=comments, filter=chosen, target=target, notice=notice
    )
