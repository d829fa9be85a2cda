"""Manage sources, which send webhooks to us. Commands, pages and calls use this; wrong values are refused."""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from guestbook.inbound import scheme_fields, senders
from guestbook.inbound.senders import PRESETS
from guestbook.lib import clock, ids, template_sandbox, text, validate
from guestbook.lib.errors import Refused, only_here
from guestbook.lib.template_sandbox import TemplateFault
from guestbook.lib.verification.kinds import VERIFICATION_KINDS, SignatureClaim, Unproven
from guestbook.storage import audit_log, batch_delete, row_changes
from guestbook.storage.models import INBOUND, Source
from guestbook.storage.models.source import ACTIONS, BUDGET_MB, OLD_SECRET_VALID_FOR, VERIFY

SECRET_LIMIT = 200  # characters, as in schema.sql
LEAST_MB, MOST_MB = 2, 1000  # of a budget: one body takes up to 1.4 MB, and INTEGER ends at 2,147 MB
DEFAULTS = {  # of PRESETS
    **{"github": "github", "standard": "guestbook", "stripe": "stripe"},
    **dict.fromkeys(("hmac", "ed25519", "token", "none"), "plain"),
}
NO_CLAIM = SignatureClaim("", b"", (), None, ())


def checked_fields(source: Source, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of a source; refuses with a sentence for each wrong field."""
    verify = fields.get("verify", source.verify)
    action = fields.get("action", source.action)
    budget = validate.whole(LEAST_MB, MOST_MB, "budget_mb", "The budget must be a number of megabytes")
    checks: dict[str, Callable[[], Any]] = {
        "name": lambda: validate.name(fields.get("name", source.name)),
        "verify": lambda: _choice(source, "verify", VERIFY, verify, "way to verify"),
        "action": lambda: _choice(source, "action", ACTIONS, action, "action"),
        "secret": lambda: _new_secret(source, verify, fields.get("secret")),
        "header": lambda: scheme_fields.header(source, verify, fields.get("header")),
        "scheme": lambda: scheme_fields.scheme(source, verify, fields),
        "template": lambda: _template(source, verify, action, fields.get("template")),
        "budget_mb": lambda: budget(fields.get("budget_mb", source.budget_mb)),
    }
    return validate.all_of(checks)


def _choice(source: Source, field: str, known: Collection[str], chosen: str, noun: str) -> str:
    if not source.is_built_in:
        return validate.one_of(known, chosen, field=field, noun=noun)
    if chosen != getattr(source, field):
        raise Refused(
            f"The book has added this source for webmentions, so its {noun} stays.",
            field=field,
            only_here=True,
        )
    return chosen


def preset_name(template: str | None) -> str | None:
    """Return the name of the ready-made template that this is, if any."""
    return next((name for name, ready in PRESETS.items() if ready == template), None)


def template_for(verify: str, template: str | None) -> str:
    """Return the text of a template, given as a text, as a name or not at all; refuses a wrong one."""
    given = text.LINE_ENDS.sub("\n", template or "")
    if not given.strip():
        given = DEFAULTS.get(verify, "")
    if not given:
        known = ", ".join(PRESETS)
        sentence = f"Write the template that makes the comment, or name a ready-made one: {known}."
        raise Refused(sentence, field="template")
    wording = PRESETS.get(given.strip(), given)
    key = ("source's template", wording)
    validate.template(key, lambda: template_sandbox.check(wording), TemplateFault)
    return validate.storable(wording, field="template")


def _new_secret(source: Source, verify: str, given: str | None) -> str | None:
    """Return the given secret, the present one, or a new one."""
    if verify == "none":
        if given:
            sentence = "A source that verifies nothing has no secret. Choose how it is verified."
            raise Refused(sentence, field="secret")
        return None
    keeps = not given and verify == source.verify
    return source.secret if keeps else checked_secret(verify, given)


def checked_secret(verify: str, given: str | None) -> str:
    """Return the given secret or a new one; raises Refused."""
    kind = VERIFICATION_KINDS.get(verify, VERIFICATION_KINDS["none"])
    if not given and kind.secret_from:
        raise Refused(f"Paste {kind.secret_from}: it alone proves the sender.", field="secret")
    if not given:
        return kind.new_secret()
    typed = given.strip()
    if not typed or len(typed) > SECRET_LIMIT or not typed.isprintable():
        sentence = f"The secret must have 1 to {SECRET_LIMIT} characters, all in one line."
        raise Refused(sentence, field="secret")
    if typed.startswith(kind.mistaken):
        raise Refused(f"This is {kind.mistaken_for}.", field="secret")
    if verify == "token" and not typed.isascii():
        raise Refused("A token is sent in a header, so it must be plain ASCII.", field="secret")
    try:
        kind.matches(typed, NO_CLAIM)
    except Unproven as error:
        raise Refused(str(error), field="secret") from None
    return typed


def _template(source: Source, verify: str, action: str, given: str | None) -> str | None:
    """Return the template; it stays even if the action does not need it."""
    if action == "comment":
        return template_for(verify, source.template if given is None else given)
    if given and given.strip():
        raise Refused(
            f"The action {action} needs no template. Only the action comment does.", field="template"
        )
    return source.template


# The check of any other field of a source looks at how the source verifies and what it does.
JUDGED_ALONE = {"name", "preset", "verify", "action", "budget_mb"}


def add(session: Session, fields: Mapping[str, Any], *, row_id: str | None = None) -> Source:
    """Add one from `name`, `verify` and, where given, the other fields of `update`.

    A secret is made here unless the sender makes it. `template` is a text or the name of a ready-made one.
    `preset` names a known sender; the other fields override its settings.
    """
    source = Source(id=row_id or ids.new(), token=ids.new_url_token(), created_at=clock.now())
    given = {"name": "", "verify": "", "action": "log", "budget_mb": BUDGET_MB, **fields}
    _set(source, given)
    row_changes.refuse_taken_name(session, source)
    session.add(source)
    session.flush()
    audit_log.record_row(session, "added", source)
    return source


def update(session: Session, source: Source, fields: Mapping[str, Any]) -> None:
    """Change the named fields, all or, when one is wrong, none.

    They are `name`, `verify`, `secret`, `header`, those of `scheme_fields`, `action`, `template`, `relayed`,
    `in_full`, `budget_mb`, and `preset`. A new secret of the same kind is taken as `rotate` does; a new
    `verify` ends the old secrets at once.
    """
    try:
        _set(source, fields)
    except Refused as error:
        error.only_here |= not JUDGED_ALONE.issuperset(error.fields)
        raise
    row_changes.refuse_taken_name(session, source)
    audit_log.record_changes(session, source)
    session.add(source)
    session.flush()


def rotate(
    session: Session,
    source: Source,
    now: datetime,
    secret: str | None = None,
    overlap: timedelta = OLD_SECRET_VALID_FOR,
) -> None:
    """Take a new secret, given or made here; the old one stays valid for a while."""
    if source.verify == "none":
        raise Refused("This source verifies nothing, so it has no secret.", field="secret", only_here=True)
    with only_here():
        fresh = checked_secret(source.verify, secret)
    if fresh == source.secret:
        raise Refused("The source already has this secret.", field="secret", only_here=True)
    source.rotate_secret(fresh, now, overlap)
    session.flush()
    audit_log.record_row(session, "rotated", source, "secret")


def delete(engine: Engine, source_id: str) -> int:
    """Delete a source with its events; return how many. Their comments and deliveries stay."""
    mine = INBOUND.c.source_id == source_id
    return batch_delete.delete_with_rows(engine, Source, source_id, INBOUND, mine)


def begin_delete(session: Session, source_id: str) -> bool:
    """Delete a source with its events, or the first 500 of them; return whether it is gone."""
    mine = INBOUND.c.source_id == source_id
    return batch_delete.delete_next(session.connection(), Source, source_id, INBOUND, mine)[1]


def _set(source: Source, fields: Mapping[str, Any]) -> None:
    filled = senders.filled_in(source, fields)
    values = checked_fields(source, filled)
    now, secret = clock.now(), values.pop("secret")
    if values["verify"] != source.verify:
        source.secret, source.previous_secret, source.previous_secret_expires_at = secret, None, None
    elif secret != source.secret:
        source.rotate_secret(secret, now)
    for name, value in values.items():
        setattr(source, name, value)
    source.relayed_since = _since(source.relayed_since, filled.get("relayed"), now)
    source.forwarded_in_full_since = _since(source.forwarded_in_full_since, filled.get("in_full"), now)


def _since(before: datetime | None, is_wanted: bool | None, now: datetime) -> datetime | None:
    """Return the time since which something is wanted; None for `is_wanted` leaves it."""
    if is_wanted is None:
        return before
    return before or now if is_wanted else None
