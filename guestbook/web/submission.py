"""A visitor's comment, from the page or the API: checked for spam, counted and stored in one transaction."""

import math
from datetime import timedelta

from flask import request
from sqlalchemy.exc import IntegrityError

from guestbook.auth import rate_limit
from guestbook.comments import book, moderation_policy
from guestbook.comments.comment_form import Draft
from guestbook.comments.moderation_policy import Classification
from guestbook.lib import clock
from guestbook.lib.errors import Refused
from guestbook.storage.database import db, writing
from guestbook.storage.models import Comment
from guestbook.web import current

RATE_WINDOW = timedelta(minutes=10)  # the owner sets how many comments one network may write in it


class TooManyComments(Refused):
    """This network has reached the rate limit and must wait for `seconds`."""

    def __init__(self, seconds: float) -> None:
        self.seconds = math.ceil(seconds)
        minutes = math.ceil(self.seconds / 60)
        wait = f"{self.seconds} seconds" if self.seconds < 90 else f"{minutes} minutes"
        super().__init__(f"You have written many comments in a short time. Please try again in {wait}.")


def submit(entry: Draft, *, trap: str, age: float | None, form_key: str | None) -> Comment:
    """Store a comment, or give back the one that this form and this text have made; raises TooMany."""
    moderation = current.preferences().moderation
    classification = moderation_policy.classify(entry, trap=trap, age=age, moderation=moderation)
    try:
        return _store(entry, classification, form_key)
    except IntegrityError:
        # The key is unique: this is a double click. Or the owner has just deleted a webhook.
        return _stored_before(form_key) or _store(entry, classification, form_key)
    except TooManyComments:
        # The first click of a double click may have used up the limit.
        if comment := _stored_before(form_key):
            return comment
        raise


def _store(entry: Draft, classification: Classification, form_key: str | None) -> Comment:
    settings = current.settings()
    with writing() as session:
        network = rate_limit.who(settings.secret_key, "comment", request.remote_addr or "")
        most = current.preferences().rate
        if wait := rate_limit.take(session, network, clock.now(), most=most, within=RATE_WINDOW):
            raise TooManyComments(wait)
        return book.sign(session, entry, classification, form_key=form_key, settings=settings)


def _stored_before(form_key: str | None) -> Comment | None:
    return book.signed_with(db.session(), form_key) if form_key else None
