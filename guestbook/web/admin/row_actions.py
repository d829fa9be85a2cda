"""The buttons that webhooks and sources share, and their secret: shown when new, later with the password.

When it is new, one page hands the next a signed value through the browser. It is part of addresses, which
servers log. So it contains a name of the secret, never the secret itself.
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from flask import Blueprint, abort, g, render_template, request, url_for
from flask.typing import ResponseReturnValue
from itsdangerous import BadData, URLSafeSerializer
from sqlalchemy import func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from guestbook.lib import clock, signatures
from guestbook.lib.errors import Refused
from guestbook.lib.text import clean_line, counted
from guestbook.storage import row_changes
from guestbook.storage.database import db, writing
from guestbook.storage.models import Source, Webhook
from guestbook.web import request_context, row_lookup
from guestbook.web.admin import responses, undo

OVERLAPS = {"0": "no time", "1": "1 hour", "24": "24 hours", "72": "3 days", "168": "7 days"}  # in hours
SHOWN_FOR = timedelta(minutes=2)  # So long is a new secret shown without the password.


@dataclass(frozen=True, slots=True)
class RowActions:
    """The buttons of webhooks or of sources. Each address has the row's id."""

    model: type[Any]  # Webhook or Source
    show_page: Callable[..., str]
    enabled: str  # The sentences afterwards; this one may have a place for who sends what waits.
    disabled: str
    # It gets the overlap, and what was typed if anything was.
    rotate_secret: Callable[[Session, Any, timedelta, str | None], None]
    overlapping: str  # what the old secret does after a rotation
    partner: str  # "receiver" or "sender"
    owner_id: InstrumentedAttribute[str]  # The rows with this column are deleted with their owner.
    noun: tuple[str, str]  # The words for one and for several of them.

    def add_rules(self, pages: Blueprint) -> None:
        """Add the buttons' addresses below the one of their row."""
        for view in (self.enable, self.disable, self.rotate, self.secret, self.delete):
            methods = ["GET", "POST"] if view.__name__ in ("secret", "delete") else ["POST"]
            row, action = f"/<{self.model.__name__.lower()}_id>", responses.form_on(self.show_page)(view)
            pages.add_url_rule(f"{row}/{view.__name__}", view_func=action, methods=methods)

    def enable(self, **address: str) -> ResponseReturnValue:
        """Enable a row, even before a pause is over. A secret that its page shows stays on the page."""
        with row_lookup.changing(self.model, *address.values()) as (session, row):
            row_changes.enable(session, row)
            shown, is_pulled = keep_shown(row), self.model is Webhook and row.is_pulled
        said = self.enabled.format("Its receiver fetches" if is_pulled else "The next pass of cron sends")
        return responses.done(said, ".show", **address, shown=shown)

    def disable(self, **address: str) -> ResponseReturnValue:
        """Disable a row, with an undo where it was enabled."""
        with row_lookup.changing(self.model, *address.values()) as (session, row):
            was_enabled = row.disabled_at is None
            row_changes.disable(session, row)
            back = url_for(".show", **address)  # type: ignore[arg-type]  # url_for takes them
            undo_id = undo.of_disabling(session, row, back) if was_enabled else None
        return responses.done(self.disabled, ".show", undo=undo_id, **address)

    def rotate(self, **address: str) -> ResponseReturnValue:
        """Use the typed secret, or a new one that it shows; a double click must not rotate it twice."""
        signs_for, typed = overlap(self.overlapping), clean_line(request.form.get("secret", ""))
        with row_lookup.changing(self.model, *address.values()) as (session, row):
            if said := rotated_already(row):
                return responses.done(said, ".show", **address)
            self.rotate_secret(session, row, signs_for, typed or None)
            shown = None if typed else seal(row)
        advice = "" if typed else f" Give the new one to the {self.partner}."
        return responses.done(f"The secret is rotated.{advice}", ".show", **address, shown=shown)

    def secret(self, **address: str) -> ResponseReturnValue:
        """Ask for the password, and show the secret in the answer: the next page would need it again."""
        row, page = row_lookup.find(self.model, *address.values()), "admin/secret.html"
        standard_form = signatures.standard_form(row.secret) if self.model is Webhook else row.secret
        shown = {"row": row, "is_webhook": self.model is Webhook, "standard_form": standard_form}
        if request.method != "POST":
            return render_template(page, **shown)
        try:
            responses.confirm_password()
        except Refused as error:
            return responses.refused(error, partial(render_template, page, **shown))
        with writing() as session:
            row_changes.note_reveal(session, row_lookup.find(self.model, *address.values()))
        return render_template(page, **shown, may_see=True)

    def delete(self, **address: str) -> ResponseReturnValue:
        """Say what is deleted with a row; POST deletes it, and says how many deliveries or events it had."""
        row = row_lookup.find(self.model, *address.values())
        if request.method != "POST":
            count = db.session.scalar(select(func.count()).where(self.owner_id == row.id))
            return render_template(f"admin/{self.model.__name__.lower()}_delete.html", row=row, count=count)
        row_id, name = row.id, row.name
        db.session.rollback()  # A reader would keep SQLite's rollback journal from being written.
        count = row_changes.delete_with_rows(db.engine, self.model, row_id)
        return responses.done(f"“{name}” was deleted with {counted(count, *self.noun)}.", ".index")


def seal(row: Webhook | Source, viewer: str | None = None) -> str:
    """Return a value with which the next page shows the secret, for a while and to this viewer or login."""
    return _serializer(viewer).dumps([_marks(row)[0], int(clock.now().timestamp())])


def is_new(row: Webhook | Source) -> bool:
    """Whether the row is so new that its secret may still be shown."""
    return clock.now() - row.created_at < SHOWN_FOR


def new_secret(row: Webhook | Source, viewer: str | None = None) -> str | None:
    """Return the secret if the address proves that this viewer has just created it."""
    try:
        name, made = _serializer(viewer).loads(request.args.get("shown", ""))
    except (BadData, UnicodeError):
        return None
    age = abs(clock.now().timestamp() - made)  # Two servers have two clocks, so it may be negative.
    return row.secret if name == _marks(row)[0] and age <= SHOWN_FOR.total_seconds() else None


def keep_shown(row: Webhook | Source) -> str | None:
    """Return a value that lets the next page keep showing a secret that this page shows."""
    return seal(row) if new_secret(row) else None


def secret_facts(row: Webhook | Source, now: datetime, viewer: str | None = None) -> dict[str, Any]:
    """Return what a row's page says of its secret, and what its forms need to rotate it."""
    return {
        "secret": new_secret(row, viewer),
        "overlap_end": row_changes.overlap_end(row, "secret", now),
        "key_overlap_end": isinstance(row, Webhook) and row_changes.overlap_end(row, "signing_key", now),
        "overlaps": OVERLAPS,
        "mark": _marks(row)[0],
    }


def overlap(then: str, noun: str = "secret") -> timedelta:
    """Read how long the old secret may do `then`; 422 for a value that the form does not offer."""
    hours = request.form.get("hours", "")
    if hours not in OVERLAPS:
        abort(422, f"Nothing was changed. Choose how long the old {noun} may {then}.")
    return timedelta(hours=int(hours))


def rotated_already(row: Webhook | Source, noun: str = "secret") -> str | None:
    """Return what to say if the form was for another secret or `key`: a double click has rotated it."""
    present = [row.public_key] if isinstance(row, Webhook) and noun == "key" else _marks(row)
    is_replaced = request.form.get("replaces") not in present
    return f"The {noun} was rotated already, so nothing was changed." if is_replaced else None


def _marks(row: Webhook | Source) -> list[str]:
    """Return names for this secret that do not reveal it, also with older keys: a page may be open still."""
    message = f"{row.id} {row.secret}".encode()
    keys = request_context.settings().secret_keys
    return [hmac.new(key.encode(), message, "sha256").hexdigest() for key in keys]


def _serializer(viewer: str | None) -> URLSafeSerializer:
    keys = request_context.settings().signing_keys
    return URLSafeSerializer(keys, salt=f"admin {viewer or g.login.id} secret")
