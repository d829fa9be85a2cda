"""The list of comments: a tab for each status, a search, and its page."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from flask import abort, render_template, url_for
from sqlalchemy import true

from guestbook.lib import ids
from guestbook.lib.text import clean_line
from guestbook.queries import bounded_counts, lists
from guestbook.storage.database import db
from guestbook.storage.models import Comment
from guestbook.web import pagination
from guestbook.web.admin.comments.comment_actions import ACTION_LABELS, ACTIONS_BY_STATUS

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
        return cls(status, clean_line(values.get("words", "")[: lists.LETTERS]), before)

    @property
    def values(self) -> dict[str, str]:
        """Return the parameters of an address, or the fields of a form, that lead here."""
        return {name: value for name, value in asdict(self).items() if value}

    @property
    def address(self) -> str:
        """Return the address of this part of the list."""
        return url_for("admin.comments.index", **self.values)  # type: ignore[arg-type]  # url_for takes them


def show(chosen: CommentFilter, notice: str | None = None) -> str:
    """Show that part of the list."""
    session = db.session()
    counts = {
        tab: bounded_counts.count_some(session, true() if tab == "all" else Comment.status == tab, Comment)
        for tab in TABS
    }
    if not chosen.status:
        chosen = replace(chosen, status="held" if counts["held"] else "published")
    status = None if chosen.status == "all" else chosen.status
    page = lists.comments(session, status, chosen.words, chosen.before)
    return render_template(
        "admin/comments.html",
        page=page,
        filter=chosen,
        counts=counts,
        most=bounded_counts.COUNT_LIMIT,
        labels=ACTION_LABELS,
        actions_by_status=ACTIONS_BY_STATUS,
        notice=notice,
        **pagination.links(page.older, status=chosen.status, words=chosen.words or None),
    )
