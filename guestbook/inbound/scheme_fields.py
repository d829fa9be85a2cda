"""Check how a source's sender signs: the names of its headers and what `SignatureScheme` holds."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from guestbook.lib import validate
from guestbook.lib.errors import Refused
from guestbook.lib.verification.kinds import (
    ED25519,
    SIGNATURE_ENCODINGS,
    SIGNATURE_HASHES,
    SIGNED_CONTENTS,
    TIMESTAMP,
    TOLERANCE,
    VERIFICATION_KINDS,
)
from guestbook.lib.verification.verify_signature import TOKEN_HEADER
from guestbook.storage.models import Source

HEADER_LIMIT = 64  # characters, as in schema.sql
LONGEST_TOLERANCE = 86_400  # seconds
HEADER = re.compile("[A-Za-z0-9-]+")  # servers drop names with an underscore, or read it as a hyphen
# ASCII without a comma: where a header came twice, commas join it.
SIGNATURE_PREFIX = re.compile(r"[!-+\--~]{0,20}")
NO_PROOF = frozenset(("accept", "connection", "content-length", "content-type", "host", "user-agent"))
# What each field is until the owner says something else.
SCHEME_DEFAULTS = {
    "hash": SIGNATURE_HASHES[0],
    "encoding": SIGNATURE_ENCODINGS[0],
    "prefix": "",
    "content": SIGNED_CONTENTS[0],
    "timestamp_header": "",
    "tolerance": str(TOLERANCE),
}


def header(source: Source, verify: str, given: str | None) -> str | None:
    """Return the header with the token or the signature; None where the kind knows its header."""
    has_scheme = verify in VERIFICATION_KINDS and VERIFICATION_KINDS[verify].has_scheme
    if verify != "token" and not has_scheme:
        if given:
            raise Refused(
                "Only a source that is verified by a token, hmac or ed25519 has a header.", field="header"
            )
        return None
    present = source.header if verify == source.verify else None
    name = (present or "") if given is None else given.strip()
    if not name and has_scheme:
        raise Refused("Name the header that carries the signature, such as X-Signature.", field="header")
    return header_name(name or TOKEN_HEADER, "header")


def header_name(name: str, field: str) -> str:
    """Check the name of a header."""
    if not HEADER.fullmatch(name) or len(name) > HEADER_LIMIT:
        sentence = f"A header’s name has at most {HEADER_LIMIT} letters, digits and hyphens."
        raise Refused(sentence, field=field)
    if name.lower() in NO_PROOF:
        raise Refused(f"Every request has the header {name}, so it proves nothing.", field=field)
    return name


def scheme(source: Source, verify: str, fields: Mapping[str, Any]) -> dict[str, str] | None:
    """Return how the sender signs, as the column has it; None where the kind says it."""
    given = {name: str(fields[name]).strip() for name in SCHEME_DEFAULTS if fields.get(name) is not None}
    if verify not in VERIFICATION_KINDS or not VERIFICATION_KINDS[verify].has_scheme:
        _refuse_all({name for name, value in given.items() if value})
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


def _refuse_all(names: set[str]) -> None:
    if names:
        sentence = "Only a source that is verified by hmac or ed25519 says how its sender signs."
        raise Refused.of(dict.fromkeys(sorted(names), sentence))


def _hash(verify: str, name: str, given: str | None) -> str:
    if verify != ED25519:
        return validate.one_of(SIGNATURE_HASHES, name, field="hash", noun="hash")
    if given:
        raise Refused("Ed25519 has a hash of its own, so none can be chosen. Leave it out.", field="hash")
    return SIGNATURE_HASHES[0]  # which it does not use


def _prefix(prefix: str) -> str:
    if not SIGNATURE_PREFIX.fullmatch(prefix):
        raise Refused(
            "A prefix has at most 20 ASCII characters, and neither commas nor spaces.", field="prefix"
        )
    return prefix


def _timestamp_header(values: Mapping[str, str]) -> str:
    if values["timestamp_header"]:
        return header_name(values["timestamp_header"], "timestamp_header")
    if TIMESTAMP.search(values["content"]):
        raise Refused("Name the header with the timestamp, because it is signed.", field="timestamp_header")
    return ""


def _content(values: Mapping[str, str]) -> str:
    content = validate.one_of(SIGNED_CONTENTS, values["content"], field="content", noun="signed content")
    if values["timestamp_header"] and not TIMESTAMP.search(content):
        sentence = (
            "The timestamp is not signed, so it proves nothing. Choose signed content with {timestamp}."
        )
        raise Refused(sentence, field="content")
    return content
