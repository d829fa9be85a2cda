"""Bins: manage them, keep the requests that they get, check signatures and send requests again.

Commands and buttons call these, and the addresses of bins.
"""

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from datetime import datetime
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

from sqlalchemy import Engine, delete, func, select
from sqlalchemy.orm import Session

from guestbook.lib import body_encoding, clock, ids, signatures, validate, verification
from guestbook.lib.encryption import readable
from guestbook.lib.errors import Refused
from guestbook.lib.text import clean_line, counted
from guestbook.lib.verification import kinds
from guestbook.lib.verification.kinds import VERIFICATION_KINDS, SignatureClaim, Unproven, VerificationKind
from guestbook.queue import deleted_comments
from guestbook.settings import Settings
from guestbook.storage import audit_log, database, row_changes
from guestbook.storage.database import db, writing
from guestbook.storage.models import Bin, BinRequest, Delivery, Webhook

if TYPE_CHECKING:  # A URL for webhooks, by CGI, sends nothing.
    from guestbook.transport.http_request_and_redirects import ReceiverAnswer

BIN_ANSWER_LIMIT = 4000  # characters of the answer's body
DELAY_LIMIT = 5.0  # seconds
FAILURES_LIMIT = 1000
# No browser shows these as a page, whatever the body holds. HTML, SVG and XML are missing for that reason.
ANSWER_TYPES = ("text/plain", "application/json", body_encoding.URLENCODED)
CHARSET = "; charset=utf-8"


def add(session: Session, fields: Mapping[str, Any], *, row_id: str | None = None) -> Bin:
    """Add a bin from any of `name`, `status`, `body`, `type`, `delay` (seconds) and `fail` (times)."""
    values = {"name": row_changes.free_name(session, Bin, "bin"), **validate.given(fields, FIELDS)}
    bin_ = Bin(id=row_id or ids.new(), token=ids.new_url_token(), **values)
    row_changes.add(session, bin_)
    return bin_


def update(session: Session, bin_: Bin, fields: Mapping[str, Any]) -> None:
    """Change the named fields, all or, when one is wrong, none."""
    for name, value in validate.given(fields, FIELDS).items():
        setattr(bin_, name, value)
    row_changes.refuse_taken_name(session, bin_)
    audit_log.record_changes(session, bin_)
    session.add(bin_)
    session.flush()


def clear(session: Session, bin_id: str) -> int:
    """Remove the requests of a bin; return how many."""
    removed = session.connection().execute(delete(BinRequest).where(BinRequest.bin_id == bin_id))
    count = removed.rowcount or 0
    audit_log.record_row(session, "cleared", session.get_one(Bin, bin_id), counted(count, "request"))
    return count


def count(session: Session, bin_id: str) -> int:
    """Return how many requests of a bin are kept."""
    return held(session).get(bin_id, (0, ""))[0]


def held(session: Session) -> dict[str, tuple[int, str]]:
    """Return how many requests each bin holds, and the id of its newest one."""
    query = select(BinRequest.bin_id, func.count(), func.max(BinRequest.id)).group_by(BinRequest.bin_id)
    return {row[0]: (row[1], row[2]) for row in session.execute(query)}


def latest(session: Session, bin_id: str, limit: int, before: str | None = None) -> list[BinRequest]:
    """Return requests of a bin, the newest first; with `before` those before that id."""
    query = select(BinRequest).where(BinRequest.bin_id == bin_id).order_by(BinRequest.id.desc())
    if before is not None:
        query = query.where(BinRequest.id < before)
    return list(session.scalars(query.limit(limit)))


def find(session: Session, token: str) -> str | None:
    """Return the id of the bin at that address."""
    return session.scalar(select(Bin.id).where(Bin.token == token))


def _body(value: str) -> str:
    if len(value) > BIN_ANSWER_LIMIT:
        raise Refused(f"The body must have at most {BIN_ANSWER_LIMIT:,} characters.", field="body")
    return validate.storable(value, field="body")


def _type(value: str) -> str:
    name = value.removesuffix(CHARSET)
    if name not in ANSWER_TYPES:
        raise Refused(f"The content type must be one of {', '.join(ANSWER_TYPES)}.", field="type")
    return name + CHARSET


def _delay(value: object) -> int:
    what = "The delay must be a number of seconds"
    return round(validate.number(value, 0, DELAY_LIMIT, field="delay", what=what, whole=False) * 1000)


# A field of a bin → its column and its check.
FIELDS: Mapping[str, tuple[str, validate.Check]] = {
    "name": ("name", validate.name),
    "status": ("answer_status", validate.whole(200, 599, "status", "The status must be a number")),
    "body": ("answer_body", _body),
    "type": ("answer_type", _type),
    "delay": ("delay_milliseconds", _delay),
    "fail": ("failures_left", validate.whole(0, FAILURES_LIMIT, "fail", "The failures must be a number")),
}


REQUESTS_KEPT = 200  # requests of each bin; retention limits their age
BODY_KEPT = 256 * 1024  # bytes of a body
HEADERS_KEPT = 64 * 1024  # bytes of the headers, as JSON: a bin takes at most 100 MB


class CapturedRequest(NamedTuple):
    """A request as it arrived."""

    method: str
    path: str  # after the token
    query: str
    headers: Sequence[tuple[str, str]]
    body: bytes
    received_at: datetime


class BinAnswer(NamedTuple):
    """The answer of a bin."""

    status: int
    body: str
    type: str
    delay: float  # seconds


def capture(session: Session, bin_id: str, captured: CapturedRequest) -> BinAnswer | None:
    """Store a request and return the answer; None if the bin was deleted meanwhile.

    The bin's row is locked, so each of many simultaneous requests counts.
    """
    lock = {"key_share": True}
    bin_ = session.get(Bin, bin_id, with_for_update=lock, populate_existing=True)
    if bin_ is None:
        return None
    delay = bin_.delay_milliseconds / 1000
    answer = BinAnswer(bin_.answer_status, bin_.answer_body, bin_.answer_type, delay)
    if bin_.failures_left > 0:
        bin_.failures_left -= 1
        answer = BinAnswer(500, "This bin is set to fail.\n", ANSWER_TYPES[0] + CHARSET, delay)
    row = _row(bin_id, captured, answer.status)
    if row.event_id and deleted_comments.is_erased(session.connection(), row.event_id, captured.received_at):
        return answer  # its comment was deleted for good meanwhile, so nothing is kept
    session.add(row)
    session.flush()
    newest_first = select(BinRequest.id).where(BinRequest.bin_id == bin_id).order_by(BinRequest.id.desc())
    too_many = newest_first.offset(REQUESTS_KEPT).limit(REQUESTS_KEPT)
    if old := session.scalars(too_many).all():  # MariaDB knows no OFFSET within IN
        session.connection().execute(delete(BinRequest).where(BinRequest.id.in_(old)))
    return answer


def take_delivery(
    engine: Engine, address: SplitResult, headers: Mapping[str, str], body: bytes, seconds: float
) -> "ReceiverAnswer | None":
    """Store a delivery of the book's own as if it had come by HTTP; None without such a bin.

    `address` is what follows BIN_PATH. Many hosts do not let a book reach itself: its address is private, or
    it answers one request at a time.
    """
    from guestbook.transport.failure import TransportError
    from guestbook.transport.http_request_and_redirects import ReceiverAnswer

    token, slash, rest = address.path.partition("/")
    if not ids.URL_TOKEN.fullmatch(token):
        return None
    pairs = [*headers.items(), ("Content-Length", str(len(body)))]
    captured = CapturedRequest("POST", slash + rest, address.query, pairs, body, clock.now())
    with (
        database.write(engine, lock_wait=seconds) as connection,
        Session(connection, join_transaction_mode="rollback_only") as session,
    ):
        bin_id = find(session, token)
        answer = capture(session, bin_id, captured) if bin_id else None
    if answer is None:
        return None
    time.sleep(min(answer.delay, seconds))
    if answer.delay > seconds:
        raise TransportError("timeout", sent=True)
    return ReceiverAnswer(answer.status, {"content-type": answer.type}, answer.body.encode(), None)


def _row(bin_id: str, captured: CapturedRequest, answered: int) -> BinRequest:
    packed, encoding = body_encoding.pack(captured.body[:BODY_KEPT])
    sizes = accumulate(len(json.dumps(header)) + 2 for header in captured.headers)
    headers = [one for one, size in zip(captured.headers, sizes, strict=True) if size <= HEADERS_KEPT]
    named = (value for name, value in captured.headers if name.lower() == "webhook-id")
    return BinRequest(
        bin_id=bin_id,
        method=captured.method,
        path=captured.path,
        query=captured.query,
        headers=json.dumps(headers),
        body=packed,
        encoding=encoding,
        size=len(captured.body),
        answered=answered,
        received_at=captured.received_at,
        event_id=next(filter(ids.ID.fullmatch, named), None),  # None if it cannot be one of ours
    )


STANDARD, GITHUB = VERIFICATION_KINDS["standard"], VERIFICATION_KINDS["github"]
STANDARD_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
SIGNED_CONTENT_SHOWN = 600  # bytes of the body in the signed content
MOST_BETWEEN_IDS = 60_000  # milliseconds between an event's id and those of its deliveries
NO_KEY_MATCHES = (
    "No key of a webhook here matches: the sender used another one, or the id, the timestamp or the body "
    "changed."
)
UNSIGNED = "It is not signed: it has neither webhook-signature nor X-Hub-Signature-256."
TOO_LONG_TO_CHECK = "Only the first 256 kB of the body are kept, so its signature cannot be checked."


class Key(NamedTuple):
    """A secret, or a public key, that may have signed, and whose it is in words."""

    value: str
    whose: str


class Finding(NamedTuple):
    """What one header proves."""

    header: str
    matches: bool
    sentence: str


class Check(NamedTuple):
    """What the signatures of a request prove."""

    findings: Sequence[Finding]
    warning: str | None = None  # why a receiver refuses it although the signature matches
    signed_content: bytes | None = None  # what webhook-signature signs, with the beginning of the body
    is_shortened: bool = False


def check_of(session: Session, row: BinRequest) -> Check:
    """Return what the signatures of a request prove."""
    if len(row.kept) < row.size:
        return Check([Finding("", False, TOO_LONG_TO_CHECK)])
    webhooks = session.scalars(select(Webhook).order_by(Webhook.id)).all()
    secrets, public_keys = keys_of(webhooks, row.received_at)
    # The bodies of our own deliveries of its event. The time in the id finds them.
    event_id, sent = {name.lower(): value for name, value in row.pairs}.get("webhook-id", ""), []
    if ids.ID.fullmatch(event_id):
        made = int(event_id[:12], 16)
        first, last = (f"{max(0, made + one):012x}" for one in (-MOST_BETWEEN_IDS, MOST_BETWEEN_IDS))
        mine = (Delivery.id >= first, Delivery.id < last, Delivery.event_id == event_id)
        sent = list({one.body for one in session.scalars(select(Delivery).where(*mine).limit(100))})
    return check(row.pairs, row.kept, row.received_at, secrets, public_keys=public_keys, sent=sent)


def keys_of(webhooks: Iterable[Webhook], received_at: datetime) -> tuple[list[Key], list[Key]]:
    """Return the secrets and the public keys that were valid at that time, rotated ones last."""
    secrets, public = [], []
    for one in webhooks:
        old_secret, old_expires = readable(one.previous_secret), one.previous_secret_expires_at
        secrets.append((one.name, readable(one.secret), old_secret, old_expires))
        old_key = one.previous_public_key
        public.append((one.name, one.public_key, old_key, one.previous_signing_key_expires_at))
    return _valid_at(received_at, "secret", secrets), _valid_at(received_at, "key", public)


def _valid_at(
    moment: datetime, noun: str, held: Iterable[tuple[str, str | None, str | None, datetime | None]]
) -> list[Key]:
    """Take names, present and previous values, and until when those are valid."""
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
    secrets: Sequence[Key],
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
        findings.append(_finding(STANDARD, headers, body, secrets, sent)._replace(header=claim.header))
    if claim and claim.public_signatures:
        findings.append(_finding_of_keys(claim, public_keys))
    if GITHUB.header.lower() in headers:
        findings.append(_finding(GITHUB, headers, body, secrets, sent))
    if claim is None:
        return Check(findings or [Finding("", False, UNSIGNED)])
    excess = max(0, len(body) - SIGNED_CONTENT_SHOWN)
    content = claim.content[: len(claim.content) - excess]
    return Check(findings, verification.clock_problem(claim, received_at), content, excess > 0)


def _finding_of_keys(claim: SignatureClaim, keys: Sequence[Key]) -> Finding:
    name = f"{claim.header} (v1a)"
    try:
        key = next((key for key in keys if kinds.public_key(key.value, claim)), None)
    except Unproven as reason:  # the package for public keys is missing
        return Finding(name, False, str(reason))
    return Finding(name, key is not None, f"It was signed with {key.whose}." if key else NO_KEY_MATCHES)


def _finding(
    kind: VerificationKind,
    headers: Mapping[str, str],
    body: bytes,
    secrets: Sequence[Key],
    sent: Sequence[bytes],
) -> Finding:
    """Say whose secret matches. If none does, try what we sent, and the same JSON written differently."""
    try:
        if key := _signer(kind, kind.claim(headers, body), secrets):
            return Finding(kind.header, True, f"It was signed with {key.whose}.")
    except Unproven as reason:
        return Finding(kind.header, False, str(reason))
    counts = f"bytes were sent and {len(body):,} arrived"
    tried = [(other, f"changed on its way: {len(other):,} {counts}") for other in sent]
    tried += [(other, "was rewritten on its way") for other in _rewritten(body)]
    for other, how in tried:
        if key := _signer(kind, kind.claim(headers, other), secrets):
            return Finding(kind.header, False, f"The body {how}. Before, it matched {key.whose}.")
    changed = "the body" if kind is GITHUB else "the id, the timestamp or the body"
    sentence = f"No secret of a webhook here matches: the sender used another one, or {changed} changed."
    return Finding(kind.header, False, sentence)


def _signer(kind: VerificationKind, claim: SignatureClaim, secrets: Sequence[Key]) -> Key | None:
    for key in secrets:
        with suppress(Unproven):  # somebody has garbled the secret by hand
            if kind.matches(signatures.standard_form(key.value) if kind is STANDARD else key.value, claim):
                return key
    return None


def _rewritten(body: bytes) -> Iterator[bytes]:
    """Give the body without its last line end, and the same JSON as programs commonly write it."""
    yield body.rstrip(b"\r\n")
    with suppress(ValueError, RecursionError):
        value = json.loads(body)
        for ascii_only in (True, False):
            yield json.dumps(value, ensure_ascii=ascii_only, separators=(",", ":")).encode()
            yield json.dumps(value, ensure_ascii=ascii_only).encode()


# The transport makes these itself, or they concerned only the connection to us.
LEFT_OUT = frozenset(
    ("host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer", "upgrade")
)
NOTES = {
    "body_cut": "Only the beginning of the answer is shown.",
    "body_timeout": "The answer did not end in time.",
    "body_broken": "The answer broke off.",
}


class Replayed(NamedTuple):
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
    from guestbook.outbound import attempt_sender, webhook_urls  # A URL for webhooks, by CGI, sends nothing.
    from guestbook.transport.failure import TransportError

    if len(row.kept) < row.size:
        raise Refused("Only the first 256 kB of the body were kept, so it cannot be sent again.", field="url")
    url = webhook_urls.web_destination(clean_line(typed_url), settings)
    db.session.expunge(row)
    with writing() as session:
        audit_log.record(session, "replayed", "bin_request", row.id, detail=f"to {urlsplit(url).hostname}")
    headers = {name: value for name, value in row.pairs if name.lower() not in LEFT_OUT}
    result: tuple[int | None, Mapping[str, str], bytes, str]
    start = time.monotonic()
    with closing(attempt_sender.transport(settings)) as transport:
        try:
            answer = transport.send(row.method, url, headers, row.kept)
            result = answer.status, answer.headers, answer.body, NOTES.get(answer.note or "", "")
        except TransportError as error:
            result = None, {}, b"", str(error)
    return Replayed(url, round((time.monotonic() - start) * 1000), *result)
