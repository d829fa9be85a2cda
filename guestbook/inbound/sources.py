"""Manage sources, which send webhooks to us. Commands and buttons call these; wrong values are refused."""

import re
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, func, select
from sqlalchemy import delete as delete_rows
from sqlalchemy.orm import Session

from guestbook.inbound.template_presets import PRESETS
from guestbook.lib import clock, ids, template_sandbox, text, unit_of_work, validate
from guestbook.lib.errors import Refused
from guestbook.lib.template_sandbox import TemplateFault
from guestbook.lib.verification import TOKEN_HEADER
from guestbook.lib.verification.kinds import VERIFICATION_KINDS
from guestbook.lib.verification.signature_headers import Unproven
from guestbook.storage import batch_delete, database
from guestbook.storage.models import INBOUND, Source
from guestbook.storage.models.source import ACTIONS, BUDGET_MB, OLD_SECRET_VALID_FOR, VERIFY

SECRET_LIMIT, HEADER_LIMIT = 200, 64  # characters, as in schema.sql
LEAST_MB, MOST_MB = 2, 1000  # of a budget: one body takes up to 1.4 MB, and INTEGER ends at 2,147 MB
TOKEN_BYTES = 24  # of a source's URL
DEFAULTS = {"github": "github", "standard": "guestbook", "token": "plain", "none": "plain"}  # of PRESETS

HEADER = re.compile("[A-Za-z0-9-]+")  # servers drop names with an underscore, or read it as a hyphen
NO_PROOF = frozenset(("accept", "connection", "content-length", "content-type", "host", "user-agent"))


def add(session: Session, fields: Mapping[str, Any], *, row_id: str | None = None) -> Source:
    """Add one from `name`, `verify` and, where given, the other fields of `update`.

    A secret is made here unless the sender makes it. `template` is a text or the name of a ready-made one.
    """
    given = {"name": "", "verify": "", "action": "log", "budget_mb": BUDGET_MB, **fields}
    token = secrets.token_urlsafe(TOKEN_BYTES)
    source = Source(id=row_id or ids.new(), token=token, created_at=clock.now())
    _fill(source, given)
    session.add(source)
    session.flush()
    return source


def update(session: Session, source: Source, fields: Mapping[str, Any]) -> None:
    """Change the named fields, all or, when one is wrong, none.

    They are `name`, `verify`, `secret`, `header`, `action`, `template`, `relayed` and `budget_mb`. A new
    secret of the same kind is taken as `rotate` does; a new `verify` ends the old secrets at once.
    """
    _fill(source, fields)
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
        raise Refused("This source verifies nothing, so it has no secret.", field="secret")
    fresh = _secret(source.verify, secret)
    if fresh == source.secret:
        raise Refused("The source already has this secret.", field="secret")
    source.rotate_secret(fresh, now, overlap)
    session.flush()


def delete(engine: Engine, source_id: str) -> int:
    """Remove a source; its events go first, in batches, so that nobody waits. Returns how many.

    Their comments and deliveries stay.
    """
    count = 0
    mine = INBOUND.c.source_id == source_id
    while removed := batch_delete.delete_batch(engine, INBOUND, mine):
        count += removed
    with database.write(engine) as connection:
        left = connection.scalar(select(func.count()).select_from(INBOUND).where(mine)) or 0
        connection.execute(delete_rows(Source).where(Source.id == source_id))
    return count + left


def ready_name(template: str | None) -> str | None:
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
    try:
        error = unit_of_work.ask(("source's template", wording), lambda: _error_of(wording), "")
    except unit_of_work.StillChanging as changed:
        raise Refused(str(changed), field="template") from None
    if error:
        raise Refused(error, field="template")
    return validate.storable(wording, field="template")


def _error_of(wording: str) -> str:
    """Return the error of a template. It is parsed, which must not happen in a transaction."""
    try:
        template_sandbox.check(wording)
    except TemplateFault as error:
        return str(error)
    return ""


def _fill(source: Source, fields: Mapping[str, Any]) -> None:
    """Set all fields, or none; refuses with a sentence for each wrong field."""
    verify = fields.get("verify", source.verify)
    action = fields.get("action", source.action)
    checks: dict[str, Callable[[], Any]] = {
        "name": lambda: validate.name(fields.get("name", source.name)),
        "verify": lambda: validate.one_of(VERIFY, verify, field="verify", noun="way to verify"),
        "action": lambda: validate.one_of(ACTIONS, action, field="action", noun="action"),
        "secret": lambda: _new_secret(source, verify, fields.get("secret")),
        "header": lambda: _header(source, verify, fields.get("header")),
        "template": lambda: _template(source, verify, action, fields.get("template")),
        "budget_mb": lambda: _budget(fields.get("budget_mb", source.budget_mb)),
    }
    _set(source, validate.all_of(checks), relayed=fields.get("relayed"))


def _set(source: Source, values: dict[str, Any], *, relayed: bool | None) -> None:
    now, secret = clock.now(), values.pop("secret")
    if values["verify"] != source.verify:
        source.secret, source.previous_secret, source.previous_secret_expires_at = secret, None, None
    elif secret != source.secret:
        source.rotate_secret(secret, now)
    for name, value in values.items():
        setattr(source, name, value)
    if relayed is not None:
        source.relayed_since = (source.relayed_since or now) if relayed else None


def _new_secret(source: Source, verify: str, given: str | None) -> str | None:
    """Return the given secret, the present one, or a new one."""
    if verify == "none":
        if given:
            sentence = "A source that verifies nothing has no secret. Choose how it is verified."
            raise Refused(sentence, field="secret")
        return None
    keeps = not given and verify == source.verify
    return source.secret if keeps else _secret(verify, given)


def _secret(verify: str, given: str | None) -> str:
    kind = VERIFICATION_KINDS.get(verify, VERIFICATION_KINDS["none"])
    if not given and kind.secret_from:
        raise Refused(f"Paste {kind.secret_from}: it alone proves the sender.", field="secret")
    if not given:
        return kind.new_secret()
    secret = given.strip()
    if not secret or len(secret) > SECRET_LIMIT or not secret.isprintable():
        sentence = f"The secret must have 1 to {SECRET_LIMIT} characters, all in one line."
        raise Refused(sentence, field="secret")
    if secret.startswith(kind.mistaken):
        raise Refused(f"This is {kind.mistaken_for}.", field="secret")
    if verify == "token" and not secret.isascii():
        raise Refused("A token is sent in a header, so it must be plain ASCII.", field="secret")
    try:
        kind.sign(secret, b"")
    except Unproven as error:
        raise Refused(str(error), field="secret") from None
    return secret


def _header(source: Source, verify: str, given: str | None) -> str | None:
    if verify != "token":
        if given:
            raise Refused("Only a source that is verified by a token has a header.", field="header")
        return None
    name = (source.header or TOKEN_HEADER) if given is None else given.strip()
    name = name or TOKEN_HEADER
    if not HEADER.fullmatch(name) or len(name) > HEADER_LIMIT:
        sentence = f"A header’s name has at most {HEADER_LIMIT} letters, digits and hyphens."
        raise Refused(sentence, field="header")
    if name.lower() in NO_PROOF:
        raise Refused(f"Every request has the header {name}, so it proves nothing.", field="header")
    return name


def _template(source: Source, verify: str, action: str, given: str | None) -> str | None:
    """Return the template; it stays even if the action does not need it."""
    if action == "comment":
        return template_for(verify, source.template if given is None else given)
    if given and given.strip():
        raise Refused(
            f"The action {action} needs no template. Only the action comment does.", field="template"
        )
    return source.template


def _budget(value: object) -> int:
    what = "The budget must be a number of megabytes"
    return int(validate.number(value, LEAST_MB, MOST_MB, field="budget_mb", what=what))
