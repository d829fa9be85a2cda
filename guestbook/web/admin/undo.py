"""Undo: the notice of a change offers it, and one click restores the state before.

The state before is stored in the book's state, for the latest changes only. It holds ids, statuses and the
settings of the book: no secret and no words of a visitor.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from flask import Blueprint, abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from guestbook.comments import comment_actions
from guestbook.lib import clock, ids
from guestbook.lib.errors import Refused
from guestbook.lib.text import counted
from guestbook.storage import audit_log, preferences
from guestbook.storage.database import writing
from guestbook.storage.models import BookState, Source, Webhook
from guestbook.web import request_context

pages = Blueprint("undo", __name__, url_prefix="/undo")

UNDO_PREFIX = "undo:"  # So begin the names of their rows in the book's state.
UNDO_LIMIT = 20  # changes that can be undone
ALREADY_UNDONE = "This was undone already."
NO_LONGER_POSSIBLE = "This can no longer be undone: only the latest changes can."
CHANGED_SINCE = "It has changed since, so nothing was undone."
PARTLY_UNDONE = "Undone, except for the settings that have changed since."

StatusChange = tuple[str, str, str]  # a comment's id, its status before and after


def of_comments(session: Session, moved: Sequence[StatusChange], back: str) -> str | None:
    """Store the statuses before, in the caller's transaction; return the change's id, if any."""
    changed = [row for row in moved if row[1] != row[2]]
    return _keep(session, back, moved=changed, at=clock.to_text(clock.now())) if changed else None


def of_disabling(session: Session, row: Webhook | Source, back: str) -> str:
    """Store that the row was enabled until now."""
    assert row.disabled_at
    return _keep(session, back, at=clock.to_text(row.disabled_at), **{type(row).__name__: row.id})


def save_settings(session: Session, typed: Mapping[str, str], back: str) -> str | None:
    """Save these settings, and store what they were; None when none has changed."""
    before = preferences.typed(preferences.read(session))
    preferences.save(session, typed)
    after = preferences.typed(preferences.read(session))
    changed = {name: [before[name], after[name]] for name in after if before[name] != after[name]}
    return _keep(session, back, settings=changed) if changed else None


def _keep(session: Session, back: str, **change: Any) -> str:
    change_id = ids.new()
    # As UTF-8, where a stylesheet of full length, before and after, fits into MariaDB's 64 kB.
    value = json.dumps({**change, "back": back}, ensure_ascii=False)
    session.add(BookState(name=UNDO_PREFIX + change_id, value=value))
    session.flush()
    kept = select(BookState.name).where(BookState.name.like(f"{UNDO_PREFIX}%"))
    old = list(session.scalars(kept.order_by(BookState.name.desc()).offset(UNDO_LIMIT).limit(UNDO_LIMIT)))
    if old:
        session.connection().execute(delete(BookState).where(BookState.name.in_(old)))
    return change_id


@pages.post("/")
def undo() -> ResponseReturnValue:
    """Undo a change, unless it was undone or changed since; then say so."""
    change_id = request.form.get("change", "")
    if not ids.ID.fullmatch(change_id):
        abort(404)
    back, sentence = None, NO_LONGER_POSSIBLE
    with writing() as session:
        row = session.get(BookState, UNDO_PREFIX + change_id, with_for_update=True)
        if row is not None:
            change: dict[str, Any] = json.loads(row.value)
            back, sentence = change["back"], _undone(session, change)
            if sentence != CHANGED_SINCE:
                row.value = json.dumps(change | {"undone": True}, ensure_ascii=False)
    flash(sentence)
    return redirect(back or url_for("admin.dashboard.index"), 303)


def _undone(session: Session, change: Mapping[str, Any]) -> str:
    if "undone" in change:
        return ALREADY_UNDONE
    if "moved" in change:
        return _move_back(session, change["moved"], change.get("at", ""))
    if "settings" in change:
        return _set_back(session, change["settings"])
    model = Webhook if "Webhook" in change else Source
    return _enable(session, model, change[model.__name__], change["at"])


def _move_back(session: Session, moved: Sequence[StatusChange], at: str) -> str:
    """Move comments back, but those that have another status or other words since: nobody has read them."""
    found = []
    steps = {comment_id: (was, is_now) for comment_id, was, is_now in moved}
    for comment in comment_actions.lock(session, list(steps)):
        was, is_now = steps[comment.id]
        is_edited_since = comment.edited_at and clock.to_text(comment.edited_at) >= at
        if comment.status == is_now and not is_edited_since:
            comment_actions.move(session, comment, was, request_context.settings())
            found.append(comment)
    if not found:
        return CHANGED_SINCE
    left = len(moved) - len(found)
    rest = f" {counted(left, 'comment')} changed since and stayed as they are." if left else ""
    if len(found) > 1:
        return f"Undone. {counted(len(found), 'comment')} are as before.{rest}"
    status = "in the trash" if found[0].status == "trash" else found[0].status
    return f"Undone. The comment by {found[0].name} is {status} again.{rest}"


def _set_back(session: Session, settings: Mapping[str, Sequence[str]]) -> str:
    now = preferences.typed(preferences.read(session))
    back = {name: before for name, (before, after) in settings.items() if now.get(name) == after}
    if not back:
        return CHANGED_SINCE
    try:
        preferences.save(session, back)
    except Refused:  # One of them needs another setting, which has changed since.
        return CHANGED_SINCE
    return "Undone. The settings are as before." if len(back) == len(settings) else PARTLY_UNDONE


def _enable(session: Session, model: type[Webhook] | type[Source], row_id: str, at: str) -> str:
    """Undo this disabling only, so that a pause and failures stay as they were."""
    row = cast(Webhook | Source | None, session.get(model, row_id, with_for_update={"key_share": True}))
    if row is None or row.disabled_at is None or clock.to_text(row.disabled_at) != at:
        return CHANGED_SINCE
    row.disabled_at = None
    if isinstance(row, Webhook):
        row.disabled_reason = None
    session.flush()
    audit_log.record_row(session, "enabled", row)
    return f"Undone. “{row.name}” is enabled again."
