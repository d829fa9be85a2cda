"""Whether what a bin caught is signed with a secret of a webhook, and if not, what is wrong. Pure.

What the right signature would be is told to nobody: nobody may have foreign text signed here.
"""

import base64
import hmac
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from guestbook.lib import clock, signing
from guestbook.storage.models import Webhook

TOLERANCE = 5 * 60  # seconds; what the verifiers of Standard Webhooks allow
STANDARD = ("webhook-id", "webhook-timestamp", "webhook-signature")
HUB = "X-Hub-Signature-256"
STAMP = re.compile("0|[1-9][0-9]{0,11}")
DIGEST = re.compile("sha256=[0-9a-f]{64}")
BASE_SHOWN = 600  # bytes of the body in the base string

UNSIGNED = "It is not signed: it has neither webhook-signature nor X-Hub-Signature-256."
CUT = "Only the first 256 kB of the body are kept, so its signature cannot be checked."
MISSING = "The header {} is missing, so nothing can be checked."
NO_STAMP = "webhook-timestamp is not a number of seconds since 1970."
NO_ENTRY = "webhook-signature has no entry that begins with v1, and a comma: no other kind is known here."
NO_DIGEST = "It is not sha256= and 64 hexadecimal digits in lower case."


@dataclass(frozen=True, slots=True)
class Key:
    """A secret that may have signed, and whose it is in words."""

    secret: str
    whose: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What one header proves."""

    header: str
    fits: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class Check:
    """What the signatures of a request are worth."""

    findings: Sequence[Finding]
    warning: str = ""  # why a receiver refuses it although the signature fits
    base: bytes | None = None  # what webhook-signature signs, of the body only the beginning
    base_is_cut: bool = False


Fitting = Callable[[bytes], Key | None]  # whose secret makes the header's signature of that body


def keys_of(webhooks: Iterable[Webhook], received_at: datetime) -> list[Key]:
    """Return the secrets that were good at that time, rotated ones last."""
    now, before = [], []
    for webhook in webhooks:
        now.append(Key(webhook.secret, f"the secret of “{webhook.name}”"))
        expires = webhook.previous_secret_expires_at
        if webhook.previous_secret and expires and expires > received_at:
            whose = f"the previous secret of “{webhook.name}”, which is good until {clock.to_text(expires)}"
            before.append(Key(webhook.previous_secret, whose))
    return now + before


def check(
    headers: Sequence[tuple[str, str]],
    body: bytes,
    received_at: datetime,
    keys: Sequence[Key],
    *,
    sent: Sequence[bytes] = (),
) -> Check:
    """Check both kinds of signature; `sent` are the bodies of our own deliveries with that id."""
    given = {name.lower(): value for name, value in headers}
    is_standard, is_hub = any(name in given for name in STANDARD), HUB.lower() in given
    findings = []
    if is_standard:
        findings.append(_standard(given, body, keys, sent))
    if is_hub:
        findings.append(_hub(given[HUB.lower()], body, keys, sent))
    base = _base(given, body[:BASE_SHOWN])
    late = _late(given, received_at) if is_standard else ""
    return Check(findings or [Finding("", False, UNSIGNED)], late, base, len(body) > BASE_SHOWN)


def cut() -> Check:
    """Return what is said of a request whose body is not kept as a whole."""
    return Check([Finding("", False, CUT)])


def _standard(given: Mapping[str, str], body: bytes, keys: Sequence[Key], sent: Sequence[bytes]) -> Finding:
    header = STANDARD[2]
    missing = [name for name in STANDARD if name not in given]
    if missing:
        return Finding(header, False, MISSING.format(missing[0]))
    if _base(given, b"") is None:
        return Finding(header, False, NO_STAMP)
    entries = {entry for entry in given[header].split() if entry.startswith("v1,")}
    if not entries:
        return Finding(header, False, NO_ENTRY)

    def fitting(other: bytes) -> Key | None:
        base = _base(given, other) or b""
        return next((key for key in keys if _signature(key, base) in entries), None)

    return _judge(header, fitting, body, sent, "the id, the timestamp or the body")


def _hub(value: str, body: bytes, keys: Sequence[Key], sent: Sequence[bytes]) -> Finding:
    if not DIGEST.fullmatch(value):
        return Finding(HUB, False, NO_DIGEST)

    def fitting(other: bytes) -> Key | None:
        return next((key for key in keys if signing.hub(key.secret.encode(), other) == value), None)

    return _judge(HUB, fitting, body, sent, "the body")


def _judge(header: str, fitting: Fitting, body: bytes, sent: Sequence[bytes], what: str) -> Finding:
    """Say whose secret fits; or why none does: ours may fit what we sent, or the same JSON in other words."""
    if key := fitting(body):
        return Finding(header, True, f"It was signed with {key.whose}.")
    for other in sent:
        if key := fitting(other):
            counts = f"{len(other):,} bytes were sent and {len(body):,} came"
            return Finding(
                header, False, f"The body changed on its way: {counts}. What was sent fits {key.whose}."
            )
    for other in _rewritten(body):
        if key := fitting(other):
            return Finding(
                header, False, f"The body was written anew on its way. Before, it fitted {key.whose}."
            )
    return Finding(
        header, False, f"No secret of a webhook here fits: another one was used, or {what} changed."
    )


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


def _base(given: Mapping[str, str], body: bytes) -> bytes | None:
    """Return what is signed: id, timestamp and body, joined by dots; None when one is not there."""
    event_id, stamp = given.get(STANDARD[0]), given.get(STANDARD[1], "")
    if event_id is None or not STAMP.fullmatch(stamp):
        return None
    return b"%s.%s.%s" % (event_id.encode("latin-1", "replace"), stamp.encode(), body)


def _signature(key: Key, base: bytes) -> str:
    try:
        digest = hmac.digest(signing.key_of(key.secret), base, "sha256")
    except ValueError:  # somebody has garbled the secret by hand
        return ""
    return "v1," + base64.b64encode(digest).decode()


def _late(given: Mapping[str, str], received_at: datetime) -> str:
    stamp = given.get(STANDARD[1], "")
    if not STAMP.fullmatch(stamp):
        return ""
    age = received_at.timestamp() - int(stamp)
    if abs(age) <= TOLERANCE:
        return ""
    side = "older" if age > 0 else "newer"
    return (
        f"Its timestamp was {abs(age) / 60:,.0f} minutes {side} than the moment when it came; "
        "receivers refuse more than five."
    )
