"""E-mail to a visitor: one to confirm the address, and one with the owner's reply.

    signed ──published──▶ asked ──the visitor's click──▶ confirmed ──the owner's reply──▶ mailed

Anybody may type anybody's address. So the first e-mail has no words of the visitor. It goes out once the
comment is published: then the rules, or the owner, think that a person wrote it. An address, a network and
the whole book have a limit a day. Beyond it the address is not kept, and the form answers the same.
"""

import gettext
from datetime import timedelta
from functools import partial
from pathlib import Path

from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from guestbook.auth import rate_limit
from guestbook.auth.rate_limit import NetworkLimit
from guestbook.lib import clock
from guestbook.lib.errors import Translatable
from guestbook.lib.signed_links import CONFIRM, STOP
from guestbook.lib.validate import MAIL_ADDRESS, MAIL_ADDRESS_LIMIT, REPLY_MAIL
from guestbook.outbound import visitor_mail
from guestbook.outbound.visitor_mail import PLACEHOLDERS
from guestbook.settings import Settings
from guestbook.storage import preferences
from guestbook.storage.models import Comment, Delivery, ReplyAddress
from guestbook.storage.preferences import Preferences

CONFIRMATION = "mail.confirmation"  # the event of the first e-mail
DAY = timedelta(days=1)
MOST_TO_ADDRESS, MOST_OF_NETWORK, MOST_IN_ALL = 2, 5, 100  # addresses kept in a day
TRANSLATIONS = Path(__file__).parents[1] / "translations"

WRONG_ADDRESS = Translatable("This does not look like an e-mail address, such as you@example.org.")
ASK_SUBJECT = Translatable("Please confirm your e-mail address: %(book)s")
ASK_TEXT = {  # A sentence, and what stands below it.
    Translatable(
        "Somebody signed the book “%(book)s” and left this e-mail address, to hear of the owner’s reply."
    ): "",
    Translatable("If that was you, open this page and press the button:"): "confirm",
    Translatable(
        "If not, do nothing: no other e-mail will come. Here you can delete your address at once:"
    ): "stop",
}
REPLY_SUBJECT = Translatable("A reply to your comment: %(book)s")
REPLY_TEXT = {
    Translatable("The owner of the book “%(book)s” replied to your comment:"): "reply",
    Translatable("Read it in the book:"): "comment",
    Translatable(
        "This is the only e-mail, and the book now deletes your address. To delete it yourself, open:"
    ): "stop",
}


def error_of(address: str) -> str | None:
    """Return a sentence about a wrong address, or None; it may be empty. ada@localhost is this host's own."""
    is_address = len(address) <= MAIL_ADDRESS_LIMIT and MAIL_ADDRESS.fullmatch(address)
    return None if not address or (is_address and "." in address.rpartition("@")[2]) else WRONG_ADDRESS


def keep(
    session: Session, comment: Comment, address: str, language: str, network: str, settings: Settings
) -> None:
    """Keep the address with a new comment from that network, unless it is spam or a limit is reached."""
    if not comment.is_known:
        return
    connection, now, key = session.connection(), clock.now(), settings.secret_key
    names = {f"mail to {address.lower()}": MOST_TO_ADDRESS, "mail to visitors": MOST_IN_ALL}
    limit = NetworkLimit(key, "mail to visitors", network, MOST_OF_NETWORK, DAY)
    if limit.take_by_day(connection, now) or any(
        rate_limit.take(connection, rate_limit.who(key, name), now, most, DAY) for name, most in names.items()
    ):
        return
    session.add(ReplyAddress(id=comment.id, address=address, language=language, created_at=now))
    session.flush()
    mail_next(session, comment, settings)


def mail_next(session: Session, comment: Comment, settings: Settings) -> None:
    """Store the e-mail to a comment's visitor that is due now, if any; the caller has locked the comment."""
    kept = session.get(ReplyAddress, comment.id, with_for_update=True, populate_existing=True)
    if kept is None or comment.status != "published":
        return
    book = preferences.read(session)
    if not book.reply_mails:
        return
    if kept.asked_at is None:
        kept.asked_at = clock.now()
        event, subject, text, values = CONFIRMATION, ASK_SUBJECT, ASK_TEXT, {}
    elif kept.confirmed_at and comment.reply and kept.mailed_at is None:
        kept.mailed_at = clock.now()
        event, subject, text = REPLY_MAIL, REPLY_SUBJECT, REPLY_TEXT
        values = {"reply": f"\n{comment.reply.message}", "comment": comment.url(settings.base_url)}
    else:
        return
    session.flush()
    values |= {"": "", "confirm": PLACEHOLDERS[CONFIRM], "stop": PLACEHOLDERS[STOP]}
    words = partial(_words, kept.language, book.title)
    parts = (f"{words(sentence)}\n{values[below]}".rstrip() for sentence, below in text.items())
    mail = {"subject": words(subject), "text": "\n\n".join(parts) + "\n"}
    visitor_mail.store(session, event, mail, comment.id, settings)


def confirm(session: Session, comment: Comment, settings: Settings) -> None:
    """Note that the visitor confirmed the address, and mail a reply that is there already."""
    kept = session.get(ReplyAddress, comment.id, with_for_update=True, populate_existing=True)
    if kept and kept.confirmed_at is None:
        kept.confirmed_at = clock.now()
        session.flush()
        mail_next(session, comment, settings)


def take_back(session: Session, comment_id: str) -> None:
    """Delete the e-mail with a reply that has changed, unless a pass has it in hand or has sent it."""
    mine = Delivery.comment_id == comment_id, Delivery.event == REPLY_MAIL
    waits = delete(Delivery).where(*mine, Delivery.status == "new", Delivery.claimed_by.is_(None))
    if session.connection().execute(waits).rowcount:
        session.execute(update(ReplyAddress).where(ReplyAddress.id == comment_id).values(mailed_at=None))


def forget(session: Session, comment_id: str) -> None:
    """Delete the address, in the caller's transaction. No e-mail goes to it then."""
    session.execute(delete(ReplyAddress).where(ReplyAddress.id == comment_id))


def _words(language: str, title: str, sentence: Translatable) -> str:
    """Return a sentence in the visitor's language; the page or command that stores it may have another."""
    known = gettext.translation("messages", TRANSLATIONS, [language], fallback=True)
    book = known.gettext(title) if title == Preferences().title else title
    return known.gettext(sentence.english) % {"book": book}
