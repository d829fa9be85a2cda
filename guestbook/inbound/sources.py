"""Manage sources, which send webhooks to us. Commands, pages and calls use this; wrong values are refused."""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from guestbook.inbound import sender_presets
from guestbook.inbound.sender_presets import PRESETS, SCHEME_DEFAULTS
from guestbook.lib import clock, conditions, fields, ids, template_sandbox, text, validate
from guestbook.lib.errors import Refused, only_here, refusing
from guestbook.lib.json_schema import line
from guestbook.lib.template_sandbox import TemplateFault
from guestbook.lib.verification import TOKEN_HEADER
from guestbook.lib.verification.kinds import (
    ED25519,
    LISTED,
    SIGNATURE_ENCODINGS,
    SIGNATURE_HASHES,
    SIGNED_CONTENTS,
    TIMESTAMP,
    TOLERANCE,
    VERIFICATION_KINDS,
    SignatureClaim,
    Unproven,
)
from guestbook.storage import audit_log, row_changes
from guestbook.storage.models import Source
from guestbook.storage.models.source import ACTIONS, BUDGET_MB, OLD_SECRET_VALID_FOR, VERIFY

SECRET_LIMIT = 200  # characters, as in schema.sql
LEAST_MB = 2  # megabytes of a budget: one body takes up to 1.4 MB
MOST_MB = 1000  # megabytes of a budget: INTEGER ends at 2,147 MB
DEFAULTS = {  # kind → the name of its template in PRESETS
    **{"github": "github", "standard": "guestbook", "stripe": "stripe"},
    **dict.fromkeys(("hmac", "ed25519", "token", "none"), "plain"),
}
NO_CLAIM = SignatureClaim("", b"", (), None, ())
HEADER_LIMIT = 64  # characters, as in schema.sql
LONGEST_TOLERANCE = 86_400  # seconds
# Servers drop names with an underscore, or read it as a hyphen. The second form is a field of the body.
HEADER = re.compile(r"[A-Za-z0-9-]+|body(\.[A-Za-z0-9_-]+)+")
# ASCII without a comma: where a header came twice, commas join it.
SIGNATURE_PREFIX = re.compile(r"([a-z]+=\{timestamp\}[,;])?[!-+\--~]{0,20}")
NO_PROOF = frozenset(("accept", "connection", "content-length", "content-type", "host", "user-agent"))
# The check of any other field of a source looks at how the source verifies and what it does.
JUDGED_ALONE = {"name", "preset", "event_condition", "verify", "action", "budget_mb"}

TEMPLATE_FORMS = f"A Jinja template of the comment, or the name of a ready-made one: {', '.join(PRESETS)}."


@dataclass(frozen=True, slots=True)
class SourceFields:
    """What the owner says of a source, as a form sends it. The help of an option is a hint's first sentence.

    `add` and `update` check them together: the way to verify and the action decide which are allowed.
    """

    name: str = fields.line(
        "",
        "Name",
        "Comments from this source show “via” and this name.",
        validate.name,
        schema=line(validate.NAME_LIMIT),
        attributes={"autocomplete": "off", "required": ""},
    )
    verify: str = fields.choice(
        "github",
        "Verification",
        "How its webhooks are verified. Another way ends the old secrets.",
        {name: kind.title for name, kind in VERIFICATION_KINDS.items()},
    )
    secret: str = fields.line(
        "",
        "Secret",
        "The secret that the sender shows. Stripe, Slack, Shopify, Meta and other guestbooks create it, and "
        "Discord and SendGrid show a public key. For others leave it empty to create or keep one.",
        schema={"type": "string", "minLength": 1, "maxLength": SECRET_LIMIT},
        attributes=fields.CODE_INPUT,
    )
    header: str = fields.line(
        "",
        "Header with the signature or the token",
        f"The header with the signature, or with the token: {TOKEN_HEADER} by default. GitLab sends "
        "X-Gitlab-Token; some send Authorization. A field of the body is written body.name.",
        schema={"type": "string", "maxLength": HEADER_LIMIT},
        attributes=fields.EXACT_INPUT,
    )
    hash: str = fields.select(
        SCHEME_DEFAULTS["hash"],
        "Hash",
        "The hash of hmac, sha256 by default. The sender’s documentation names it; public keys have none.",
        {name: name for name in SIGNATURE_HASHES},
    )
    encoding: str = fields.select(
        SCHEME_DEFAULTS["encoding"],
        "Encoding",
        "How the signature is written, hex by default. Only base64 has capital letters and ends with =.",
        {name: name for name in SIGNATURE_ENCODINGS},
    )
    prefix: str = fields.line(
        SCHEME_DEFAULTS["prefix"],
        "Prefix",
        "The text before the signature, such as sha256=. Leave it empty if there is none. If the time stands "
        "there too, write {timestamp}, as in t={timestamp},v1=.",
        schema={"type": "string", "maxLength": 40},
        attributes=fields.EXACT_INPUT,
    )
    content: str = fields.select(
        SCHEME_DEFAULTS["content"],
        "Signed content",
        "The content that is signed, {body} by default. Most senders sign the body alone.",
        {name: name for name in SIGNED_CONTENTS},
    )
    timestamp_header: str = fields.line(
        SCHEME_DEFAULTS["timestamp_header"],
        "Header with the timestamp",
        "The header with the signed time, if there is one.",
        schema={"type": "string", "maxLength": HEADER_LIMIT},
        attributes=fields.EXACT_INPUT,
    )
    tolerance: str = fields.line(
        SCHEME_DEFAULTS["tolerance"],
        "Tolerance in seconds",
        f"How many seconds the signed time may be from the receipt, {TOLERANCE} by default.",
        schema={"type": "integer", "minimum": 1, "maximum": LONGEST_TOLERANCE},
        attributes=fields.NUMBER_INPUT,
    )
    action: str = fields.choice(
        "log",
        "Action",
        "What to do with its events: log keeps them, comment signs the book, forward notifies webhooks.",
        {name: name for name in ACTIONS},
    )
    template: str = fields.area(
        "",
        "Template",
        "A Jinja template with payload, event, action, sender and source. Its text becomes the message; no "
        "text means no comment. It may set name and website. Leave it empty for the sender’s preset.",
        schema={"type": "string", "maxLength": template_sandbox.SOURCE_LIMIT},
        attributes={"rows": 12, **fields.CODE_INPUT},
    )
    event_condition: str = conditions.field(
        'Only events for which this expression is true. Such as event == "issues" and '
        "payload.repository.private == false. The others end in the inbox as not wanted. Leave it empty for "
        "all."
    )
    relayed: str = fields.box(
        False,
        "Comments",
        "Notify your webhooks of the comments that it makes. Otherwise only the book shows them.",
    )
    forwarded_in_full: str = fields.box(
        False,
        "Large payloads",
        "Forward payloads above 14 kB too, up to 1 MB. Otherwise they are left out, with a link to the API.",
    )
    budget_mb: str = fields.line(
        str(BUDGET_MB),
        "Megabytes for unverified events",
        f"Megabytes for events that are not verified yet, {BUDGET_MB} by default. Anyone with the URL can "
        "send.",
        schema={"type": "integer", "minimum": LEAST_MB, "maximum": MOST_MB},
        attributes=fields.NUMBER_INPUT,
    )


SOURCE_FIELDS = fields.of(SourceFields)


def add(session: Session, given: Mapping[str, Any], *, row_id: str | None = None) -> Source:
    """Add one from `name`, `verify` and, where given, the other fields of `update`.

    A secret is made here unless the sender makes it. `template` is a text or the name of a ready-made one.
    `preset` names a known sender; the other fields override its settings.
    """
    source = Source(id=row_id or ids.new(), token=ids.new_url_token(), created_at=clock.now())
    _set(source, {"name": "", "verify": "", "action": "log", "budget_mb": BUDGET_MB, **given})
    row_changes.add(session, source)
    return source


def update(session: Session, source: Source, given: Mapping[str, Any]) -> None:
    """Change the named fields, all or, when one is wrong, none.

    They are `name`, `verify`, `secret`, `header`, those of SCHEME_DEFAULTS, `action`, `template`,
    `event_condition`, `relayed`, `forwarded_in_full`, `budget_mb`, and `preset`. A new secret of the same
    kind is taken as `rotate` does; a new `verify` ends the old secrets at once.
    """
    try:
        _set(source, given)
    except Refused as error:
        error.only_here |= not JUDGED_ALONE.issuperset(error.fields)
        raise
    row_changes.refuse_taken_name(session, source)
    audit_log.record_changes(session, source)
    session.add(source)
    session.flush()


def rotate(
    session: Session, source: Source, overlap: timedelta = OLD_SECRET_VALID_FOR, secret: str | None = None
) -> None:
    """Take a new secret, given or made here; the old one stays valid for a while."""
    if source.verify == "none":
        raise Refused("This source verifies nothing, so it has no secret.", field="secret", only_here=True)
    with only_here():
        fresh = checked_secret(source.verify, secret)
    if fresh == source.secret:
        raise Refused("The source already has this secret.", field="secret", only_here=True)
    source.rotate_secret(fresh, clock.now(), overlap)
    session.flush()
    audit_log.record_row(session, "rotated", source, "secret")


def _set(source: Source, given: Mapping[str, Any]) -> None:
    filled = sender_presets.filled_in(source, given)
    values = _checked_fields(source, filled)
    now, secret = clock.now(), values.pop("secret")
    if values["verify"] != source.verify:
        source.secret, source.previous_secret, source.previous_secret_expires_at = secret, None, None
    elif secret != source.secret:
        source.rotate_secret(secret, now)
    for name, value in values.items():
        setattr(source, name, value)
    for column, is_wanted in (
        ("relayed_since", filled.get("relayed")),
        ("forwarded_in_full_since", filled.get("forwarded_in_full")),
    ):
        if is_wanted is not None:
            setattr(source, column, (getattr(source, column) or now) if is_wanted else None)


def _checked_fields(source: Source, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of a source; refuses with a sentence for each wrong field."""
    verify = given.get("verify", source.verify)
    action = given.get("action", source.action)
    budget = validate.whole(LEAST_MB, MOST_MB, "budget_mb", "The budget must be a number of megabytes")
    checks: dict[str, Callable[[], Any]] = {
        "name": lambda: validate.name(given.get("name", source.name)),
        "verify": lambda: _choice(source, "verify", VERIFY, verify, "way to verify"),
        "action": lambda: _choice(source, "action", ACTIONS, action, "action"),
        "secret": lambda: _new_secret(source, verify, given.get("secret")),
        "header": lambda: _header(source, verify, given.get("header")),
        "scheme": lambda: _scheme(source, verify, given),
        "template": lambda: _template(source, verify, action, given.get("template")),
        "event_condition": lambda: _condition(source, given.get("event_condition", source.event_condition)),
        "budget_mb": lambda: budget(given.get("budget_mb", source.budget_mb)),
    }
    return validate.all_of(checks)


def _choice(source: Source, field: str, known: Collection[str], chosen: str, noun: str) -> str:
    if not source.is_built_in:
        return validate.one_of(known, chosen, field=field, noun=noun)
    if chosen != getattr(source, field):
        sentence = f"The book has added this source for webmentions, so its {noun} stays."
        raise Refused(sentence, field=field, only_here=True)
    return chosen


def _condition(source: Source, given: Any) -> Any:
    checked = SOURCE_FIELDS["event_condition"].check(given)
    if checked and source.is_built_in:
        raise Refused(
            "The source of webmentions takes no condition.", field="event_condition", only_here=True
        )
    return checked


def preset_name(template: str | None) -> str | None:
    """Return the name of the ready-made template that this is, if any."""
    return next((name for name, ready in PRESETS.items() if ready == template), None)


def template_for(verify: str, template: str | None) -> str:
    """Return the text of a template, given as a text, as a name or not at all; refuses a wrong one."""
    given = text.LINE_ENDS.sub("\n", template or "")
    given = given if given.strip() else DEFAULTS.get(verify, "")
    if not given:
        sentence = "Write the template that makes the comment, or name a ready-made one: "
        raise Refused(f"{sentence}{', '.join(PRESETS)}.", field="template")
    name = given.strip()
    question = "" if name in PRESETS or "{" in name else validate.did_you_mean(name, PRESETS)
    if question:  # As a text, a name that is misspelt would be every comment.
        raise Refused(f"There is no ready-made template {name!r}.{question}", field="template")
    wording = PRESETS.get(name, given)
    with refusing("template", TemplateFault):
        template_sandbox.parse(wording)
    return validate.storable(wording, field="template")


def _new_secret(source: Source, verify: str, given: str | None) -> str | None:
    """Return the given secret, the present one, or a new one."""
    if verify == "none":
        if given is not None:
            sentence = "A source that verifies nothing has no secret. Choose how it is verified."
            raise Refused(sentence, field="secret")
        return None
    keeps = given is None and verify == source.verify
    return source.secret if keeps else checked_secret(verify, given)


def checked_secret(verify: str, given: str | None) -> str:
    """Return the given secret or a new one; raises Refused."""
    kind = VERIFICATION_KINDS.get(verify, VERIFICATION_KINDS["none"])
    if not given and kind.secret_from:
        raise Refused(f"Paste {kind.secret_from}: it alone proves the sender.", field="secret")
    if given is None:
        return kind.new_secret()
    typed = given.strip()
    if not typed or len(typed) > SECRET_LIMIT or not typed.isprintable():
        sentence = f"The secret must have 1 to {SECRET_LIMIT} characters, all in one line."
        raise Refused(sentence, field="secret")
    if typed.startswith(kind.mistaken):
        raise Refused(f"This is {kind.mistaken_for}.", field="secret")
    if verify == "token" and not typed.isascii():
        raise Refused("A token is sent in a header, so it must be plain ASCII.", field="secret")
    with refusing("secret", Unproven):
        kind.matches(typed, NO_CLAIM)
    return typed


def _template(source: Source, verify: str, action: str, given: str | None) -> str | None:
    """Return the template; it stays even if the action does not need it."""
    if action == "comment":
        return template_for(verify, source.template if given is None else given)
    if given and given.strip():
        sentence = f"The action {action} needs no template. Only the action comment does."
        raise Refused(sentence, field="template")
    return source.template


def _header(source: Source, verify: str, given: str | None) -> str | None:
    """Return the header with the token or the signature; None where the kind knows its header."""
    has_scheme = verify in VERIFICATION_KINDS and VERIFICATION_KINDS[verify].has_scheme
    if verify != "token" and not has_scheme:
        if given:
            sentence = "Only a source that is verified by a token, hmac or ed25519 has a header."
            raise Refused(sentence, field="header")
        return None
    present = source.header if verify == source.verify else None
    name = (present or "") if given is None else given.strip()
    if not name and has_scheme:
        raise Refused("Name the header that carries the signature, such as X-Signature.", field="header")
    return _header_name(name or TOKEN_HEADER, "header")


def _header_name(name: str, field: str) -> str:
    """Check the name of a header."""
    if not HEADER.fullmatch(name) or len(name) > HEADER_LIMIT:
        sentence = f"A header’s name has at most {HEADER_LIMIT} letters, digits and hyphens."
        raise Refused(sentence, field=field)
    if name.lower() in NO_PROOF:
        raise Refused(f"Every request has the header {name}, so it proves nothing.", field=field)
    return name


def _scheme(source: Source, verify: str, wanted: Mapping[str, Any]) -> dict[str, str] | None:
    """Return how the sender signs, as the column has it; None where the kind says it."""
    given = {name: str(wanted[name]).strip() for name in SCHEME_DEFAULTS if wanted.get(name) is not None}
    if verify not in VERIFICATION_KINDS or not VERIFICATION_KINDS[verify].has_scheme:
        if names := sorted(name for name, value in given.items() if value):
            sentence = "Only a source that is verified by hmac or ed25519 says how its sender signs."
            raise Refused.of(dict.fromkeys(names, sentence))
        return None
    present = (source.scheme or {}) if verify == source.verify else {}
    values = {**SCHEME_DEFAULTS, **present, **{name: value for name, value in given.items() if value}}
    values |= {name: "" for name in ("prefix", "timestamp_header") if given.get(name) == ""}
    tolerance = validate.whole(1, LONGEST_TOLERANCE, "tolerance", "The tolerance must be a number of seconds")
    checks: dict[str, Callable[[], Any]] = {
        "hash": lambda: _hash(verify, values["hash"], given.get("hash")),
        "encoding": lambda: validate.one_of(
            SIGNATURE_ENCODINGS, values["encoding"], field="encoding", noun="encoding"
        ),
        "prefix": lambda: _prefix(values["prefix"]),
        "timestamp_header": lambda: _timestamp_header(values),
        "tolerance": lambda: str(tolerance(values["tolerance"])),
        "content": lambda: _content(values),
    }
    return validate.all_of(checks)


def _hash(verify: str, name: str, given: str | None) -> str:
    if verify != ED25519:
        return validate.one_of(SIGNATURE_HASHES, name, field="hash", noun="hash")
    if given:
        raise Refused("A public key has its own hash, so none can be chosen. Leave it out.", field="hash")
    return SIGNATURE_HASHES[0]


def _prefix(prefix: str) -> str:
    if not SIGNATURE_PREFIX.fullmatch(prefix):
        sentence = "A prefix has at most 20 ASCII characters, and neither commas nor spaces."
        raise Refused(sentence, field="prefix")
    return prefix


def _timestamp_header(values: Mapping[str, str]) -> str:
    if values["timestamp_header"]:
        return _header_name(values["timestamp_header"], "timestamp_header")
    if TIMESTAMP.search(values["content"]) and not LISTED.fullmatch(values["prefix"]):
        raise Refused("Name the header with the timestamp, because it is signed.", field="timestamp_header")
    return ""


def _content(values: Mapping[str, str]) -> str:
    content = validate.one_of(SIGNED_CONTENTS, values["content"], field="content", noun="signed content")
    if (values["timestamp_header"] or LISTED.fullmatch(values["prefix"])) and not TIMESTAMP.search(content):
        advice = "Choose signed content with {timestamp}."
        raise Refused(f"The timestamp is not signed, so it proves nothing. {advice}", field="content")
    return content
