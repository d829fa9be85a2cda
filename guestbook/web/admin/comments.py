"""The pages of comments: the list, and moderate, edit, reply, delete; and the page about spam."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from flask import Blueprint, abort, g, redirect, render_template, request, session as cookie, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select, true
from sqlalchemy.orm import Session

from guestbook.auth import login
from guestbook.comments import comment_actions, comment_form
from guestbook.comments.comment_actions import BULK_LIMIT, STATUS_AFTER
from guestbook.comments.spam import learned_words, spam_report, spam_rules
from guestbook.lib import clock, ids
from guestbook.lib.errors import Refused
from guestbook.lib.text import clean_line, counted
from guestbook.queries import filtered_lists, statistics
from guestbook.storage import engines
from guestbook.storage.comment_fields import OWNER_LABELS
from guestbook.storage.database import db, writing
from guestbook.storage.models import Comment, Delivery
from guestbook.web import request_context, response_headers, row_lookup
from guestbook.web.admin import responses, undo
from guestbook.web.admin.login import SESSION_KEY
from guestbook.web.admin.responses import Outdated

ACTIONS_BY_STATUS = {  # The other actions would change nothing.
    "published": ("hold", "spam", "trash"),
    "held": ("publish", "spam", "trash"),
    "spam": ("publish", "restore", "trash"),
    "trash": ("restore",),
    "all": (*STATUS_AFTER, "restore"),
}
PAST_TENSE = {
    "publish": "Published",
    "hold": "Held",
    "spam": "Marked as spam:",
    "trash": "Moved to the trash:",
    "restore": "Restored",
    "delete": "Deleted",
}
CHANGED_ONE = "The comment by {} has changed since you opened this page, so it stays. Read it again."
CHANGED_MANY = "The comments by {} have changed since you opened this page, so they stay. Read them again."
STATUS_SENTENCES = {
    "published": "is published",
    "held": "is held until you decide",
    "spam": "is marked as spam",
    "trash": "is in the trash",
}


def owned(shown: Iterable[str]) -> dict[str, Comment] | None:
    """Return the rows with these ids to the owner on a page of the book; None if nobody is logged in."""
    g.login = login.find(db.session(), cookie.get(SESSION_KEY, ""))
    query = select(Comment).where(Comment.id.in_(shown))
    return {row.id: row for row in db.session.scalars(query)} if g.login else None


def has_changed(comment: Comment, action: str = "") -> bool:
    """Whether it is not as the page of the form showed it. A form without marks names ids alone.

    One that is already where the action leads has not: that is the second click of a double click.
    """
    mark = comment_form.mark_of(comment)
    is_done = comment.is_known if action == "restore" else comment.status == STATUS_AFTER.get(action)
    return request.form.get(f"mark-{comment.id}", mark) != mark and not is_done


def find_as_shown(comment_id: str, action: str = "") -> Comment:
    """Return the comment, locked; raises Outdated."""
    comment = row_lookup.find_locked_comment(comment_id)
    if has_changed(comment, action):
        raise Outdated(CHANGED_ONE.format(comment.name))
    return comment


def run_many(session: Session, comments: Sequence[Comment], action: str, back: str) -> str | None:
    """Do it to each comment; return the undo's id, None where nothing can be undone."""
    statuses = {comment.id: comment.status for comment in comments}
    for comment in comments:
        comment_actions.act(session, comment, action, request_context.settings())
    changes = [(comment.id, statuses[comment.id], comment.status) for comment in comments]
    return undo.of_comments(session, changes, back) if action != "delete" else None


@dataclass(frozen=True, slots=True)
class CommentFilter:
    """The part of the list that the owner sees; each button sends it along, to come back to."""

    status: str  # "": held comments if there are any, else published ones
    words: str
    before: str | None
    page: str  # the address of a page of a website; "" is the whole book

    @classmethod
    def read(cls) -> "CommentFilter":
        """Read it from the address or the form; 404 for impossible values."""
        status, before = request.values.get("status", ""), request.values.get("before") or None
        if status not in ("", *ACTIONS_BY_STATUS) or (before and not ids.ID.fullmatch(before)):
            abort(404)
        words = clean_line(request.values.get("words", "")[: filtered_lists.LETTERS])
        return cls(status, words, before, clean_line(request.values.get("page", "")))

    @property
    def values(self) -> dict[str, Any]:
        """Return the parameters of an address, or the fields of a form, that lead here."""
        return {name: value for name, value in asdict(self).items() if value}


pages = Blueprint("comments", __name__)


@pages.get("/comments/")
def index(**more: object) -> str:
    """List the comments of a tab, or those that match a search; and say what was refused."""
    session, chosen = db.session(), CommentFilter.read()
    if chosen.values == {"status": "spam"} and spam_report.count_not_looked_at(session):
        spam_report.note_look(clock.now())
    counts = {
        tab: statistics.count_some(session, true() if tab == "all" else Comment.status == tab, Comment)
        for tab in ACTIONS_BY_STATUS
    }
    if not chosen.status:
        chosen = replace(chosen, status="held" if counts["held"] else "published")
    status = None if chosen.status == "all" else chosen.status
    page = filtered_lists.comments(session, status, chosen.words, chosen.before, page=chosen.page)
    alike: list[Comment] = []
    if status == "held" and not (chosen.words or chosen.page):
        held = filtered_lists.comments(session, status, limit=BULK_LIMIT).rows
        alike = spam_rules.largest_alike(held)
    return render_template(
        "admin/comments.html",
        page=page,
        alike=alike,
        filter=chosen,
        counts=counts,
        most=statistics.COUNT_LIMIT,
        actions_by_status=ACTIONS_BY_STATUS,
        **response_headers.page_links(page.older, **replace(chosen, before=None).values),
        **more,
    )


@pages.get("/comments/<comment_id>")
def show(comment_id: str, reasons: Mapping[str, str] | None = None, **more: object) -> str:
    """Show a comment with everything known about it; refused input is shown again with the reasons."""
    comment = row_lookup.find(Comment, comment_id)
    draft = comment_form.read(request.form) if "message" in request.form else comment_form.draft_of(comment)
    return render_template(
        "admin/comment.html",
        comment=comment,
        draft=draft,
        reasons=reasons or draft.errors,
        reply_text=request.form.get("reply", comment.reply.message if comment.reply else ""),
        deliveries=filtered_lists.with_webhook_names(db.session(), Delivery.comment_id == comment.id),
        labels_of_fields=OWNER_LABELS | {"reply": "Your reply"},
        actions=ACTIONS_BY_STATUS[comment.status],
        reply_limit=comment_actions.REPLY_LIMIT,
        **more,
    )


@pages.post("/comments/<comment_id>")
@responses.form_on(show)
def edit(comment_id: str) -> ResponseReturnValue:
    """Correct a comment."""
    draft = comment_form.read(request.form)
    with writing() as session:
        comment = row_lookup.find_locked_comment(comment_id)
        if draft != comment_form.draft_of(comment):  # else the second click of a double click
            comment = find_as_shown(comment_id)
        comment_actions.edit(session, comment, draft, request_context.settings())
    return responses.done("The comment is changed.", ".show", comment_id=comment_id)


@pages.post("/comments/<comment_id>/reply")
@responses.form_on(show)
def reply(comment_id: str) -> ResponseReturnValue:
    """Add, change or remove the reply."""
    sentence = "Your reply is in the book."
    with writing() as session:
        comment = find_as_shown(comment_id)
        comment_actions.reply(session, comment, request.form.get("reply", ""), request_context.settings())
        if not comment.reply:
            sentence = "The comment has no reply now."
        elif comment.status != "published":
            sentence = "Your reply is saved. It appears in the book when you publish the comment."
    return responses.done(sentence, ".show", comment_id=comment_id)


def _list_or_comment(comment_id: str, **more: Any) -> str:
    return index(**more) if "status" in request.form else show(comment_id, **more)


@pages.post("/comments/<comment_id>/<any(publish, hold, spam, trash, restore):action>")
@responses.form_on(_list_or_comment)
def move(comment_id: str, action: str) -> ResponseReturnValue:
    """Change the status of a comment."""
    chosen, here = CommentFilter.read().values, {"comment_id": comment_id}
    back = responses.place(*(".index", chosen) if "status" in request.form else (".show", here))
    with writing() as session:
        comment = find_as_shown(comment_id, action)
        # An undo leads to the comment itself, not to the one below it.
        undo_id = run_many(session, [comment], action, f"{back.partition('#')[0]}#c-{comment_id}")
        sentence = f"The comment by {comment.name} {STATUS_SENTENCES[comment.status]}."
    responses.say(sentence, undo_id)
    return redirect(back, 303)


def _confirm(comments: Sequence[Comment], **more: object) -> str:
    """Show what would be deleted, with a button that sends the form to its own address again."""
    chosen = CommentFilter.read()
    return render_template("admin/comments_delete.html", comments=comments, filter=chosen, **more)


def _confirm_one(comment_id: str, **more: object) -> str:
    return _confirm([row_lookup.find(Comment, comment_id)], **more)


@pages.route("/comments/<comment_id>/delete", methods=["GET", "POST"])
@responses.form_on(_confirm_one)
def delete(comment_id: str) -> ResponseReturnValue:
    """Ask before a comment is deleted for good; POST deletes it."""
    chosen = CommentFilter.read()
    if request.method != "POST":
        return _confirm_one(comment_id)
    with writing() as session:
        comment = find_as_shown(comment_id)
        sentence = f"The comment by {comment.name} is deleted."
        comment_actions.delete(session, comment, request_context.settings())
    engines.clear_wal(db.engine)
    return responses.done(sentence, ".index", **chosen.values)


@pages.post("/comments/bulk")
@responses.form_on(index)
def bulk() -> ResponseReturnValue:
    """Do the same to all selected comments; ask before deleting."""
    back, action = url_for(".index", **CommentFilter.read().values), request.form.get("action", "")
    row_ids = list(dict.fromkeys(request.form.getlist("id")))
    if action not in PAST_TENSE:
        raise Refused("Nothing was changed. Choose what to do with the selected comments.")
    if not row_ids:
        raise Refused("Nothing was changed. Select the comments first.")
    if len(row_ids) > BULK_LIMIT:
        most = f"Select at most {BULK_LIMIT} comments at a time, not {len(row_ids):,}."
        raise Refused(f"Nothing was changed. {most}")
    known = [row_id for row_id in row_ids if ids.ID.fullmatch(row_id)]
    if action == "delete" and "sure" not in request.form:
        query = select(Comment).where(Comment.id.in_(known)).order_by(Comment.id.desc())
        return _confirm(db.session.scalars(query).all())
    with writing() as session:
        found = comment_actions.lock(session, known)
        changed = [comment for comment in found if has_changed(comment, action)]
        done = [comment for comment in found if comment not in changed]
        undo_id = run_many(session, done, action, back)
        names = ", ".join(comment.name for comment in changed)
    if action == "delete":
        engines.clear_wal(db.engine)
    sentence = f"{PAST_TENSE[action]} {counted(len(done), 'comment')}."
    if gone := len(row_ids) - len(found):
        sentence += f" {gone} no longer {'exists' if gone == 1 else 'exist'}."
    if len(row_ids) > len(changed):
        responses.say(sentence, undo_id)
    if changed:
        raise Outdated((CHANGED_ONE if len(changed) == 1 else CHANGED_MANY).format(names))
    return redirect(back, 303)


@pages.get("/spam/")
def show_spam() -> ResponseReturnValue:
    """Show how the spam rules are doing."""
    settings = request_context.settings()
    return render_template(
        "admin/spam.html",
        report=spam_report.read(db.session(), settings.secret_key, clock.now()),
        is_on=request_context.preferences().score,
        days=settings.keep_spam_days,
    )


@pages.post("/spam/end-flood")
def end_flood() -> ResponseReturnValue:
    """End the hour in which a flood holds all comments."""
    with writing() as session:
        spam_report.end_flood(session.connection(), request_context.settings().secret_key)
    said = "New comments are published again. Those that were held still wait for you."
    return responses.done(said, ".show_spam")


@pages.post("/spam/forget")
def forget() -> ResponseReturnValue:
    """Erase what the score has learned."""
    with writing() as session:
        count = learned_words.forget_all(session, request_context.settings().secret_key)
    return responses.done(f"The score has forgotten {counted(count, 'word')}.", ".show_spam")
