"""Explain the signature of a delivery, step by step, with programs that verify it. Pure."""

import base64
import string
from dataclasses import dataclass
from pathlib import Path

from guestbook.lib import signing
from guestbook.outbound.formats.text_limit import JOINERS

SNIPPETS = Path(__file__).parents[1] / "templates" / "snippets"
# By file name: language, name of the program, interpreter, and how to write a character by its number within
# a literal in single quotes. PHP and Ruby allow that in double quotes only, so their literals change quotes.
LANGUAGES = {
    "python": ("Python", "verify.py", "python3", r"\U{:08x}"),
    "php": ("PHP", "verify.php", "php", r"""' . "\u{{{:x}}}" . '"""),
    "node": ("Node", "verify.js", "node", r"\u{{{:x}}}"),
    "ruby": ("Ruby", "verify.rb", "ruby", r"""' "\u{{{:x}}}" '"""),
}


@dataclass(frozen=True, slots=True)
class Signature:
    """The signature under one secret, without the secret."""

    key_length: int  # bytes
    digest: bytes
    value: str  # `v1,` and the digest in base64


@dataclass(frozen=True, slots=True)
class Explanation:
    """The steps from a delivery to the headers that sign it."""

    event_id: str
    timestamp: int
    body: bytes
    signatures: tuple[Signature, ...]  # the current secret's first
    hub: str

    @property
    def header(self) -> str:
        """Return the value of `webhook-signature`."""
        return " ".join(signature.value for signature in self.signatures)


@dataclass(frozen=True, slots=True)
class Snippet:
    """A program that verifies the delivery when WEBHOOK_SECRET holds its secret."""

    name: str
    language: str
    file: str
    command: str
    text: str


def explain(event_id: str, timestamp: int, body: bytes, secret: str, previous: str | None) -> Explanation:
    """Sign with the secret and, if given, with the previous one; raises ValueError for a malformed secret."""
    keys = tuple(signing.key_of(text) for text in (secret, previous) if text)
    values = signing.standard(keys, event_id, timestamp, body).split(" ")
    signatures = tuple(
        Signature(len(key), base64.b64decode(value.removeprefix("v1,")), value)
        for key, value in zip(keys, values, strict=True)
    )
    return Explanation(event_id, timestamp, body, signatures, signing.hub(secret.encode(), body))


def snippets(explained: Explanation) -> list[Snippet]:
    """Return a program for each language, with this delivery in it."""
    return [_snippet(name, explained) for name in LANGUAGES]


def literal(text: str, escape: str) -> str:
    """Return a literal in single quotes, in one line and with every invisible character escaped."""
    quoted = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{''.join(one if _is_visible(one) else escape.format(ord(one)) for one in quoted)}'"


def _is_visible(letter: str) -> bool:
    return letter.isprintable() or letter in JOINERS


def _snippet(name: str, explained: Explanation) -> Snippet:
    language, file, command, escape = LANGUAGES[name]
    values = {
        "id": explained.event_id,
        "timestamp": str(explained.timestamp),
        "body": explained.body.decode(errors="replace"),
        "signatures": explained.header,
    }
    literals = {key: literal(text, escape) for key, text in values.items()}
    template = _Template((SNIPPETS / f"{name}.txt").read_text(encoding="utf-8"))
    return Snippet(name, language, file, command, template.substitute(literals))


class _Template(string.Template):
    """Placeholders are written @id, because two of the languages use the dollar sign."""

    delimiter = "@"
