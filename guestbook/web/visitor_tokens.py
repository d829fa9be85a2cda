"""What proves a visitor's form and own comment without a login: tokens, a cookie, a receipt.

The token in a form proves that it is ours and how old it is. Its nonce makes a double click one comment. It
does not prevent forged requests; nobody is logged in here.
"""

import hashlib
import json
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from flask import request
from itsdangerous import BadSignature, Signer, URLSafeSerializer
from werkzeug.wrappers import Response

from guestbook.comments.comment_form import Draft
from guestbook.lib import clock, ids
from guestbook.lib.errors import Refused, Translatable
from guestbook.queries import public_comments
from guestbook.queries.public_comments import PublicComment
from guestbook.web import embed, request_context, response_headers

if TYPE_CHECKING:
    from guestbook.storage.models import Comment

MAX_AGE_SECONDS = 24 * 3600.0  # seconds
PUBLIC = "form "  # The nonce of a form without a token begins so.
FORM_ERRORS = {
    "unknown": Translatable("The form was incomplete, so nothing was stored yet. Please send it again."),
    "expired": Translatable(
        "The form was open for more than a day, so nothing was stored yet. Please send it again."
    ),
}


class FormError(Refused):
    """The token is not one of ours (`unknown`) or too old (`expired`)."""

    def __init__(self, reason: str) -> None:
        super().__init__(FORM_ERRORS[reason])
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Form:
    """A form that we sent."""

    nonce: str
    age: float | None  # seconds; None when the clock was set back

    @property
    def is_public(self) -> bool:
        """Whether anybody can send the same form: it stands on a website, without a token."""
        return self.nonce.startswith(PUBLIC)

    def key(self, draft: Draft) -> str:
        """Return a key for this content of this form; other content is another comment."""
        content = json.dumps([self.nonce, *draft.values.values()])
        return hashlib.sha256(content.encode()).hexdigest()


def new_token(age: float = 0.0, nonce: str = "") -> str:
    """Return a new token; an age above zero is for a form that the visitor has read already."""
    return signed(request_context.settings().signing_keys, age, nonce)


def signed(keys: list[str], age: float = 0.0, nonce: str = "") -> str:
    """Return a new token, signed with the last key: outside a request."""
    made = clock.now() - timedelta(seconds=age)
    return _serializer(keys).dumps([nonce or secrets.token_urlsafe(12), int(made.timestamp() * 1000)])


def read_token(text: str) -> Form:
    """Return the form of the token; raises FormError."""
    try:
        nonce, made = _serializer(request_context.settings().signing_keys).loads(text)
    except BadSignature:
        raise FormError("unknown") from None
    age = clock.now().timestamp() - made / 1000
    if age > MAX_AGE_SECONDS:
        raise FormError("expired")
    return Form(nonce, age if age >= 0 else None)


def _serializer(keys: list[str]) -> URLSafeSerializer:
    # Not the timed one: it counts whole seconds, too coarse for a limit of three seconds.
    return URLSafeSerializer(keys, salt="guestbook form")


VISITOR_COOKIE = "guestbook_signed"
VISITOR_LIFETIME = timedelta(days=180)  # It counts from the last comment.


def give_cookie(response: Response, comment: "Comment") -> Response:
    """Let the browser remember its comment. It sends the cookie only to addresses below /comments.

    In a frame there is a second one: a browser drops the first if the page around is of another site.
    """
    value, age = _signer("signed").sign(comment.id).decode(), VISITOR_LIFETIME.total_seconds()
    response_headers.set_cookie(response, VISITOR_COOKIE, value, age, "/comments")
    if embed.is_open():
        response_headers.set_cookie(response, VISITOR_COOKIE, value, age, embed.PATH, in_frame=True)
    return response


def earlier_comment() -> str | None:
    """Return the id of the comment that this browser has written, or None."""
    try:
        return _signer("signed").unsign(request.cookies.get(VISITOR_COOKIE, "")).decode()
    except BadSignature:
        return None


OWN_FIELD = "own"  # An address in a frame has in it the signed id of its visitor's comment.


def is_own(comment_id: str) -> bool:
    """Whether this browser has written the comment: its cookie says so, or the address in a frame."""
    return comment_id in (earlier_comment(), _id_of_token())


def own_token() -> str | None:
    """Return the token that addresses in this frame must keep; None where the cookie does."""
    comment_id = _id_of_token()
    return request.args[OWN_FIELD] if comment_id and comment_id != earlier_comment() else None


def _id_of_token() -> str | None:
    """Return the id of the comment that the address lets its visitor change, however old it is.

    It counts in a frame alone, where nobody sees and shares the address.
    """
    if not embed.is_open() or not embed.may_be_in_frame():
        return None
    with suppress(BadSignature):
        return _signer(OWN_FIELD).unsign(request.args.get(OWN_FIELD, "")).decode()
    return None


def _signer(what: str) -> Signer:
    return Signer(request_context.settings().signing_keys, salt=f"guestbook {what}")


MINUTE = timedelta(minutes=1)
CHANGE_WINDOW = 15 * MINUTE  # Visitors may change their comment for so long.
CHANGE_TIME = Translatable.plural("%(count)s minute", "%(count)s minutes", CHANGE_WINDOW // MINUTE)
HELD = "waiting"  # An address has this in place of the id of a waiting comment.
DELETED = "deleted"  # This stands for one that its visitor has deleted.
RECEIPT_FIELD = "receipt"  # It has the signed id of a comment that waits.
CHANGED_FIELD = "changed"  # The comment is an earlier one, with other words.


class Receipt(NamedTuple):
    """What the book says to a visitor who has just signed."""

    state: str  # published | waiting | deleted
    comment: PublicComment | None = None
    may_change: bool = False
    is_change: bool = False  # The comment was stored before.

    @property
    def change_time(self) -> str:
        """Return for how long the comment may still be changed, in words."""
        left = ids.moment_of(self.comment.id if self.comment else "") + CHANGE_WINDOW - clock.now()
        minutes = -(-left // MINUTE)  # This rounds up.
        return Translatable.plural("%(count)s minute", "%(count)s minutes", max(1, minutes))

    @property
    def change_address(self) -> str:
        """Return where the visitor changes the comment."""
        return embed.change_address(self.comment.id if self.comment else "", own_token())


def receipt_address(comment: "Comment", *, is_change: bool = False) -> str:
    """Return where visitors find out what became of their comment. Spam looks like a held comment."""
    more = {CHANGED_FIELD: "yes"} if is_change else {}
    if embed.is_open() and earlier_comment() != comment.id:  # Nobody knows yet if the cookie will be kept.
        more[OWN_FIELD] = _signer(OWN_FIELD).sign(comment.id).decode()
    if comment.status == "published":
        return embed.home(signed=comment.id, **more, _anchor=f"c-{comment.id}")
    signature = _signer("receipt").sign(comment.id).decode()
    return embed.home(signed=HELD, **more, **{RECEIPT_FIELD: signature}, _anchor="thanks")


def receipt_of_request() -> Receipt | None:
    """Return what the address of this request says, or None if nobody has just signed."""
    signed, is_change = request.args.get("signed", ""), CHANGED_FIELD in request.args
    if signed == DELETED:
        return Receipt(DELETED)
    if signed == HELD:
        return _of_link()._replace(is_change=is_change)
    if not signed and embed.is_open() and "before" not in request.args:  # The page around was loaded again.
        waiting = _of_waiting(earlier_comment())
        return waiting if waiting and waiting.comment and waiting.comment.page == embed.page() else None
    found = _of_published(signed) if ids.ID.fullmatch(signed) else None
    return found and found._replace(is_change=is_change)


def receipt_of_own(comment: PublicComment) -> Receipt | None:
    """Return what the comment's own page says to the browser that has just written it."""
    if earlier_comment() != comment.id or not is_changeable(comment.id):
        return None
    return Receipt("published", comment, may_change=True)


def is_changeable(comment_id: str) -> bool:
    """Whether its visitor may still change a comment. In a frame, the browser must prove it before."""
    return _is_recent(comment_id) and (not embed.is_open() or is_own(comment_id))


def _of_link() -> Receipt:
    """Return the receipt with the comment, for as long as its visitor may change it."""
    with suppress(BadSignature):
        comment_id = _signer("receipt").unsign(request.args.get(RECEIPT_FIELD, "")).decode()
        if _is_recent(comment_id):
            return _of_waiting(comment_id) or _of_published(comment_id) or Receipt(HELD)
    return Receipt(HELD)


def _of_waiting(comment_id: str | None) -> Receipt | None:
    """Return the receipt of a comment that its own visitor asks for, if it waits for the owner."""
    found = comment_id and public_comments.find_waiting(request_context.select(), comment_id)
    return Receipt(HELD, found, is_changeable(found.id)) if found else None


def _of_published(comment_id: str) -> Receipt | None:
    found = public_comments.find(request_context.select(), comment_id)
    return found and Receipt("published", found, is_changeable(found.id))


def _is_recent(comment_id: str) -> bool:
    return comment_id > ids.first_of(clock.now() - CHANGE_WINDOW)
