"""Verify what others sent us, as of when it was received, and say how it was proven or why not. Pure."""

import base64
import binascii
import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from guestbook import signing

TOLERANCE = 300  # seconds between the timestamp and the receipt, both ways: Stripe, Slack, Standard Webhooks
MOST_SIGNATURES = 64  # of one request that are looked at
SHOWN = 120  # characters of what was signed
TOKEN_HEADER = "X-Webhook-Token"
PROOF = "hmac-sha256:"

SECONDS = re.compile("[0-9]{1,12}")  # int() would also take other scripts' digits, and any number of them
LEADS = {  # the header by which a kind of signature is known
    "github": "X-Hub-Signature-256",
    "standard": "webhook-signature",
    "stripe": "Stripe-Signature",
    "slack": "X-Slack-Signature",
}
TITLES = {"github": "GitHub", "standard": "Standard Webhooks", "stripe": "Stripe", "slack": "Slack"}


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


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request says of itself: these signatures are of this content, made at that time."""

    header: str
    content: bytes
    signatures: tuple[str, ...]
    timestamp: int | None = None  # unix seconds; GitHub signs none
    steps: tuple[Step, ...] = ()


class _Unproven(Exception):
    """A sentence: why there is nothing that could be compared."""


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

    Names of headers are in lower case. For `token` the stored header is `proof(value, proof_key)`. Never raises.
    """
    if kind == "none":
        return Verdict(True, "Nothing is proven: this source does not ask its sender for a signature.")
    if not secrets:
        return Verdict(False, "This source has no secret to verify with.")
    try:
        if kind == "token":
            return _verify_token(secrets, headers, header or TOKEN_HEADER, proof_key)
        if kind not in KINDS:
            return Verdict(False, "This source asks for a signature of a kind that is not known here.")
        read, sign = KINDS[kind]
        return _judge(read(headers, body), tuple(map(sign, secrets)), received_at)
    except _Unproven as reason:
        return Verdict(False, str(reason))


def proof(value: str, key: str) -> str:
    """Return what is stored in place of a token: it can be compared, and the token cannot be read from it.

    The label keeps the secret key from signing here what would mean something elsewhere.
    """
    return PROOF + hmac.digest(_bytes(key), b"inbox token\0" + _bytes(value), "sha256").hex()


def _judge(claim: Claim, signers: tuple[Callable[[bytes], str], ...], received_at: datetime) -> Verdict:
    steps = (Step("What was signed", _shortened(claim.content)), *claim.steps)
    age = None if claim.timestamp is None else received_at.timestamp() - claim.timestamp
    if age is not None:
        steps += (Step("Timestamp", f"{claim.timestamp}, {_distance(age)}"),)
    expected = [signer(claim.content) for signer in signers]
    which = next((n for n, one in enumerate(expected) if _is_among(one, claim.signatures)), None)
    if which is None:
        steps += (Step("Secret", "none fits, of " + " and ".join(map(_secret_name, range(len(signers))))),)
        return Verdict(False, _mismatch(claim, len(signers)), steps)
    steps += (Step("Secret", _secret_name(which)),)
    if age is not None and abs(age) > TOLERANCE:
        return Verdict(False, _too_far(age), steps)
    return Verdict(True, f"The signature in {claim.header} fits {_secret_name(which)}.", steps)


def _verify_token(
    secrets: tuple[str, ...], headers: Mapping[str, str], header: str, proof_key: str
) -> Verdict:
    stored = _header(headers, header, header)
    steps = (Step("Header", header), Step("What was signed", "nothing: the header holds the token itself"))
    for number, secret in enumerate(secrets):
        values = [secret]
        if header.lower() == "authorization":  # RFC 9110, section 11.1: the scheme in any case
            values += [f"{scheme} {secret}" for scheme in ("Bearer", "bearer", "BEARER")]
        if any([_is_equal(proof(value, proof_key), stored) for value in values]):
            steps += (Step("Secret", _secret_name(number)),)
            return Verdict(True, f"The token in {header} is {_secret_name(number)}.", steps)
    steps += (Step("Secret", "none fits, of " + " and ".join(map(_secret_name, range(len(secrets))))),)
    return Verdict(False, f"The token in {header} is not this source's.", steps)


def _read_github(headers: Mapping[str, str], body: bytes) -> Claim:
    """GitHub, "Validating webhook deliveries"; Gitea and Forgejo sign the same way."""
    name = LEADS["github"]
    if name.lower() not in headers and "x-hub-signature" in headers:
        raise _Unproven(
            "It carries X-Hub-Signature alone, made with SHA-1, which no longer proves anything: "
            "the sender must sign with SHA-256, in X-Hub-Signature-256."
        )
    value = _single(_header(headers, name), name)
    if not value.startswith("sha256="):
        raise _Unproven(f"{name} does not start with sha256=.")
    return Claim(name, body, (value.removeprefix("sha256="),), steps=(Step("Header", name),))


def _read_standard(headers: Mapping[str, str], body: bytes) -> Claim:
    """Standard Webhooks 1.0.0; Svix, where it comes from, still sends the same under its own names."""
    prefix = "svix" if "svix-signature" in headers and "webhook-signature" not in headers else "webhook"
    name = f"{prefix}-signature"
    value = _header(headers, name)
    event_id = _header(headers, f"{prefix}-id")
    timestamp = _header(headers, f"{prefix}-timestamp")
    seconds = _seconds(timestamp, f"{prefix}-timestamp")
    versions = [one.rstrip(",").partition(",") for one in value.split(None, MOST_SIGNATURES)[:MOST_SIGNATURES]]
    signatures = tuple(text for version, _, text in versions if version == "v1")
    if not signatures and any(version == "v1a" for version, _, _ in versions):
        raise _Unproven(f"{name} holds public-key signatures (v1a) alone, which are not supported: use a secret.")
    if not signatures:
        raise _Unproven(f"{name} holds no signature of version 1, such as v1,K5oZ…")
    steps = (Step("Header", f"{name}, {_counted(signatures)} of version 1"), Step("Id", _cut(event_id)))
    return Claim(name, b".".join((_bytes(event_id), _bytes(timestamp), body)), signatures, seconds, steps)


def _read_stripe(headers: Mapping[str, str], body: bytes) -> Claim:
    """Stripe, "Verify webhook signatures manually"."""
    name = LEADS["stripe"]
    fields = [one.strip().partition("=") for one in _header(headers, name).split(",", MOST_SIGNATURES)]
    timestamps = {value for key, _, value in fields[:MOST_SIGNATURES] if key == "t"}
    signatures = tuple(value for key, _, value in fields[:MOST_SIGNATURES] if key == "v1")
    if len(timestamps) != 1:
        raise _Unproven(f"{name} holds {'more than one' if timestamps else 'no'} timestamp (t=…).")
    if not signatures:
        raise _Unproven(f"{name} holds no signature of version 1 (v1=…).")
    timestamp = timestamps.pop()
    steps = (Step("Header", f"{name}, {_counted(signatures)} of version 1"),)
    content = b".".join((_bytes(timestamp), body))
    return Claim(name, content, signatures, _seconds(timestamp, name), steps)


def _read_slack(headers: Mapping[str, str], body: bytes) -> Claim:
    """Slack, "Verifying requests from Slack"."""
    name, beside = LEADS["slack"], "X-Slack-Request-Timestamp"
    value = _single(_header(headers, name), name)
    timestamp = _header(headers, beside)
    seconds = _seconds(timestamp, beside)
    if not value.startswith("v0="):
        raise _Unproven(f"{name} does not start with v0=.")
    content = b":".join((b"v0", _bytes(timestamp), body))
    return Claim(name, content, (value.removeprefix("v0="),), seconds, (Step("Header", f"{name} and {beside}"),))


def _hex_signer(secret: str) -> Callable[[bytes], str]:
    """GitHub, Stripe and Slack: the key is the secret as it is shown, whatever it starts with."""
    return lambda content: hmac.digest(_bytes(secret), content, "sha256").hex()


def _base64_signer(secret: str) -> Callable[[bytes], str]:
    key = _standard_key(secret)
    return lambda content: base64.b64encode(hmac.digest(key, content, "sha256")).decode()


def _standard_key(secret: str) -> bytes:
    """Take a key of any length, with or without whsec_: what a sender gave to the owner is what it signs with."""
    if secret.startswith("whpk_"):
        raise _Unproven("This source's secret is a public key (whpk_…), which is not supported: use one of whsec_….")
    try:
        key = base64.b64decode(_bytes(secret.removeprefix(signing.PREFIX)), validate=True)
    except binascii.Error:
        key = b""
    if not key:
        raise _Unproven("This source's secret is not one of Standard Webhooks, which is whsec_ and base64.")
    return key


KINDS: dict[
    str, tuple[Callable[[Mapping[str, str], bytes], Claim], Callable[[str], Callable[[bytes], str]]]
] = {
    "github": (_read_github, _hex_signer),
    "standard": (_read_standard, _base64_signer),
    "stripe": (_read_stripe, _hex_signer),
    "slack": (_read_slack, _hex_signer),
}


def _header(headers: Mapping[str, str], name: str, own: str | None = None) -> str:
    value = headers.get(name.lower(), "")
    if value.strip():
        return value.strip()
    if name.lower() in headers:
        raise _Unproven(f"The header {name} is empty.")
    others = [kind for kind, lead in LEADS.items() if lead.lower() in headers and lead != name and not own]
    hint = f" It carries {LEADS[others[0]]}, as {TITLES[others[0]]} sends." if others else ""
    raise _Unproven(f"There is no header {name}.{hint}")


def _single(value: str, name: str) -> str:
    if "," in value:
        raise _Unproven(f"The header {name} came more than once.")
    return value


def _seconds(text: str, name: str) -> int:
    if not SECONDS.fullmatch(text):
        raise _Unproven(f"The timestamp in {name} is not a number of seconds.")
    return int(text)


def _is_among(expected: str, signatures: Iterable[str]) -> bool:
    """Compare with all, so that the time taken does not tell which one fits."""
    return any([_is_equal(expected, signature) for signature in signatures])


def _is_equal(expected: str, given: str) -> bool:
    return hmac.compare_digest(_bytes(expected), _bytes(given))


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


def _mismatch(claim: Claim, secrets: int) -> str:
    whose = "this source's secret" if secrets == 1 else "either of this source's secrets"
    return f"The signature in {claim.header} does not fit {whose}: another secret, or the body was changed."


def _too_far(age: float) -> str:
    return f"The signature is right, but its timestamp is {_distance(age)}: at most {TOLERANCE} seconds are taken."


def _distance(age: float) -> str:
    seconds = round(abs(age))
    return f"{seconds:,} second{'' if seconds == 1 else 's'} {'before' if age >= 0 else 'after'} it arrived"


def _secret_name(number: int) -> str:
    return ("the current secret", "the previous secret")[min(number, 1)]


def _counted(signatures: tuple[str, ...]) -> str:
    return "1 signature" if len(signatures) == 1 else f"{len(signatures)} signatures"


def _shortened(content: bytes) -> str:
    text = content[: SHOWN * 4].decode(errors="replace")
    return f"{_cut(text)} ({len(content):,} bytes)"


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"
