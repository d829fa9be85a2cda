"""The pages of sources: add, edit, preview, and see what they send."""

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import defer

from guestbook.inbound import sample_requests, source_fields, sources, template_preview
from guestbook.inbound.sender_presets import SENDER_PRESETS
from guestbook.inbound.template_presets import PRESETS
from guestbook.lib import clock, ids
from guestbook.lib.errors import Refused
from guestbook.lib.text import clean_line
from guestbook.lib.verification.kinds import VERIFICATION_KINDS
from guestbook.lib.verification.signature_scheme import SIGNATURE_ENCODINGS, SIGNATURE_HASHES, SIGNED_CONTENTS
from guestbook.queries import bounded_counts, source_status
from guestbook.storage import source_budget
from guestbook.storage.database import db, writing
from guestbook.storage.models import InboundEvent, Source
from guestbook.storage.models.source import scheme_of
from guestbook.web import current, row_lookup
from guestbook.web.admin import responses, secret_pages
from guestbook.web.admin.row_actions import RowActions
from guestbook.web.admin.sources.source_form import ACTION_CHOICES, ACTION_WORDS, PRESET_NAMES, SourceForm

pages = Blueprint("sources", __name__, url_prefix="/sources")

EVENTS_SHOWN = 20  # events on a source's page

RowActions(
    model=Source,
    enabled=lambda _: "The source is enabled. The next pass of cron processes its waiting events.",
    disabled="The source is disabled. Its events are stored, and wait until you enable it.",
    owner_id=InboundEvent.source_id,
    delete_row=sources.delete,
    noun=("event", "events"),
).add_rules(pages)


@pages.get("/")
def index() -> ResponseReturnValue:
    """List the sources and how they are doing."""
    return render_template(
        "admin/sources.html",
        standings=source_status.all_of(db.session()),
        failed=bounded_counts.failed_lately(db.session(), InboundEvent, clock.now()),
        verifications=VERIFICATION_KINDS,
        actions=ACTION_WORDS,
    )


@pages.get("/new")
def new() -> ResponseReturnValue:
    """Show the form for a new source."""
    return _form(SourceForm(key=ids.new()))


@pages.post("/")
def add() -> ResponseReturnValue:
    """Add a source, and show what its sender needs."""
    typed = SourceForm.read()
    return responses.save(lambda: _add(typed), lambda error: _form(typed, error.fields))


@pages.get("/<source_id>")
def show(source_id: str) -> ResponseReturnValue:
    """Show a source: what its sender needs, how it is doing, its latest events and its actions."""
    return _page(row_lookup.find(Source, source_id))


@pages.get("/<source_id>/edit")
def edit(source_id: str) -> ResponseReturnValue:
    """Show the form with its settings."""
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
            sources.update(session, source, typed.fields(built_in=source.is_built_in))
            shown = secret_pages.seal(source) if source.secret not in (before, None) else None
    except Refused as error:
        return _form(typed, error.fields, row_lookup.find(Source, source_id)), 422
    return responses.done("The source is changed.", ".show", source_id=source_id, shown=shown)


@pages.post("/preview")
@pages.post("/<source_id>/preview")
def preview(source_id: str | None = None) -> ResponseReturnValue:
    """Show the comment that the form's template would make, of a received event if any, without saving."""
    typed = SourceForm.read()
    source = row_lookup.find(Source, source_id) if source_id else None
    if request.form.get("fill") == "sender":
        return _form(typed.with_sender(), None, source, sender=typed.preset)
    if "fill" in request.form:
        typed = typed.with_template()
    try:
        wording = source_fields.template_for(typed.verify, typed.chosen_template())
    except Refused as error:
        return _form(typed, error.fields, source), 422
    name = typed.name or (source.name if source else "The name of the source")
    base_url = current.settings().base_url
    made = template_preview.of(db.session(), source_id, name, typed.verify, wording, base_url)
    return _form(typed, None, source, made)


@pages.post("/<source_id>/sample")
def send_sample(source_id: str) -> ResponseReturnValue:
    """Send a sample event to it, and show what becomes of it."""
    source, event = row_lookup.find(Source, source_id), clean_line(request.form.get("event", ""))
    try:
        event_id = sample_requests.send(source, current.settings(), event)
    except Refused as error:
        return _page(row_lookup.find(Source, source_id), problem=str(error)), 422
    sentence = "The sample is stored. The next pass of cron processes it like a real event."
    return responses.done(sentence, "admin.inbox.show", event_id=event_id)


@pages.post("/<source_id>/rotate")
def rotate(source_id: str) -> ResponseReturnValue:
    """Use the typed secret, or a new one; a double click must not rotate it twice."""
    overlap, typed = secret_pages.overlap("stay valid"), clean_line(request.form.get("secret", ""))
    try:
        with writing() as session:
            source = row_lookup.find_locked(Source, source_id)
            if secret_pages.was_replaced(source):
                return responses.done(secret_pages.ALREADY_ROTATED, ".show", source_id=source_id)
            sources.rotate(session, source, clock.now(), typed or None, overlap)
            shown = None if typed else secret_pages.seal(source)
    except Refused as error:
        return _page(row_lookup.find(Source, source_id), reasons=error.fields, typed=typed), 422
    sentence = "The secret is rotated." if typed else "The secret is rotated. Give the new one to the sender."
    return responses.done(sentence, ".show", source_id=source_id, shown=shown)


def _page(source: Source, **more: object) -> str:
    session, now = db.session(), clock.now()
    query = select(InboundEvent).where(InboundEvent.source_id == source.id)
    query = query.options(defer(InboundEvent.payload), defer(InboundEvent.headers))
    return render_template(
        "admin/source.html",
        standing=source_status.of(session, source),
        url=source.url(current.settings().base_url),
        events=session.scalars(query.order_by(InboundEvent.id.desc()).limit(EVENTS_SHOWN)).all(),
        secret=secret_pages.new_secret(source),
        overlap_end=secret_pages.overlap_end(source, now),
        overlaps=secret_pages.OVERLAPS,
        mark=secret_pages.mark(source),
        verification=VERIFICATION_KINDS[source.verify],
        scheme=scheme_of(source.verify, source.header, source.scheme),
        action=ACTION_WORDS[source.action][0],
        preset=source_fields.preset_name(source.template),
        taken=source_budget.taken(source),
        samples=list(sample_requests.choices(source)),
        no_samples=sample_requests.hindrance(source),
        **more,
    )


def _form(
    typed: SourceForm,
    reasons: dict[str, str] | None = None,
    source: Source | None = None,
    preview: template_preview.TemplatePreview | None = None,
    *,
    sender: str = "",
) -> str:
    return render_template(
        "admin/source_form.html",
        typed=typed,
        reasons=reasons or {},
        source=source,
        preview=preview,
        verifications={name: (kind.title, kind.hint) for name, kind in VERIFICATION_KINDS.items()},
        actions=ACTION_CHOICES,
        presets=[(name, PRESET_NAMES.get(name, name)) for name in PRESETS],
        senders=[(name, preset.title) for name, preset in SENDER_PRESETS.items()],
        sender=SENDER_PRESETS.get(sender),
        schemes={"hash": SIGNATURE_HASHES, "encoding": SIGNATURE_ENCODINGS, "content": SIGNED_CONTENTS},
    )


def _add(typed: SourceForm) -> ResponseReturnValue:
    """Add it, unless this form has added it already; the form's key is the source's id."""
    with writing() as session:
        source = session.get(Source, typed.key)
        sentence = "This form was sent before. It added this source."
        if source is None:
            source = sources.add(session, typed.fields(), row_id=typed.key)
            sentence = "The source is added. Now give its URL to the sender."
        is_ours = source.secret is not None and not VERIFICATION_KINDS[source.verify].secret_from
        shown = secret_pages.seal(source) if is_ours and secret_pages.is_new(source) else None
    return responses.done(sentence, ".show", source_id=typed.key, shown=shown)
