"""Verify who sent a webhook, and say how it was proven or why not; sign a sample as its sender does. Pure.

The time of receipt counts, so a webhook that waited is verified as if it had just arrived. `kinds` has one
entry for each way to verify.
"""

import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from guestbook.lib.signatures import PUBLIC_KEY_PREFIX
from guestbook.lib.text import counted, shortened
from guestbook.lib.verification import kinds
from guestbook.lib.verification.kinds import (
    VERIFICATION_KINDS,
    SignatureClaim,
    SignatureScheme,
    Unproven,
    as_bytes,
)

SHOWN_STEP_LIMIT = 120  # characters of one step
TOKEN_HEADER = "X-Webhook-Token"
PROOF = "hmac-sha256:"


class Step(NamedTuple):
    """One line of the explanation. It holds neither a secret nor a signature of ours."""

    name: str
    value: str


class Verdict(NamedTuple):
    """Whether the sender is proven, one sentence for the owner, and the steps to it."""

    ok: bool
    sentence: str
    steps: tuple[Step, ...] = ()
    mark: str | None = None  # repeats of a request have the same; None where no time is signed


def verify(
    kind: str,
    secrets: Sequence[str],
    headers: Mapping[str, str],
    body: bytes,
    received_at: datetime,
    *,
    header: str | None = None,
    scheme: SignatureScheme | None = None,
    proof_keys: Sequence[str] = ("",),
) -> Verdict:
    """Verify the exact bytes with the secrets that were valid at the receipt, the current one first.

    Names of headers are in lower case. For `token` the header holds the token's `proof` with one of the keys.
    For a kind that has one, the scheme says how the sender signs. Never raises.
    """
    if kind == "none":
        return Verdict(True, "Nothing is proven: this source does not ask its sender for a signature.")
    if not secrets:
        return Verdict(False, "This source has no secret to verify with.")
    try:
        if kind == "token":
            return _verify_token(secrets, headers, body, header or TOKEN_HEADER, proof_keys)
        if kind not in VERIFICATION_KINDS:
            return Verdict(False, "This source asks for a kind of signature that is not known here.")
        claim = VERIFICATION_KINDS[kind].claim(headers, body, scheme)
        matching = [VERIFICATION_KINDS[kind].matches(secret, claim) for secret in secrets]
        return _verdict(claim, secrets, matching, received_at)
    except kinds.MissingHeader as missing:
        return Verdict(False, f"{missing}{_other_kind(headers, kind)}")
    except Unproven as reason:
        return Verdict(False, str(reason))


def proof(token: str, key: str) -> str:
    """Return what is stored in place of a token: it can be compared, but the token cannot be read from it.

    The label keeps the application's key from signing here what would mean something elsewhere.
    """
    return PROOF + hmac.digest(as_bytes(key), b"inbox token\0" + as_bytes(token), "sha256").hex()


def clock_problem(claim: SignatureClaim, received_at: datetime) -> str | None:
    """Return a sentence when the timestamp is too far from the receipt."""
    if claim.timestamp is None or abs(received_at.timestamp() - claim.timestamp) <= claim.tolerance:
        return None
    distance = _distance(claim.timestamp, received_at)
    return f"The timestamp is wrong: it was signed {distance}, and at most {claim.tolerance} are allowed."


def _verdict(
    claim: SignatureClaim, secrets: Sequence[str], matching: list[bool], received_at: datetime
) -> Verdict:
    beginning = shortened(claim.content[: SHOWN_STEP_LIMIT * 4].decode(errors="replace"), SHOWN_STEP_LIMIT)
    steps = [Step("What was signed", f"{beginning} ({len(claim.content):,} bytes)")]
    steps += [Step(name, shortened(value, SHOWN_STEP_LIMIT)) for name, value in claim.seen]
    if claim.timestamp is not None:
        steps.append(Step("Timestamp", f"{claim.timestamp}, {_distance(claim.timestamp, received_at)}"))
    steps.append(_secret_step(matching))
    if True not in matching:
        return Verdict(False, _mismatch(claim, secrets), tuple(steps))
    if problem := clock_problem(claim, received_at):
        return Verdict(False, f"The signature matches. {problem}", tuple(steps))
    sentence = f"The signature in {claim.header} matches {_matching_name(matching)}."
    if claim.timestamp is None:
        return Verdict(True, sentence, tuple(steps))
    # Without the secret nobody finds out of which words the mark is.
    secret = secrets[matching.index(True)]
    mark = hmac.digest(as_bytes(secret), b"replay\0" + claim.content, "sha256").hex()
    return Verdict(True, sentence, tuple(steps), mark)


def _verify_token(
    secrets: Sequence[str], headers: Mapping[str, str], body: bytes, header: str, proof_keys: Sequence[str]
) -> Verdict:
    stored, before = kinds.value_of(header, headers, body), [""]
    if header.lower() == "authorization":  # a scheme counts in any case: RFC 9110, section 11.1
        before += ["Bearer ", "bearer ", "BEARER "]
    if header.startswith(kinds.IN_BODY):  # which is stored as it came
        matching = [kinds.is_among(stored, [secret]) for secret in secrets]
    else:
        matching = [
            kinds.is_among(stored, [proof(one + secret, key) for one in before for key in proof_keys])
            for secret in secrets
        ]
    steps = (
        Step("Header", header),
        Step("What was signed", "nothing: it holds the token itself"),
        _secret_step(matching),
    )
    if True not in matching:
        return Verdict(False, f"The token in {header} is not this source's.", steps)
    return Verdict(True, f"The token in {header} is {_matching_name(matching)}.", steps)


def _other_kind(headers: Mapping[str, str], kind: str) -> str:
    """Say which kind the request looks like: most people who see this have chosen the wrong one."""
    for name, other in VERIFICATION_KINDS.items():
        if name != kind and other.header and other.header.lower() in headers:
            return f" It carries {other.header}, as {other.title} sends it."
    if "x-hub-signature" not in headers:
        return ""
    return (
        " It carries X-Hub-Signature alone, made with SHA-1, which no longer proves anything: "
        "the sender must sign with SHA-256, in X-Hub-Signature-256."
    )


def _secret_step(matching: list[bool]) -> Step:
    if True in matching:
        return Step("Secret", f"{_matching_name(matching)} matches")
    tried = "the current secret and the previous secret" if len(matching) > 1 else "the current secret"
    return Step("Secret", f"none matches; tried: {tried}")


def _matching_name(matching: list[bool]) -> str:
    return "the current secret" if matching[0] else "the previous secret"


def _mismatch(claim: SignatureClaim, secrets: Sequence[str]) -> str:
    is_public = [secret.startswith(PUBLIC_KEY_PREFIX) for secret in secrets]
    if not claim.signatures and not any(is_public):
        return f"{claim.header} holds no signature made with a secret. Set the sender’s public key, whpk_…"
    if not claim.public_signatures and all(is_public):
        return f"{claim.header} holds no signature for a public key (v1a). Set the sender’s secret, whsec_…"
    whose = "this source's secret" if len(secrets) == 1 else "either of this source's secrets"
    why = "it is made with another, or the body changed"
    return f"The signature in {claim.header} does not match {whose}: {why}."


def _distance(timestamp: int, received_at: datetime) -> str:
    age = received_at.timestamp() - timestamp
    return f"{counted(round(abs(age)), 'second')} {'before' if age >= 0 else 'after'} it arrived"


def sign_request(
    verify: str,
    secret: str | None,
    body: bytes,
    *,
    event_id: str,
    seconds: int,
    header: str | None = None,
    scheme: SignatureScheme | None = None,
) -> dict[str, str]:
    """Return the headers that prove a request to a source; none where it verifies nothing.

    `header` and `scheme` are those of the source. Raises Unproven.
    """
    if why := hindrance(verify, secret):
        raise Unproven(why)
    key = secret or ""
    if verify == "none":
        return {}
    if verify == "token" and not (header or "").startswith(kinds.IN_BODY):
        return {header or TOKEN_HEADER: key}
    known = VERIFICATION_KINDS.get(verify)
    how = known and (scheme or known.scheme)
    sign = how.sign if how else known and known.sign
    if not sign:
        raise Unproven(kinds.NO_SAMPLE)
    return sign(key, event_id, seconds, body)  # raises Unproven if somebody has garbled the secret


def hindrance(verify: str, secret: str | None) -> str | None:
    """Return why the book cannot sign as the sender does, or None."""
    if verify == "none":
        return None
    if not secret:
        return "This source has no secret to sign with."
    if verify == kinds.ED25519 or (verify == "standard" and secret.startswith(PUBLIC_KEY_PREFIX)):
        return (
            "This source verifies with a public key, and only its sender has the private key that signs. "
            "Let the sender send a test."
        )
    return None
