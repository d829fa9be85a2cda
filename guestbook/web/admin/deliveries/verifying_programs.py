"""Programs that verify one delivery, in the languages of its receivers. Pure."""

import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from guestbook.outbound.formats.text_limit import JOINERS

SNIPPETS = Path(__file__).parents[3] / "templates" / "snippets"
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


def snippets(event_id: str, timestamp: int, body: bytes, signatures: str) -> list[Snippet]:
    """Return a program for each language, with this delivery in it."""
    values = {
        "id": event_id,
        "timestamp": str(timestamp),
        "body": body.decode(errors="replace"),
        "signatures": signatures,
    }
    return [_snippet(name, values) for name in LANGUAGES]


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
