"""The desk of sources, who send webhooks to us. Commands and buttons call these; what is wrong is refused."""

import re
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, func, select
from sqlalchemy import delete as delete_rows
from sqlalchemy.orm import Session

from guestbook.inbound import verification
from guestbook.inbound.signature_headers import Unproven
from guestbook.inbound.template_presets import READY
from guestbook.lib import clock, ids, signing, template_sandbox, text, unit_of_work, validate
from guestbook.lib.errors import Refused
from guestbook.lib.template_sandbox import TemplateFault
from guestbook.storage import batch_delete, database
from guestbook.storage.models import INBOUND, Source
from guestbook.storage.models.source import ACTIONS, BUDGET_MB, OVERLAP, VERIFY

SECRET_LIMIT, HEADER_LIMIT = 200, 64  # characters, as in schema.sql
LEAST_MB, MOST_MB = 2, 1000  # of a source's budget: one body takes up to 1.4 MB, and INTEGER ends at 2,147
TOKEN_BYTES = 24  # of a source's URL
DEFAULTS = {"github": "github", "standard": "guestbook", "token": "plain", "none": "plain"}  # of READY
THEIRS = {  # senders who make the secret themselves: whose it is, and what they call it
    "stripe": "the signing secret that Stripe shows",
    "slack": "the signing secret that Slack shows under Basic Information",
}
MISTAKEN = {  # what people paste in its place, by how it begins
    "stripe": (("sk_", "rk_", "pk_"), "a key of Stripe’s API; the signing secret begins with whsec_"),
    "slack": (("xox", "xapp-"), "a token of Slack’s API; the signing secret is another, made of 32 letters"),
}

HEADER = re.compile("[A-Za-z0-9-]+")  # servers drop names with an underscore, or take it for a hyphen
NO_PROOF = frozenset(("accept", "connection", "content-length", "content-type", "host", "user-agent"))


def add(session: Session, fields: Mapping[str, Any], *, row_id: str | None = None) -> Source:
    """Add one from `name`, `verify` and, where given, the other fields of `update`.

    A secret is made where the sender does not make it; `template` is a text, or the name of a ready-made one.
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
    secret of the same kind is taken as `rotate` does; with another `verify` the old ones are over.
    """
    _fill(source, fields)
    session.add(source)
    session.flush()


def rotate(
    session: Session,
    source: Source,
    now: datetime,
    secret: str | None = None,
    overlap: timedelta = OVERLAP,
) -> None:
    """Take a new secret, that one or one made here; the old one is good beside it for a while."""
    if source.verify == "none":
        raise Refused("This source verifies nothing, so it has no secret.", field="secret")
    fresh = _secret(source.verify, secret)
    if fresh == source.secret:
        raise Refused("This is the secret that the source has already.", field="secret")
    source.rotate_secret(fresh, now, overlap)
    session.flush()


def delete(engine: Engine, source_id: str) -> int:
    """Remove a source; its events go first, in bites, so that nobody waits. Returns how many.

    What they became, comments and deliveries, stays.
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
    """Return which ready-made template this is, if it is one."""
    return next((name for name, ready in READY.items() if ready == template), None)


def template_for(verify: str, template: str | None) -> str:
    """Return the text of a template that is given as a text, a name or not at all; refuses what is none."""
    given = text.LINE_ENDS.sub("\n", template or "")
    if not given.strip():
        given = DEFAULTS.get(verify, "")
    if not given:
        known = ", ".join(READY)
        sentence = f"Write the template, which makes a comment of what comes, or name a ready one: {known}."
        raise Refused(sentence, field="template")
    wording = READY.get(given.strip(), given)
    try:
        fault = unit_of_work.ask(("source's template", wording), lambda: _fault(wording), "")
    except unit_of_work.StillChanging as error:
        raise Refused(str(error), field="template") from None
    if fault:
        raise Refused(fault, field="template")
    return validate.storable(wording, field="template")


def _fault(wording: str) -> str:
    """Return what is wrong with a template; it is read, which must not be done in a transaction."""
    try:
        template_sandbox.check(wording)
    except TemplateFault as error:
        return str(error)
    return ""


def _fill(source: Source, fields: Mapping[str, Any]) -> None:
    """Set what the fields say, or nothing; refuses with a sentence for each field that is wrong."""
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
    """Return the secret that the source shall have: the given one, the one that it has, or a new one."""
    if verify == "none":
        if given:
            sentence = "A source that verifies nothing has no secret; choose how it is verified."
            raise Refused(sentence, field="secret")
        return None
    keeps = not given and verify == source.verify
    return source.secret if keeps else _secret(verify, given)


def _secret(verify: str, given: str | None) -> str:
    if not given and verify in THEIRS:
        raise Refused(f"Paste {THEIRS[verify]}: only it proves who sends.", field="secret")
    if not given:
        return signing.new_secret() if verify == "standard" else secrets.token_urlsafe(32)
    secret = given.strip()
    if not secret or len(secret) > SECRET_LIMIT or not secret.isprintable():
        sentence = f"The secret must have 1 to {SECRET_LIMIT} characters, all in one line."
        raise Refused(sentence, field="secret")
    beginnings, what = MISTAKEN.get(verify, ((), ""))
    if secret.startswith(beginnings):
        raise Refused(f"This is {what}.", field="secret")
    if verify == "token" and not secret.isascii():
        raise Refused("A token travels in a header, so it must be plain ASCII.", field="secret")
    if verify == "standard":
        _check_standard(secret)
    return secret


def _check_standard(secret: str) -> None:
    try:
        verification.standard_key(secret)
    except Unproven as error:
        raise Refused(str(error), field="secret") from None


def _header(source: Source, verify: str, given: str | None) -> str | None:
    if verify != "token":
        if given:
            raise Refused("Only a source that is verified by a token has a header for it.", field="header")
        return None
    name = (source.header or verification.TOKEN_HEADER) if given is None else given.strip()
    name = name or verification.TOKEN_HEADER
    if not HEADER.fullmatch(name) or len(name) > HEADER_LIMIT:
        sentence = f"A header’s name is made of letters, digits and hyphens, at most {HEADER_LIMIT}."
        raise Refused(sentence, field="header")
    if name.lower() in NO_PROOF:
        raise Refused(f"Every request has the header {name}, so it proves nothing.", field="header")
    return name


def _template(source: Source, verify: str, action: str, given: str | None) -> str | None:
    """Return the template; one that is there stays while the action does not need it."""
    if action == "comment":
        return template_for(verify, source.template if given is None else given)
    if given and given.strip():
        raise Refused(f"The action {action} needs no template; the action comment does.", field="template")
    return source.template


def _budget(value: object) -> int:
    what = "The budget must be a number of megabytes"
    return int(validate.number(value, LEAST_MB, MOST_MB, field="budget_mb", what=what))
