"""Whether a bin's request is signed with a secret of a webhook, and if not, what is wrong. Pure.

The page never shows what the right signature would be: nobody gets foreign words signed here.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from guestbook.inbound.bin_requests import key_signatures
from guestbook.inbound.bin_requests.key_signatures import NO_KEY_MATCHES, PublicKey
from guestbook.lib import clock, signing
from guestbook.lib.encryption import readable
from guestbook.lib.verification import verify_signature
from guestbook.lib.verification.kinds import VERIFICATION_KINDS, VerificationKind
from guestbook.lib.verification.signature_headers import SignatureClaim, Unproven
from guestbook.storage.models import Webhook

STANDARD, GITHUB = VERIFICATION_KINDS["standard"], VERIFICATION_KINDS["github"]
STANDARD_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
SIGNED_CONTENT_SHOWN = 600  # bytes of the body in the signed content

UNSIGNED = "It is not signed: it has neither webhook-signature nor X-Hub-Signature-256."
TOO_LONG_TO_CHECK = "Only the first 256 kB of the body are kept, so its signature cannot be checked."


@dataclass(frozen=True, slots=True)
class Key:
    """A secret that may have signed, and whose it is in words."""

    secret: str
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
    signed_content: bytes | None = None  # of webhook-signature, with the beginning of the body
    is_shortened: bool = False


def keys_of(webhooks: Iterable[Webhook], received_at: datetime) -> list[Key]:
    """Return the secrets that were valid at that time, rotated ones last."""
    current, previous = [], []
    for webhook in webhooks:
        if secret := readable(webhook.secret):
            current.append(Key(secret, f"the secret of “{webhook.name}”"))
        expires = webhook.previous_secret_expires_at
        if (secret := readable(webhook.previous_secret)) and expires and expires > received_at:
            whose = f"the previous secret of “{webhook.name}”, which is valid until {clock.to_text(expires)}"
            previous.append(Key(secret, whose))
    return current + previous


def check(
    pairs: Sequence[tuple[str, str]],
    body: bytes,
    received_at: datetime,
    keys: Sequence[Key],
    *,
    public_keys: Sequence[PublicKey] = (),
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
    return Check(findings, verify_signature.clock_problem(claim, received_at), content, excess > 0)


def _finding_of_keys(claim: SignatureClaim, keys: Sequence[PublicKey]) -> Finding:
    name = f"{claim.header} (v1a)"
    try:
        key = key_signatures.signer(claim, keys)
    except Unproven as reason:
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
    secret = signing.standard_form(key.secret) if kind is STANDARD else key.secret
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
