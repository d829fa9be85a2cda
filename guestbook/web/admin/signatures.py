"""How the signature of one attempt is made, step by step, and programs that verify it."""

import base64
import string
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from guestbook.lib import ed25519, signing
from guestbook.lib.verification.kinds import UNIX_SECONDS
from guestbook.outbound.formats.chats import JOINERS
from guestbook.storage.models import Attempt, Delivery, Webhook
from guestbook.web.admin import secret_pages

SNIPPETS = Path(__file__).parents[2] / "templates" / "snippets"
# By file name: language, name of the program, interpreter, and how to write a character by its number within
# a literal in single quotes. PHP and Ruby allow that in double quotes only, so their literals change quotes.
LANGUAGES = {
    "python": ("Python", "verify.py", "python3", r"\U{:08x}"),
    "php": ("PHP", "verify.php", "php", r"""' . "\u{{{:x}}}" . '"""),
    "node": ("Node", "verify.js", "node", r"\u{{{:x}}}"),
    "ruby": ("Ruby", "verify.rb", "ruby", r"""' "\u{{{:x}}}" '"""),
}


@dataclass(frozen=True, slots=True)
class Snippet:
    """A program that verifies the delivery when WEBHOOK_SECRET holds its secret."""

    name: str
    language: str
    file: str
    command: str
    text: str


def literal(text: str, escape: str) -> str:
    """Return a literal in single quotes, in one line and with every invisible character escaped."""
    quoted = text.replace("\\", "\\\\").replace("'", "\\'")
    visible = (one if one.isprintable() or one in JOINERS else escape.format(ord(one)) for one in quoted)
    return f"'{''.join(visible)}'"


def _snippet(name: str, values: Mapping[str, str]) -> Snippet:
    language, file, command, escape = LANGUAGES[name]
    literals = {key: literal(text, escape) for key, text in values.items()}
    template = _Template((SNIPPETS / f"{name}.txt").read_text(encoding="utf-8"))
    return Snippet(name, language, file, command, template.substitute(literals))


class _Template(string.Template):
    """Placeholders are written @id, because two of the languages use the dollar sign."""

    delimiter = "@"


@dataclass(frozen=True, slots=True)
class Signature:
    """What one secret or private key makes of the delivery. The secret itself is not kept."""

    value: str  # `v1,` and the digest in base64, or `v1a,` and the signature of a private key
    key_length: int = 0  # bytes of the secret
    public_key: str = ""  # It verifies the signature of a private key.

    @property
    def digest(self) -> bytes:
        """Return the HMAC-SHA256."""
        return base64.b64decode(self.value.removeprefix("v1,"))


@dataclass(frozen=True, slots=True)
class Explanation:
    """The steps from a delivery to the headers that sign it."""

    event_id: str
    timestamp: int
    body: bytes
    signatures: tuple[Signature, ...]  # The current secret's comes first. There is none if a key signs alone.
    hub: str
    is_text: bool  # whether the secret is its own key
    key_signatures: tuple[Signature, ...] = ()  # The current key's comes first.
    problem: str = ""  # This says why those of the keys are missing.
    rotated_until: datetime | None = None  # The previous secret signs too until then.
    is_over: bool = False  # whether it has ended

    @property
    def header(self) -> str:
        """Return the value of `webhook-signature`."""
        return " ".join(one.value for one in (*self.signatures, *self.key_signatures))

    @property
    def programs(self) -> list[Snippet]:
        """Return a program for each language that verifies the delivery."""
        values = {"id": self.event_id, "timestamp": f"{self.timestamp}", "signatures": self.header}
        values["body"] = self.body.decode(errors="replace")
        return [_snippet(name, values) for name in LANGUAGES]


def of(delivery: Delivery, webhook: Webhook, attempt: Attempt | None, now: datetime) -> Explanation | None:
    """Explain the attempt, or how it would be sent now. None when the stored secret is unusable.

    The time of a rotation is not stored, only when the previous secret ends. So both sign what was made
    before that.
    """
    moment = attempt.started_at if attempt else now
    rotated_until = secret_pages.overlap_end(webhook, moment) if webhook.sign_with != "key" else None
    previous = webhook.previous_secret if rotated_until else None
    timestamp = _timestamp(attempt, moment)
    try:
        explained = explain(delivery.event_id, timestamp, delivery.body, webhook.secret, previous)
        explained = _with_keys(explained, webhook, moment)
    except ValueError:
        return None
    is_over = rotated_until is not None and rotated_until <= now
    return replace(explained, rotated_until=rotated_until, is_over=is_over)


def explain(event_id: str, timestamp: int, body: bytes, secret: str, previous: str | None) -> Explanation:
    """Sign with the secret, and with the previous one if it is given. ValueError for an unusable secret."""
    keys = tuple(signing.key_of(text) for text in (secret, previous) if text)
    values = signing.standard(keys, event_id, timestamp, body).split(" ")
    signatures = tuple(Signature(value, key_length=len(key)) for key, value in zip(keys, values, strict=True))
    hub, is_text = signing.hub(secret.encode(), body), signing.is_text(secret)
    return Explanation(event_id, timestamp, body, signatures, hub, is_text)


def _with_keys(explained: Explanation, webhook: Webhook, moment: datetime) -> Explanation:
    """Add the signatures of the webhook's keys, and leave out those of its secrets if they do not sign."""
    previous = webhook.previous_signing_key if secret_pages.key_overlap_end(webhook, moment) else None
    try:
        made = [_key_signature(explained, key) for key in (webhook.signing_key, previous) if key]
    except ed25519.PackageMissing as missing:
        return replace(explained, problem=str(missing))
    signatures = () if webhook.sign_with == "key" else explained.signatures
    return replace(explained, signatures=signatures, key_signatures=tuple(made))


def _key_signature(explained: Explanation, key: str) -> Signature:
    parts = explained.event_id, explained.timestamp, explained.body
    return Signature(
        signing.standard((), *parts, (ed25519.seed_of(key),)), public_key=ed25519.public_key(key)
    )


def _timestamp(attempt: Attempt | None, moment: datetime) -> int:
    """Return the sent Unix time, which may be a second later than the start of the attempt."""
    sent = attempt.request_headers.get("webhook-timestamp", "") if attempt else ""
    return int(sent) if UNIX_SECONDS.fullmatch(sent) else int(moment.timestamp())
