"""Senders with headers of their own: any hash, encoding and content, the published vectors, and garbage."""

import base64
import hashlib
import hmac
import itertools
import re
import sys
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from guestbook.lib import signatures
from guestbook.lib.verification import Verdict, kinds, verify
from guestbook.lib.verification.kinds import (
    ED25519,
    IN_MILLISECONDS,
    SIGNATURE_ENCODINGS,
    SIGNATURE_HASHES,
    SIGNED_CONTENTS,
    SignatureScheme,
)
from tests.lib.test_signatures import RFC_8032

MOMENT = datetime(2021, 2, 25, 15, 2, 10, tzinfo=UTC)
SECONDS = "1614265330"  # the same
SECRET, BODY = "It's a sécret", '{"test": "Grüße"}'.encode()
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = PRIVATE.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()

Sent = dict[str, str]
ALL = [
    SignatureScheme(
        "X-Signature", hash_name, encoding, prefix, "X-Time" if content != "{body}" else "", 300, content
    )
    for hash_name, encoding, content, prefix in itertools.product(
        (*SIGNATURE_HASHES, ED25519), SIGNATURE_ENCODINGS, SIGNED_CONTENTS, ("", "v1=")
    )
    if not re.search("{(id|token|url)}", content)  # test_published_signatures.py has those
]
TIMED = SignatureScheme("X-Signature", timestamp_header="X-Time", content="{timestamp}.{body}")
PLAIN = SignatureScheme("X-Signature")
DISCORD = SignatureScheme(
    "X-Signature-Ed25519", ED25519, timestamp_header="X-Signature-Timestamp", content="{timestamp}{body}"
)


def sent(
    scheme: SignatureScheme, body: bytes = BODY, timestamp: str | None = None, secret: str = SECRET
) -> Sent:
    """What a sender with this scheme puts into its headers."""
    if timestamp is None:
        timestamp = SECONDS + ("123" if scheme.content == IN_MILLISECONDS else "")
    before = re.sub("{timestamp}|{milliseconds}", timestamp, scheme.content)
    content = before.encode().replace(b"{body}", body)
    if scheme.hash_name == ED25519:
        raw = PRIVATE.sign(content)
    else:
        raw = hmac.new(secret.encode(), content, getattr(hashlib, scheme.hash_name)).digest()
    text = raw.hex() if scheme.encoding == "hex" else base64.b64encode(raw).decode()
    headers = {scheme.header.lower(): scheme.prefix + text}
    return headers | ({scheme.timestamp_header.lower(): timestamp} if scheme.timestamp_header else {})


def verified(
    scheme: SignatureScheme, headers: Sent, body: bytes = BODY, *secrets: str, received_at: datetime = MOMENT
) -> Verdict:
    kind = "ed25519" if scheme.hash_name == ED25519 else "hmac"
    known = secrets or ((PUBLIC if kind == "ed25519" else SECRET),)
    return verify(kind, known, headers, body, received_at, scheme=scheme)


@pytest.mark.parametrize(
    "scheme",
    [one for one in ALL if one.hash_name != ED25519],
    ids=lambda scheme: scheme.words + scheme.prefix,
)
def test_the_book_signs_as_a_sender_with_the_scheme_does(scheme: SignatureScheme) -> None:
    timestamp = SECONDS + ("000" if scheme.content == IN_MILLISECONDS else "")
    signed = scheme.sign(SECRET, "msg_1", int(SECONDS), BODY)
    assert {name.lower(): value for name, value in signed.items()} == sent(scheme, timestamp=timestamp)


@pytest.mark.parametrize("tolerance", [60, None])
def test_a_source_says_each_part_of_its_scheme_or_the_default_is_meant(tolerance: int | None) -> None:
    parts = {"hash": "sha512", "encoding": "base64", "prefix": "p=", "timestamp_header": "X-Time"}
    stored = {**parts, "content": IN_MILLISECONDS, "tolerance": str(tolerance or "soon")}
    expected = SignatureScheme("X-A", *parts.values(), tolerance or kinds.TOLERANCE, IN_MILLISECONDS)  # type: ignore[arg-type]  # they have this order
    assert SignatureScheme.of("X-A", stored, is_ed25519=False) == expected
    assert SignatureScheme.of("X-A", {}, is_ed25519=False) == SignatureScheme("X-A")
    assert SignatureScheme.of("X-A", {"hash": "sha512"}, is_ed25519=True) == SignatureScheme("X-A", ED25519)


@pytest.mark.parametrize("scheme", ALL, ids=lambda scheme: scheme.words + scheme.prefix)
def test_every_scheme_proves_what_it_signed_and_nothing_else(scheme: SignatureScheme) -> None:
    headers = sent(scheme)
    verdict = verified(scheme, headers)
    assert verdict.ok
    assert verdict.sentence == "The signature in X-Signature matches the current secret."
    said = "\n".join(step.value for step in verdict.steps)
    assert scheme.words in said
    assert re.search(r"[0-9a-f]{32}|[A-Za-z0-9+/]{40}", said) is None
    assert not verified(scheme, headers, BODY + b"\n").ok
    other = "00" * 32 if scheme.hash_name == ED25519 else "another"
    assert not verified(scheme, headers, BODY, other).ok
    known = PUBLIC if scheme.hash_name == ED25519 else SECRET
    assert "the previous secret" in verified(scheme, headers, BODY, other, known).sentence
    if scheme.timestamp_header:
        assert not verified(scheme, {**headers, "x-time": str(int(SECONDS) + 1)}).ok


@pytest.mark.parametrize(
    ("hash_name", "signature"),
    [
        ("sha1", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
        ("sha256", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        (
            "sha512",
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
            "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
        ),
    ],
)
def test_the_vectors_of_hmac(hash_name: str, signature: str) -> None:
    """From RFC 2202 and RFC 4231, test case 2."""
    scheme = SignatureScheme("X-Signature", hash_name)
    body = b"what do ya want for nothing?"
    assert verified(scheme, {"x-signature": signature}, body, "Jefe").ok
    assert verified(scheme, {"x-signature": signature.upper()}, body, "Jefe").ok


@pytest.mark.parametrize("vector", RFC_8032)
def test_the_vectors_of_ed25519(vector: str) -> None:
    _, key, body, signature = RFC_8032[vector]
    scheme = SignatureScheme("X-Signature", ED25519)
    headers = {"x-signature": signature}
    for written in (key, key.upper(), base64.b64encode(bytes.fromhex(key)).decode()):
        assert verified(scheme, headers, body, written).ok
    assert not verified(scheme, headers, body + b"\0", key).ok
    wrong = signature[:-2] + ("01" if signature.endswith("00") else "00")
    assert not verified(scheme, {"x-signature": wrong}, body, key).ok


@pytest.mark.parametrize("late", [0, 60, -60, 61, -61, 86_400])
def test_the_tolerance_is_that_of_the_scheme_and_the_time_of_receipt_counts(late: int) -> None:
    scheme = TIMED._replace(tolerance=60)
    verdict = verified(scheme, sent(scheme), received_at=MOMENT + timedelta(seconds=late))
    assert verdict.ok == (abs(late) <= 60)
    assert verdict.ok or "at most 60 are allowed" in verdict.sentence


def test_a_timestamp_may_be_in_milliseconds() -> None:
    headers = sent(TIMED, timestamp=SECONDS + "123")
    assert verified(TIMED, headers).ok
    assert not verified(TIMED, headers, received_at=MOMENT + timedelta(seconds=400)).ok


def test_no_digit_moves_between_timestamp_and_body() -> None:
    """With one signature of both, a timestamp in seconds and one in milliseconds would both be good."""
    for content, timestamp, body in (
        ("{timestamp}{body}", SECONDS, b"123, really"),
        (IN_MILLISECONDS, SECONDS + "123", b", really"),
    ):
        scheme = SignatureScheme("X-Signature", timestamp_header="X-Time", content=content)
        headers, whole = sent(scheme, body, timestamp), timestamp.encode() + body
        assert verified(scheme, headers, body).ok
        moved = len(SECONDS) if len(timestamp) > len(SECONDS) else len(SECONDS) + 3
        verdict = verified(scheme, {**headers, "x-time": whole[:moved].decode()}, whole[moved:])
        assert not verdict.ok
        assert f"with the signed content {content} it is in" in verdict.sentence


@pytest.mark.parametrize("scheme", [PLAIN, TIMED, SignatureScheme("X-Signature", encoding="base64"), DISCORD])
@pytest.mark.parametrize(
    "value",
    [None, "", "  ", "ключ", "=", ",", "\ud800", "\x00", "00", "é" * 64, "zz" * 32, " ".join(["ab"] * 32)],
)
def test_a_missing_or_senseless_signature_has_a_sentence(scheme: SignatureScheme, value: str | None) -> None:
    headers, name = sent(scheme), scheme.header.lower()
    headers.pop(name) if value is None else headers.update({name: value})
    verdict = verified(scheme, headers)
    assert not verdict.ok
    assert re.fullmatch(r"[A-Z].*\S", verdict.sentence)


def test_a_header_that_came_twice_proves_nothing() -> None:
    headers = sent(PLAIN)
    twice = {"x-signature": f"{headers['x-signature']}, {headers['x-signature']}"}
    assert verified(PLAIN, twice).sentence == "The header X-Signature came more than once."


def test_a_signature_that_is_written_in_another_way_is_said_to_be() -> None:
    base64_scheme = SignatureScheme("X-Signature", encoding="base64")
    assert "HMAC-SHA256 of {body}, in hex" in verified(PLAIN, sent(base64_scheme)).sentence
    assert "HMAC-SHA256 of {body}, in base64" in verified(base64_scheme, sent(PLAIN)).sentence
    with_prefix = SignatureScheme("X-Signature", prefix="sha256=")
    assert verified(with_prefix, sent(PLAIN)).sentence == "The header X-Signature does not start with sha256="
    assert not verified(PLAIN, sent(with_prefix)).ok


def test_base64_may_lack_its_padding() -> None:
    scheme = SignatureScheme("X-Signature", encoding="base64")
    assert verified(scheme, {"x-signature": sent(scheme)["x-signature"].rstrip("=")}).ok


@pytest.mark.parametrize("key", ["", "whpk_", "ab", "00" * 31, "00" * 33, "ключ", "whpk_!!", "\ud800", " "])
def test_a_key_that_is_none_has_a_sentence(key: str) -> None:
    assert verified(DISCORD, sent(DISCORD), BODY, key).sentence == kinds.NO_KEY


def test_without_its_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    verdict = verified(DISCORD, sent(DISCORD))
    assert (verdict.ok, verdict.sentence) == (False, f"{signatures.NO_KEYS} It comes with the extra ed25519.")
    assert verified(PLAIN, sent(PLAIN)).ok, "nothing else needs it"


def test_what_is_missing_or_garbled_in_the_column_becomes_the_default() -> None:
    assert SignatureScheme.of("X-Signature", {}, is_ed25519=False) == PLAIN
    assert SignatureScheme.of("X-Signature", {"(not JSON)": "{", "tolerance": "x"}, is_ed25519=False) == PLAIN
    columns = {"hash": "md5", "encoding": "base32", "content": ""}
    odd = SignatureScheme.of("X-Signature", columns, is_ed25519=False)
    assert not verified(odd, sent(PLAIN)).ok
