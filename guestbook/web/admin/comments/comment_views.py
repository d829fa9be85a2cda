"""The comments: decide what stands in the book, edit, answer."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from flask import Blueprint, abort, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select, true
from sqlalchemy.orm import Session

from guestbook.comments import book, comment_form
from guestbook.comments.comment_form import Draft
from guestbook.lib import ids
from guestbook.lib.errors import Refused
from guestbook.lib.text import clean_line, counted
from guestbook.queries import listing
from guestbook.storage import engine_setup
from guestbook.storage.database import db, writing
from guestbook.storage.models import Comment
from guestbook.web import current, row_lookup
from guestbook.web.admin import responses, undo

pages = Blueprint("comments", __name__, url_prefix="/comments")

TABS = ("published", "held", "spam", "trash", "all")
BULK_LIMIT = 200  # comments that one request acts on

STATUS_AFTER = {"publish": "published", "hold": "held", "spam": "spam", "trash": "trash"}
ACTION_LABELS = {"publish": "Publish", "hold": "Hold", "spam": "Spam", "trash": "Trash", "restore": "Restore"}
ACTIONS_BY_STATUS = {  # what there is to do with a comment of each status; the rest would change nothing
    "published": ("hold", "spam", "trash"),
    "held": ("publish", "spam", "trash"),
    "spam": ("publish", "restore", "trash"),
    "trash": ("restore",),
    "all": tuple(ACTION_LABELS),
}
PAST_TENSE = {
    "publish": "Published",
    "hold": "Held",
    "spam": "Marked as spam",
    "trash": "Threw away",
    "restore": "Restored",
    "delete": "Deleted",
}
STATUS_SENTENCES = {
    "published": "is published",
    "held": "is held until you decide",
    "spam": "is marked as spam",
    "trash": "is in the trash",
}


@dataclass(frozen=True, slots=True)
class CommentFilter:
    """The part of the list that the owner looks at; it goes along with each button, to come back to."""

    status: str  # "" is the one that needs the owner most
    words: str
    before: str | None

    @property
    def values(self) -> dict[str, str]:
        """Return what leads there, in an address or in a form."""
        return {name: value for name, value in asdict(self).items() if value}


@pages.get("/")
def index() -> ResponseReturnValue:
    """List the comments of a tab, or those that have the words."""
    return _list(_place(request.args))


@pages.get("/<comment_id>")
def show(comment_id: str) -> ResponseReturnValue:
    """Show one, with all that is known of it."""
    return _page(row_lookup.find(Comment, comment_id))


@pages.post("/<comment_id>")
def edit(comment_id: str) -> ResponseReturnValue:
    """Correct what its writer got wrong."""
    entry = comment_form.read(request.form)
    try:
        with writing() as session:
            book.edit(session, _lock(session, comment_id), entry)
    except Refused as refused:
        return _page(row_lookup.find(Comment, comment_id), entry=entry, reasons=refused.fields), 422
    return responses.done("The comment is changed.", "admin.comments.show", comment_id=comment_id)


@pages.post("/<comment_id>/reply")
def reply(comment_id: str) -> ResponseReturnValue:
    """Answer it, change the answer, or take it away."""
    answer = request.form.get("reply", "")
    try:
        with writing() as session:
            comment = _lock(session, comment_id)
            book.reply(session, comment, answer, current.settings())
            answered = comment.reply is not None
            sentence = "Your answer stands in the book." if answered else "The comment has no answer now."
    except Refused as refused:
        return _page(row_lookup.find(Comment, comment_id), answer=answer, reasons=refused.fields), 422
    return responses.done(sentence, "admin.comments.show", comment_id=comment_id)


@pages.post("/<comment_id>/<any(publish, hold, spam, trash, restore):action>")
def move(comment_id: str, action: str) -> ResponseReturnValue:
    """Publish it, hold it, throw it out or bring it back."""
    is_from_list, place = "status" in request.form, _place(request.form)
    back = _address(place) if is_from_list else url_for("admin.comments.show", comment_id=comment_id)
    with writing() as session:
        comment = _lock(session, comment_id)
        undo_id = _do_all(session, [comment], action, back)
        sentence = f"The comment by {comment.name} {STATUS_SENTENCES[comment.status]}."
    if is_from_list:
        return responses.done(sentence, "admin.comments.index", undo=undo_id, **place.values)
    return responses.done(sentence, "admin.comments.show", undo=undo_id, comment_id=comment_id)


@pages.get("/<comment_id>/delete")
def ask(comment_id: str) -> ResponseReturnValue:
    """Ask whether it shall be gone for good."""
    target = url_for("admin.comments.delete", comment_id=comment_id)
    return _ask([row_lookup.find(Comment, comment_id)], _place(request.args), target)


@pages.post("/<comment_id>/delete")
def delete(comment_id: str) -> ResponseReturnValue:
    """Remove it for good."""
    place = _place(request.form)
    with writing() as session:
        comment = _lock(session, comment_id)
        sentence = f"The comment by {comment.name} is deleted."
        _do(session, comment, "delete")
    engine_setup.clear_wal(db.engine)
    return responses.done(sentence, "admin.comments.index", **place.values)


@pages.post("/bulk")
def bulk() -> ResponseReturnValue:
    """Do the same with all that are ticked; before it deletes, it asks."""
    place = _place(request.form)
    chosen = list(dict.fromkeys(request.form.getlist("id")))
    action = request.form.get("action", "")
    if notice := _objection(chosen, action):
        return _list(place, notice), 422
    if action == "delete" and "sure" not in request.form:
        query = select(Comment).where(Comment.id.in_(_ids(chosen))).order_by(Comment.id.desc())
        return _ask(db.session.scalars(query).all(), place, url_for("admin.comments.bulk"))
    with writing() as session:
        found = book.lock(session, _ids(chosen))
        undo_id = _do_all(session, found, action, _address(place))
    if action == "delete":
        engine_setup.clear_wal(db.engine)
    sentence = _count(PAST_TENSE[action], len(found), len(chosen))
    return responses.done(sentence, "admin.comments.index", undo=undo_id, **place.values)


def _place(values: Mapping[str, str]) -> CommentFilter:
    status, before = values.get("status", ""), values.get("before") or None
    if status not in ("", *TABS) or (before and not ids.ID.fullmatch(before)):
        abort(404)
    return CommentFilter(status, clean_line(values.get("words", "")[: listing.LETTERS]), before)


def _list(place: CommentFilter, notice: str | None = None) -> str:
    session = db.session()
    counts = {
        tab: listing.count_some(session, true() if tab == "all" else Comment.status == tab, Comment)
        for tab in TABS
    }
    if not place.status:
        place = replace(place, status="held" if counts["held"] else "published")
    status = None if place.status == "all" else place.status
    return render_template(
        "admin/comments.html",
        page=listing.comments(session, status, place.words, place.before),
        place=place,
        counts=counts,
        most=listing.COUNT,
        labels=ACTION_LABELS,
        sensible=ACTIONS_BY_STATUS,
        notice=notice,
    )


def _page(
    comment: Comment,
    *,
    entry: Draft | None = None,
    answer: str | None = None,
    reasons: Mapping[str, str] | None = None,
) -> str:
    """Show a comment; what was typed and refused comes back with the reasons."""
    kept = comment.reply.message if comment.reply else ""
    return render_template(
        "admin/comment.html",
        comment=comment,
        entry=entry or Draft(comment.name, comment.website, comment.message, {}),
        answer=kept if answer is None else answer,
        reasons=reasons or {},
        told=listing.of_comment(db.session(), comment.id),
        labels=ACTION_LABELS,
        sensible=ACTIONS_BY_STATUS[comment.status],
        reply_limit=book.REPLY_LIMIT,
    )


def _ask(comments: Sequence[Comment], place: CommentFilter, target: str) -> str:
    """Show what would be deleted, and the button at `target` that does it."""
    return render_template("admin/comments_delete.html", comments=comments, place=place, target=target)


def _objection(chosen: Sequence[str], action: str) -> str | None:
    if action not in PAST_TENSE:
        return "Nothing was changed. Please choose what to do with the comments that are ticked."
    if not chosen:
        return "Nothing was changed. Please tick the comments first."
    if len(chosen) > BULK_LIMIT:
        return f"Nothing was changed. Select at most {BULK_LIMIT} comments at a time, not {len(chosen):,}."
    return None


def _lock(session: Session, comment_id: str) -> Comment:
    found = book.lock(session, _ids([comment_id]))
    return found[0] if found else abort(404)


def _ids(texts: Sequence[str]) -> list[str]:
    return [text for text in texts if ids.ID.fullmatch(text)]


def _do_all(session: Session, comments: Sequence[Comment], action: str, back: str) -> str | None:
    """Do it to each; return what undoes it, None for what cannot be undone or changed nothing."""
    statuses = {comment.id: comment.status for comment in comments}
    for comment in comments:
        _do(session, comment, action)
    if action == "delete":
        return None
    moved = [(comment.id, statuses[comment.id], comment.status) for comment in comments]
    return undo.of_comments(session, moved, back)


def _address(place: CommentFilter) -> str:
    return url_for("admin.comments.index", **place.values)  # type: ignore[arg-type]  # as in actions


def _do(session: Session, comment: Comment, action: str) -> None:
    if action == "delete":
        book.delete(session, comment, current.settings())
    elif action == "restore":
        book.restore(session, comment, current.settings())
    else:
        book.move(session, comment, STATUS_AFTER[action], current.settings())


def _count(did: str, count: int, asked: int) -> str:
    """Say how many it was, and that others had gone meanwhile."""
    sentence = f"{did} {counted(count, 'comment')}."
    gone = asked - count
    return f"{sentence} {gone} {'was' if gone == 1 else 'were'} not there any more." if gone else sentence
