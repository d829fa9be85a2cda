"""Buttons that webhooks and sources share: disable and delete."""

from collections.abc import Callable

from flask import request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Engine

from guestbook.lib import clock
from guestbook.lib.text import counted
from guestbook.storage.database import db, writing
from guestbook.storage.models import Source, Webhook
from guestbook.web import row_lookup
from guestbook.web.admin import responses, undo


def disable(model: type[Webhook] | type[Source], row_id: str, sentence: str) -> ResponseReturnValue:
    """Disable a row, with an undo where it was enabled."""
    with writing() as session:
        row: Webhook | Source = row_lookup.find_locked(model, row_id)
        was_enabled = row.disabled_at is None
        row.disable(clock.now())
        back = url_for(".show", **request.view_args or {})
        undo_id = undo.of_disabling(session, row, back) if was_enabled else None
    return responses.done(sentence, ".show", undo=undo_id, **request.view_args or {})


def delete(
    model: type[Webhook] | type[Source], row_id: str, delete_row: Callable[[Engine, str], int], *noun: str
) -> ResponseReturnValue:
    """Delete a row with its deliveries or events, and say how many."""
    name = row_lookup.find(model, row_id).name
    db.session.rollback()  # a reader would keep SQLite's rollback journal from being written
    count = delete_row(db.engine, row_id)
    return responses.done(f"“{name}” was deleted with {counted(count, *noun)}.", ".index")
