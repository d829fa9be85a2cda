"""Verify what others sent us, as of when it was received, and say how it was proven or why not. Pure."""

import base64
import binascii
import hmac
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from guestbook.inbound import signature_headers
from guestbook.inbound.signature_headers import Claim, Unproven, as_bytes
from guestbook.lib import signing

TOLERANCE = 300  # seconds between the timestamp and the receipt, both ways: Stripe, Slack, Standard Webhooks
SHOWN = 120  # characters of what was signed
TOKEN_HEADER = "X-Webhook-Token"
PROOF = "hmac-sha256:"

Signer = Callable[[bytes], str]  # from the content to the signature as the header has it


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the explanation; neither a secret nor a signature of ours."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the sender is proven, one sentence for the owner, and the steps to it."""

    ok: bool
    sentence: str
    steps: tuple[Step, ...] = ()


def verify(
    kind: str,
    secrets: tuple[str, ...],
    headers: Mapping[str, str],
    body: bytes,
    received_at: datetime,
    *,
    header: str | None = None,
    proof_key: str = "",
) -> Verdict:
    """Judge the exact bytes with the secrets that were good at the receipt, the current one first.

    Names of headers are in lower case; of `token` the stored value is its `proof`. Never raises.
    """
    if kind == "none":
        return Verdict(True, "Nothing is proven: this source does not ask its sender for a signature.")
    if not secrets:
        return Verdict(False, "This source has no secret to verify with.")
    try:
        if kind == "token":
            return _judge_token(secrets, headers, header or TOKEN_HEADER, proof_key)
        if kind not in signature_headers.READERS:
            return Verdict(False, "This source asks for a kind of signature that is not known here.")
        claim = signature_headers.READERS[kind](headers, body)
        signer = _base64_signer if kind == "standard" else _hex_signer
        return _judge(claim, [signer(secret) for secret in secrets], received_at)
    except Unproven as reason:
        return Verdict(False, str(reason))


def proof(value: str, key: str) -> str:
    """Return what is stored in place of a token: it can be compared, and the token cannot be read from it.

    The label keeps the application's key from signing here what would mean something elsewhere.
    """
    return PROOF + hmac.digest(as_bytes(key), b"inbox token\0" + as_bytes(value), "sha256").hex()


def _judge(claim: Claim, signers: list[Signer], received_at: datetime) -> Verdict:
    steps = [Step("What was signed", _shortened(claim.content))]
    steps += [Step(name, _cut(value)) for name, value in claim.seen]
    age = 0.0 if claim.timestamp is None else received_at.timestamp() - claim.timestamp
    if claim.timestamp is not None:
        steps.append(Step("Timestamp", f"{claim.timestamp}, {_distance(age)}"))
    fitting = [_is_among(signer(claim.content), claim.signatures) for signer in signers]
    steps.append(_secret_step(fitting))
    if True not in fitting:
        return Verdict(False, _mismatch(claim.header, len(signers)), tuple(steps))
    if abs(age) > TOLERANCE:
        return Verdict(False, _too_far(age), tuple(steps))
    name = _secret_name(fitting.index(True))
    return Verdict(True, f"The signature in {claim.header} fits {name}.", tuple(steps))


def _judge_token(
    secrets: tuple[str, ...], headers: Mapping[str, str], header: str, proof_key: str
) -> Verdict:
    stored = signature_headers.header(headers, header)
    fitting = [_is_among(stored, _proofs(secret, header, proof_key)) for secret in secrets]
    steps = (
        Step("Header", header),
        Step("What was signed", "nothing: the header holds the token itself"),
        _secret_step(fitting),
    )
    if True not in fitting:
        return Verdict(False, f"The token in {header} is not this source's.", steps)
    return Verdict(True, f"The token in {header} is {_secret_name(fitting.index(True))}.", steps)


def _proofs(secret: str, header: str, proof_key: str) -> list[str]:
    values = [secret]
    if header.lower() == "authorization":  # a scheme counts in any case: RFC 9110, section 11.1
        values += [f"{scheme} {secret}" for scheme in ("Bearer", "bearer", "BEARER")]
    return [proof(value, proof_key) for value in values]


def _hex_signer(secret: str) -> Signer:
    """GitHub, Stripe and Slack: the key is the secret as it is shown, whatever it starts with."""
    return lambda content: hmac.digest(as_bytes(secret), content, "sha256").hex()


def _base64_signer(secret: str) -> Signer:
    key = standard_key(secret)
    return lambda content: base64.b64encode(hmac.digest(key, content, "sha256")).decode()


def standard_key(secret: str) -> bytes:
    """Take a key of any length, with whsec_ and padding or without: the sender takes what it gave out."""
    if secret.startswith("whpk_"):
        raise Unproven("This source's secret is a public key (whpk_…), which is not supported: use a secret.")
    text = as_bytes(secret.removeprefix(signing.SECRET_PREFIX))
    try:
        key = base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        key = b""
    if not key:
        raise Unproven("This source's secret is not one of Standard Webhooks, which is whsec_ and base64.")
    return key


def _is_among(expected: str, signatures: Iterable[str]) -> bool:
    """Compare with every one, so that the time taken does not tell which one fits."""
    return sum(hmac.compare_digest(as_bytes(expected), as_bytes(one)) for one in signatures) > 0


def _secret_step(fitting: list[bool]) -> Step:
    if True in fitting:
        return Step("Secret", f"{_secret_name(fitting.index(True))} fits")
    tried = "the current secret and the previous secret" if len(fitting) > 1 else "the current secret"
    return Step("Secret", f"none fits; tried: {tried}")


def _secret_name(number: int) -> str:
    return "the current secret" if number == 0 else "the previous secret"


def _mismatch(header: str, secrets: int) -> str:
    whose = "this source's secret" if secrets == 1 else "either of this source's secrets"
    return f"The signature in {header} does not fit {whose}: it is made with another, or of another body."


def _too_far(age: float) -> str:
    return f"The signature is right, but was made {_distance(age)}: at most {TOLERANCE} seconds are allowed."


def _distance(age: float) -> str:
    seconds = round(abs(age))
    return f"{seconds:,} second{'' if seconds == 1 else 's'} {'before' if age >= 0 else 'after'} it arrived"


def _shortened(content: bytes) -> str:
    return f"{_cut(content[: SHOWN * 4].decode(errors='replace'))} ({len(content):,} bytes)"


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"
