"""What a request says of itself: these signatures are of this content, made at that time. Pure.

It may be a lie, or garbage of any length: here it is only taken apart, and `signatures` judges it.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

MOST_SIGNATURES = 64  # of one request that are looked at
SECONDS = re.compile("[0-9]{1,12}")  # int() would also take other scripts' digits, and any number of them
LEADS = {  # the header by which a kind of signature is known
    "github": "X-Hub-Signature-256",
    "standard": "webhook-signature",
    "stripe": "Stripe-Signature",
    "slack": "X-Slack-Signature",
}
TITLES = {"github": "GitHub", "standard": "Standard Webhooks", "stripe": "Stripe", "slack": "Slack"}


@dataclass(frozen=True, slots=True)
class Claim:
    """The signatures without what stands around them, and the content that they should be of."""

    header: str
    content: bytes
    signatures: tuple[str, ...]
    timestamp: int | None  # unix seconds; GitHub signs none
    seen: tuple[tuple[str, str], ...]  # what an explanation shows of the headers


class Unproven(Exception):
    """A sentence for the owner: why there is nothing that could be compared."""


def header(headers: Mapping[str, str], name: str, *, leads: bool = True) -> str:
    """Return a header that must be there; raises Unproven, with a hint where it is the one that leads."""
    value = headers.get(name.lower(), "").strip()
    if value:
        return value
    if name.lower() in headers:
        raise Unproven(f"The header {name} is empty.")
    raise Unproven(f"There is no header {name}.{_hint(headers, name) if leads else ''}")


def github(headers: Mapping[str, str], body: bytes) -> Claim:
    """Read as GitHub says in "Validating webhook deliveries"; Gitea and Forgejo sign the same way."""
    name = LEADS["github"]
    if name.lower() not in headers and "x-hub-signature" in headers:
        raise Unproven(
            "It carries X-Hub-Signature alone, made with SHA-1, which no longer proves anything: "
            "the sender must sign with SHA-256, in X-Hub-Signature-256."
        )
    signature = _only(header(headers, name), name, "sha256=")
    return Claim(name, body, (signature,), None, (("Header", name),))


def standard(headers: Mapping[str, str], body: bytes) -> Claim:
    """Read as Standard Webhooks 1.0.0 says; Svix, where it comes from, sends the same under its own names."""
    prefix = "svix" if "svix-signature" in headers and "webhook-signature" not in headers else "webhook"
    name = f"{prefix}-signature"
    listed = header(headers, name).split(None, MOST_SIGNATURES)[:MOST_SIGNATURES]
    event_id = header(headers, f"{prefix}-id", leads=False)
    timestamp = header(headers, f"{prefix}-timestamp", leads=False)
    seconds = _seconds(timestamp, f"{prefix}-timestamp")
    signatures = _of_version("v1", [one.rstrip(",").partition(",") for one in listed])
    if not signatures and any(one.startswith("v1a,") for one in listed):
        raise Unproven(
            f"The header {name} was made with a public key (v1a), which is not supported: use a secret."
        )
    if not signatures:
        raise Unproven(f"The header {name} holds no signature of version 1, such as v1,K5oZ…")
    seen = (("Header", f"{name}, {_counted(signatures)}"), ("Id", event_id))
    content = b".".join((as_bytes(event_id), as_bytes(timestamp), body))
    return Claim(name, content, signatures, seconds, seen)


def stripe(headers: Mapping[str, str], body: bytes) -> Claim:
    """Read as Stripe says in "Verify webhook signatures manually"."""
    name = LEADS["stripe"]
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
    seen = (("Header", f"{name}, {_counted(signatures)}"),)
    return Claim(name, content, signatures, _seconds(timestamp, name), seen)


def slack(headers: Mapping[str, str], body: bytes) -> Claim:
    """Read as Slack says in "Verifying requests from Slack"."""
    name, beside = LEADS["slack"], "X-Slack-Request-Timestamp"
    signature = _only(header(headers, name), name, "v0=")
    timestamp = header(headers, beside, leads=False)
    content = b":".join((b"v0", as_bytes(timestamp), body))
    seen = (("Header", f"{name} and {beside}"),)
    return Claim(name, content, (signature,), _seconds(timestamp, beside), seen)


READERS: dict[str, Callable[[Mapping[str, str], bytes], Claim]] = {
    "github": github,
    "standard": standard,
    "stripe": stripe,
    "slack": slack,
}


def as_bytes(text: str) -> bytes:
    """Return UTF-8 of any text at all: what is compared must be bytes, for ASCII alone compares as text."""
    return text.encode(errors="surrogatepass")


def _hint(headers: Mapping[str, str], missing: str) -> str:
    """Say what else there is: most who see this have chosen the wrong kind."""
    others = [kind for kind, lead in LEADS.items() if lead.lower() in headers and lead != missing]
    return f" It carries {LEADS[others[0]]}, as {TITLES[others[0]]} has it." if others else ""


def _only(value: str, name: str, prefix: str) -> str:
    if "," in value:
        raise Unproven(f"The header {name} came more than once.")
    if not value.startswith(prefix):
        raise Unproven(f"The header {name} does not start with {prefix}")
    return value.removeprefix(prefix)


def _seconds(text: str, name: str) -> int:
    if not SECONDS.fullmatch(text):
        raise Unproven(f"The timestamp in {name} is not a number of seconds.")
    return int(text)


def _of_version(version: str, fields: list[tuple[str, str, str]]) -> tuple[str, ...]:
    return tuple(value for key, _, value in fields if key == version)


def _counted(signatures: tuple[str, ...]) -> str:
    return "1 signature" if len(signatures) == 1 else f"{len(signatures)} signatures"
