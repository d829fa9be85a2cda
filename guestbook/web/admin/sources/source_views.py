"""The sources: who sends webhooks to us, what to give them, what becomes of what they send."""

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import func, select
from sqlalchemy.orm import defer

from guestbook.inbound import sources, template_preview
from guestbook.inbound.template_presets import PRESETS
from guestbook.lib import clock, ids
from guestbook.lib.errors import Refused
from guestbook.lib.text import clean_line, counted
from guestbook.lib.verification.kinds import VERIFICATION_KINDS
from guestbook.queries import listing, source_status
from guestbook.storage import source_budget
from guestbook.storage.database import db, writing
from guestbook.storage.models import InboundEvent, Source
from guestbook.web import current, row_lookup
from guestbook.web.admin import responses, secret_pages, undo
from guestbook.web.admin.sources.source_form import (
    ACTION_CHOICES,
    PRESET_NAMES,
    SourceForm,
)

pages = Blueprint("sources", __name__, url_prefix="/sources")

EVENTS_SHOWN = 20  # events on a source's page


@pages.get("/")
def index() -> ResponseReturnValue:
    """List them, and how they are doing."""
    return render_template(
        "admin/sources.html",
        standings=source_status.all_of(db.session()),
        failed=listing.failed_lately(db.session(), InboundEvent, clock.now()),
        kinds=VERIFICATION_KINDS,
        deeds=ACTION_CHOICES,
    )


@pages.get("/new")
def new() -> ResponseReturnValue:
    """Show the form for another one."""
    return _form(SourceForm(key=ids.new()))


@pages.post("/")
def add() -> ResponseReturnValue:
    """Add one, and show what to give to its sender."""
    typed = SourceForm.read()
    return responses.add(lambda: _add(typed), lambda error: _form(typed, error.fields))


@pages.post("/preview")
def try_out() -> ResponseReturnValue:
    """Show the form with the comment that its template would make; nothing is saved."""
    return _tried(None)


@pages.get("/<source_id>")
def show(source_id: str) -> ResponseReturnValue:
    """Show one: what to give to its sender, how it is doing, what came lately, what can be done."""
    return _page(row_lookup.find(Source, source_id))


@pages.get("/<source_id>/edit")
def edit(source_id: str) -> ResponseReturnValue:
    """Show the form with what is set."""
    source = row_lookup.find(Source, source_id)
    return _form(SourceForm.of(source), source=source)


@pages.post("/<source_id>")
def change(source_id: str) -> ResponseReturnValue:
    """Change it as the form says."""
    typed = SourceForm.read()
    try:
        with writing() as session:
            source = row_lookup.find_locked(Source, source_id)
            before = source.secret
            sources.update(session, source, typed.fields())
            shown = secret_pages.seal(source) if source.secret not in (before, None) else None
    except Refused as error:
        return _form(typed, error.fields, row_lookup.find(Source, source_id)), 422
    return responses.done("The source is changed.", "admin.sources.show", source_id=source_id, shown=shown)


@pages.post("/<source_id>/preview")
def try_change(source_id: str) -> ResponseReturnValue:
    """Show the form with the comment that its template would make of what has come; nothing is saved."""
    return _tried(row_lookup.find(Source, source_id))


@pages.post("/<source_id>/enable")
def enable(source_id: str) -> ResponseReturnValue:
    """Work through what it sends again."""
    with writing():
        row_lookup.find_locked(Source, source_id).enable()
    sentence = "The source is enabled. What waits is worked through with the next pass of cron."
    return responses.done(sentence, "admin.sources.show", source_id=source_id)


@pages.post("/<source_id>/disable")
def disable(source_id: str) -> ResponseReturnValue:
    """Store what it sends and do nothing with it."""
    with writing() as session:
        source = row_lookup.find_locked(Source, source_id)
        was_enabled = source.disabled_at is None
        source.disable(clock.now())
        back = url_for("admin.sources.show", source_id=source_id)
        undo_id = undo.of_disabling(session, source, back) if was_enabled else None
    sentence = "The source is disabled. What it sends is stored, and waits until it is enabled again."
    return responses.done(sentence, "admin.sources.show", undo=undo_id, source_id=source_id)


@pages.post("/<source_id>/rotate")
def rotate(source_id: str) -> ResponseReturnValue:
    """Take the secret that was typed, or a new one. The second click of two would end what the sender has."""
    overlap, typed = secret_pages.overlap("still be good"), clean_line(request.form.get("secret", ""))
    try:
        with writing() as session:
            source = row_lookup.find_locked(Source, source_id)
            if secret_pages.was_replaced(source):
                return responses.done(secret_pages.REPLACED_BEFORE, "admin.sources.show", source_id=source_id)
            sources.rotate(session, source, clock.now(), typed or None, overlap)
            shown = None if typed else secret_pages.seal(source)
    except Refused as error:
        return _page(row_lookup.find(Source, source_id), reasons=error.fields, typed=typed), 422
    sentence = "The secret is replaced." if typed else "There is a new secret. Give it to the sender."
    return responses.done(sentence, "admin.sources.show", source_id=source_id, shown=shown)


@pages.get("/<source_id>/secret")
def secret(source_id: str) -> ResponseReturnValue:
    """Ask for the password before the secret is shown."""
    return secret_pages.ask(Source, source_id, "admin/source_secret.html")


@pages.post("/<source_id>/secret")
def reveal(source_id: str) -> ResponseReturnValue:
    """Show the secret to who knows the password."""
    return secret_pages.reveal(Source, source_id, "admin/source_secret.html")


@pages.get("/<source_id>/delete")
def before_delete(source_id: str) -> ResponseReturnValue:
    """Say what goes with it."""
    source = row_lookup.find(Source, source_id)
    mine = select(func.count()).select_from(InboundEvent).where(InboundEvent.source_id == source.id)
    return render_template("admin/source_delete.html", source=source, count=db.session.scalar(mine))


@pages.post("/<source_id>/delete")
def delete(source_id: str) -> ResponseReturnValue:
    """Delete it with all that it has sent."""
    name = row_lookup.find(Source, source_id).name
    db.session.rollback()  # a reader would keep SQLite's rollback journal from being written
    count = sources.delete(db.engine, source_id)
    sentence = f"“{name}” is deleted, and {counted(count, 'event')} with it."
    return responses.done(sentence, "admin.sources.index")


def _page(source: Source, **more: object) -> str:
    session, now = db.session(), clock.now()
    query = select(InboundEvent).where(InboundEvent.source_id == source.id)
    query = query.options(defer(InboundEvent.payload), defer(InboundEvent.headers))
    return render_template(
        "admin/source.html",
        standing=source_status.of(session, source),
        url=source.url(current.settings().base_url),
        events=session.scalars(query.order_by(InboundEvent.id.desc()).limit(EVENTS_SHOWN)).all(),
        secret=secret_pages.just_made(source),
        overlap_end=secret_pages.overlap_end(source, now),
        overlaps=secret_pages.OVERLAPS,
        mark=secret_pages.mark(source),
        kind=VERIFICATION_KINDS[source.verify],
        deed=ACTION_CHOICES[source.action][0],
        ready=sources.ready_name(source.template),
        taken=source_budget.taken(source),
        **more,
    )


def _form(
    typed: SourceForm,
    reasons: dict[str, str] | None = None,
    source: Source | None = None,
    tried: template_preview.TemplatePreview | None = None,
) -> str:
    return render_template(
        "admin/source_form.html",
        typed=typed,
        reasons=reasons or {},
        source=source,
        tried=tried,
        kinds={name: (kind.title, kind.hint) for name, kind in VERIFICATION_KINDS.items()},
        deeds=ACTION_CHOICES,
        ready=[(name, PRESET_NAMES.get(name, name)) for name in PRESETS],
    )


def _tried(source: Source | None) -> ResponseReturnValue:
    typed = SourceForm.read()
    if "fill" in request.form:
        typed = typed.filled()
    try:
        wording = sources.template_for(typed.verify, typed.wording())
    except Refused as error:
        return _form(typed, error.fields, source), 422
    name = typed.name or (source.name if source else "The name of the source")
    base_url, source_id = current.settings().base_url, source.id if source else None
    tried = template_preview.of(db.session(), source_id, name, typed.verify, wording, base_url)
    return _form(typed, None, source, tried)


def _add(typed: SourceForm) -> ResponseReturnValue:
    """Add it, unless this very form has done so before; its key is the source's id."""
    with writing() as session:
        source = session.get(Source, typed.key)
        sentence = "This form was sent before; here is the source that it added."
        if source is None:
            source = sources.add(session, typed.fields(), row_id=typed.key)
            sentence = "The source is added. Now let its sender know where to send."
        is_ours = source.secret is not None and not VERIFICATION_KINDS[source.verify].secret_from
        shown = secret_pages.seal(source) if is_ours and secret_pages.is_new(source) else None
    return responses.done(sentence, "admin.sources.show", source_id=typed.key, shown=shown)
