"""Take signature headers apart: which signatures, of which content, made at which time. Pure.

The headers may lie, or hold garbage of any length. Nothing is verified here.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass

from guestbook.lib.text import counted

MOST_SIGNATURES = 64  # of one request that are looked at
TOLERANCE = 300  # seconds between the timestamp and the receipt, both ways: Stripe, Slack, Standard Webhooks
UNIX_SECONDS = re.compile("[0-9]{1,12}")  # int() would also take other scripts' digits, and any number


@dataclass(frozen=True, slots=True)
class SignatureClaim:
    """The bare signatures, and the content that they should be of."""

    header: str
    content: bytes
    signatures: tuple[str, ...]
    timestamp: int | None  # unix seconds; GitHub signs none
    seen: tuple[tuple[str, str], ...]  # names and values for the explanation
    public_signatures: tuple[bytes, ...] = ()  # made with a private key: Ed25519
    hash_name: str = "sha256"
    tolerance: int = TOLERANCE


class Unproven(Exception):
    """A sentence for the owner: why there is nothing to compare."""


class MissingHeader(Unproven):
    """The header that carries the signature or the token is not there."""

    def __init__(self, header: str) -> None:
        super().__init__(f"There is no header {header}.")
        self.header = header


def header(headers: Mapping[str, str], name: str) -> str:
    """Return the header that carries the signature; raises Unproven."""
    if name.lower() not in headers:
        raise MissingHeader(name)
    return required(headers, name)


def github(name: str, headers: Mapping[str, str], body: bytes) -> SignatureClaim:
    """Read as GitHub says in "Validating webhook deliveries"; Gitea and Forgejo sign the same way."""
    if name.lower() not in headers and "x-hub-signature" in headers:
        raise Unproven(
            "It carries X-Hub-Signature alone, made with SHA-1, which no longer proves anything: "
            "the sender must sign with SHA-256, in X-Hub-Signature-256."
        )
    signature = sole_value(header(headers, name), name, "sha256=")
    return SignatureClaim(name, body, (signature,), None, (("Header", name),))


def standard(name: str, headers: Mapping[str, str], body: bytes) -> SignatureClaim:
    """Read as Standard Webhooks 1.0.0 says; Svix, its origin, sends the same under its own names."""
    if "svix-signature" in headers and name not in headers:
        name = "svix-signature"
    prefix = name.removesuffix("-signature")
    listed = header(headers, name).split(None, MOST_SIGNATURES)[:MOST_SIGNATURES]
    event_id = required(headers, f"{prefix}-id")
    if "." in event_id:
        raise Unproven(f"The header {prefix}-id holds a dot, so where the id ends could be chosen by others.")
    timestamp = required(headers, f"{prefix}-timestamp")
    signed_at = unix_seconds(timestamp, f"{prefix}-timestamp")
    fields = [one.rstrip(",").partition(",") for one in listed]
    signatures = _of_version("v1", fields)
    public_signatures = tuple(filter(None, map(_ed25519, _of_version("v1a", fields))))
    if not signatures and not public_signatures:
        raise Unproven(f"The header {name} holds no signature of version 1, such as v1,K5oZ…")
    count = counted(len(signatures) + len(public_signatures), "signature")
    seen = (("Header", f"{name}, {count}"), ("Id", event_id))
    content = b".".join((as_bytes(event_id), as_bytes(timestamp), body))
    return SignatureClaim(name, content, signatures, signed_at, seen, public_signatures)


def stripe(name: str, headers: Mapping[str, str], body: bytes) -> SignatureClaim:
    """Read as Stripe says in "Verify webhook signatures manually"."""
    listed = header(headers, name).split(",", MOST_SIGNATURES)[:MOST_SIGNATURES]
    fields = [one.strip().partition("=") for one in listed]
    timestamps, signatures = set(_of_version("t", fields)), _of_version("v1", fields)
    if len(timestamps) != 1:
        count = "more than one" if timestamps else "no"
        raise Unproven(f"The header {name} holds {count} timestamp (t=…).")
    if not signatures:
        raise Unproven(f"The header {name} holds no signature of version 1 (v1=…).")
    timestamp = timestamps.pop()
    content = b".".join((as_bytes(timestamp), body))
    seen = (("Header", f"{name}, {counted(len(signatures), 'signature')}"),)
    return SignatureClaim(name, content, signatures, unix_seconds(timestamp, name), seen)


def slack(name: str, headers: Mapping[str, str], body: bytes) -> SignatureClaim:
    """Read as Slack says in "Verifying requests from Slack"."""
    beside = "X-Slack-Request-Timestamp"
    signature = sole_value(header(headers, name), name, "v0=")
    timestamp = required(headers, beside)
    content = b":".join((b"v0", as_bytes(timestamp), body))
    seen = (("Header", f"{name} and {beside}"),)
    return SignatureClaim(name, content, (signature,), unix_seconds(timestamp, beside), seen)


def as_bytes(text: str) -> bytes:
    """Return UTF-8 of any text at all: only ASCII could be compared as text."""
    return text.encode(errors="surrogatepass")


def required(headers: Mapping[str, str], name: str) -> str:
    """Return a header that must stand beside the signature, or is it; raises Unproven."""
    if value := headers.get(name.lower(), "").strip():
        return value
    if name.lower() in headers:
        raise Unproven(f"The header {name} is empty.")
    raise Unproven(f"There is no header {name}.")


def sole_value(value: str, name: str, prefix: str) -> str:
    """Return the one signature in a header, without its prefix; raises Unproven."""
    if "," in value:
        raise Unproven(f"The header {name} came more than once.")
    if not value.startswith(prefix):
        raise Unproven(f"The header {name} does not start with {prefix}")
    return value.removeprefix(prefix)


def unix_seconds(text: str, name: str) -> int:
    """Return the number in a timestamp; raises Unproven."""
    if not UNIX_SECONDS.fullmatch(text):
        raise Unproven(f"The timestamp in {name} is not a number of seconds.")
    return int(text)


def _of_version(version: str, fields: list[tuple[str, str, str]]) -> tuple[str, ...]:
    return tuple(value for key, _, value in fields if key == version)


def _ed25519(text: str) -> bytes | None:
    """Return the bytes of a signature of version 1a."""
    try:
        return base64.b64decode(as_bytes(text), validate=True)
    except binascii.Error:
        return None
