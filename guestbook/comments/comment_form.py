"""The form of a comment: its cleaned fields, a sentence for each wrong one, the owner's question. Pure.

Then comes what stands for a comment: the picture beside it, and the mark in a form that decides about it. The
owner decides only what he has read. A visitor may change or delete a comment between the owner's look and the
click. So the page's form carries the mark, and a comment that has another mark by then is shown again first.
"""

import hashlib
import hmac
import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, fields
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from guestbook.lib import validate
from guestbook.lib.errors import Translatable
from guestbook.lib.text import clean_line, clean_text
from guestbook.storage.comment_fields import COMMENT_FIELDS
from guestbook.storage.preferences import Preferences

VISITOR_NAME_LIMIT, WEBSITE_LIMIT = COMMENT_FIELDS["name"].limit, COMMENT_FIELDS["website"].limit
MESSAGE_LIMIT = COMMENT_FIELDS["message"].limit
MESSAGE_AND_NOTE_LIMIT = 16_090  # bytes as JSON: the payload for the owner must stay under 20 kB, too

SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:(?!\d)", re.IGNORECASE)  # Before a digit it is a host's port.
WEBSITE_HOST = re.compile(r"[^\W_](?:[\w-]*[^\W_])?(?:\.[^\W_](?:[\w-]*[^\W_])?)*\.?")
NEVER_IN_A_URL = re.compile(r"[\s<>\"\\\x00-\x1f\x7f]")  # Browsers read \ as /, which hides the host.

NOT_AN_ADDRESS = Translatable("This does not look like the address of a website, such as example.org.")
NOT_THE_WEB = Translatable("Only addresses that start with http:// or https:// can be linked.")
NOT_MAIL = Translatable(
    "Please leave out the @ and the part before it: this is for the address of a website."
)


@dataclass(frozen=True, slots=True)
class Draft:
    """The fields as they would be stored; a wrong one still holds the typed text.

    Each has the name of a column of comments. A new one goes last and is None by default.
    """

    name: str
    website: str | None
    message: str
    errors: Mapping[str, str]  # field → one sentence for the visitor, in the order of the form
    place: str | None = None
    note: str | None = None  # a text for the owner alone
    mood: str | None = None

    @property
    def values(self) -> dict[str, str | None]:
        """Return the fields by name, without the errors."""
        return {name: getattr(self, name) for name in DRAFT_FIELDS}

    @property
    def all_words(self) -> str:
        """Return all that was typed, for those who search it; a choice has the owner's words."""
        typed = (text for name, text in self.values.items() if not COMMENT_FIELDS[name].is_chosen)
        return " ".join(filter(None, typed))

    @property
    def texts(self) -> str:
        """Return the message and the note, for those who look for links."""
        return f"{self.message}\n{self.note}" if self.note else self.message


DRAFT_FIELDS = tuple(field.name for field in fields(Draft) if field.name != "errors")


def read(form: Mapping[str, str]) -> Draft:
    """Read the fields by the names of their columns; a missing one is empty."""
    typed: dict[str, Any] = {}
    errors = {}
    for name, field in COMMENT_FIELDS.items():
        text = (clean_text if field.rows > 1 else clean_line)(form.get(name, ""))
        if name == "website":
            url = _with_scheme(text)
            reason = website_error(url) if text else None
            text = text if reason else url
        elif field.missing and not text:
            reason = field.missing
        else:
            reason = validate.too_long(field.subject, text, field.limit)
        if name == "note" and text and not reason:
            together = json.dumps([typed["message"], text], ensure_ascii=False).encode()
            if (number := len(together) - MESSAGE_AND_NOTE_LIMIT) > 0:
                reason = Translatable(
                    "Your message is very long. Please remove about %(number)s letters here.", number=number
                )
        typed[name] = text if field.missing else text or None
        if reason:
            errors[name] = reason
    return Draft(**typed, errors=errors)


def draft_of(comment: "Comment") -> Draft:
    """Return what the visitor typed."""
    return Draft(errors={}, **{name: getattr(comment, name) for name in DRAFT_FIELDS})


def fields_left_out(book: Preferences) -> list[str]:
    """Return the fields that the form of this book does not have."""
    asked_by = {name: field.asked_by for name, field in COMMENT_FIELDS.items() if field.asked_by}
    return [name for name, preference in asked_by.items() if not getattr(book, preference)]


def choices(book: Preferences, name: str, kept: str | None = None) -> list[str]:
    """Return what the owner lets visitors choose; a comment may keep a choice that left the list."""
    listed: list[str] = getattr(book, COMMENT_FIELDS[name].asked_by).splitlines()
    return listed if kept is None or kept in listed else [*listed, kept]


def errors_of_choices(draft: Draft, book: Preferences, had: Mapping[str, str | None]) -> dict[str, str]:
    """Return a sentence for each choice that is not on the owner's list. `had` is what the comment had."""
    errors: dict[str, str] = {}
    for name in (name for name, field in COMMENT_FIELDS.items() if field.is_chosen):
        chosen, known = draft.values[name], choices(book, name, had.get(name))
        if chosen and chosen not in known:
            what, listed = COMMENT_FIELDS[name].subject, ", ".join(known)
            errors[name] = Translatable(
                "%(what)s is not on the list. Please choose one of: %(choices)s.", what=what, choices=listed
            )
    return errors


def website_error(url: str) -> str | None:
    """Return the reason why this must not become a link, or None."""
    if sentence := validate.too_long(COMMENT_FIELDS["website"].subject, url, WEBSITE_LIMIT):
        return sentence
    try:
        parts = urlsplit(url)
        if parts.scheme and SCHEME.match(url) and parts.scheme not in ("http", "https"):
            return NOT_THE_WEB
        if not parts.scheme or not parts.hostname or NEVER_IN_A_URL.search(url) or parts.port == 0:
            return NOT_AN_ADDRESS
        if "@" in parts.netloc:
            return NOT_MAIL
        is_host = (
            IPv6Address(parts.hostname) if "[" in parts.netloc else WEBSITE_HOST.fullmatch(parts.hostname)
        )
        return None if is_host else NOT_AN_ADDRESS
    except ValueError:  # Brackets, a port or a host are impossible.
        return NOT_AN_ADDRESS


def _with_scheme(typed: str) -> str:
    """Put https:// in front of a bare host, as people type it; leave other texts alone."""
    if typed.startswith("//"):
        return f"https:{typed}"
    if SCHEME.match(typed):
        scheme, _, rest = typed.partition(":")
        return f"{scheme.lower()}:{rest}"
    return f"https://{typed}" if "." in typed else typed


ANSWER_LIMIT = 200  # characters that are looked at
NOT_COMPARED = re.compile(r"[\W_]+")
WRONG_ANSWER = Translatable("That is not the answer that the owner of this book expects. Please try again.")
WRONG_ANSWER_OF_PROGRAM = "Answer the question of this book: {}"


def is_right_answer(given: str, accepted: str) -> bool:
    """Whether an answer is one of the accepted ones, which stand one a line; case and signs do not matter."""
    wanted = {_compared(line) for line in accepted.splitlines() if line.strip()}
    return _compared(given[:ANSWER_LIMIT]) in wanted


def _compared(answer: str) -> str:
    folded = unicodedata.normalize("NFKC", answer).casefold().strip()
    # An answer of signs alone, such as ☺, is compared as it is.
    return NOT_COMPARED.sub(" ", folded).strip() or folded


if TYPE_CHECKING:
    from guestbook.storage.models import Comment


def mark_of(comment: "Comment", *, words_alone: bool = False) -> str:
    """Return the mark of its words and its status.

    Its visitor may correct it whatever the owner decides meanwhile: then the mark is of the `words_alone`.
    """
    names = DRAFT_FIELDS if words_alone else (*DRAFT_FIELDS, "status")
    shown = json.dumps([getattr(comment, name) for name in names])
    return hashlib.sha256(shown.encode()).hexdigest()[:16]


class CommentPicture(NamedTuple):
    """A drawn face, or one of the owner's characters in its place."""

    id: str  # the face's id
    glyph: str | None


def picture_of(name: str, book: Preferences, secret_key: str) -> CommentPicture | None:
    """Return the picture of whoever signs with this name; None where the owner wants none."""
    glyphs = book.glyphs.split()
    if book.pictures == "none" or (book.pictures == "glyphs" and not glyphs):
        return None
    picture_id = picture_id_of(name, secret_key)
    is_drawn = book.pictures == "drawn"
    return CommentPicture(picture_id, None if is_drawn else glyphs[int(picture_id, 16) % len(glyphs)])


def picture_id_of(name: str, secret_key: str) -> str:
    """Return 16 hexadecimal digits, from which nobody without the key can try names.

    Everybody may see them for any name. So their key is for them alone.
    """
    same = unicodedata.normalize("NFC", unicodedata.normalize("NFD", name.strip()).casefold())
    key = hashlib.sha256(f"comment pictures {secret_key}".encode()).digest()
    return hmac.digest(key, same.encode(errors="replace"), "sha256")[:8].hex()
