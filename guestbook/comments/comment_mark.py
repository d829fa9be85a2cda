"""What stands for a comment: the mark in a form that decides about it, and the picture beside it.

The owner decides only what he has read. A visitor may change or delete a comment between the owner's look and
the click. So the page's form carries the mark, and a comment that has another mark by then is shown again
first. It needs no SQLAlchemy, because every page has this filter.
"""

import hashlib
import hmac
import json
import unicodedata
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from guestbook.comments.comment_form import DRAFT_FIELDS
from guestbook.storage.preferences import Preferences

if TYPE_CHECKING:
    from guestbook.storage.models import Comment


def mark_of(comment: "Comment") -> str:
    """Return the mark of its words and its status."""
    return _mark(comment, (*DRAFT_FIELDS, "status"))


def mark_of_words(comment: "Comment") -> str:
    """Return the mark of its words alone: its visitor may correct it whatever the owner decides meanwhile."""
    return _mark(comment, DRAFT_FIELDS)


def _mark(comment: "Comment", names: Iterable[str]) -> str:
    shown = json.dumps([getattr(comment, name) for name in names])
    return hashlib.sha256(shown.encode()).hexdigest()[:16]


class CommentPicture(NamedTuple):
    """A drawn face, or one of the owner's characters in its place."""

    id: str  # of the face
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
