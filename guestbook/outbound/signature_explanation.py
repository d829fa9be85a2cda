"""How the signature of one attempt is made, step by step, and programs that verify it.

Pages and `deliveries explain` show the same sentences. Code stands between backticks.
"""

import base64
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from guestbook.lib import signatures
from guestbook.lib.verification.kinds import UNIX_SECONDS
from guestbook.outbound.formats.chats import JOINERS
from guestbook.storage.models import Attempt, Delivery, Webhook
from guestbook.storage.row_changes import overlap_end

UNUSABLE = "The stored secret or key of this webhook is invalid: somebody has changed it in the database."
BY_KEY = (
    "The private key signs the joined parts. It is not shown here. Attempts from before the key was chosen "
    "have no such signature."
)
BEFORE_ROTATION = " An attempt before the rotation was signed with the old secret only."
SNIPPETS = Path(__file__).parents[1] / "templates" / "snippets"
# By file name: language, name of the program, interpreter, and how to write a character by its number within
# a literal in single quotes. PHP and Ruby allow that in double quotes only, so their literals change quotes.
LANGUAGES = {
    "python": ("Python", "verify.py", "python3", r"\U{:08x}"),
    "php": ("PHP", "verify.php", "php", r"""' . "\u{{{:x}}}" . '"""),
    "node": ("Node", "verify.js", "node", r"\u{{{:x}}}"),
    "ruby": ("Ruby", "verify.rb", "ruby", r"""' "\u{{{:x}}}" '"""),
}


class Snippet(NamedTuple):
    """A program that verifies the delivery when WEBHOOK_SECRET holds its secret."""

    name: str
    language: str
    file: str
    command: str
    text: str


class Sentence(NamedTuple):
    """A sentence, and the moment that `{time}` stands for in it."""

    text: str
    time: datetime | None = None


class SignatureStep(NamedTuple):
    """A step of the explanation: facts with their names, then hints, each with the text that it is about."""

    title: str
    shown: tuple[tuple[str, str], ...]
    facts: tuple[tuple[str, str], ...] = ()


def introduction(attempt: Attempt | None) -> Sentence:
    """Return the sentence that says what was signed."""
    what, time = ("this delivery, if sent now,", None)
    if attempt:
        what, time = f"attempt {attempt.number} of {{time}}", attempt.started_at
    rule = "is signed, according to Standard Webhooks. Your receiver does the same and compares the result."
    return Sentence(f"This is how {what} {rule}", time)


class Explanation(NamedTuple):
    """The steps from a delivery to the headers that sign it. The secrets themselves are not kept."""

    event_id: str
    timestamp: int
    body: bytes
    # `v1,…` of the current secret comes first. There is none if a key signs alone.
    signatures: tuple[str, ...]
    key_length: int  # bytes of the current secret
    hub: str
    is_text: bool  # whether the secret is its own key
    key_signatures: tuple[tuple[str, str], ...]  # `v1a,…` with the public key; the current key's comes first
    problem: str = ""  # This says why those of the keys are missing.
    rotated_until: datetime | None = None  # The previous secret signs too until then.
    is_over: bool = False  # whether it has ended
    is_sent: bool = False  # whether it explains an attempt

    @property
    def rotation(self) -> Sentence | None:
        """Say that the previous secret signs too, if it does."""
        if self.rotated_until is None:
            return None
        verb = "also signed" if self.is_over else "also signs"
        said = f"The secret of this webhook was rotated. The old one {verb} until {{time}}."
        said += " So there are two signatures."
        return Sentence(said + (BEFORE_ROTATION if self.is_sent else ""), self.rotated_until)

    @property
    def steps(self) -> tuple[SignatureStep, ...]:
        """Return the steps from the parts to the header."""
        body = self.body.decode(errors="replace")
        facts = (
            ("Id", f"`{self.event_id}` is sent as `webhook-id`"),
            ("Timestamp", f"`{self.timestamp}` is sent as `webhook-timestamp`: seconds since 1970"),
            ("Body", f"{len(self.body):,} bytes, exactly as sent"),
        )
        joined = "Sign exactly this text. Do not parse, trim or indent the body."
        return (
            SignatureStep("Three parts", (("", body),), facts),
            SignatureStep("Joined by dots", ((joined, f"{self.event_id}.{self.timestamp}.{body}"),)),
            *self._steps_of_secret(),
            *self._steps_of_key(),
            SignatureStep(
                "Base64, and the header", ((self._in_base64(), f"webhook-signature: {self.header}"),)
            ),
        )

    def _steps_of_secret(self) -> tuple[SignatureStep, ...]:
        if not self.signatures:
            return ()
        what = "The secret `whsec_••••••••` without `whsec_`, decoded from base64"
        if self.is_text:
            what = "The secret itself"
        hint = "HMAC of the joined parts with the key, in hex:"
        shown = [(hint, self.digests[0])]
        if len(self.digests) > 1:
            hints = ("With the current secret:", "With the old secret:")
            shown = [(hint, ""), *zip(hints, self.digests, strict=True)]
        key = f"{what}: {self.key_length} bytes. It is not shown here."
        return SignatureStep("The key", ((key, ""),)), SignatureStep("HMAC-SHA256", tuple(shown))

    def _steps_of_key(self) -> tuple[SignatureStep, ...]:
        if not self.key_signatures:
            return ()
        names = ("key", "old key")
        keys = zip(names, self.key_signatures, strict=False)
        shown = [(f"The {name} that verifies it:", public_key) for name, (_, public_key) in keys]
        return (SignatureStep("Ed25519", ((BY_KEY, ""), *shown)),)

    def _in_base64(self) -> str:
        prefixes = ["`v1,`"] * bool(self.signatures) + ["`v1a,` for a key"] * bool(self.key_signatures)
        are_several = len(self.signatures) + len(self.key_signatures) > 1
        separated = ", separated by a space" if are_several else ""
        return f"The same bytes in base64, after {' or '.join(prefixes)}{separated}:"

    @property
    def for_github(self) -> SignatureStep:
        """Return how the other header is made."""
        prefix = "" if self.is_text else ", including `whsec_`"
        hint = f"HMAC-SHA256 of the body only, in hex. The key is the whole secret{prefix}."
        return SignatureStep(
            "For receivers written for GitHub", ((hint, f"X-Hub-Signature-256: {self.hub}"),)
        )

    @property
    def digests(self) -> list[str]:
        """Return the HMAC-SHA256 of each secret in hex."""
        return [base64.b64decode(value.removeprefix("v1,")).hex() for value in self.signatures]

    @property
    def header(self) -> str:
        """Return the value of `webhook-signature`."""
        return " ".join((*self.signatures, *(value for value, _ in self.key_signatures)))

    @property
    def programs(self) -> list[Snippet]:
        """Return a program for each language that verifies the delivery."""
        values = {"id": self.event_id, "timestamp": f"{self.timestamp}", "signatures": self.header}
        values["body"] = self.body.decode(errors="replace")
        made = []
        for name, (language, file, command, escape) in LANGUAGES.items():
            literals = {key: _literal(value, escape) for key, value in values.items()}
            template = (SNIPPETS / f"{name}.txt").read_text(encoding="utf-8")
            parts = re.split(f"@({'|'.join(values)})", template)  # Every second one is a name.
            text = "".join(literals[part] if at % 2 else part for at, part in enumerate(parts))
            made.append(Snippet(name, language, file, command, text))
        return made


def _literal(text: str, escape: str) -> str:
    """Return a literal in single quotes, in one line and with every invisible character escaped."""
    quoted = text.replace("\\", "\\\\").replace("'", "\\'")
    visible = (one if one.isprintable() or one in JOINERS else escape.format(ord(one)) for one in quoted)
    return f"'{''.join(visible)}'"


def of(delivery: Delivery, webhook: Webhook, attempt: Attempt | None, now: datetime) -> Explanation | None:
    """Explain the attempt, or how it would be sent now. None when a stored secret or key is unusable.

    The time of a rotation is not stored, only when the previous secret ends. So both sign what was made
    before that.
    """
    moment = attempt.started_at if attempt else now
    # The sent time may be a second later than the start of the attempt.
    sent = attempt.request_headers.get("webhook-timestamp", "") if attempt else ""
    timestamp = int(sent) if UNIX_SECONDS.fullmatch(sent) else int(moment.timestamp())
    rotated_until = overlap_end(webhook, "secret", moment) if webhook.sign_with != "key" else None
    secrets = [webhook.secret if webhook.sign_with != "key" else None]
    secrets += [webhook.previous_secret if rotated_until else None]
    keys = [webhook.signing_key]
    keys += [webhook.previous_signing_key if overlap_end(webhook, "signing_key", moment) else None]
    try:
        explained = explain(delivery.event_id, timestamp, delivery.body, secrets, keys)
    except ValueError:
        return None
    is_over = rotated_until is not None and rotated_until <= now
    return explained._replace(rotated_until=rotated_until, is_over=is_over, is_sent=attempt is not None)


def explain(
    event_id: str, timestamp: int, body: bytes, secrets: Sequence[str | None], keys: Sequence[str | None] = ()
) -> Explanation:
    """Sign with the secrets and with the private keys, the current ones first; ValueError for a wrong one."""
    texts, parts, problem = [secret for secret in secrets if secret], (event_id, timestamp, body), ""
    made = [signatures.key_of(text) for text in texts]
    try:
        key_signatures = tuple(
            (signatures.standard((), *parts, (signatures.seed_of(key),)), signatures.public_key(key))
            for key in filter(None, keys)
        )
    except signatures.PackageMissing as missing:
        key_signatures, problem = (), str(missing)
    return Explanation(
        *parts,
        signatures=tuple(signatures.standard(tuple(made), *parts).split()),
        key_length=len(made[0]) if made else 0,
        hub=signatures.hub(texts[0].encode(), body) if texts else "",
        is_text=bool(texts) and signatures.is_text(texts[0]),
        key_signatures=key_signatures,
        problem=problem,
    )
