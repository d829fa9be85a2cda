"""The ways to verify who sent a webhook, one entry each, and what reads and makes their headers. Pure."""

import base64
import binascii
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qs, parse_qsl, urlsplit

from werkzeug.http import parse_options_header

from guestbook.lib import body_encoding, signatures
from guestbook.lib.signatures import PUBLIC_KEY_PREFIX
from guestbook.lib.text import counted

MOST_SIGNATURES = 64  # so many of one request are looked at
TOLERANCE = 300  # seconds between the timestamp and the receipt, both ways: Stripe, Slack, Standard Webhooks
UNIX_SECONDS = re.compile("[0-9]{1,12}")  # int() would also take other scripts' digits, and any number
RFC_3339 = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(\.[0-9]{1,9})?Z")
URL = ":url"  # The URL of a request is stored beside its headers; no name of a header has a colon.
IN_BODY = "body."  # begins the name of a value that is a field of the body instead of a header
MOST_FIELDS = 1000  # fields of a form with files


class SignatureClaim(NamedTuple):
    """The bare signatures, and the content that they should be of."""

    header: str
    content: bytes
    signatures: tuple[str, ...]
    timestamp: int | None  # unix seconds; GitHub signs none
    seen: tuple[tuple[str, str], ...]  # names and values for the explanation
    public_signatures: tuple[bytes, ...] = ()  # made with a private key
    hash_name: str = "sha256"
    tolerance: int = TOLERANCE


class Unproven(Exception):
    """A sentence for the owner: why there is nothing to compare."""


class MissingHeader(Unproven):
    """A header that is needed is not there."""


def standard(headers: Mapping[str, str], body: bytes) -> SignatureClaim:
    """Read as Standard Webhooks 1.0.0 says; Svix, its origin, sends the same under its own names."""
    is_svix = "svix-signature" in headers and "webhook-signature" not in headers
    prefix = "svix" if is_svix else "webhook"
    name = f"{prefix}-signature"
    listed = required(headers, name).split(None, MOST_SIGNATURES)[:MOST_SIGNATURES]
    event_id = required(headers, f"{prefix}-id")
    if "." in event_id:
        raise Unproven(f"The header {prefix}-id holds a dot, so where the id ends could be chosen by others.")
    timestamp = required(headers, f"{prefix}-timestamp")
    signed_at = unix_seconds(timestamp, f"{prefix}-timestamp")
    fields = [one.rstrip(",").partition(",") for one in listed]
    signatures = _of_version("v1", fields)
    public_signatures = tuple(filter(None, map(_base64, _of_version("v1a", fields))))
    if not signatures and not public_signatures:
        raise Unproven(f"The header {name} holds no signature of version 1, such as v1,K5oZ…")
    count = counted(len(signatures) + len(public_signatures), "signature")
    seen = (("Header", f"{name}, {count}"), ("Id", event_id))
    content = b".".join((as_bytes(event_id), as_bytes(timestamp), body))
    return SignatureClaim(name, content, signatures, signed_at, seen, public_signatures)


def as_bytes(text: str) -> bytes:
    """Return UTF-8 of any text at all: only ASCII could be compared as text."""
    return text.encode(errors="surrogatepass")


def required(headers: Mapping[str, str], name: str) -> str:
    """Return a header that carries the signature, or stands beside it; raises Unproven."""
    if name.lower() not in headers:
        raise MissingHeader(f"There is no header {name}.")
    if value := headers[name.lower()].strip():
        return value
    raise Unproven(f"The header {name} is empty.")


def value_of(name: str, headers: Mapping[str, str], body: bytes) -> str:
    """Return a header, or a field of the body such as `body.signature.token`, the same in all of a list."""
    if not name.startswith(IN_BODY):
        return required(headers, name)
    try:
        found: list[Any] = [json.loads(body)]
    except (ValueError, RecursionError):
        found = [dict(_form(headers, body))]
    for key in name.split(".")[1:]:
        level = [inner for one in found for inner in (one if isinstance(one, list) else [one])]
        found = [one.get(key) if isinstance(one, dict) else None for one in level]
    if found and isinstance(found[0], str) and found[0] and found.count(found[0]) == len(found):
        return found[0]
    raise MissingHeader(f"The body has no text in {name.removeprefix(IN_BODY)}, or several that differ.")


def _form(headers: Mapping[str, str], body: bytes) -> list[tuple[str, str]]:
    kind, options = parse_options_header(headers.get("content-type"))
    if kind == body_encoding.URLENCODED:
        return parse_qsl(body.decode(errors="replace"), keep_blank_values=True)
    with suppress(body_encoding.NotMultipart, body_encoding.TooManyParts):
        parts = body_encoding.form_parts(body, options.get("boundary", ""), MOST_FIELDS)
        return [(part.name, part.text) for part in parts if part.filename is None]
    return []


def _url_and_fields(headers: Mapping[str, str], body: bytes) -> str:
    """Return the URL with the sorted fields of a form. Twilio signs another body by its hash in the URL."""
    url, fields = required(headers, URL), _form(headers, body)
    hashes = parse_qs(urlsplit(url).query).get("bodySHA256", [])
    if hashes == [hashlib.sha256(body).hexdigest()]:
        return url
    if hashes or not fields:
        raise Unproven("The body is not a form, and the URL has no bodySHA256 that fits it.")
    return url + "".join(name + value for name, value in sorted(set(fields)))


def unix_seconds(text: str, name: str) -> int:
    """Return the number in a timestamp; raises Unproven."""
    if not UNIX_SECONDS.fullmatch(text):
        raise Unproven(f"The timestamp in {name} is not a number of seconds.")
    return int(text)


def _of_version(version: str, fields: list[tuple[str, str, str]]) -> tuple[str, ...]:
    return tuple(value for key, _, value in fields if key == version)


def _base64(text: str) -> bytes:
    """Return the bytes that a base64 stands for, with padding or without; none for any other text."""
    try:
        return base64.b64decode(as_bytes(text) + b"=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        return b""


NO_SAMPLE = "The book does not know how this sender signs. Let the sender send a test."
SIGNATURE_HASHES = ("sha256", "sha1", "sha512")
SIGNATURE_ENCODINGS = ("hex", "base64")
# A body stands at the end, so nothing in it can be taken for the timestamp. Where nothing stands between, the
# timestamp has one length: three digits of milliseconds could be moved into the body of one signature.
IN_MILLISECONDS = "{milliseconds}{body}"
OF_FORM = "{url}{fields}"
# No sample has all that these need.
BESIDE_HEADERS = ("{id}{timestamp}{body}", "{timestamp}{token}", "{url}{body}", OF_FORM)
SIGNED_CONTENTS = (
    "{body}",
    "{timestamp}.{body}",
    "{timestamp}:{body}",
    "v0:{timestamp}:{body}",
    "{timestamp}|{body}",
    "{timestamp}{body}",
    IN_MILLISECONDS,
    *BESIDE_HEADERS,
)
ONE_LENGTH = ("{timestamp}{body}", "{timestamp}{token}", IN_MILLISECONDS)
LISTED = re.compile(r"([a-z]+=)\{timestamp\}([,;])(.+)")  # a prefix: the header holds several values
NAMED_LIKE_TIMESTAMP = re.compile(r"\{(id|token)\}")
TIMESTAMP = re.compile(r"\{timestamp\}|\{milliseconds\}")
ED25519 = "ed25519"  # stands in the place of a hash, also for ECDSA: the public key says which it is
SIGNATURE_BYTES = {"sha1": {20}, "sha256": {32}, "sha512": {64}, ED25519: {*range(8, 73)}}  # ECDSA's are DER
MILLISECONDS = re.compile("[0-9]{13}")  # a timestamp from 2001 to 2286


class SignatureScheme(NamedTuple):
    """What to know about a sender's signature."""

    header: str  # carries the signature
    hash_name: str = SIGNATURE_HASHES[0]
    encoding: str = SIGNATURE_ENCODINGS[0]
    prefix: str = ""  # stands before the signature in the header; or LISTED
    timestamp_header: str = ""
    tolerance: int = TOLERANCE  # seconds between the timestamp and the receipt
    content: str = SIGNED_CONTENTS[0]

    @classmethod
    def of(cls, header: str, stored: Mapping[str, str], *, is_ed25519: bool) -> Self:
        """Return the scheme in a source's columns; a part that is missing or garbled becomes the default."""
        tolerance = stored.get("tolerance", "")
        return cls(
            header,
            ED25519 if is_ed25519 else stored.get("hash", SIGNATURE_HASHES[0]),
            stored.get("encoding", SIGNATURE_ENCODINGS[0]),
            stored.get("prefix", ""),
            stored.get("timestamp_header", ""),
            int(tolerance) if UNIX_SECONDS.fullmatch(tolerance) else TOLERANCE,
            stored.get("content", SIGNED_CONTENTS[0]),
        )

    @property
    def headers(self) -> tuple[str, ...]:
        """Return the names of the headers that it needs."""
        return (self.header, self.timestamp_header) if self.timestamp_header else (self.header,)

    def claim(self, headers: Mapping[str, str], body: bytes) -> SignatureClaim:
        """Take the signatures and what they sign from a request; raises Unproven."""
        value, timestamp = value_of(self.header, headers, body), ""
        if listed := LISTED.fullmatch(self.prefix):
            written, timestamp = self._in_list(value, *listed.groups())
        elif "," in value:
            raise Unproven(f"The header {self.header} came more than once.")
        elif not value.startswith(self.prefix):
            raise Unproven(f"The header {self.header} does not start with {self.prefix}")
        else:
            written = [value.removeprefix(self.prefix)]
        signatures = tuple(filter(None, map(self._decoded, written)))
        if not signatures:
            raise Unproven(
                f"The header {self.header} does not hold what this source expects: {self.words}. "
                "The sender signs in another way, or the source’s settings are wrong."
            )
        if self.timestamp_header and not listed:
            timestamp = value_of(self.timestamp_header, headers, body)
        seconds = self._seconds(timestamp) if TIMESTAMP.search(self.content) else None
        return SignatureClaim(
            header=self.header,
            content=self._signed_content(timestamp, headers, body),
            signatures=tuple(one.hex() for one in signatures),
            timestamp=seconds,
            seen=(("Header", " and ".join(self.headers)), ("Scheme", self.words)),
            public_signatures=signatures,
            hash_name=self.hash_name,
            tolerance=self.tolerance,
        )

    def sign(self, secret: str, _event_id: str, seconds: int, body: bytes) -> dict[str, str]:
        """Return the headers of a request that is signed so with an HMAC; raises Unproven."""
        if self.content in BESIDE_HEADERS or self.header.startswith(IN_BODY):
            raise Unproven(NO_SAMPLE)
        timestamp = str(seconds * 1000 if self.content == IN_MILLISECONDS else seconds)
        signature = hmac.digest(as_bytes(secret), self._signed_content(timestamp, {}, body), self.hash_name)
        encoded = signature.hex() if self.encoding == "hex" else base64.b64encode(signature).decode()
        beside = {self.timestamp_header: timestamp} if self.timestamp_header else {}
        return {**beside, self.header: self.prefix.replace("{timestamp}", timestamp) + encoded}

    @property
    def words(self) -> str:
        """Return how it signs: `HMAC-SHA256 of {timestamp}.{body}, in hex after sha256=`."""
        algorithm = "Ed25519 or ECDSA" if self.hash_name == ED25519 else f"HMAC-{self.hash_name.upper()}"
        after = f" after {self.prefix}" if self.prefix else ""
        return f"{algorithm} of {self.content}, in {self.encoding}{after}"

    def _in_list(self, value: str, time: str, separator: str, key: str) -> tuple[list[str], str]:
        """Return the signatures and the timestamp of a header such as `t=…,v1=…`."""
        parts = [one.strip() for one in value.split(separator, MOST_SIGNATURES)[:MOST_SIGNATURES]]
        times = {one.removeprefix(time) for one in parts if one.startswith(time)}
        signatures = [one.removeprefix(key) for one in parts if one.startswith(key)]
        if len(times) == 1 and signatures:
            return signatures, times.pop()
        raise Unproven(
            f"The header {self.header} does not hold one timestamp ({time}…) and a signature ({key}…)."
        )

    def _signed_content(self, timestamp: str, headers: Mapping[str, str], body: bytes) -> bytes:
        before = TIMESTAMP.sub(timestamp, self.content.removesuffix("{body}"))
        if "{url}" in self.content:
            before = _url_and_fields(headers, body) if self.content == OF_FORM else required(headers, URL)
        elif found := NAMED_LIKE_TIMESTAMP.search(self.content):
            name = re.sub("timestamp", found[1], self.timestamp_header, flags=re.IGNORECASE)
            before = before.replace(found[0], value_of(name, headers, body))
        return as_bytes(before) + (body if self.content.endswith("{body}") else b"")

    def _decoded(self, signature: str) -> bytes:
        """Return the bytes of the signature, in whichever case or padding it is written, or none."""
        raw = b""
        with suppress(binascii.Error):
            is_hex = self.encoding == "hex"
            raw = binascii.unhexlify(as_bytes(signature)) if is_hex else _base64(signature)
        return raw if len(raw) in SIGNATURE_BYTES.get(self.hash_name, ()) else b""

    def _seconds(self, timestamp: str) -> int:
        name, is_long = self.timestamp_header or self.header, MILLISECONDS.fullmatch(timestamp) is not None
        with suppress(ValueError):
            if RFC_3339.fullmatch(timestamp):
                return int(datetime.fromisoformat(timestamp).timestamp())
        if self.content in ONE_LENGTH and is_long != (self.content == IN_MILLISECONDS):
            expected, found = ("seconds", "milliseconds") if is_long else ("milliseconds", "seconds")
            raise Unproven(
                f"The timestamp in {name} is in {found}, but with the signed content "
                f"{self.content} it is in {expected}."
            )
        return unix_seconds(timestamp[:-3] if is_long else timestamp, name)


HEX_KEY = re.compile("[0-9A-Fa-f]{64}")
P256_KEY = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")  # the beginning: RFC 5480
NO_KEY = "The public key must have 64 hexadecimal digits, or be the base64 of 32 bytes or of a P-256 key."


def read_public_key(text: str) -> bytes:
    """Return an Ed25519 key, or the DER of a P-256 key, from hex or base64; raises Unproven."""
    bare = text.removeprefix(signatures.PUBLIC_KEY_PREFIX)
    if HEX_KEY.fullmatch(bare):
        return bytes.fromhex(bare)
    key = _base64(bare)
    if len(key) == signatures.KEY_LENGTH or key.startswith(P256_KEY):
        return key
    raise Unproven(NO_KEY)


def text_key(secret: str, claim: SignatureClaim) -> bool:
    """As most sign: the key is the secret as it is shown, whatever it starts with."""
    expected = hmac.digest(as_bytes(secret), claim.content, claim.hash_name).hex()
    return is_among(expected, claim.signatures)


def standard_key(secret: str, claim: SignatureClaim) -> bool:
    """As Standard Webhooks signs: the key is inside the secret, or the secret is the sender's public key."""
    if secret.startswith(PUBLIC_KEY_PREFIX):
        return public_key(secret, claim)
    expected = base64.b64encode(hmac.digest(key_inside(secret), claim.content, "sha256")).decode()
    return is_among(expected, claim.signatures)


def public_key(secret: str, claim: SignatureClaim) -> bool:
    """As Discord and SendGrid sign: with a private key, and our secret is its public key."""
    key = read_public_key(secret)
    try:
        return any(signatures.verify_with_key(key, claim.content, one) for one in claim.public_signatures)
    except signatures.PackageMissing as missing:
        raise Unproven(f"{missing} It comes with the extra {signatures.KEY_EXTRA}.") from None


def key_inside(secret: str) -> bytes:
    """Take a key of any length, with whsec_ and padding or without: senders make them so; raises Unproven."""
    if key := _base64(secret.removeprefix(signatures.SECRET_PREFIX)):
        return key
    raise Unproven("The secret is not one of Standard Webhooks: it must be whsec_ and base64.")


def is_among(expected: str, signatures: Sequence[str]) -> bool:
    """Compare with every one, so that the time taken does not tell which one matches."""
    return sum(hmac.compare_digest(as_bytes(expected), as_bytes(one)) for one in signatures) > 0


def sign_standard(secret: str, event_id: str, seconds: int, body: bytes) -> dict[str, str]:
    """Sign as `standard` reads it; raises Unproven for an unusable secret."""
    signature = signatures.standard((key_inside(secret),), event_id, seconds, body)
    return {"webhook-id": event_id, "webhook-timestamp": str(seconds), "webhook-signature": signature}


class VerificationKind(NamedTuple):
    """One way to verify, and what the owner reads about it."""

    title: str
    hint: str  # when to choose it
    scheme: SignatureScheme | None = None  # how all of its senders sign
    has_scheme: bool = False  # whether each source says how its sender signs
    header: str = ""  # carries the signature; what signs in another way has the next three as well
    read: Callable[[Mapping[str, str], bytes], SignatureClaim] | None = None
    # Takes the secret; whether it has made one of the signatures. Raises Unproven for an unusable secret.
    matches: Callable[[str, SignatureClaim], bool] = text_key
    # Takes the secret, the event's id, the time in Unix seconds and the body; returns headers. For samples.
    sign: Callable[[str, str, int, bytes], dict[str, str]] | None = None
    new_secret: Callable[[], str] = lambda: secrets.token_urlsafe(32)
    secret_from: str = ""  # where the owner finds the secret, if the sender makes it
    mistaken: tuple[str, ...] = ()  # beginnings of what people paste instead of it
    mistaken_for: str = ""

    def claim(
        self, headers: Mapping[str, str], body: bytes, scheme: SignatureScheme | None = None
    ) -> SignatureClaim:
        """Take the signatures and what they sign from a request; raises Unproven."""
        if known := scheme or self.scheme:
            return known.claim(headers, body)
        if self.read is None:
            raise Unproven("Nothing is signed.")
        return self.read(headers, body)


VERIFICATION_KINDS = {
    "github": VerificationKind(
        title="GitHub",
        hint="signs with a secret; so do Gitea, Forgejo and Meta",
        header="X-Hub-Signature-256",
        scheme=SignatureScheme("X-Hub-Signature-256", prefix="sha256="),
    ),
    "standard": VerificationKind(
        title="Standard Webhooks",
        hint="for another guestbook, Svix and many more",
        header="webhook-signature",
        read=standard,
        matches=standard_key,
        new_secret=signatures.new_secret,
        sign=sign_standard,
    ),
    "stripe": VerificationKind(
        title="Stripe",
        hint="with the signing secret that Stripe shows",
        header="Stripe-Signature",
        scheme=SignatureScheme("Stripe-Signature", prefix="t={timestamp},v1=", content="{timestamp}.{body}"),
        secret_from="the signing secret that Stripe shows",
        mistaken=("sk_", "rk_", "pk_"),
        mistaken_for="a key of Stripe’s API; the signing secret begins with whsec_",
    ),
    "slack": VerificationKind(
        title="Slack",
        hint="with the signing secret of your Slack app",
        header="X-Slack-Signature",
        scheme=SignatureScheme(
            "X-Slack-Signature",
            prefix="v0=",
            timestamp_header="X-Slack-Request-Timestamp",
            content="v0:{timestamp}:{body}",
        ),
        secret_from="the signing secret that Slack shows under Basic Information",
        mistaken=("xox", "xapp-"),
        mistaken_for="a token of Slack’s API; the signing secret is another one, of 32 characters",
    ),
    "hmac": VerificationKind(
        title="Any HMAC",
        hint="for all others that sign with a secret: Shopify, Linear, Typeform, Zoom and many more",
        has_scheme=True,
    ),
    "ed25519": VerificationKind(
        title="A public key",
        hint="Ed25519, or ECDSA with P-256: for senders that show a public key, as Discord and SendGrid do",
        matches=public_key,
        has_scheme=True,
        secret_from="the public key that the sender shows",
    ),
    "token": VerificationKind(
        "A token", "the sender puts a secret into a header, as GitLab or your own script does"
    ),
    "none": VerificationKind(
        "Nothing", "anyone who knows the URL may send; choose it only to try things out"
    ),
}
