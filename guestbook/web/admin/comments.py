"""The pages of comments: the list, and moderate, edit, reply, delete; and the page about spam."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from flask import Blueprint, abort, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select, true
from sqlalchemy.orm import Session

from guestbook.comments import book, comment_form
from guestbook.comments.book import BULK_LIMIT, STATUS_AFTER
from guestbook.comments.comment_form import Draft
from guestbook.comments.spam import comment_facts, learned_words, spam_report
from guestbook.lib import clock, ids
from guestbook.lib.errors import Refused
from guestbook.lib.text import clean_line, counted
from guestbook.queries import filtered_lists, statistics
from guestbook.storage import engine_setup
from guestbook.storage.comment_fields import OWNER_LABELS
from guestbook.storage.database import db, writing
from guestbook.storage.models import Comment, Delivery
from guestbook.web import request_context, response_headers, row_lookup
from guestbook.web.admin import responses, undo

ACTION_LABELS = {"publish": "Publish", "hold": "Hold", "spam": "Spam", "trash": "Trash", "restore": "Restore"}
ACTIONS_BY_STATUS = {  # The other actions would change nothing.
    "published": ("hold", "spam", "trash"),
    "held": ("publish", "spam", "trash"),
    "spam": ("publish", "restore", "trash"),
    "trash": ("restore",),
    "all": tuple(ACTION_LABELS),
}
PAST_TENSE = {
    "publish": "Published",
    "hold": "Held",
    "spam": "Marked as spam:",
    "trash": "Moved to the trash:",
    "restore": "Restored",
    "delete": "Deleted",
}
STATUS_SENTENCES = {
    "published": "is published",
    "held": "is held until you decide",
    "spam": "is marked as spam",
    "trash": "is in the trash",
}


def run_many(session: Session, comments: Sequence[Comment], action: str, back: str) -> str | None:
    """Do it to each comment; return the undo's id, None where nothing can be undone."""
    statuses = {comment.id: comment.status for comment in comments}
    for comment in comments:
        book.act(session, comment, action, request_context.settings())
    if action == "delete":
        return None
    changes = [(comment.id, statuses[comment.id], comment.status) for comment in comments]
    return undo.of_comments(session, changes, back)


def changed_since(comments: Sequence[Comment], form: Mapping[str, str], action: str = "") -> list[Comment]:
    """Return those that are not as the page of the form showed them.

    One that is already where the action leads is not among them: that is the second click of a double click.
    A form without marks names ids alone, as programs do.
    """
    marks = {comment.id: comment_form.mark_of(comment) for comment in comments}
    return [
        comment
        for comment in comments
        if form.get(f"mark-{comment.id}", marks[comment.id]) != marks[comment.id]
        and not _is_done(comment, action)
    ]


def changed_sentence(comments: Sequence[Comment]) -> str | None:
    """Say which comments have changed since the page showed them, if any."""
    if not comments:
        return None
    names = ", ".join(comment.name for comment in comments)
    if len(comments) == 1:
        return f"The comment by {names} has changed since you opened this page, so it stays. Read it again."
    return f"The comments by {names} have changed since you opened this page, so they stay. Read them again."


def objection(row_ids: Sequence[str], action: str) -> str | None:
    """Say why a bulk action cannot run."""
    if action not in PAST_TENSE:
        return "Nothing was changed. Choose what to do with the selected comments."
    if not row_ids:
        return "Nothing was changed. Select the comments first."
    if len(row_ids) > BULK_LIMIT:
        return f"Nothing was changed. Select at most {BULK_LIMIT} comments at a time, not {len(row_ids):,}."
    return None


def result(action: str, count: int, requested: int) -> str:
    """Say how many comments it was, and how many no longer existed."""
    sentence = f"{PAST_TENSE[action]} {counted(count, 'comment')}."
    gone = requested - count
    return f"{sentence} {gone} no longer {'exists' if gone == 1 else 'exist'}." if gone else sentence


def _is_done(comment: Comment, action: str) -> bool:
    return comment.is_known if action == "restore" else comment.status == STATUS_AFTER.get(action)


TABS = ("published", "held", "spam", "trash", "all")


@dataclass(frozen=True, slots=True)
class CommentFilter:
    """The part of the list that the owner sees; each button sends it along, to come back to."""

    status: str  # "": held comments if there are any, else published ones
    words: str
    before: str | None

    @classmethod
    def read(cls, values: Mapping[str, str]) -> "CommentFilter":
        """Read it from an address or a form; 404 for impossible values."""
        status, before = values.get("status", ""), values.get("before") or None
        if status not in ("", *TABS) or (before and not ids.ID.fullmatch(before)):
            abort(404)
        return cls(status, clean_line(values.get("words", "")[: filtered_lists.LETTERS]), before)

    @property
    def values(self) -> dict[str, str]:
        """Return the parameters of an address, or the fields of a form, that lead here."""
        return {name: value for name, value in asdict(self).items() if value}

    @property
    def address(self) -> str:
        """Return the address of this part of the list."""
        return url_for("admin.comments.index", **self.values)  # type: ignore[arg-type]  # url_for takes them


def show_list(chosen: CommentFilter, notice: str | None = None) -> str:
    """Show that part of the list."""
    session = db.session()
    counts = {
        tab: statistics.count_some(session, true() if tab == "all" else Comment.status == tab, Comment)
        for tab in TABS
    }
    if not chosen.status:
        chosen = replace(chosen, status="held" if counts["held"] else "published")
    status = None if chosen.status == "all" else chosen.status
    page = filtered_lists.comments(session, status, chosen.words, chosen.before)
    return render_template(
        "admin/comments.html",
        page=page,
        filter=chosen,
        counts=counts,
        most=statistics.COUNT_LIMIT,
        labels=ACTION_LABELS,
        actions_by_status=ACTIONS_BY_STATUS,
        notice=notice,
        **response_headers.page_links(page.older, status=chosen.status, words=chosen.words or None),
    )


pages = Blueprint("comments", __name__)


@pages.get("/comments/")
def index() -> ResponseReturnValue:
    """List the comments of a tab, or those that match a search."""
    return show_list(CommentFilter.read(request.args))


@pages.get("/comments/<comment_id>")
def show(comment_id: str) -> ResponseReturnValue:
    """Show a comment with everything known about it."""
    return _page(row_lookup.find(Comment, comment_id))


@pages.post("/comments/<comment_id>")
def edit(comment_id: str) -> ResponseReturnValue:
    """Correct a comment."""
    draft = comment_form.read(request.form)
    try:
        with writing() as session:
            comment = row_lookup.find_locked_comment(comment_id)
            is_done = draft == comment_form.draft_of(comment)  # This is the second click of a double click.
            changed = [] if is_done else changed_since([comment], request.form)
            notice = changed_sentence(changed)
            if notice is None:
                book.edit(session, comment, draft, request_context.settings())
    except Refused as error:
        return _page(row_lookup.find(Comment, comment_id), draft=draft, reasons=error.fields), 422
    if notice:
        shown = row_lookup.find(Comment, comment_id)
        return _page(shown, draft=draft, notice=notice, reasons=draft.errors), 409
    return responses.done("The comment is changed.", ".show", comment_id=comment_id)


@pages.post("/comments/<comment_id>/reply")
def reply(comment_id: str) -> ResponseReturnValue:
    """Add, change or remove the reply."""
    text = request.form.get("reply", "")
    try:
        with writing() as session:
            comment = row_lookup.find_locked_comment(comment_id)
            notice = changed_sentence(changed_since([comment], request.form))
            if notice is None:
                book.reply(session, comment, text, request_context.settings())
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


@pages.post("/comments/<comment_id>/<any(publish, hold, spam, trash, restore):action>")
def move(comment_id: str, action: str) -> ResponseReturnValue:
    """Change the status of a comment."""
    is_from_list, chosen = "status" in request.form, CommentFilter.read(request.form)
    back = chosen.address if is_from_list else url_for(".show", comment_id=comment_id)
    with writing() as session:
        comment = row_lookup.find_locked_comment(comment_id)
        changed = changed_since([comment], request.form, action)
        notice = changed_sentence(changed)
        undo_id = None if changed else run_many(session, [comment], action, back)
        sentence = f"The comment by {comment.name} {STATUS_SENTENCES[comment.status]}."
    if notice:
        if is_from_list:
            return show_list(chosen, notice), 409
        return _page(row_lookup.find(Comment, comment_id), notice=notice), 409
    if is_from_list:
        return responses.done(sentence, ".index", undo=undo_id, **chosen.values)
    return responses.done(sentence, ".show", undo=undo_id, comment_id=comment_id)


@pages.route("/comments/<comment_id>/delete", methods=["GET", "POST"])
def delete(comment_id: str) -> ResponseReturnValue:
    """Ask before a comment is deleted for good; POST deletes it."""
    chosen = CommentFilter.read(request.values)
    target = url_for(".delete", comment_id=comment_id)
    if request.method != "POST":
        return _confirm([row_lookup.find(Comment, comment_id)], chosen, target)
    with writing() as session:
        comment = row_lookup.find_locked_comment(comment_id)
        sentence = f"The comment by {comment.name} is deleted."
        notice = changed_sentence(changed_since([comment], request.form))
        if notice is None:
            book.delete(session, comment, request_context.settings())
    if notice:
        return _confirm([row_lookup.find(Comment, comment_id)], chosen, target, notice), 409
    engine_setup.clear_wal(db.engine)
    return responses.done(sentence, ".index", **chosen.values)


@pages.post("/comments/bulk")
def bulk() -> ResponseReturnValue:
    """Do the same to all selected comments; ask before deleting."""
    chosen = CommentFilter.read(request.form)
    row_ids, action = list(dict.fromkeys(request.form.getlist("id"))), request.form.get("action", "")
    if notice := objection(row_ids, action):
        return show_list(chosen, notice), 422
    known = [row_id for row_id in row_ids if ids.ID.fullmatch(row_id)]
    if action == "delete" and "sure" not in request.form:
        query = select(Comment).where(Comment.id.in_(known)).order_by(Comment.id.desc())
        return _confirm(db.session.scalars(query).all(), chosen, url_for(".bulk"))
    with writing() as session:
        found = book.lock(session, known)
        changed = changed_since(found, request.form, action)
        done = [comment for comment in found if comment not in changed]
        undo_id = run_many(session, done, action, chosen.address)
        notice = changed_sentence(changed)
    if action == "delete":
        engine_setup.clear_wal(db.engine)
    sentence = result(action, len(done), len(row_ids) - len(changed))
    if notice:
        if len(row_ids) > len(changed):
            responses.say(sentence, undo_id)
        return show_list(chosen, notice), 409
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
        draft=draft or comment_form.draft_of(comment),
        reply_text=stored if reply is None else reply,
        notice=notice,
        reasons=reasons or {},
        deliveries=filtered_lists.with_webhook_names(db.session(), Delivery.comment_id == comment.id),
        labels=ACTION_LABELS,
        labels_of_fields=OWNER_LABELS | {"reply": "Your reply"},
        actions=ACTIONS_BY_STATUS[comment.status],
        reply_limit=book.REPLY_LIMIT,
    )


def _confirm(
    comments: Sequence[Comment], chosen: CommentFilter, target: str, notice: str | None = None
) -> str:
    """Show what would be deleted, with a button that sends the form to `target`."""
    return render_template(
        "admin/comments_delete.html", comments=comments, filter=chosen, target=target, notice=notice
    )


@pages.get("/spam/")
def show_spam() -> ResponseReturnValue:
    """Show how the spam rules are doing."""
    report = spam_report.read(db.session(), request_context.settings().secret_key, clock.now())
    days = request_context.settings().keep_spam_days
    return render_template(
        "admin/spam.html", report=report, is_on=request_context.preferences().score, days=days
    )


@pages.post("/spam/end-flood")
def end_flood() -> ResponseReturnValue:
    """End the hour in which a flood holds all comments."""
    with writing() as session:
        comment_facts.end_flood(session.connection(), request_context.settings().secret_key)
    said = "New comments are published again. Those that were held still wait for you."
    return responses.done(said, ".show_spam")


@pages.post("/spam/forget")
def forget() -> ResponseReturnValue:
    """Erase what the score has learned."""
    with writing() as session:
        count = learned_words.forget_all(session, request_context.settings().secret_key)
    return responses.done(f"The score has forgotten {counted(count, 'word')}.", ".show_spam")
