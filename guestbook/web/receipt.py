"""What the book says after signing, whether the comment appears or waits. A reader's page: no SQLAlchemy.

The address names the comment and not its visitor, because servers log addresses. A comment that waits is on
no page, so its id is signed: only its visitor's address leads to the name.
"""

from datetime import timedelta
from typing import NamedTuple

from flask import request
from itsdangerous import BadSignature, Signer

from guestbook.lib import clock, ids
from guestbook.lib.translatable import Translatable
from guestbook.queries import public_comments
from guestbook.queries.public_comments import PublicComment
from guestbook.web import current, frame, visitor_cookie

MINUTE = timedelta(minutes=1)
CHANGE_WINDOW = 15 * MINUTE  # after signing, in which visitors may change or delete their comment
CHANGE_TIME = Translatable.plural("%(count)s minute", "%(count)s minutes", CHANGE_WINDOW // MINUTE)
HELD = "waiting"  # in an address, in place of the id of a comment that waits
DELETED = "deleted"  # the same for one that its visitor has deleted
RECEIPT_FIELD = "receipt"  # in an address: the signed id of a comment that waits
CHANGED_FIELD = "changed"  # in an address: the comment is an earlier one, with other words


class Receipt(NamedTuple):
    """What the book says to a visitor who has just signed."""

    state: str  # published | waiting | deleted
    comment_id: str | None = None
    name: str | None = None
    may_change: bool = False
    is_change: bool = False  # of a comment that was stored before

    @property
    def change_time(self) -> str:
        """Return for how long the comment may still be changed, in words."""
        left = ids.moment_of(self.comment_id or "") + CHANGE_WINDOW - clock.now()
        minutes = -(-left // MINUTE)  # rounded up
        return Translatable.plural("%(count)s minute", "%(count)s minutes", max(1, minutes))


def address(comment_id: str, *, is_published: bool, is_change: bool = False) -> str:
    """Return where visitors find out what became of their comment. Spam looks like a held comment."""
    change = {CHANGED_FIELD: "yes"} if is_change else {}
    if is_published:
        return frame.home(signed=comment_id, **change, _anchor=f"c-{comment_id}")
    signature = _signer().sign(comment_id).decode()
    return frame.home(signed=HELD, **change, **{RECEIPT_FIELD: signature}, _anchor="thanks")


def of_request() -> Receipt | None:
    """Return what the address of this request says, or None if nobody has just signed."""
    found = _of_comment(request.args.get("signed", ""))
    return found and found._replace(is_change=CHANGED_FIELD in request.args)


def of_own(comment: PublicComment) -> Receipt | None:
    """Return what the comment's own page says to the browser that has just written it."""
    if visitor_cookie.earlier_comment() != comment.id or not is_changeable(comment.id):
        return None
    return Receipt("published", comment.id, comment.name, may_change=True)


def _of_comment(signed: str) -> Receipt | None:
    if signed == DELETED:
        return Receipt(DELETED)
    if signed == HELD:
        return _of_waiting(request.args.get(RECEIPT_FIELD, ""))
    found = public_comments.find(current.select(), signed) if ids.ID.fullmatch(signed) else None
    return found and Receipt("published", found.id, found.name, is_changeable(found.id))


def is_changeable(comment_id: str) -> bool:
    """Whether its visitor may still change a comment, for its age. A page in a frame has no cookie for it."""
    return _is_recent(comment_id) and not frame.is_open()


def _of_waiting(signature: str) -> Receipt:
    """Return the receipt with the name, for as long as its visitor may change the comment."""
    try:
        comment_id = _signer().unsign(signature).decode()
    except BadSignature:
        return Receipt(HELD)
    name = public_comments.name_of(current.select(), comment_id)
    if name is None or not _is_recent(comment_id):
        return Receipt(HELD)
    return Receipt(HELD, comment_id, name, is_changeable(comment_id))


def _is_recent(comment_id: str) -> bool:
    return comment_id > ids.first_of(clock.now() - CHANGE_WINDOW)


def _signer() -> Signer:
    return Signer(current.signing_keys(), salt="guestbook receipt")
