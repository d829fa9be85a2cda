"""Stored requests of bins: check their signatures, send them again."""

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.orm import Session

from guestbook.lib import clock, ids, signing, verification
from guestbook.lib.encryption import readable
from guestbook.lib.errors import Refused
from guestbook.lib.text import clean_line
from guestbook.lib.verification import kinds
from guestbook.lib.verification.kinds import VERIFICATION_KINDS, SignatureClaim, Unproven, VerificationKind
from guestbook.outbound import sender, webhook_urls
from guestbook.settings import Settings
from guestbook.storage import audit_log
from guestbook.storage.database import db, writing
from guestbook.storage.models import BinRequest, Delivery, Webhook
from guestbook.transport import TransportError

STANDARD, GITHUB = VERIFICATION_KINDS["standard"], VERIFICATION_KINDS["github"]
STANDARD_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
SIGNED_CONTENT_SHOWN = 600  # bytes of the body in the signed content

NO_KEY_MATCHES = (
    "No key of a webhook here matches: the sender used another one, or the id, the timestamp or the body "
    "changed."
)
UNSIGNED = "It is not signed: it has neither webhook-signature nor X-Hub-Signature-256."
TOO_LONG_TO_CHECK = "Only the first 256 kB of the body are kept, so its signature cannot be checked."


@dataclass(frozen=True, slots=True)
class Key:
    """A secret, or a public key, that may have signed, and whose it is in words."""

    value: str
    whose: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What one header proves."""

    header: str
    matches: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class Check:
    """What the signatures of a request prove."""

    findings: Sequence[Finding]
    warning: str | None = None  # why a receiver refuses it although the signature matches
    signed_content: bytes | None = None  # what webhook-signature signs, with the beginning of the body
    is_shortened: bool = False


# A webhook's name, its secret or public key, the one before, and until when that one is valid.
Held = tuple[str, str | None, str | None, datetime | None]


def secrets_of(webhooks: Iterable[Webhook], received_at: datetime) -> list[Key]:
    """Return the secrets that were valid at that time, rotated ones last."""
    held = (
        (one.name, readable(one.secret), readable(one.previous_secret), one.previous_secret_expires_at)
        for one in webhooks
    )
    return _valid_at(received_at, "secret", held)


def public_keys_of(webhooks: Iterable[Webhook], received_at: datetime) -> list[Key]:
    """Return the public keys that were valid at that time, rotated ones last."""
    held = (
        (one.name, one.public_key, one.previous_public_key, one.previous_signing_key_expires_at)
        for one in webhooks
    )
    return _valid_at(received_at, "key", held)


def _valid_at(moment: datetime, noun: str, held: Iterable[Held]) -> list[Key]:
    current, previous = [], []
    for name, now, before, expires in held:
        if now:
            current.append(Key(now, f"the {noun} of “{name}”"))
        if before and expires and expires > moment:
            until = f"which is valid until {clock.to_text(expires)}"
            previous.append(Key(before, f"the previous {noun} of “{name}”, {until}"))
    return current + previous


def check(
    pairs: Sequence[tuple[str, str]],
    body: bytes,
    received_at: datetime,
    keys: Sequence[Key],
    *,
    public_keys: Sequence[Key] = (),
    sent: Sequence[bytes] = (),
) -> Check:
    """Check all kinds of signature; `sent` are the bodies of our own deliveries with that id."""
    headers = {name.lower(): value for name, value in pairs}
    claim: SignatureClaim | None = None
    findings = []
    try:
        claim = STANDARD.claim(headers, body)
    except Unproven as reason:
        if any(name in headers for name in STANDARD_HEADERS):
            findings.append(Finding(STANDARD.header, False, str(reason)))
    if claim and claim.signatures:
        findings.append(replace(_finding(STANDARD, headers, body, keys, sent), header=claim.header))
    if claim and claim.public_signatures:
        findings.append(_finding_of_keys(claim, public_keys))
    if GITHUB.header.lower() in headers:
        findings.append(_finding(GITHUB, headers, body, keys, sent))
    if claim is None:
        return Check(findings or [Finding("", False, UNSIGNED)])
    excess = max(0, len(body) - SIGNED_CONTENT_SHOWN)
    content = claim.content[: len(claim.content) - excess]
    return Check(findings, verification.clock_problem(claim, received_at), content, excess > 0)


def _finding_of_keys(claim: SignatureClaim, keys: Sequence[Key]) -> Finding:
    name = f"{claim.header} (v1a)"
    signed = (key for key in keys if kinds.public_key(key.value, claim))
    try:
        key = next(signed, None)
    except Unproven as reason:  # the package for public keys is missing
        return Finding(name, False, str(reason))
    return Finding(name, key is not None, f"It was signed with {key.whose}." if key else NO_KEY_MATCHES)


def _finding(
    kind: VerificationKind,
    headers: Mapping[str, str],
    body: bytes,
    keys: Sequence[Key],
    sent: Sequence[bytes],
) -> Finding:
    """Say whose secret matches. If none does, try what we sent, and the same JSON written differently."""

    def owner(other: bytes) -> Key | None:
        claim = kind.claim(headers, other)
        return next((key for key in keys if _matches(kind, key, claim)), None)

    try:
        key = owner(body)
    except Unproven as reason:
        return Finding(kind.header, False, str(reason))
    if key:
        return Finding(kind.header, True, f"It was signed with {key.whose}.")
    counts = f"bytes were sent and {len(body):,} arrived"
    tried = [(other, f"changed on its way: {len(other):,} {counts}") for other in sent]
    tried += [(other, "was rewritten on its way") for other in _rewritten(body)]
    for other, how in tried:
        if key := owner(other):
            return Finding(kind.header, False, f"The body {how}. Before, it matched {key.whose}.")
    changed = "the body" if kind is GITHUB else "the id, the timestamp or the body"
    sentence = f"No secret of a webhook here matches: the sender used another one, or {changed} changed."
    return Finding(kind.header, False, sentence)


def _matches(kind: VerificationKind, key: Key, claim: SignatureClaim) -> bool:
    secret = signing.standard_form(key.value) if kind is STANDARD else key.value
    try:
        return kind.matches(secret, claim)
    except Unproven:  # somebody has garbled the secret by hand
        return False


def _rewritten(body: bytes) -> Iterator[bytes]:
    """Give the body without its last line end, and the same JSON as programs commonly write it."""
    yield body.rstrip(b"\r\n")
    try:
        value = json.loads(body)
        for ascii_only in (True, False):
            yield json.dumps(value, ensure_ascii=ascii_only, separators=(",", ":")).encode()
            yield json.dumps(value, ensure_ascii=ascii_only).encode()
    except (ValueError, RecursionError):
        return


MOST_BETWEEN_IDS = 60_000  # milliseconds between an event's id and those of its deliveries


def of(session: Session, row: BinRequest) -> Check:
    """Return what the signatures of a request prove."""
    if len(row.kept) < row.size:
        return Check([Finding("", False, TOO_LONG_TO_CHECK)])
    webhooks = session.scalars(select(Webhook).order_by(Webhook.id)).all()
    keys = secrets_of(webhooks, row.received_at)
    public_keys = public_keys_of(webhooks, row.received_at)
    sent = _sent(session, row)
    return check(row.pairs, row.kept, row.received_at, keys, public_keys=public_keys, sent=sent)


def _sent(session: Session, row: BinRequest) -> list[bytes]:
    """Return the bodies of our own deliveries of its event. The time in the id finds them."""
    event_id = {name.lower(): value for name, value in row.pairs}.get("webhook-id", "")
    if not ids.ID.fullmatch(event_id):
        return []
    made = int(event_id[:12], 16)
    first, last = f"{max(0, made - MOST_BETWEEN_IDS):012x}", f"{made + MOST_BETWEEN_IDS:012x}"
    query = select(Delivery).where(Delivery.id >= first, Delivery.id < last, Delivery.event_id == event_id)
    return list({delivery.body for delivery in session.scalars(query.limit(100))})


# The transport makes these itself, or they concerned only the connection to us.
LEFT_OUT = frozenset(
    ("host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer", "upgrade")
)
NOTES = {
    "body_cut": "Only the beginning of the answer is shown.",
    "body_timeout": "The answer did not end in time.",
    "body_broken": "The answer broke off.",
}


@dataclass(frozen=True, slots=True)
class Replayed:
    """The answer, or why there is none."""

    url: str
    milliseconds: int
    status: int | None  # None without an answer
    headers: Mapping[str, str]
    body: bytes
    error: str  # the reason for a missing or incomplete answer


def replay(row: BinRequest, typed_url: str, settings: Settings) -> Replayed:
    """Send it with its method, headers and body to that URL, and note that; raises Refused.

    It takes the row out of the session, for no transaction may be open while another server answers.
    """
    url = _checked(row, typed_url, settings)
    db.session.expunge(row)
    with writing() as session:
        audit_log.record(session, "replayed", "bin_request", row.id, detail=f"to {urlsplit(url).hostname}")
    headers = {name: value for name, value in row.pairs if name.lower() not in LEFT_OUT}
    one = sender.transport(settings)
    start = time.monotonic()
    try:
        answer = one.send(row.method, url, headers, row.kept)
    except TransportError as error:
        return Replayed(url, _since(start), None, {}, b"", str(error))
    finally:
        one.close()
    note = NOTES.get(answer.note, "") if answer.note else ""
    return Replayed(url, _since(start), answer.status, answer.headers, answer.body, note)


def _checked(row: BinRequest, url: str, settings: Settings) -> str:
    if len(row.kept) < row.size:
        raise Refused("Only the first 256 kB of the body were kept, so it cannot be sent again.", field="url")
    return webhook_urls.web_destination(clean_line(url), settings)


def _since(start: float) -> int:
    return round((time.monotonic() - start) * 1000)
